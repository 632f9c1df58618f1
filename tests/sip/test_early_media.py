"""Networks that let sound before the answer through only if they are told of it (RFC 5009)."""

import pytest

from bridge.sip.events import Arrived, Progress, Ring
from bridge.sip.message import Response
from tests.sip.desk import BRIDGE_SDP, Desk, called
from tests.sip.messages import OFFER, raw

TWO = BRIDGE_SDP + b"m=video 0 RTP/AVP 96\r\n"


def said(desk: Desk) -> str | None:
    (response,) = desk.sent()
    assert isinstance(response, Response)
    return response.headers.get("P-Early-Media")


@pytest.mark.parametrize(
    ("asked", "sdp", "told"),
    [
        ("supported", BRIDGE_SDP, "sendrecv"),
        ("Supported", BRIDGE_SDP + b"a=sendonly\r\n", "sendonly"),
        ("sendrecv, supported", BRIDGE_SDP + b"a=recvonly\r\n", "recvonly"),
        ("supported", TWO, "sendrecv, inactive"),
        ("sendrecv", BRIDGE_SDP, None),
        ("gated", BRIDGE_SDP, None),
        ("", BRIDGE_SDP, None),
    ],
)
def test_the_network_is_told_which_ways_sound_goes_if_it_asks(
    asked: str, sdp: bytes, told: str | None
) -> None:
    desk = Desk()
    call = called(desk, extra=(f"P-Early-Media: {asked}",))

    desk.do(Progress(call, sdp))

    assert said(desk) == told


def test_who_asks_nothing_is_told_nothing() -> None:
    desk = Desk()
    desk.do(Progress(called(desk), BRIDGE_SDP))
    assert said(desk) is None


def test_a_ringing_and_an_offer_of_ours_carry_no_sound() -> None:
    asks = "P-Early-Media: supported"
    desk = Desk()
    desk.do(Ring(called(desk, extra=(asks,))))
    assert said(desk) is None

    desk.hear(raw("INVITE", branch="z9hG4bK2", call_id="late", extra=(asks, "Require: 100rel")))
    desk.do(Progress(desk.the(Arrived).call, OFFER))
    assert said(desk) is None
