"""A call is handed on over a network that behaves badly, by a seed."""

import pytest

from bridge.sip.events import Command, Hangup, Output
from bridge.sip.refer_events import AcceptReferral, Refer, Referred, TellReferral, Transferring
from tests.sip.network import Network
from tests.sip.test_lossy_pair import (
    CALLEE,
    CALLER,
    STORM,
    answer_at_once,
    assert_nothing_is_left,
    happened,
    listen,
    place,
)


def follow(output: Output) -> list[Command]:
    """Answer every call, and say of every transfer that it is tried, rings and is answered, all at once."""
    if isinstance(output, Referred):
        tell = [TellReferral(output.call, output.ticket, status) for status in (180, 183, 200)]
        return [AcceptReferral(output.call, output.ticket), *tell]
    return answer_at_once(output)


@pytest.mark.parametrize("seed", range(12))
def test_a_transfer_through_a_storm_is_asked_for_once_and_has_one_last_word(seed: int) -> None:
    network = Network(STORM, seed=seed)
    network.attach(CALLER, listen)
    network.attach(CALLEE, follow)
    network.do(CALLER, place())
    network.run(until_ms=31_000)
    network.do(CALLER, Refer("us0", "sip:ann@192.0.2.5"))
    network.run(until_ms=64_000)

    told = [each for each in happened(network, CALLER, Transferring) if isinstance(each, Transferring)]
    assert len(happened(network, CALLEE, Referred)) == 1
    assert [(each.status, each.is_accepted) for each in told if each.is_over] == [(200, True)]
    assert told[-1].is_over
    network.do(CALLER, Hangup("us0"))
    network.run()
    assert_nothing_is_left(network)
