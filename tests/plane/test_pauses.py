from dataclasses import replace

import numpy as np
import pytest

from bridge.plane.events import KeysSent
from bridge.plane.g711 import encode_ulaw
from bridge.plane.plane import Plane
from bridge.plane.ring import PlayoutWriter
from bridge.plane.spec import PlaneSettings, RowSpec
from bridge.rtp.header import RtpPacket
from tests.fakes import MS
from tests.plane.rig import STRANGER, Pcm, Rig, slam, spec

SILENCE = encode_ulaw(np.zeros(160, np.int16)).tobytes()
FIRST = 5
"""Packets of sound that a stream begins with."""


def quiet(**changes: int) -> RowSpec:
    """A leg whose peer takes comfort noise."""
    return replace(spec(), comfort_payload_type=13, **changes)  # type: ignore[arg-type]


def shouting(ms: int = 100) -> Pcm:
    pcm: Pcm = (np.arange(ms * 8) % 791 + 1000).astype(np.int16)
    return pcm


def beat(rig: Rig, slots: int) -> list[RtpPacket]:
    """Let slots pass; what was sent in them."""
    begin = len(rig.heard)
    rig.wait(20 * slots)
    return rig.heard[begin:]


def settled() -> Rig:
    """A call in whose first silence a SID has just been sent."""
    rig = Rig(quiet())
    beat(rig, FIRST + 1)
    return rig


