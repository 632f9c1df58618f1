"""A caller's keys, by whatever way they come, and what they do to what we are saying."""

import numpy as np
import pytest

from bridge.plane.columns import FRAME_SAMPLES
from bridge.plane.events import Digit, Flushed, VoiceStarted
from bridge.plane.spec import PlaneSettings
from bridge.rtp.dtmf import EventPacket, build_event, event_payloads
from tests.fakes import MS
from tests.plane.dialling import Sound, quiet, tone
from tests.plane.rig import Pcm, Rig, hiss, slam, spec, speech_sentence

ALWAYS = PlaneSettings(inband_digits="always")
NEVER = PlaneSettings(inband_digits="never")
NO_EVENTS = spec(dtmf_payload_type=-1)


def framed(*parts: Sound) -> Pcm:
    sound = np.concatenate(parts).clip(-32768, 32767).astype(np.int16)
    return np.concatenate((sound, np.zeros(-len(sound) % FRAME_SAMPLES, np.int16)))


def dial(rig: Rig, digits: str, *, ms: int = 80, pause_ms: int = 80) -> None:
    for digit in digits:
        rig.talk(framed(tone(digit, ms=ms), quiet(pause_ms)))
    rig.wait(200)


def press(rig: Rig, digit: str, *, duration_ms: int = 80) -> None:
    for payload in event_payloads(digit, duration_ms=duration_ms):
        rig.now_ns += 20 * MS
        rig.deliver(rig.packet(payload_type=101, payload=payload))
        rig.send()
    rig.timestamp += 8 * (duration_ms + 40)


def info(rig: Rig, digit: str, *, duration_ms: int = 160) -> None:
    rig.plane.key(1, digit, duration_ms=duration_ms, now_ns=rig.now_ns)
    rig._drain()


def digits(rig: Rig) -> str:
    return "".join(event.digit for event in rig.events if isinstance(event, Digit))


def flushes(rig: Rig) -> list[str]:
    return [event.cause for event in rig.events if isinstance(event, Flushed)]


@pytest.mark.parametrize(
    ("settings", "call", "heard"),
    [
        (PlaneSettings(), NO_EVENTS, "12#"),
        (PlaneSettings(), spec(), ""),
        (ALWAYS, spec(), "12#"),
        (NEVER, NO_EVENTS, ""),
    ],
    ids=["no events agreed", "events agreed", "always", "never"],
)
def test_keys_in_the_sound_are_heard_where_they_are_listened_for(
    settings: PlaneSettings, call: object, heard: str
) -> None:
    rig = Rig(call, settings=settings)  # type: ignore[arg-type]
    rig.wait(100)

    dial(rig, "12#")

    assert digits(rig) == heard


def test_a_key_in_the_sound_takes_the_floor_as_a_key_and_not_as_a_voice() -> None:
    rig = Rig(NO_EVENTS)
    rig.wait(300)
    rig.drone()
    rig.wait(300)
    begin_ns = rig.now_ns

    dial(rig, "7", ms=200)

    (flushed,) = (event for event in rig.events if isinstance(event, Flushed))
    assert flushed.cause == "dtmf"
    assert flushed.at_ns - begin_ns <= 120 * MS, "jitter ring and two windows"
    assert digits(rig) == "7"


@pytest.mark.parametrize("bits", [0, 1])
def test_a_key_in_the_sound_that_may_not_interrupt_cuts_nothing_off(bits: int) -> None:
    rig = Rig(spec(dtmf_payload_type=-1, interruptible=bits))
    rig.wait(300)
    rig.drone()
    rig.wait(300)

    dial(rig, "7", ms=400)

    assert flushes(rig) == []
    assert digits(rig) == "7"


def test_a_voice_after_a_key_interrupts_as_ever() -> None:
    rig = Rig(spec(dtmf_payload_type=-1, interruptible=1))
    rig.wait(300)
    rig.drone()
    rig.wait(300)
    dial(rig, "7", ms=100)

    rig.talk(speech_sentence()[:8000])

    assert flushes(rig) == ["speech"]


@pytest.mark.parametrize("bits", [2, 3])
def test_a_key_by_signalling_takes_the_floor(bits: int) -> None:
    rig = Rig(spec(interruptible=bits))
    rig.wait(100)
    rig.drone()
    rig.wait(100)

    info(rig, "4")

    assert flushes(rig) == ["dtmf"]
    assert [(event.digit, event.duration_ms) for event in rig.events if isinstance(event, Digit)] == [
        ("4", 160)
    ]


def test_a_key_by_signalling_for_a_leg_that_is_over_is_nobodys() -> None:
    rig = Rig()
    rig.plane.close(1)

    info(rig, "4")

    assert rig.events == []


