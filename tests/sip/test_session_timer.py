"""Session timers in both roles (RFC 4028)."""

import pytest

from bridge.errors import RemoteProtocolError
from bridge.sip.session_timer import Due, SessionTimer, SessionTimerSettings
from tests.sip.messages import reply, request

S = 1_000_000_000
KNOWS = "Supported: timer"


def timer(expires_s: int = 1800, least_s: int = 90) -> SessionTimer:
    return SessionTimer(SessionTimerSettings(expires_s, least_s))


def agreed_as_caller(value: str, *, now_ns: int = 0) -> SessionTimer:
    made = timer()
    response = reply(request("INVITE"), 200)
    response.headers.add("Session-Expires", value)
    made.agreed(response, now_ns=now_ns)
    return made


def test_our_invite_asks_for_an_interval_unless_it_is_told_not_to() -> None:
    assert timer().ask() == [("Session-Expires", "1800"), ("Min-SE", "90")]
    assert timer(0).ask() == []


@pytest.mark.parametrize(
    ("extra", "fields"),
    [
        ((KNOWS, "Session-Expires: 600"), [("Require", "timer"), ("Session-Expires", "600;refresher=uac")]),
        ((KNOWS, "x: 600;refresher=uac"), [("Require", "timer"), ("Session-Expires", "600;refresher=uac")]),
        ((KNOWS, "Session-Expires: 600 ;refresher=UAS;y"), [("Session-Expires", "600;refresher=uas")]),
        (("Session-Expires: 600",), [("Session-Expires", "600;refresher=uas")]),
        ((KNOWS,), [("Require", "timer"), ("Session-Expires", "1800;refresher=uac")]),
        ((KNOWS, "x: 600", "Min-SE: 700"), [("Require", "timer"), ("Session-Expires", "700;refresher=uac")]),
        (("Session-Expires: 10",), [("Session-Expires", "90;refresher=uas")]),
        ((), []),
    ],
)  # fmt: skip
def test_whoever_is_asked_decides(extra: tuple[str, ...], fields: list[tuple[str, str]]) -> None:
    asked = request("INVITE", extra=extra)
    made = timer()
    assert made.refusal(asked) is None
    assert made.agree(asked, now_ns=0) == fields


@pytest.mark.parametrize(
    ("extra", "status"),
    [
        ((KNOWS, "Session-Expires: 89"), 422),
        (("Session-Expires: soon",), 400),
        (("Min-SE: -1",), 400),
        (("Session-Expires: 89",), 0),
    ],
)
def test_what_is_too_short_or_broken_is_refused(extra: tuple[str, ...], status: int) -> None:
    refusal = timer().refusal(request("INVITE", extra=extra))
    assert (refusal[0] if refusal else 0) == status
    if status == 422:
        assert refusal is not None
        assert refusal[1] == [("Min-SE", "90")]


def test_who_refreshes_does_so_at_half_and_again_when_half_of_the_rest_is_over() -> None:
    made = agreed_as_caller("600;refresher=uac")
    assert (made.deadline_ns, made.interval_s) == (300 * S, 600)
    assert made.take_due(now_ns=300 * S - 1) is Due.NOTHING
    assert made.take_due(now_ns=300 * S) is Due.REFRESH
    assert made.deadline_ns == 600 * S
    made.failed(now_ns=301 * S)
    assert made.deadline_ns == 301 * S + 299 * S // 2
    assert made.take_due(now_ns=500 * S) is Due.REFRESH
    made.failed(now_ns=599 * S)
    assert made.take_due(now_ns=600 * S) is Due.GIVE_UP
    assert made.deadline_ns is None
    assert made.take_due(now_ns=700 * S) is Due.NOTHING


@pytest.mark.parametrize(("interval_s", "gives_up_s"), [(600, 568), (60, 40)])
def test_who_waits_gives_up_before_the_end(interval_s: int, gives_up_s: int) -> None:
    made = agreed_as_caller(f"{interval_s};refresher=uas")
    assert made.deadline_ns == gives_up_s * S
    assert made.take_due(now_ns=gives_up_s * S - 1) is Due.NOTHING
    assert made.take_due(now_ns=gives_up_s * S) is Due.GIVE_UP


def test_a_refresh_says_what_was_agreed_and_who_does_it() -> None:
    ours, theirs = agreed_as_caller("600"), agreed_as_caller("600;refresher=uas")
    assert ours.ask() == [("Session-Expires", "600;refresher=uac"), ("Min-SE", "90")]
    assert theirs.ask() == [("Session-Expires", "600;refresher=uas"), ("Min-SE", "90")]


@pytest.mark.parametrize("value", ["", "x"])
def test_an_answer_without_a_word_of_it_means_no_timer(value: str) -> None:
    made = agreed_as_caller("600")
    response = reply(request("INVITE"), 200)
    if value:
        response.headers.add("Session-Expires", value)
    made.agreed(response, now_ns=0)
    assert made.deadline_ns is None


@pytest.mark.parametrize(
    ("status", "least", "is_raised"),
    [(422, "3600", True), (422, "90", False), (422, "", False), (422, "x", False), (486, "3600", False)],
)
def test_a_422_raises_what_we_ask_for(status: int, least: str, is_raised: bool) -> None:
    made = timer()
    response = reply(request("INVITE"), status)
    if least:
        response.headers.add("Min-SE", least)
    assert made.raised(response) is is_raised
    assert made.ask()[0] == ("Session-Expires", "3600" if is_raised else "1800")


def test_what_was_not_checked_first_is_not_agreed() -> None:
    with pytest.raises(RemoteProtocolError):
        timer().agree(request("INVITE", extra=("Session-Expires: x",)), now_ns=0)


def test_who_only_waits_refreshes_nothing_though_a_change_of_its_own_is_refused() -> None:
    made = agreed_as_caller("600;refresher=uas")
    made.failed(now_ns=S)
    assert made.take_due(now_ns=567 * S) is Due.NOTHING
    assert made.take_due(now_ns=568 * S) is Due.GIVE_UP
