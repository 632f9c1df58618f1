import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import RemoteProtocolError
from bridge.rtp.dtmf import (
    DIGITS,
    Digit,
    DtmfReceiver,
    DtmfState,
    EventPacket,
    build_event,
    event_payloads,
    parse_event,
)
from tests.fakes import MS, ManualClock


def press(receiver: DtmfReceiver, digit: str, *, timestamp: int, clock: ManualClock) -> list[bool]:
    packets = [parse_event(payload) for payload in event_payloads(digit, duration_ms=100)]
    return [receiver.receive(packet, timestamp=timestamp, now_ns=clock.advance(20)) for packet in packets]


@given(st.integers(0, 255), st.booleans(), st.integers(0, 0xFFFF), st.integers(0, 63))
def test_what_is_built_is_what_is_parsed(event: int, end: bool, ticks: int, volume: int) -> None:
    packet = EventPacket(event, end, ticks, volume)

    assert parse_event(build_event(packet)) == packet


@given(st.binary(max_size=12))
def test_arbitrary_bytes_are_an_event_or_a_remote_fault(data: bytes) -> None:
    try:
        parse_event(data)
    except RemoteProtocolError:
        assert len(data) < 4


@pytest.mark.parametrize("digit", DIGITS)
def test_a_key_with_three_ends_is_one_digit(digit: str) -> None:
    clock, receiver = ManualClock(), DtmfReceiver()

    pressed = press(receiver, digit, timestamp=4000, clock=clock)

    assert pressed == [True] + [False] * 6
    assert receiver.drain() == [Digit(digit, 800)]
    assert receiver.state is DtmfState.IDLE
    assert receiver.deadline_ns is None


@given(st.text(DIGITS, min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_digits_come_in_order_whatever_is_lost_of_each_but_one_packet(
    digits: str, dice: random.Random
) -> None:
    clock, receiver = ManualClock(), DtmfReceiver()

    for number, digit in enumerate(digits):
        payloads = event_payloads(digit, duration_ms=100)
        kept = [payload for payload in payloads if dice.random() < 0.3] or payloads[-1:]
        for payload in kept:
            timestamp = (2**32 - 800 + number * 1600) % 2**32
            receiver.receive(parse_event(payload), timestamp=timestamp, now_ns=clock.advance(20))
        clock.advance(100)
    receiver.handle_timeout(now_ns=clock.advance(1000))

    assert "".join(key.digit for key in receiver.drain()) == digits


def test_a_key_whose_ends_are_lost_is_released_by_silence() -> None:
    clock, receiver = ManualClock(), DtmfReceiver(silence_ms=150)
    receiver.receive(EventPacket(5, False, 160), timestamp=0, now_ns=clock.now_ns())

    assert receiver.deadline_ns == 150 * MS
    receiver.handle_timeout(now_ns=clock.advance(149))
    assert receiver.drain() == []
    receiver.handle_timeout(now_ns=clock.advance(1))

    assert receiver.drain() == [Digit("5", 160)]


def test_an_event_that_was_overtaken_is_ignored() -> None:
    receiver = DtmfReceiver()
    receiver.receive(EventPacket(5, True, 800), timestamp=16000, now_ns=0)

    assert not receiver.receive(EventPacket(4, True, 800), timestamp=8000, now_ns=0)

    assert receiver.drain() == [Digit("5", 800)]


def test_another_source_may_count_from_an_older_timestamp_and_finds_every_key_up() -> None:
    receiver = DtmfReceiver()
    receiver.receive(EventPacket(5, False, 320), timestamp=16000, now_ns=0)

    receiver.restart()

    assert receiver.drain() == [Digit("5", 320)]
    assert receiver.state is DtmfState.IDLE
    assert receiver.receive(EventPacket(4, True, 800), timestamp=8000, now_ns=0)
    assert receiver.drain() == [Digit("4", 800)]


def test_fax_tones_are_no_keys() -> None:
    receiver = DtmfReceiver()

    assert not receiver.receive(EventPacket(36, False, 160), timestamp=0, now_ns=0)

    assert receiver.state is DtmfState.IDLE


@pytest.mark.parametrize("digit", ["", "E", "12"])
def test_only_keys_can_be_sent(digit: str) -> None:
    with pytest.raises(ValueError, match="is no key"):
        event_payloads(digit, duration_ms=100)


def test_an_event_longer_than_its_duration_field_is_refused() -> None:
    with pytest.raises(ValueError, match="9000 ms does not fit one timestamp"):
        event_payloads("1", duration_ms=9000)
