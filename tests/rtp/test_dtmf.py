import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import RemoteProtocolError
from bridge.rtp.dtmf import (
    DIGITS,
    MAX_SEGMENT_TICKS,
    DtmfReceiver,
    DtmfState,
    EventPacket,
    KeyDown,
    KeyUp,
    build_event,
    event_payloads,
    parse_event,
)
from tests.fakes import MS, ManualClock


def press(receiver: DtmfReceiver, digit: str, *, timestamp: int, clock: ManualClock) -> None:
    for payload in event_payloads(digit, duration_ms=100):
        receiver.receive(parse_event(payload), timestamp=timestamp, now_ns=clock.advance(20))


def released(receiver: DtmfReceiver) -> str:
    return "".join(step.digit for step in receiver.drain() if isinstance(step, KeyUp))


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
def test_a_key_with_three_ends_goes_down_and_up_once(digit: str) -> None:
    clock, receiver = ManualClock(), DtmfReceiver()

    press(receiver, digit, timestamp=4000, clock=clock)

    assert receiver.drain() == [KeyDown(digit), KeyUp(digit, 800)]
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

    assert released(receiver) == digits


@given(st.text(DIGITS, min_size=1, max_size=20), st.randoms(use_true_random=False))
def test_loss_doubles_and_disorder_neither_add_a_key_nor_take_one_of_which_a_packet_came(
    digits: str, dice: random.Random
) -> None:
    clock, receiver = ManualClock(), DtmfReceiver()
    packets = []
    for number, digit in enumerate(digits):
        for place, payload in enumerate(event_payloads(digit, duration_ms=80)):
            sent = number * 8 + place
            if dice.random() < 0.6:
                packets += [(sent + dice.uniform(0, 6), number, payload)] * dice.choice([1, 1, 1, 2])
    packets.sort(key=lambda packet: packet[0])

    for _, number, payload in packets:
        receiver.receive(
            parse_event(payload), timestamp=(number * 1280 - 5000) % 2**32, now_ns=clock.advance(10)
        )
    receiver.handle_timeout(now_ns=clock.advance(1000))

    came = {number for _, number, _ in packets}
    assert released(receiver) == "".join(digits[number] for number in sorted(came))


def test_a_key_whose_ends_are_lost_is_released_by_silence() -> None:
    clock, receiver = ManualClock(), DtmfReceiver(silence_ms=150)
    receiver.receive(EventPacket(5, False, 160), timestamp=0, now_ns=clock.now_ns())

    assert receiver.deadline_ns == 150 * MS
    receiver.handle_timeout(now_ns=clock.advance(149))
    assert receiver.drain() == [KeyDown("5")]
    receiver.handle_timeout(now_ns=clock.advance(1))

    assert receiver.drain() == [KeyUp("5", 160)]


def test_a_key_that_the_next_one_overtook_comes_before_it() -> None:
    receiver = DtmfReceiver()
    receiver.receive(EventPacket(5, False, 160), timestamp=16000, now_ns=0)

    receiver.receive(EventPacket(4, True, 800), timestamp=14800, now_ns=0)
    receiver.receive(EventPacket(4, True, 800), timestamp=14800, now_ns=0)
    receiver.receive(EventPacket(5, True, 800), timestamp=16000, now_ns=0)

    assert receiver.drain() == [KeyDown("5"), KeyUp("4", 800), KeyUp("5", 800)]


def test_a_stray_of_long_ago_is_no_key() -> None:
    receiver = DtmfReceiver()
    receiver.receive(EventPacket(5, True, 800), timestamp=160_000, now_ns=0)
    receiver.drain()

    assert receiver.receive(EventPacket(4, True, 800), timestamp=8000, now_ns=0)

    assert receiver.drain() == []


def test_only_the_last_events_are_remembered_and_the_present_one_always() -> None:
    receiver = DtmfReceiver()
    for number in range(40):
        receiver.receive(EventPacket(1, True, 800), timestamp=number * 1600, now_ns=0)
    receiver.receive(EventPacket(2, True, 800), timestamp=39 * 1600 - 800, now_ns=0)
    receiver.receive(EventPacket(2, True, 800), timestamp=39 * 1600 - 800, now_ns=0)
    receiver.receive(EventPacket(1, True, 800), timestamp=39 * 1600, now_ns=0)

    assert released(receiver) == "1" * 40 + "2"


