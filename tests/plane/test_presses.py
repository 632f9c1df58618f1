import heapq
import random

from hypothesis import given
from hypothesis import strategies as st

from bridge.plane.presses import Carrier, Press, Presses
from bridge.rtp.dtmf import DIGITS
from tests.fakes import MS

EVENT, TONE, INFO = Carrier.EVENT, Carrier.TONE, Carrier.INFO


def typed(presses: Presses) -> str:
    return "".join(press.digit for press in presses.drain())


def test_a_key_is_reported_when_it_comes_up() -> None:
    presses = Presses()

    assert presses.down(EVENT, "5", now_ns=0)
    assert presses.drain() == []
    presses.up(EVENT, "5", duration_ms=90, now_ns=90 * MS)

    assert presses.drain() == [Press("5", 90)]


def test_a_key_that_comes_three_ways_is_pressed_once() -> None:
    presses = Presses()

    assert presses.down(EVENT, "5", now_ns=0)
    assert not presses.down(TONE, "5", now_ns=80 * MS)
    presses.up(EVENT, "5", duration_ms=100, now_ns=100 * MS)
    presses.up(TONE, "5", duration_ms=85, now_ns=190 * MS)
    assert not presses.down(INFO, "5", now_ns=1600 * MS)
    presses.up(INFO, "5", duration_ms=160, now_ns=1600 * MS)

    assert presses.drain() == [Press("5", 100)]


def test_the_same_key_twice_comes_twice_whichever_way_is_first() -> None:
    presses = Presses()

    for now_ns, carrier in [(0, EVENT), (80, TONE), (200, TONE), (210, EVENT), (500, INFO), (510, INFO)]:
        presses.down(carrier, "5", now_ns=now_ns * MS)
        presses.up(carrier, "5", duration_ms=60, now_ns=now_ns * MS + 60 * MS)

    assert typed(presses) == "55"


def test_a_carrier_that_is_slower_than_anything_tells_another_key() -> None:
    presses = Presses()
    presses.down(EVENT, "5", now_ns=0)
    presses.up(EVENT, "5", duration_ms=60, now_ns=60 * MS)

    assert presses.down(INFO, "5", now_ns=2100 * MS)


def test_the_next_key_ends_the_one_before() -> None:
    presses = Presses()
    presses.down(EVENT, "1", now_ns=0)

    presses.down(INFO, "2", now_ns=300 * MS)
    presses.up(INFO, "2", duration_ms=160, now_ns=300 * MS)
    presses.up(EVENT, "1", duration_ms=310, now_ns=310 * MS)

    assert presses.drain() == [Press("1", 300), Press("2", 160)]


def test_a_key_that_was_overtaken_comes_before_the_one_that_is_down() -> None:
    presses = Presses()
    presses.down(EVENT, "2", now_ns=0)

    presses.up(EVENT, "1", duration_ms=80, now_ns=10 * MS)
    presses.up(EVENT, "2", duration_ms=80, now_ns=80 * MS)
    for digit in "12":
        assert not presses.down(TONE, digit, now_ns=100 * MS)

    assert typed(presses) == "12"


def test_a_key_that_was_overtaken_is_the_one_that_another_carrier_told() -> None:
    presses = Presses()
    for digit, at_ns in (("1", 0), ("3", 200 * MS), ("2", 400 * MS)):
        presses.down(TONE, digit, now_ns=at_ns)
        presses.up(TONE, digit, duration_ms=80, now_ns=at_ns + 80 * MS)
    presses.down(EVENT, "2", now_ns=490 * MS)

    presses.up(EVENT, "1", duration_ms=80, now_ns=500 * MS)

    assert typed(presses) == "132"


def test_a_key_overtaken_by_nothing_that_is_known_is_a_key() -> None:
    presses = Presses()

    presses.up(EVENT, "1", duration_ms=80, now_ns=0)

    assert presses.drain() == [Press("1", 80)]


def test_keys_faster_than_anyone_presses_them_are_counted_and_not_told() -> None:
    presses = Presses()

    new = 0
    for at in range(1000):
        new += presses.down(EVENT, DIGITS[at % 16], now_ns=at * MS)
        presses.up(EVENT, DIGITS[at % 16], duration_ms=1, now_ns=at * MS)

    told = len(presses.drain())
    assert told == new
    assert told + presses.ignored == 1000
    assert 32 <= told <= 32 + 1000 // 60 + 1


def test_a_number_that_was_typed_while_the_network_stood_still_comes_whole() -> None:
    presses = Presses()

    for digit in "0123456789" * 3:
        presses.down(EVENT, digit, now_ns=0)
        presses.up(EVENT, digit, duration_ms=80, now_ns=0)

    assert typed(presses) == "0123456789" * 3
    assert presses.ignored == 0


@given(
    st.text(DIGITS, min_size=1, max_size=20),
    st.sets(st.sampled_from(list(Carrier)), min_size=1),
    st.integers(100, 400),
    st.tuples(st.integers(0, 60), st.integers(40, 200), st.integers(0, 700)),
    st.randoms(use_true_random=False),
)
def test_any_number_by_any_carriers_at_once_comes_once_and_in_order(
    digits: str, carriers: set[Carrier], period_ms: int, delays_ms: tuple[int, int, int], dice: random.Random
) -> None:
    delay_of = dict(zip(Carrier, delays_ms, strict=True))
    steps: list[tuple[float, int, Carrier, str, bool]] = []
    order = 0
    for carrier in carriers:
        for number, digit in enumerate(digits):
            # Carriers wander, but none of them ever turns the order of its own keys.
            at_ms = number * period_ms + delay_of[carrier] + dice.uniform(0, 20)
            held_ms = 0 if carrier is INFO else dice.uniform(40, 75)
            for is_down, offset_ms in ((True, 0.0), (False, held_ms)):
                heapq.heappush(steps, (at_ms + offset_ms, order, carrier, digit, is_down))
                order += 1
    presses, heard = Presses(), 0

    while steps:
        at_ms, _, carrier, digit, is_down = heapq.heappop(steps)
        if is_down:
            heard += presses.down(carrier, digit, now_ns=round(at_ms * MS))
        else:
            presses.up(carrier, digit, duration_ms=60, now_ns=round(at_ms * MS))

    assert typed(presses) == digits
    assert heard == len(digits)
    assert presses.ignored == 0