def test_a_silence_is_said_once_and_then_once_a_second() -> None:
    rig = Rig(quiet())

    packets = beat(rig, FIRST + 101)

    assert [packet.payload for packet in packets] == [SILENCE] * FIRST + [b"\x7f"] * 3
    assert [(packet.payload_type, packet.marker) for packet in packets[FIRST:]] == [(13, False)] * 3
    assert [(packet.sequence - 65534) % 2**16 for packet in packets] == list(range(FIRST + 3))
    slots = [(packet.timestamp + 160) % 2**32 // 160 for packet in packets]
    assert slots == [*range(FIRST), FIRST, FIRST + 50, FIRST + 100]
    assert rig.counter("tx_comfort") == 3
    assert rig.counter("tx_packets") == FIRST + 3
    assert rig.counter("silence_idle") == FIRST + 101
    assert rig.columns.tx_octets[1] == FIRST * 160 + 3


def test_speech_after_it_is_whole_and_begins_with_the_marker() -> None:
    rig = settled()
    beat(rig, 7)
    rig.say(shouting())

    packets = beat(rig, 6)

    assert [packet.payload_type for packet in packets] == [0] * 5 + [13]
    assert [packet.marker for packet in packets] == [True] + [False] * 5
    assert b"".join(packet.payload for packet in packets[:5]) == encode_ulaw(shouting()).tobytes()
    assert packets[0].sequence == (rig.heard[-7].sequence + 1) % 2**16
    assert (packets[0].timestamp - rig.heard[-7].timestamp) % 2**32 == 8 * 160


def test_a_recording_hears_every_slot() -> None:
    rig = settled()
    beat(rig, 7)
    rig.say(shouting())
    beat(rig, 6)

    sent = rig.sent()

    assert len(sent) == (FIRST + 14) * 160
    assert not sent[: (FIRST + 8) * 160].any()
    assert sent[(FIRST + 8) * 160 : -160].tolist() == shouting().tolist()


def test_a_peer_that_takes_none_hears_every_packet() -> None:
    rig = Rig()

    assert [packet.payload for packet in beat(rig, 20)] == [SILENCE] * 20
    assert rig.counter("tx_comfort") == 0


def test_late_speech_is_no_silence_to_speak_of() -> None:
    rig = settled()
    rig.writer.open_utterance(rig.writer.epoch)

    assert [packet.payload for packet in beat(rig, 5)] == [SILENCE] * 5
    assert rig.counter("silence_tts_late") == 5


def test_neither_is_a_duck() -> None:
    rig = settled()
    rig.drone()
    beat(rig, 20)
    begin = len(rig.heard)

    rig.talk(slam())

    assert rig.counter("silence_ducked") > 0
    assert {packet.payload_type for packet in rig.heard[begin:]} == {0}


def test_a_bed_is_heard_and_its_end_is_not_cut() -> None:
    rig = settled()
    rig.lay(np.full(4000, 1000, np.int16))
    assert {packet.payload_type for packet in beat(rig, 10)} == {0}

    rig.plane.lift(1)

    assert [packet.payload_type for packet in beat(rig, 3)] == [0, 13]


def test_what_is_cut_off_ends_before_the_silence_begins() -> None:
    rig = settled()
    rig.drone()
    beat(rig, 5)

    rig.plane.flush(1, now_ns=rig.now_ns)

    packets = beat(rig, 3)
    assert [packet.payload_type for packet in packets] == [0, 13]
    assert packets[0].payload != SILENCE


def test_keys_and_the_pauses_between_them_are_sent() -> None:
    rig = settled()
    beat(rig, 3)
    rig.plane.press(1, "12", ticket=1, duration_ms=60, pause_ms=100, now_ns=rig.now_ns)

    packets = beat(rig, 20)

    pressed = [packet.payload_type for packet in packets[:-1]]
    assert set(pressed) == {0, 101}
    assert len(pressed) == rig.counter("silence_keys") == 16
    assert packets[-1].payload_type == 13
    assert [event.count for event in rig.events if isinstance(event, KeysSent)] == [2]


def test_a_held_leg_says_nothing_and_says_its_silence_afterwards() -> None:
    rig = settled()
    rig.plane.update(1, quiet(sending=False), now_ns=rig.now_ns)
    assert beat(rig, 60) == []

    rig.plane.update(1, quiet(), now_ns=rig.now_ns)

    assert [packet.payload_type for packet in beat(rig, 10)] == [13]


def test_a_peer_that_moved_hears_sound_first() -> None:
    rig = settled()

    rig.plane.update(1, quiet(remote_key=STRANGER), now_ns=rig.now_ns)

    assert [packet.payload_type for packet in beat(rig, 10)] == [0] * FIRST + [13]


def test_it_is_agreed_and_given_up_within_a_call() -> None:
    rig = Rig()
    beat(rig, 10)

    rig.plane.update(1, quiet(), now_ns=rig.now_ns)
    assert [packet.payload_type for packet in beat(rig, 10)] == [0] * FIRST + [13]
    rig.plane.update(1, spec(), now_ns=rig.now_ns)

    packets = beat(rig, 10)
    assert [packet.payload_type for packet in packets] == [0] * 10
    assert [packet.marker for packet in packets] == [True] + [False] * 9


def test_a_new_leg_on_the_row_knows_nothing_of_it() -> None:
    rig = settled()
    rig.plane.close(1)
    rig.plane.open(1, spec(generation=8), now_ns=rig.now_ns)

    assert len(beat(rig, 10)) == 10


def test_whoever_takes_the_row_over_begins_with_sound_and_the_marker() -> None:
    rig = settled()
    beat(rig, 20)
    last = rig.heard[-1].sequence
    rig.plane = Plane(rig.columns, PlaneSettings(), shelf=rig.shelf)

    assert rig.plane.open(1, quiet(), now_ns=rig.now_ns)

    packets = beat(rig, 10)
    assert [packet.payload_type for packet in packets] == [0] * FIRST + [13]
    assert packets[0].marker
    assert 0 < (packets[0].sequence - last) % 2**16 < 100
    assert rig.counter("tx_comfort") == 2


def test_a_row_that_fails_is_no_longer_asked() -> None:
    rig = settled()
    rig.columns.play_stamp[1] = np.uint64(7 << 32) | rig.columns.epoch[1]
    rig.columns.play_write[1], rig.columns.played[1] = 0, 1 << 40

    assert beat(rig, 3) == []


@pytest.mark.parametrize(("ptime_ms", "sounds"), [(40, 3), (10, 10), (60, 2)])
def test_longer_packets_are_sent_short_before_a_silence(ptime_ms: int, sounds: int) -> None:
    rig = Rig(quiet(ptime_ms=ptime_ms))
    beat(rig, 30)
    rig.say(shouting())

    packets = beat(rig, 10)

    assert [packet.payload_type for packet in packets] == [0] * sounds + [13]
    assert [packet.marker for packet in packets] == [True] + [False] * sounds
    sound = b"".join(packet.payload for packet in packets[:-1])
    assert sound == encode_ulaw(shouting()).tobytes()
    assert (packets[-1].timestamp - packets[0].timestamp) % 2**32 == 800
    assert rig.counter("tx_comfort") == 2


def test_rows_rest_each_for_itself() -> None:
    rig = Rig(quiet())
    rig.plane.open(0, spec(generation=3), now_ns=0)
    rig.plane.open(2, quiet(generation=4, ptime_ms=40), now_ns=0)
    rig.plane.open(3, quiet(generation=5), now_ns=0)
    other = PlayoutWriter(rig.columns, 3, 5)
    other.open_utterance(other.epoch)
    sent: dict[int, list[int]] = {row: [] for row in range(4)}

    for _ in range(10):
        rig.now_ns += 20 * MS
        departures = rig.plane.build(np.arange(4), now_ns=rig.now_ns)
        for row, length in zip(departures.rows.tolist(), departures.lengths.tolist(), strict=True):
            sent[row].append(length)

    assert sent == {0: [172] * 10, 1: [172] * 5 + [13], 2: [332] * 2 + [172, 13], 3: [172] * 10}
