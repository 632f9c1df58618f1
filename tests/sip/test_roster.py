from bridge.ports import IdSource
from bridge.sip.caller import CallerSession
from bridge.sip.dialog import LocalPlace
from bridge.sip.events import Ended, Gone, Place, Unserved
from bridge.sip.layer import Outcome, TransactionLayer
from bridge.sip.roster import Roster
from bridge.sip.surroundings import Surroundings
from tests.fakes import MS, SeededIds
from tests.sip.messages import BRIDGE_IP, OFFER, PHONE

PEER = "192.0.2.2"


def session(call: str, layer: TransactionLayer, ids: IdSource) -> CallerSession:
    place = Place(call, f"id-{call}", "sip:lena@192.0.2.2", PHONE, BRIDGE_IP, OFFER)
    return CallerSession(place, Surroundings(layer, ids, LocalPlace(BRIDGE_IP, 5060)), now_ns=0)


def test_calls_are_counted_by_peer_while_they_last() -> None:
    roster, layer, ids = Roster(), TransactionLayer(), SeededIds()
    first, second = session("a", layer, ids), session("b", layer, ids)
    roster.enter(first, peer_ip=PEER)
    roster.enter(second, peer_ip=PEER)
    assert (len(roster), roster.calls_with(PEER), roster.calls_with("192.0.2.3")) == (2, 2, 0)
    assert roster.find("a") is first
    assert roster.find("c") is None

    first.hang_up("enough", now_ns=0)
    assert roster.collect("a") == [Ended("a", "enough")]
    layer.handle_timeout(now_ns=32_000 * MS)
    for outcome in layer.drain():
        if isinstance(outcome, Outcome) and outcome.owner == "a":
            first.conclude(outcome, now_ns=32_000 * MS)

    assert roster.collect("a") == [Unserved("a", PHONE, 0), Gone("a")]
    assert roster.collect("a") == []
    assert roster.calls_with(PEER) == 1


def test_only_a_session_with_something_due_is_woken() -> None:
    roster, layer, ids = Roster(), TransactionLayer(), SeededIds()
    roster.enter(session("a", layer, ids), peer_ip=PEER)
    roster.collect("a")

    assert roster.deadline_ns is None
    assert roster.handle_timeout(now_ns=60_000 * MS) == []
