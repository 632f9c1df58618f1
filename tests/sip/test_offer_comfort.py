"""Comfort noise in offers and answers (RFC 3389 §4)."""

import pytest

from bridge.sip.offer import LocalMedia, Negotiator, accept, answer, make_offer
from bridge.sip.sdp import SessionDescription
from tests.sip.test_offer import US, offered

QUIET = LocalMedia("192.0.2.9", 16384, session_id=77, version=3, comfort_noise=True)


def quiet_negotiator() -> Negotiator:
    return Negotiator(ip="192.0.2.9", port=16384, session_id=1, codecs=("PCMU", "PCMA"), comfort_noise=True)


def formats_of(sdp: bytes) -> tuple[str, ...]:
    return SessionDescription.parse(sdp).media[0].formats


def test_comfort_noise_is_answered_where_it_is_offered_beside_g711() -> None:
    sdp, agreed = answer(offered("m=audio 4000 RTP/AVP 0 13"), QUIET)

    assert agreed.comfort_payload_type == 13
    assert formats_of(sdp) == ("0", "13")
    assert b"a=rtpmap:13 CN/8000\r\n" in sdp


def test_comfort_noise_is_not_spoken_of_unless_we_want_it() -> None:
    sdp, agreed = answer(offered("m=audio 4000 RTP/AVP 0 13"), US)

    assert agreed.comfort_payload_type == -1
    assert formats_of(sdp) == ("0",)
    assert b"CN/8000" not in make_offer(US)


@pytest.mark.parametrize(
    "lines",
    [
        ("m=audio 4000 RTP/AVP 0",),
        ("m=audio 4000 RTP/AVP 0 98", "a=rtpmap:98 CN/8000"),
        ("m=audio 4000 RTP/AVP 0 13", "a=rtpmap:13 speex/8000"),
        ("m=audio 4000 RTP/AVP 9 13",),
    ],
    ids=["not offered", "another number", "another meaning", "beside G.722"],
)
def test_no_other_comfort_noise_is_agreed_on(lines: tuple[str, ...]) -> None:
    sdp, agreed = answer(offered(*lines), QUIET)

    assert agreed.comfort_payload_type == -1
    assert b"CN/8000" not in sdp


def test_comfort_noise_is_offered_last_and_only_beside_g711() -> None:
    assert formats_of(make_offer(QUIET, codecs=("PCMU", "PCMA"))) == ("0", "8", "101", "13")
    assert "13" not in formats_of(make_offer(QUIET, codecs=("G722",)))


def test_an_offer_of_comfort_noise_holds_if_the_answer_takes_it() -> None:
    taken, refused = (offered(f"m=audio 4000 RTP/AVP 0{more}") for more in (" 13", ""))

    assert accept(taken, comfort_noise=True).comfort_payload_type == 13
    assert accept(refused, comfort_noise=True).comfort_payload_type == -1
    assert accept(taken).comfort_payload_type == -1


def test_a_call_keeps_its_comfort_noise_and_may_give_it_up() -> None:
    ours = quiet_negotiator()
    ours.offer()
    assert ours.accept(offered("m=audio 4000 RTP/AVP 0 13")).comfort_payload_type == 13

    assert formats_of(ours.offer()) == ("0", "8", "101", "13")
    assert ours.accept(offered("m=audio 4000 RTP/AVP 8")).comfort_payload_type == -1


def test_an_answer_cannot_bring_comfort_noise_in() -> None:
    ours = Negotiator(ip="192.0.2.9", port=16384, session_id=1, codecs=("PCMU",))
    ours.offer()

    assert ours.accept(offered("m=audio 4000 RTP/AVP 0 13")).comfort_payload_type == -1
