"""A call takes the place of another (RFC 3891), and who may say who calls."""

import pytest

from bridge.sip.events import Arrived, Hangup, Offered
from tests.sip.desk import Desk, called, connected, placed, standing
from tests.sip.messages import OFFER, raw


def replacing(call: str, *, call_id: str = "call-1", from_tag: str = "phone", more: str = "") -> bytes:
    place = f"Replaces: {call_id};to-tag={call};from-tag={from_tag}{more}"
    return raw(
        "INVITE",
        branch=f"z9hG4bKto{call}",
        call_id="call-2",
        from_tag="ann",
        extra=(place, "Require: replaces"),
        body=OFFER,
    )


def test_a_call_may_take_the_place_of_another() -> None:
    desk = Desk()
    call = standing(desk)
    desk.hear(replacing(call))

    arrived = desk.the(Arrived)

    assert (arrived.replaces, arrived.presented.name) == (call, "Lena")
    assert not [output for output in desk.look() if isinstance(output, Offered)]


def test_a_call_that_we_placed_can_be_taken_over_too() -> None:
    desk = Desk()
    connected(desk)

    desk.hear(replacing("us", call_id="our-call", from_tag="lena"))

    assert desk.the(Arrived).replaces == "us"


@pytest.mark.parametrize(
    ("parts", "status"),
    [
        ({"call_id": "call-9"}, 481),
        ({"from_tag": "other"}, 481),
        ({"more": ";early-only"}, 486),
        ({"more": ";to-tag=twice"}, 400),
    ],
)
def test_a_place_that_cannot_be_taken_is_refused(parts: dict[str, str], status: int) -> None:
    desk = Desk()
    call = standing(desk)

    desk.hear(replacing(call, **parts))

    assert desk.response().status == status
    assert desk.agent.calls == 1


def test_nobody_takes_the_place_of_what_is_not_there_or_not_ours_or_over() -> None:
    desk = Desk()
    desk.hear(replacing("nobody"))
    assert desk.response().status == 481
    ringing = Desk()
    early = called(ringing)
    ringing.hear(replacing(early))
    assert ringing.response().status == 481
    other = Desk()
    over = standing(other)
    other.do(Hangup(over))
    other.look()
    other.hear(replacing(over))
    assert other.response().status == 603
    placing = Desk()
    placed(placing)
    placing.hear(replacing("us", call_id="our-call", from_tag="lena"))
    assert placing.response().status == 481


def test_a_network_that_we_serve_may_assert_who_calls() -> None:
    desk = Desk()
    desk.hear(raw("INVITE", body=OFFER, extra=("P-Asserted-Identity: <sip:boss@192.0.2.2>",)))

    assert desk.the(Arrived).presented.asserted == ("sip:boss@192.0.2.2",)
