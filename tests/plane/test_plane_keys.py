"""Keys of a caller whose stream begins anew: transferred behind a border controller, or by re-INVITE."""

from dataclasses import replace

import pytest

from bridge.plane.events import Digit
from bridge.plane.g711 import encode_ulaw
from bridge.rtp.dtmf import event_payloads
from bridge.rtp.header import RtpPacket, build
from tests.fakes import MS
from tests.plane.rig import PEER, STRANGER, Rig, hiss, spec


class Source:
    """A sender with its own SSRC, numbers and clock."""

    def __init__(self, rig: Rig, *, key: int, ssrc: int, timestamp: int) -> None:
        self._rig, self._key, self._ssrc, self._timestamp = rig, key, ssrc, timestamp % 2**32
        self._sequence = 1000

    def listen(self, packets: int = 5) -> None:
        for _ in range(packets):
            self._send(0, encode_ulaw(hiss()).tobytes())
            self._timestamp = (self._timestamp + 160) % 2**32

    def press(self, digit: str, *, packets: int = 8) -> None:
        for payload in event_payloads(digit, duration_ms=100)[:packets]:
            self._send(101, payload)

    def _send(self, payload_type: int, payload: bytes) -> None:
        packet = RtpPacket(payload_type, self._sequence, self._timestamp, self._ssrc, payload)
        self._sequence += 1
        self._rig.now_ns += 20 * MS
        self._rig.deliver(build(packet), source=self._key)
        self._rig.send()


def digits(rig: Rig) -> list[str]:
    return [event.digit for event in rig.events if isinstance(event, Digit)]


@pytest.mark.parametrize("key", [PEER, STRANGER], ids=["a new ssrc", "a new media address"])
def test_keys_are_heard_from_a_source_whose_timestamps_are_older(key: int) -> None:
    rig = Rig()
    first = Source(rig, key=PEER, ssrc=99, timestamp=5_000_000)
    first.listen()
    first.press("1")
    rig.plane.update(rig.row, spec(remote_key=key), now_ns=rig.now_ns)
    second = Source(rig, key=key, ssrc=1234, timestamp=1_000_000)
    second.listen()

    second.press("2")

    assert digits(rig) == ["1", "2"]


def test_a_key_that_is_down_when_its_source_goes_is_up_and_reported_once() -> None:
    rig = Rig()
    first = Source(rig, key=PEER, ssrc=99, timestamp=5_000_000)
    first.listen()
    first.press("7", packets=3)
    assert digits(rig) == []

    Source(rig, key=PEER, ssrc=1234, timestamp=0).listen(2)
    assert digits(rig) == ["7"]

    rig.wait(400)
    assert digits(rig) == ["7"]


def test_a_new_source_without_keys_changes_nothing() -> None:
    rig = Rig(spec(dtmf_payload_type=-1))
    Source(rig, key=PEER, ssrc=99, timestamp=5_000_000).listen()

    Source(rig, key=PEER, ssrc=1234, timestamp=0).listen()

    assert digits(rig) == []
    assert rig.counter("rx_packets") == 10


def test_events_are_read_under_the_number_that_was_answered_and_the_one_that_was_offered() -> None:
    rig = Rig(replace(spec(dtmf_payload_type=96), dtmf_offered=101))
    rig.wait(100)

    for payload_type, digit in ((96, "1"), (101, "2"), (102, "3")):
        for payload in event_payloads(digit, duration_ms=80):
            rig.deliver(rig.packet(payload_type=payload_type, payload=payload))
        rig.timestamp += 1600

    assert digits(rig) == ["1", "2"]
    assert rig.counter("rx_wrong_payload") == 6