def test_a_key_that_comes_all_three_ways_is_one_key_and_one_interruption() -> None:
    rig = Rig(settings=ALWAYS)
    rig.wait(300)
    rig.drone()
    rig.wait(200)

    for digit in "77":
        pcm = framed(tone(digit, ms=100), quiet(100)).reshape(-1, FRAME_SAMPLES)
        payloads = event_payloads(digit, duration_ms=100)
        begin = rig.timestamp
        for at, frame in enumerate(pcm):
            rig.now_ns += 20 * MS
            packets = [rig.packet(frame)]
            if at < len(payloads):
                after, rig.timestamp = rig.timestamp, begin
                packets.append(rig.packet(payload_type=101, payload=payloads[at]))
                rig.timestamp = after
            rig.deliver(*packets)
            rig.send()
        info(rig, digit)
    rig.wait(400)

    assert digits(rig) == "77"
    assert flushes(rig) == ["dtmf"]


def test_a_row_whose_events_are_taken_away_listens_to_the_sound_and_back() -> None:
    rig = Rig()
    rig.wait(100)
    dial(rig, "1")
    assert digits(rig) == ""

    rig.plane.update(1, NO_EVENTS, now_ns=rig.now_ns)
    dial(rig, "2")
    rig.talk(framed(tone("3", ms=200)))
    rig.plane.update(1, spec(), now_ns=rig.now_ns)
    dial(rig, "4")
    press(rig, "5")

    assert digits(rig) == "235"


@pytest.mark.parametrize("lost", [1, 2])
def test_packets_lost_in_a_key_make_no_second_one(lost: int) -> None:
    rig = Rig(NO_EVENTS)
    rig.wait(300)

    for digit in "147":
        pcm = framed(tone(digit, ms=160), quiet(160)).reshape(-1, FRAME_SAMPLES)
        for at, frame in enumerate(pcm):
            rig.now_ns += 20 * MS
            packet = rig.packet(frame)
            if not 3 <= at < 3 + lost:
                rig.deliver(packet)
            rig.send()
    rig.wait(300)

    assert rig.counter("rx_concealed") > 0
    assert digits(rig) == "147"


def test_a_leg_that_goes_takes_the_key_that_is_down_with_it() -> None:
    rig = Rig(NO_EVENTS)
    rig.wait(100)
    rig.talk(framed(tone("5", ms=200)))
    rig.plane.close(1)
    rig.plane.open(1, spec(generation=9, dtmf_payload_type=-1), now_ns=rig.now_ns)

    rig.wait(500)

    assert digits(rig) == ""


def test_speech_slams_and_hiss_are_no_keys() -> None:
    rig = Rig(NO_EVENTS)
    rig.wait(200)

    rig.talk(speech_sentence())
    rig.talk(slam(ms=300, decay_ms=200))
    rig.talk(hiss(16_000, level_db=-25))

    assert any(isinstance(event, VoiceStarted) for event in rig.events)
    assert digits(rig) == ""


def test_what_cannot_be_a_key_moves_counters_and_nothing_else() -> None:
    rig = Rig()
    rig.wait(100)
    rig.events.clear()

    for payload in (b"", b"\5", b"\5\x8a\0"):  # too short
        rig.deliver(rig.packet(payload_type=101, payload=payload))
    assert rig.counter("rx_malformed") == 3
    for event in (
        EventPacket(16, True, 800),  # flash
        EventPacket(255, False, 160),
        EventPacket(5, True, 0),  # pressed for no time at all
    ):
        rig.deliver(rig.packet(payload_type=101, payload=build_event(event)))
    assert rig.counter("rx_keys_ignored") == 3
    rig.wait(400)

    assert rig.events == []
    press(rig, "1")
    assert digits(rig) == "1"


def test_a_duration_that_shrinks_or_cannot_have_passed_is_one_key_all_the_same() -> None:
    rig = Rig()
    rig.wait(100)

    for ticks, end in ((65535, False), (160, False), (0, False), (65535, True), (3, True)):
        event = EventPacket(9, end, ticks)
        rig.deliver(rig.packet(payload_type=101, payload=build_event(event)))
    rig.wait(400)

    assert digits(rig) == "9"


def test_a_payload_with_more_behind_its_event_is_read_as_the_event() -> None:
    rig = Rig()
    rig.wait(100)

    rig.deliver(rig.packet(payload_type=101, payload=build_event(EventPacket(9, True, 800)) + b"more" * 300))

    assert digits(rig) == "9"


def test_a_flood_of_keys_is_counted_and_the_call_goes_on() -> None:
    rig = Rig()
    rig.wait(100)
    rig.drone()
    rig.wait(100)

    for at in range(100):
        rig.now_ns += 20 * MS
        packets = []
        for key in range(16):
            event = EventPacket((key + at) % 16, True, 8)
            packets.append(rig.packet(payload_type=101, payload=build_event(event)))
            rig.timestamp += 8
        rig.deliver(*packets)
        rig.send()
    rig.wait(300)

    told = len(digits(rig))
    assert told + rig.counter("rx_keys_ignored") == 1600
    assert told <= 32 + 2000 // 60 + 1
    assert rig.counter("rx_lost") == 0
    press(rig, "1")
    assert digits(rig)[-1] == "1"
