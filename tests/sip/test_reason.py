import pytest

from bridge.sip.events import Ended, Hangup
from bridge.sip.reason import reason_of
from tests.sip.desk import Desk, placed, standing
from tests.sip.messages import raw, reply


@pytest.mark.parametrize(
    ("reason", "cause"),
    [("session expired", 102), ("no media", 102), ("shut down", 41), ("no answer", 19)],
)
def test_a_bye_says_why_in_the_words_of_the_telephone_network(reason: str, cause: int) -> None:
    desk = Desk()
    call = standing(desk)

    desk.do(Hangup(call, reason))

    said = desk.request().headers.get("Reason") or ""
    assert said.startswith(f"Q.850;cause={cause};text=")


def test_an_agents_own_words_stay_with_us() -> None:
    assert reason_of('x\r\nTo: <sip:evil>"') == reason_of("hung up") == ""


def test_a_plain_goodbye_needs_no_reason_in_a_bye_nor_in_a_cancel() -> None:
    desk = Desk()
    desk.do(Hangup(standing(desk), "hung up"))
    assert desk.request().headers.get("Reason") is None
    desk = Desk()
    desk.hear(reply(placed(desk), 180))
    desk.look()
    desk.do(Hangup("us", "hung up"))
    assert desk.request().headers.get("Reason") is None


def test_a_cancel_says_why_too() -> None:
    desk = Desk()
    invite = placed(desk)
    desk.hear(reply(invite, 180))
    desk.look()

    desk.do(Hangup("us", "no answer"))

    cancel = desk.request()
    assert (cancel.method, cancel.headers.get("Reason")) == ("CANCEL", reason_of("no answer"))


def test_why_the_peer_hung_up_is_told() -> None:
    desk = Desk()
    call = standing(desk)

    desk.hear(raw("BYE", branch="z9hG4bKb", to_tag=call, number=2, extra=("Reason: Q.850;cause=31",)))

    assert desk.the(Ended).cause == "Q.850;cause=31"
