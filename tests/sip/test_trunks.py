import pytest

from bridge.sip.numbers import NumberForm, NumberPlan
from bridge.sip.trunks import Dialled, Trunk, Trunks
from tests.fakes import MS

S = 1000 * MS
GERMANY = NumberPlan("49", "0", "00")
HOME = Trunk(
    "home",
    ("pbx.example", 5060),
    "pbx.example",
    user="100",
    dials=("1??",),
    allow=("192.0.2.0/28",),
    max_calls=2,
)
WORLD = Trunk(
    "world",
    ("sip.example", 5060),
    "sip.example",
    user="4930123",
    dials=("+49*", "!+49900*"),
    plan=GERMANY,
    form=NumberForm.PLAIN,
    max_calls_per_s=1,
)


def book() -> Trunks:
    return Trunks((HOME, WORLD))


def test_a_number_goes_out_by_the_first_trunk_that_may_call_it() -> None:
    trunks = book()

    assert trunks.dial("110") == Dialled(HOME, "110", "sip:110@pbx.example")
    assert trunks.dial("030 99 88 77") == Dialled(WORLD, "+4930998877", "sip:4930998877@sip.example")
    assert not trunks.counters


@pytest.mark.parametrize(
    ("text", "cause"),
    [("+43 1 234567", "not_allowed"), ("0900 123456", "not_allowed"), ("lena", "no_number")],
)
def test_a_number_that_no_trunk_may_call_is_refused_and_counted(text: str, cause: str) -> None:
    trunks = book()

    assert trunks.dial(text) == cause
    assert trunks.counters == {cause: 1}


def test_without_a_trunk_nobody_is_called() -> None:
    assert Trunks(()).dial("110") == "no_number"


def test_a_hash_is_escaped_in_an_address() -> None:
    dialled = Trunks((Trunk("a", ("x", 5060), "x", dials=("*",)),)).dial("*21#")

    assert isinstance(dialled, Dialled)
    assert dialled.uri == "sip:*21%23@x"


def test_a_trunk_carries_so_many_calls_and_no_more() -> None:
    trunks = book()
    assert trunks.take("home", now_ns=0) is None
    assert trunks.take("home", now_ns=0) is None
    assert trunks.calls() == {"home": 2, "world": 0}

    assert trunks.take("home", now_ns=0) == "concurrency"

    trunks.leave("home")
    assert trunks.take("home", now_ns=0) is None
    assert trunks.refused == {("home", "concurrency"): 1}


def test_a_trunk_begins_so_many_calls_a_second() -> None:
    trunks = book()
    assert [trunks.take("world", now_ns=0) for _ in range(3)] == [None, None, "rate"]

    assert trunks.take("world", now_ns=1 * S) is None
    assert trunks.refused == {("world", "rate"): 1}


def test_a_call_belongs_to_the_trunk_whose_address_it_comes_from() -> None:
    trunks = book()
    trunks.located("world", ("198.51.100.1",))

    assert trunks.of_caller("192.0.2.5", "x") == "home"
    assert trunks.of_caller("198.51.100.1", "x") == "world"
    assert trunks.of_caller("192.0.2.99", "100") is None


def test_of_two_trunks_at_one_address_the_called_user_decides() -> None:
    trunks = book()
    trunks.located("world", ("192.0.2.5",))

    assert trunks.of_caller("192.0.2.5", "4930123") == "world"
    assert trunks.of_caller("192.0.2.5", "other") == "home"
