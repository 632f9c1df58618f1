"""Whole calls between two agents over a network that behaves badly, by a seed."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.sip.events import (
    AcceptOffer,
    Answer,
    Arrived,
    Command,
    Ended,
    Established,
    Gone,
    Hangup,
    Offered,
    Output,
    Place,
    Ring,
)
from tests.sip.messages import OFFER
from tests.sip.network import Network, Weather

CALLER, CALLEE = "192.0.2.1", "192.0.2.2"
STORM = Weather(loss=0.3, doubled=0.2, delay_ms=(5, 400))


def answer_at_once(output: Output) -> list[Command]:
    if isinstance(output, Arrived):
        return [Ring(output.call), Answer(output.call, OFFER)]
    if isinstance(output, Offered):
        return [AcceptOffer(output.call, output.ticket, OFFER)]
    return []


def listen(output: Output) -> list[Command]:
    return []


def pair(weather: Weather, *, seed: int, callee: bool = True) -> Network:
    network = Network(weather, seed=seed)
    network.attach(CALLER, listen)
    network.attach(CALLEE, answer_at_once if callee else listen)
    return network


def place(number: int = 0) -> Place:
    return Place(f"us{number}", f"call{number}", f"sip:bot@{CALLEE}", (CALLEE, 5060), CALLER, OFFER)


def happened(network: Network, ip: str, kind: type[Output]) -> list[Output]:
    return [output for where, output in network.log if where == ip and isinstance(output, kind)]


def assert_nothing_is_left(network: Network) -> None:
    for ip in (CALLER, CALLEE):
        assert network.agent(ip).calls == network.agent(ip).transactions == 0
        assert network.agent(ip).deadline_ns is None


@pytest.mark.parametrize("seed", range(8))
def test_a_call_through_a_storm_is_one_call_and_ends_on_both_sides(seed: int) -> None:
    network = pair(STORM, seed=seed)
    network.do(CALLER, place())
    network.run(until_ms=31_000)

    assert len(happened(network, CALLEE, Arrived)) == 1
    assert len(happened(network, CALLER, Established)) == 1
    assert len(happened(network, CALLEE, Established)) == 1
    network.do(CALLER, Hangup("us0"))
    network.run()

    assert len(happened(network, CALLER, Ended)) == 1
    (ended,) = happened(network, CALLEE, Ended)
    assert isinstance(ended, Ended)
    assert ended.reason == "caller hung up"
    assert_nothing_is_left(network)


@settings(deadline=None)
@given(
    st.builds(
        Weather,
        st.floats(0, 0.7),
        st.floats(0, 0.5),
        st.tuples(st.integers(0, 50), st.integers(51, 3000)),
    ),
    st.integers(0, 10_000),
    st.lists(st.integers(0, 40_000), min_size=1, max_size=4),
    st.sampled_from([CALLER, CALLEE]),
)
def test_whatever_the_weather_every_call_ends_once_on_each_side(
    weather: Weather, seed: int, hangups_ms: list[int], who: str
) -> None:
    network = pair(weather, seed=seed)
    for number, at_ms in enumerate(sorted(hangups_ms)):
        network.do(CALLER, place(number))
        network.run(until_ms=network.clock.now_ns() // 1_000_000 + at_ms)
        for call in [
            output.call for output in happened(network, who, Arrived) if isinstance(output, Arrived)
        ] or [f"us{number}"]:
            network.do(who, Hangup(call))
    # What the callee does not hang up, the caller does: an agent alone cannot know that a peer has vanished.
    for number in range(len(hangups_ms)):
        network.do(CALLER, Hangup(f"us{number}"))
    for arrived in happened(network, CALLEE, Arrived):
        assert isinstance(arrived, Arrived)
        network.do(CALLEE, Hangup(arrived.call))
    network.run()
    # A late INVITE may still have been answered after that: its ACK never came, or its BYE did.
    for arrived in happened(network, CALLEE, Arrived):
        assert isinstance(arrived, Arrived)
        network.do(CALLEE, Hangup(arrived.call))
    network.run()

    assert_nothing_is_left(network)
    assert len(happened(network, CALLEE, Arrived)) <= len(hangups_ms)
    for ip in (CALLER, CALLEE):
        ended = [output.call for output in happened(network, ip, Ended) if isinstance(output, Ended)]
        gone = [output.call for output in happened(network, ip, Gone) if isinstance(output, Gone)]
        assert sorted(ended) == sorted(set(ended))
        assert sorted(ended) == sorted(gone)


@pytest.mark.parametrize("seed", range(8))
def test_a_cancel_races_the_answer_and_both_sides_agree_that_it_is_over(seed: int) -> None:
    network = pair(Weather(delay_ms=(1, 60)), seed=seed)
    network.do(CALLER, place())
    network.run(until_ms=seed * 10)

    network.do(CALLER, Hangup("us0"))
    network.run()

    assert len(happened(network, CALLEE, Arrived)) == 1
    assert len(happened(network, CALLEE, Ended)) == 1
    assert_nothing_is_left(network)


def test_a_callee_that_never_answers_costs_the_caller_64_round_trips() -> None:
    network = Network(Weather(), seed=1)
    network.attach(CALLER, listen)
    network.do(CALLER, place())
    network.run()

    assert network.clock.now_ns() == 32_000 * 1_000_000
    assert len(happened(network, CALLER, Gone)) == 1
