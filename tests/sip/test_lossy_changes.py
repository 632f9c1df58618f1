"""Calls that change, are refreshed and acknowledged early, over a network that behaves badly, by a seed."""

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bridge.sip.events import (
    AcceptOffer,
    Answer,
    Answered,
    Arrived,
    Command,
    Ended,
    Established,
    Gone,
    Hangup,
    Offer,
    OfferDue,
    Offered,
    Output,
    Place,
    Progress,
    Reoffer,
    Reoffered,
    Ring,
)
from bridge.sip.session_timer import SessionTimerSettings
from tests.sip.messages import OFFER
from tests.sip.network import OPEN, Network, Weather

CALLER, CALLEE = "192.0.2.1", "192.0.2.2"
SETTINGS = replace(OPEN, timer=SessionTimerSettings(90, 90))
CLEAR = Weather(delay_ms=(1, 40))
STORM = Weather(loss=0.25, doubled=0.2, delay_ms=(5, 400))


@dataclass
class Side:
    """The user of an agent: describes its end anew each time, and notes what both ends are by now."""

    name: str
    is_late: bool = False
    call: str = ""
    arrivals: int = 0
    is_up: bool = False
    ended: list[str] = field(default_factory=list)
    gone: int = 0
    changes: list[int] = field(default_factory=list)
    local: bytes = b""
    remote: bytes = b""
    _count: int = 0
    _offered: bytes = b""

    def describe(self) -> bytes:
        self._count += 1
        return OFFER + f"a=x-{self.name}:{self._count}\r\n".encode()

    def react(self, output: Output) -> list[Command]:
        match output:
            case Arrived(call=call, sdp=sdp):
                self.call, self.arrivals = call, self.arrivals + 1
                self.local, self.remote = self.describe(), sdp
                first: list[Command] = [Ring(call)] if sdp else []
                return [*first, Progress(call, self.local), Answer(call, self.local)]
            case Established(sdp=sdp):
                self.is_up, self.remote = True, sdp or self.remote
            case Answered(sdp=sdp):
                self.remote = sdp
            case Offered(ticket=ticket, sdp=sdp):
                self.local, self.remote = self.describe(), sdp
                return [AcceptOffer(output.call, ticket, self.local)]
            case OfferDue(ticket=ticket):
                self._offered = self.describe()
                return [Offer(output.call, ticket, self._offered)]
            case Reoffered(status=status, sdp=sdp):
                self.changes.append(status)
                if status == 200:
                    self.local, self.remote = self._offered, sdp
            case Ended(reason=reason):
                self.ended.append(reason)
            case Gone():
                self.gone += 1
        return []

    def change(self) -> list[Command]:
        if not self.is_up or self.ended:
            return []
        self._offered = self.describe()
        return [Reoffer(self.call, "t", self._offered)]


def pair(weather: Weather, *, seed: int, is_insisting: bool) -> tuple[Network, Side, Side]:
    network = Network(weather, seed=seed)
    caller, callee = Side("caller", call="us"), Side("callee")
    network.attach(CALLER, caller.react, SETTINGS)
    network.attach(CALLEE, callee.react, SETTINGS)
    caller.local = caller.describe()
    extra = (("Require", "100rel"),) if is_insisting else ()
    uri = f"sip:bot@{CALLEE}"
    network.do(CALLER, Place("us", "call-1", uri, (CALLEE, 5060), CALLER, caller.local, headers=extra))
    return network, caller, callee


