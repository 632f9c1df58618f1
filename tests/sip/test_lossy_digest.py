"""Calls that must prove who they are, over a network that behaves badly, by a seed."""

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.sip.agent import AgentSettings
from bridge.sip.digest import Credentials
from bridge.sip.events import Answer, Arrived, Command, Ended, Established, Hangup, Output, Place
from tests.sip.messages import OFFER
from tests.sip.network import Network, Weather

CALLER, CALLEE = "192.0.2.1", "192.0.2.2"
LENA = Credentials("lena", "open sesame")
ASKING = AgentSettings(allow=(), accounts=(LENA,), max_requests_per_s=100_000)


def called(weather: Weather, credentials: Credentials, *, seed: int) -> Network:
    """One call to somebody who asks for a password; both hang up once it stands."""

    def answer(output: Output) -> list[Command]:
        return [Answer(output.call, OFFER)] if isinstance(output, Arrived) else []

    def hang_up(output: Output) -> list[Command]:
        return [Hangup(output.call)] if isinstance(output, Established) else []

    network = Network(weather, seed=seed)
    network.attach(CALLER, hang_up)
    network.attach(CALLEE, answer, ASKING)
    place = Place("us", "call", f"sip:bot@{CALLEE}", (CALLEE, 5060), CALLER, OFFER, credentials=credentials)
    network.do(CALLER, place)
    network.run()
    return network


def kinds(network: Network, ip: str) -> list[str]:
    return [type(output).__name__ for where, output in network.log if where == ip]


def assert_nothing_is_left(network: Network) -> None:
    for ip in (CALLER, CALLEE):
        assert network.agent(ip).calls == network.agent(ip).transactions == 0
        assert network.agent(ip).deadline_ns is None


def test_on_a_good_line_the_password_costs_one_round_trip() -> None:
    network = called(Weather(), LENA, seed=1)

    assert kinds(network, CALLEE) == ["Arrived", "Established", "Ended", "Gone"]
    assert network.agent(CALLEE).counters["digest_missing"] == 1
    assert network.agent(CALLEE).counters["digest_admitted"] == 1


@settings(max_examples=40)
@given(seed=st.integers(0, 1 << 30), loss=st.sampled_from([0.1, 0.3]))
def test_in_a_storm_a_call_is_one_call_or_none(seed: int, loss: float) -> None:
    network = called(Weather(loss=loss, doubled=0.2, delay_ms=(5, 400)), LENA, seed=seed)

    assert kinds(network, CALLEE).count("Arrived") <= 1
    assert kinds(network, CALLER).count("Ended") == 1
    assert_nothing_is_left(network)


@settings(max_examples=40)
@given(seed=st.integers(0, 1 << 30))
def test_no_storm_lets_a_wrong_password_in(seed: int) -> None:
    weather = Weather(loss=0.2, doubled=0.3, delay_ms=(5, 400))

    network = called(weather, Credentials("lena", "guess"), seed=seed)

    assert kinds(network, CALLEE) == []
    (ended,) = [output for where, output in network.log if where == CALLER and isinstance(output, Ended)]
    assert ended.status in (401, 408)
    assert_nothing_is_left(network)
