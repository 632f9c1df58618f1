import pytest

from bridge.ttsserver.tokens import Keys
from tests.fakes import ManualClock, SeededIds


def keys(*permanent: str, clock: ManualClock | None = None) -> Keys:
    return Keys(permanent, clock=clock or ManualClock(), ids=SeededIds())


def test_without_keys_everybody_is_let_in_and_may_lend() -> None:
    house = keys()

    assert house.opens("")
    assert house.opens("whatever")
    assert house.may_lend("")


def test_a_lent_key_opens_until_it_ends() -> None:
    clock = ManualClock()
    house = keys("right", clock=clock)
    token = house.lend(60)

    assert token.startswith("st-")
    clock.advance(59_999)
    assert house.opens(token)
    clock.advance(1)
    assert not house.opens(token)
    assert house.opens("right")


def test_a_lent_key_lends_no_other() -> None:
    house = keys("right")

    token = house.lend(60)

    assert house.may_lend("right")
    assert not house.may_lend(token)
    assert not house.may_lend("wrong")


@pytest.mark.parametrize("given", ["", "wrong", "st-", "right\udcff", "résumé"])
def test_what_is_no_key_opens_nothing(given: str) -> None:
    assert not keys("right").opens(given)


def test_of_very_many_lent_keys_the_oldest_goes_first() -> None:
    house = keys("right")

    tokens = [house.lend(1800) for _ in range(10_001)]

    assert not house.opens(tokens[0])
    assert house.opens(tokens[1])
    assert house.opens(tokens[-1])