def segments(total_ticks: int) -> list[tuple[int, EventPacket]]:
    """Packets of one long key 5, with their timestamps: a segment's last packet three times (§2.5.1.3)."""
    packets, begin = [], 0
    for now in range(160, total_ticks + 160, 160):
        if now - begin >= MAX_SEGMENT_TICKS < total_ticks - begin:
            packets += [(begin, EventPacket(5, False, MAX_SEGMENT_TICKS))] * 3
            begin += MAX_SEGMENT_TICKS
        if now - begin > 0:
            end = now >= total_ticks
            packets += [(begin, EventPacket(5, end, min(now, total_ticks) - begin))] * (3 if end else 1)
    return packets


@pytest.mark.parametrize("seconds", [8, 9, 20, 30])
@pytest.mark.parametrize("loss", [0.0, 0.3, 0.6])
def test_a_key_held_for_longer_than_a_timestamp_can_say_is_one_key(seconds: int, loss: float) -> None:
    clock, receiver = ManualClock(), DtmfReceiver()
    dice = random.Random(seconds)  # noqa: S311  a law needs no secrets

    for timestamp, packet in segments(seconds * 8000):
        now_ns = clock.advance(20)
        if dice.random() >= loss or packet.end:
            receiver.handle_timeout(now_ns=now_ns)
            receiver.receive(packet, timestamp=timestamp, now_ns=now_ns)

    down, up = receiver.drain()
    assert down == KeyDown("5")
    assert isinstance(up, KeyUp)
    if not loss:
        assert up.duration_ticks == seconds * 8000


def test_a_key_whose_next_segment_comes_after_silence_is_still_one_key() -> None:
    clock, receiver = ManualClock(), DtmfReceiver()
    receiver.receive(EventPacket(5, False, MAX_SEGMENT_TICKS), timestamp=0, now_ns=clock.now_ns())
    receiver.handle_timeout(now_ns=clock.advance(500))

    receiver.receive(EventPacket(5, True, 4000), timestamp=MAX_SEGMENT_TICKS, now_ns=clock.now_ns())

    assert receiver.drain() == [KeyDown("5"), KeyUp("5", MAX_SEGMENT_TICKS)]


@pytest.mark.parametrize(("event", "timestamp"), [(6, MAX_SEGMENT_TICKS), (5, MAX_SEGMENT_TICKS + 320)])
def test_what_is_no_next_segment_is_another_key(event: int, timestamp: int) -> None:
    receiver = DtmfReceiver()
    receiver.receive(EventPacket(5, False, MAX_SEGMENT_TICKS), timestamp=0, now_ns=0)

    receiver.receive(EventPacket(event, False, 160), timestamp=timestamp, now_ns=0)

    assert [type(step) for step in receiver.drain()] == [KeyDown, KeyUp, KeyDown]


def test_another_source_may_count_from_an_older_timestamp_and_finds_every_key_up() -> None:
    receiver = DtmfReceiver()
    receiver.receive(EventPacket(5, False, 320), timestamp=16000, now_ns=0)

    receiver.restart()

    assert receiver.drain() == [KeyDown("5"), KeyUp("5", 320)]
    assert receiver.state is DtmfState.IDLE
    receiver.receive(EventPacket(4, True, 800), timestamp=8000, now_ns=0)
    assert receiver.drain() == [KeyDown("4"), KeyUp("4", 800)]


@pytest.mark.parametrize(
    "packet", [EventPacket(36, False, 160), EventPacket(16, True, 800), EventPacket(5, True, 0)]
)
def test_fax_tones_flash_and_keys_pressed_for_no_time_are_no_keys(packet: EventPacket) -> None:
    receiver = DtmfReceiver()

    assert not receiver.receive(packet, timestamp=0, now_ns=0)

    assert receiver.drain() == []
    assert receiver.state is DtmfState.IDLE


@pytest.mark.parametrize("digit", ["", "E", "12"])
def test_only_keys_can_be_sent(digit: str) -> None:
    with pytest.raises(ValueError, match="is no key"):
        event_payloads(digit, duration_ms=100)


def test_an_event_longer_than_its_duration_field_is_refused() -> None:
    with pytest.raises(ValueError, match="9000 ms does not fit one timestamp"):
        event_payloads("1", duration_ms=9000)