def wait(network: Network, ms: int) -> None:
    end_ms = network.clock.now_ns() // 1_000_000 + ms
    network.run(until_ms=end_ms)
    network.clock.advance(end_ms - network.clock.now_ns() // 1_000_000)


def do(network: Network, ip: str, commands: list[Command]) -> None:
    for command in commands:
        network.do(ip, command)


def assert_they_agree(caller: Side, callee: Side) -> None:
    assert bool(caller.ended) == bool(callee.ended), (caller, callee)
    if not caller.ended:
        assert (caller.local, caller.remote) == (callee.remote, callee.local)


@pytest.mark.parametrize("seed", range(12))
def test_a_call_of_two_who_both_change_it_at_once_ends_as_one(seed: int) -> None:
    network, caller, callee = pair(STORM, seed=seed, is_insisting=seed % 2 == 0)
    wait(network, 40_000)
    assert callee.arrivals == 1

    for _ in range(3):
        do(network, CALLER, caller.change())
        do(network, CALLEE, callee.change())
        wait(network, 40_000)

    assert_they_agree(caller, callee)
    do(network, CALLER, [Hangup("us")])
    wait(network, 80_000)
    assert caller.gone == callee.gone == 1


@pytest.mark.parametrize("is_insisting", [True, False])
def test_a_call_is_kept_for_an_hour_by_its_refreshes(is_insisting: bool) -> None:
    network, caller, callee = pair(CLEAR, seed=3, is_insisting=is_insisting)

    wait(network, 3_600_000)

    assert caller.is_up
    assert callee.is_up
    assert not caller.ended
    assert_they_agree(caller, callee)


def test_a_peer_that_vanishes_is_missed_by_whoever_is_left() -> None:
    network, caller, callee = pair(CLEAR, seed=3, is_insisting=False)
    wait(network, 1_000)
    assert callee.is_up

    network.detach(CALLER)
    wait(network, 200_000)

    assert callee.ended == ["session expired"]
    assert callee.gone == 1
    assert not caller.ended


class Changes(RuleBasedStateMachine):
    """Whatever both do, and whatever the network does to it: one call, and one opinion of it."""

    @initialize(
        loss=st.floats(0, 0.4),
        doubled=st.floats(0, 0.4),
        delay_ms=st.tuples(st.integers(1, 50), st.integers(51, 900)),
        seed=st.integers(0, 10_000),
        is_insisting=st.booleans(),
    )
    def call(
        self, loss: float, doubled: float, delay_ms: tuple[int, int], seed: int, is_insisting: bool
    ) -> None:
        weather = Weather(loss, doubled, delay_ms)
        self.network, self.caller, self.callee = pair(weather, seed=seed, is_insisting=is_insisting)
        self.pending = {CALLER: 0, CALLEE: 0}

    @rule(ms=st.integers(0, 50_000))
    def time_passes(self, ms: int) -> None:
        wait(self.network, ms)

    @rule(by_caller=st.booleans())
    def one_changes_it(self, by_caller: bool) -> None:
        ip, side = (CALLER, self.caller) if by_caller else (CALLEE, self.callee)
        if len(side.changes) == self.pending[ip] and (commands := side.change()):
            self.pending[ip] += 1
            do(self.network, ip, commands)

    @precondition(lambda self: self.callee.call)
    @rule(by_caller=st.booleans())
    def one_hangs_up(self, by_caller: bool) -> None:
        side = self.caller if by_caller else self.callee
        do(self.network, CALLER if by_caller else CALLEE, [Hangup(side.call)])

    @invariant()
    def it_is_one_call_that_ends_once(self) -> None:
        if hasattr(self, "caller"):
            assert self.callee.arrivals <= 1
            for side in (self.caller, self.callee):
                assert len(side.ended) <= 1
                assert side.gone <= len(side.ended)

    def teardown(self) -> None:
        if not hasattr(self, "caller"):
            return
        self.network.clear_up()
        wait(self.network, 300_000)
        if self.callee.arrivals and not self.caller.ended:
            assert_they_agree(self.caller, self.callee)
            do(self.network, CALLER, [Hangup("us")])
        wait(self.network, 300_000)
        assert self.caller.gone == 1
        assert self.callee.gone == self.callee.arrivals
        for ip in (CALLER, CALLEE):
            agent = self.network.agent(ip)
            assert agent.calls == agent.transactions == 0
            assert agent.deadline_ns is None


Changes.TestCase.settings = settings(max_examples=60, stateful_step_count=14, deadline=None)
TestChanges = Changes.TestCase
