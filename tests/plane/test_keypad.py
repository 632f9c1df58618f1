"""Keys that we press, read off the wire as a peer would."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.plane.columns import FRAME_SAMPLES
from bridge.plane.events import KeysSent, PlayoutIdle, RowFailed, SpeechStarted
from bridge.plane.g711 import SILENCE, decode_alaw, decode_ulaw
from bridge.plane.keypad import MOST_KEYS
from bridge.plane.tones import ZERO_DBM0_PEAK
from bridge.rtp.dtmf import DIGITS, DtmfReceiver, EventPacket, KeyDown, KeyUp, parse_event
from bridge.rtp.header import RtpPacket
from tests.fakes import MS
from tests.plane.dialling import downs, listen
from tests.plane.rig import PEER, Rig, spec


def press(
    rig: Rig, digits: str, *, ticket: int = 1, duration_ms: int = 100, pause_ms: int = 100, row: int = 1
) -> None:
    rig.plane.press(row, digits, ticket=ticket, duration_ms=duration_ms, pause_ms=pause_ms, now_ns=rig.now_ns)


def quiet_ticks(rig: Rig, ms: int) -> None:
    """Time passes, and the caller sends nothing."""
    for _ in range(ms // 20):
        rig.now_ns += 20 * MS
        rig.send()


def events(rig: Rig) -> list[RtpPacket]:
    return [packet for packet in rig.heard if packet.payload_type == 101]


def understood(rig: Rig) -> list[KeyDown | KeyUp]:
    """What a receiver makes of our events."""
    receiver = DtmfReceiver()
    for at, packet in enumerate(events(rig)):
        receiver.receive(parse_event(packet.payload), timestamp=packet.timestamp, now_ns=at * 20 * MS)
    return receiver.drain()


def reports(rig: Rig) -> list[tuple[int, int]]:
    return [(event.ticket, event.count) for event in rig.events if isinstance(event, KeysSent)]


def test_a_key_is_events_under_one_timestamp_with_a_growing_duration_and_three_ends() -> None:
    rig = Rig(spec(timestamp=2**32 - 480, sequence=65534))
    quiet_ticks(rig, 40)

    press(rig, "5", duration_ms=70)
    quiet_ticks(rig, 200)

    sent = events(rig)
    assert [parse_event(packet.payload) for packet in sent] == [
        EventPacket(5, False, 160, 7),
        EventPacket(5, False, 320, 7),
        EventPacket(5, False, 480, 7),
        EventPacket(5, True, 560, 7),
        EventPacket(5, True, 560, 7),
        EventPacket(5, True, 560, 7),
    ]
    assert {packet.timestamp for packet in sent} == {2**32 - 480 + 2 * 160}
    assert [packet.marker for packet in sent] == [True] + [False] * 5
    assert [packet.sequence for packet in rig.heard] == [(65534 + at) % 2**16 for at in range(12)]
    assert {packet.ssrc for packet in rig.heard} == {0xB07}
    audio = [packet for packet in rig.heard if packet.payload_type == 0]
    assert [packet.timestamp for packet in audio[2:]] == [(8 + at) * 160 - 480 for at in range(4)]
    assert all(set(packet.payload) == {SILENCE[0]} for packet in audio)
    assert not any(packet.marker for packet in audio[1:])


def test_every_key_arrives_in_order_with_its_length() -> None:
    rig = Rig()

    press(rig, DIGITS, duration_ms=90, pause_ms=60)
    quiet_ticks(rig, 16 * 160 + 100)

    assert understood(rig) == [step for key in DIGITS for step in (KeyDown(key), KeyUp(key, 720))]
    assert reports(rig) == [(1, 16)]
    assert rig.counter("tx_keys") == 16


def test_pauses_part_keys_and_are_silent() -> None:
    rig = Rig(spec(timestamp=0))

    press(rig, "12", duration_ms=80, pause_ms=120)
    quiet_ticks(rig, 600)

    begins = sorted({packet.timestamp for packet in events(rig)})
    assert begins[1] - begins[0] == 8 * (80 + 120)
    assert rig.counter("silence_keys") == 2 * (80 + 120) // 20
    assert rig.counter("silence_idle") == 30 - 20


@pytest.mark.parametrize("seconds", [8, 9, 17, 30])
def test_a_long_key_goes_on_in_segments(seconds: int) -> None:
    rig = Rig(spec(timestamp=2**32 - 70_000))

    press(rig, "#", duration_ms=seconds * 1000)
    quiet_ticks(rig, seconds * 1000 + 300)

    sent = [(packet.timestamp, parse_event(packet.payload)) for packet in events(rig)]
    assert understood(rig) == [KeyDown("#"), KeyUp("#", seconds * 8000)]
    begins = list(dict.fromkeys(timestamp for timestamp, _ in sent))
    assert [(after - before) % 2**32 for before, after in pairwise(begins)] == [0xFFFF for _ in begins[1:]]
    for begin in begins:
        segment = [packet for timestamp, packet in sent if timestamp == begin]
        assert len(set(segment[-3:])) == 1
        assert all(packet.end == (begin == begins[-1]) for packet in segment[-3:])
        assert not any(packet.end for packet in segment[:-3])
    assert [packet.marker for packet in events(rig)].count(True) == 1


def test_speech_waits_and_goes_on_from_the_same_sample() -> None:
    rig = Rig()
    rig.wait(100)
    pcm = rig.drone(1000)
    rig.wait(200)
    played = int(rig.columns.played[1])

    press(rig, "1", duration_ms=100, pause_ms=60)
    rig.wait(160)
    held = int(rig.columns.played[1])
    rig.wait(1000)

    assert held == played
    assert rig.counter("silence_keys") == 8
    assert rig.counter("silence_tts_late") == 0
    sound = decode_ulaw(
        np.concatenate([np.frombuffer(p.payload, np.uint8) for p in rig.heard if p.payload_type == 0])
    )
    sound = sound[np.flatnonzero(sound)[0] :]
    # Of the three slots of the pause two have said the end once more: one is left that is silent sound.
    expected = np.concatenate((pcm[:played], np.zeros(FRAME_SAMPLES, np.int16), pcm[played:]))
    difference = np.abs(sound[: len(expected)].astype(int) - expected)
    faded = slice(played + FRAME_SAMPLES, played + FRAME_SAMPLES + 40)
    assert difference[faded].max() > 500, "it comes back with a fade"
    difference[faded] = 0
    assert (difference <= 1 + np.abs(expected) // 16).all()
    assert [type(event) for event in rig.events if isinstance(event, SpeechStarted | PlayoutIdle)] == [
        SpeechStarted,
        PlayoutIdle,
    ]


def test_what_is_said_after_keys_begins_at_full_level() -> None:
    rig = Rig()

    press(rig, "1", duration_ms=60, pause_ms=40)
    quiet_ticks(rig, 200)
    rig.drone(100)
    quiet_ticks(rig, 100)

    first = next(p for p in rig.heard if p.payload_type == 0 and set(p.payload) != {SILENCE[0]})
    assert abs(int(decode_ulaw(np.frombuffer(first.payload, np.uint8))[0]) - 1000) < 40


def test_speech_that_begins_during_keys_is_announced_when_it_sounds() -> None:
    rig = Rig()
    press(rig, "1", duration_ms=100, pause_ms=100)
    quiet_ticks(rig, 40)

    rig.drone(100)
    quiet_ticks(rig, 100)
    assert rig.events == []
    quiet_ticks(rig, 200)

    started = next(event for event in rig.events if isinstance(event, SpeechStarted))
    assert started.at_ns == 220 * MS


@pytest.mark.parametrize("codec", [0, 1])
def test_where_no_events_were_agreed_keys_are_tones(codec: int) -> None:
    rig = Rig(spec(dtmf_payload_type=-1, codec=codec))

    press(rig, DIGITS, duration_ms=80, pause_ms=80)
    quiet_ticks(rig, 16 * 160 + 200)

    decode = decode_alaw if codec else decode_ulaw
    pcm = decode(rig.sound()).astype(float)
    (changes,) = listen([pcm], codec=False)
    assert downs(changes) == DIGITS
    lengths = [change.duration_ms for change in changes if not change.is_down]
    assert all(abs(length - 80) <= 15 for length in lengths)
    assert reports(rig) == [(1, 16)]
    steady = pcm[80:560]  # of the key 0, which is 941 and 1336 Hz
    waves = [np.exp(2j * np.pi * hz / 8000 * np.arange(480)) for hz in (941, 1336)]
    peaks = [abs(steady @ wave) / 240 for wave in waves]
    levels = [20 * np.log10(peak / ZERO_DBM0_PEAK) for peak in peaks]
    assert levels == pytest.approx([-9, -7], abs=0.3)


def test_tones_begin_and_end_without_a_click() -> None:
    rig = Rig(spec(dtmf_payload_type=-1))

    press(rig, "5", duration_ms=70)
    quiet_ticks(rig, 200)

    pcm = decode_ulaw(rig.sound()).astype(int)
    sounding = np.flatnonzero(np.abs(pcm) > 8)
    assert sounding[-1] - sounding[0] < 70 * 8
    assert np.abs(pcm[:4]).max() < 3000
    assert np.abs(pcm[70 * 8 - 4 : 70 * 8]).max() < 3000
    assert not pcm[70 * 8 :].any()


def test_keys_of_several_requests_are_pressed_one_after_the_other() -> None:
    rig = Rig()

    press(rig, "12", ticket=1, duration_ms=60, pause_ms=40)
    press(rig, "34", ticket=2, duration_ms=60, pause_ms=40)
    quiet_ticks(rig, 600)

    assert [step.digit for step in understood(rig) if isinstance(step, KeyUp)] == list("1234")
    assert reports(rig) == [(1, 2), (2, 2)]


def test_no_more_keys_wait_than_there_is_room_for() -> None:
    rig = Rig()

    press(rig, "1" * MOST_KEYS, ticket=1, duration_ms=40, pause_ms=40)
    press(rig, "2", ticket=2)
    rig.send()

    assert reports(rig) == [(2, 0)]
    quiet_ticks(rig, 200)
    press(rig, "3", ticket=3)
    quiet_ticks(rig, MOST_KEYS * 80 + 300)
    assert reports(rig) == [(2, 0), (1, MOST_KEYS), (3, 1)]


def test_keys_that_are_called_off_are_not_pressed_and_the_one_that_is_down_comes_up() -> None:
    rig = Rig()
    press(rig, "159", duration_ms=200)
    press(rig, "7", ticket=2)
    quiet_ticks(rig, 60)

    rig.plane.release(1)
    quiet_ticks(rig, 400)

    assert understood(rig) == [KeyDown("1"), KeyUp("1", 3 * 160 + 24)]
    assert reports(rig) == [(1, 1), (2, 0)]
    assert rig.counter("tx_keys") == 1


def test_calling_off_nothing_is_harmless() -> None:
    rig = Rig()
    rig.plane.release(1)
    rig.plane.release(3)
    quiet_ticks(rig, 40)

    press(rig, "1")
    quiet_ticks(rig, 300)

    assert reports(rig) == [(1, 1)]
    assert understood(rig) == [KeyDown("1"), KeyUp("1", 800)]


def test_keys_wait_while_we_may_not_send() -> None:
    rig = Rig(spec(sending=False))

    press(rig, "42", duration_ms=60, pause_ms=40)
    quiet_ticks(rig, 300)
    assert rig.heard == []
    rig.plane.update(1, spec(), now_ns=rig.now_ns)
    quiet_ticks(rig, 300)

    assert [step.digit for step in understood(rig) if isinstance(step, KeyUp)] == ["4", "2"]
    assert rig.counter("silence_held") == 15
    assert reports(rig) == [(1, 2)]


def test_slots_that_were_skipped_make_a_key_no_shorter_than_it_says() -> None:
    rig = Rig()
    press(rig, "5", duration_ms=400)
    quiet_ticks(rig, 100)

    rig.now_ns += 200 * MS
    quiet_ticks(rig, 300)

    assert understood(rig) == [KeyDown("5"), KeyUp("5", 3200)]
    durations = [parse_event(packet.payload).duration_ticks for packet in events(rig)]
    assert durations == [160, 320, 480, 640, 800, 2720, 2880, 3040, 3200, 3200, 3200]


@pytest.mark.parametrize(("ms", "tones"), [(40, "55"), (100, "5"), (120, "5")])
def test_a_reinvite_that_takes_events_away_lets_keys_go_on_as_tones(ms: int, tones: str) -> None:
    rig = Rig()
    press(rig, "55", duration_ms=100, pause_ms=60)
    quiet_ticks(rig, ms)

    rig.plane.update(1, spec(dtmf_payload_type=-1), now_ns=rig.now_ns)
    quiet_ticks(rig, 400)

    audio = np.concatenate([np.frombuffer(p.payload, np.uint8) for p in rig.heard if p.payload_type == 0])
    (changes,) = listen([decode_ulaw(audio).astype(float)])
    assert downs(changes) == tones
    assert reports(rig) == [(1, 2)]


def test_a_key_that_the_peer_takes_as_no_event_is_a_tone() -> None:
    rig = Rig(replace(spec(), dtmf_events=0x0FFF))

    press(rig, "1A2", duration_ms=100, pause_ms=100)
    quiet_ticks(rig, 700)

    assert [step.digit for step in understood(rig) if isinstance(step, KeyUp)] == ["1", "2"]
    audio = np.concatenate([np.frombuffer(p.payload, np.uint8) for p in rig.heard if p.payload_type == 0])
    (changes,) = listen([decode_ulaw(audio).astype(float)])
    assert downs(changes) == "A"
    assert reports(rig) == [(1, 3)]


@pytest.mark.parametrize("ms", [40, 120])
def test_another_leg_does_not_inherit_keys(ms: int) -> None:
    rig = Rig()
    press(rig, "123", duration_ms=100)
    quiet_ticks(rig, ms)

    rig.plane.close(1)
    rig.heard.clear()
    rig.plane.open(1, spec(generation=8), now_ns=rig.now_ns)
    quiet_ticks(rig, 200)
    assert events(rig) == []
    press(rig, "9", ticket=5)
    quiet_ticks(rig, 300)

    assert understood(rig) == [KeyDown("9"), KeyUp("9", 800)]
    assert reports(rig) == [(5, 1)]


def test_keys_for_a_row_that_is_free_are_pressed_by_nobody() -> None:
    rig = Rig()

    press(rig, "1", row=2)
    rig.plane.build(np.array([1, 2]), now_ns=rig.now_ns)

    assert not rig.plane.drain()


def test_many_rows_press_their_own_keys_side_by_side() -> None:
    rig = Rig(capacity=8)
    for row in (0, 2, 3, 4, 5):
        rig.plane.open(
            row,
            spec(
                generation=row + 20,
                remote_key=PEER + 2 * row if row != 3 else 0,
                dtmf_payload_type=-1 if row == 4 else 101 + row,
            ),
            now_ns=0,
        )
    # Row 3 knows no peer and sends nothing: the places of the others' packets are not those of their rows.
    for row in (0, 2, 3, 4, 5):
        press(rig, DIGITS[row] * 2, row=row, ticket=row, duration_ms=40 + 20 * row, pause_ms=60)
    receivers = {row: DtmfReceiver() for row in (0, 2, 5)}
    tones = []
    for _ in range(40):
        rig.now_ns += 20 * MS
        departures = rig.plane.build(np.arange(6), now_ns=rig.now_ns)
        for packet, length, row in zip(
            departures.packets, departures.lengths.tolist(), departures.rows.tolist(), strict=True
        ):
            payload, kind = packet[12:length], int(packet[1]) & 0x7F
            if row in receivers and kind == 101 + row:
                stamp = int.from_bytes(packet[4:8].tobytes())
                event = parse_event(payload.tobytes())
                receivers[row].receive(event, timestamp=stamp, now_ns=rig.now_ns)
            else:
                assert (kind, length) == (0, 172)
            if row == 4:
                tones.append(payload.copy())

    for row, receiver in receivers.items():
        ticks = 8 * (40 + 20 * row)
        assert receiver.drain() == [KeyDown(DIGITS[row]), KeyUp(DIGITS[row], ticks)] * 2
    (changes,) = listen([decode_ulaw(np.concatenate(tones)).astype(float)])
    assert downs(changes) == "44"
    told = {event.row: event.count for event in rig.plane.drain() if isinstance(event, KeysSent)}
    assert told == {0: 2, 2: 2, 4: 2, 5: 2}


def test_a_row_that_breaks_presses_nothing_more() -> None:
    rig = Rig()
    press(rig, "1")
    rig.drone(100)
    rig.columns.play_write[1] = 0
    rig.columns.played[1] = 10**6

    rig.send()

    assert [type(event) for event in rig.events] == [RowFailed]


@given(st.text(DIGITS, min_size=1, max_size=6), st.integers(50, 300), st.integers(40, 200), st.booleans())
@settings(max_examples=25)
def test_what_is_pressed_is_what_is_heard(
    digits: str, duration_ms: int, pause_ms: int, as_events: bool
) -> None:
    rig = Rig(spec(dtmf_payload_type=101 if as_events else -1))

    press(rig, digits, duration_ms=duration_ms, pause_ms=pause_ms)
    quiet_ticks(rig, len(digits) * (duration_ms + pause_ms + 20) + 100)

    if as_events:
        assert understood(rig) == [s for d in digits for s in (KeyDown(d), KeyUp(d, 8 * duration_ms))]
    else:
        (changes,) = listen([decode_ulaw(rig.sound()).astype(float)], codec=False)
        assert downs(changes) == digits
    assert reports(rig) == [(1, len(digits))]
