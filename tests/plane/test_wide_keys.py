"""Keys, both ways, on rows that speak by codec objects: everything counts in the clock of the codec."""

from dataclasses import replace

import numpy as np
import pytest

from bridge.plane.codec import G722, L16_16K, OPUS
from bridge.plane.events import Digit, KeysSent
from bridge.rtp.dtmf import build_event, event_payloads, parse_event
from tests.plane.rig import spec
from tests.plane.test_wide import start
from tests.plane.wide import WideRig, wide_spec


@pytest.mark.parametrize(("codec", "ticks_per_ms"), [(G722, 8), (L16_16K, 16), (OPUS, 48)])
def test_keys_go_out_as_events_in_the_clock_of_the_codec(codec: int, ticks_per_ms: int) -> None:
    rig = WideRig(wide_spec(codec))
    rig.tick()

    rig.plane.press(1, "5", ticket=3, duration_ms=100, pause_ms=60, now_ns=rig.now_ns)
    for _ in range(10):
        rig.tick()

    events = [packet for packet in rig.heard if packet.payload_type == 101]
    told = [parse_event(packet.payload) for packet in events]
    assert [event.duration_ticks // ticks_per_ms for event in told] == [20, 40, 60, 80, 100, 100, 100]
    assert [event.end for event in told] == [False] * 4 + [True] * 3
    assert len({packet.timestamp for packet in events}) == 1
    assert events[0].marker
    assert any(isinstance(event, KeysSent) and event.count == 1 for event in rig.events)


def test_what_waits_for_its_packet_goes_before_a_key() -> None:
    rig = WideRig(wide_spec(L16_16K, ptime_ms=40))
    rig.tick()

    rig.plane.press(1, "5", ticket=3, duration_ms=40, pause_ms=40, now_ns=rig.now_ns)
    made = rig.tick()

    assert [packet.payload_type for packet in made] == [96, 101]
    assert len(made[0].payload) == 640
    assert made[1].sequence == (made[0].sequence + 1) % 2**16


def test_keys_without_events_sound_at_the_rate_of_the_row() -> None:
    rig = WideRig(wide_spec(L16_16K, dtmf_payload_type=-1))

    rig.plane.press(1, "1", ticket=1, duration_ms=100, pause_ms=40, now_ns=0)
    for _ in range(5):
        rig.tick()

    pcm = np.frombuffer(b"".join(packet.payload for packet in rig.heard), np.int16)
    spectrum = np.abs(np.fft.rfft(pcm.astype(float)))
    peaks = np.fft.rfftfreq(len(pcm), 1 / 16000)[np.argsort(spectrum)[-4:]]
    assert {round(float(peak), -2) for peak in peaks} == {700.0, 1200.0}


def test_keys_of_the_caller_last_as_long_as_its_clock_says() -> None:
    rig = WideRig(wide_spec(OPUS, 48000))
    start(rig, frames=3)

    for payload in event_payloads("7", duration_ms=120, clock_rate=48000):
        rig.tick(rig.raw(payload, payload_type=101))
        rig.sequence += 1

    digits = [event for event in rig.events if isinstance(event, Digit)]
    assert [(digit.digit, digit.duration_ms) for digit in digits] == [("7", 120)]


def test_keys_in_the_sound_are_heard_at_any_rate() -> None:
    rig = WideRig(wide_spec(OPUS, 48000, dtmf_payload_type=-1))
    at = np.arange(960 * 12) / 48000
    tone = 4000 * (np.sin(2 * np.pi * 770 * at) + np.sin(2 * np.pi * 1336 * at))
    tone[: 960 * 4] = 0
    tone[960 * 9 :] = 0

    for frame in tone.astype(np.int16).reshape(12, 960):
        rig.tick(rig.packet(frame))
    for _ in range(8):
        rig.tick(rig.packet(np.zeros(960, np.int16)))

    digits = [event for event in rig.events if isinstance(event, Digit)]
    assert [digit.digit for digit in digits] == ["5"]
    assert 70 <= digits[0].duration_ms <= 130


def test_a_row_may_change_to_another_codec_of_its_rate() -> None:
    rig = WideRig(wide_spec(G722))
    start(rig)

    rig.plane.update(1, wide_spec(OPUS, 16000), now_ns=rig.now_ns)
    rig.call = wide_spec(OPUS, 16000)
    for payload in event_payloads("7", duration_ms=100, clock_rate=48000):
        rig.tick(rig.raw(payload, payload_type=101))
        rig.sequence += 1

    digits = [event for event in rig.events if isinstance(event, Digit)]
    assert [digit.duration_ms for digit in digits] == [100]


def test_events_find_their_packets_beside_rows_that_are_packed_apart() -> None:
    rig = WideRig(replace(spec(), ptime_ms=10))
    for row in (0, 2):
        rig.plane.open(row, replace(spec(), generation=8 + row), now_ns=0)
        rig.plane.press(row, "3", ticket=1, duration_ms=40, pause_ms=40, now_ns=0)

    departures = rig.plane.build(np.array([0, 1, 2]), now_ns=0)

    assert departures.rows.tolist() == [0, 2, 1, 1]
    assert departures.lengths.tolist() == [16, 16, 92, 92]
    payload = departures.packets[1, 12:16].tobytes()
    assert build_event(parse_event(payload)) == payload
