"""Descriptions of media on IPv6 (RFC 8866 §5.7, RFC 3264)."""

import pytest

from bridge.errors import NegotiationError
from bridge.sip.offer import LocalMedia, Negotiator, accept, answer, make_offer
from bridge.sip.sdp import SessionDescription
from tests.sip.test_offer import US, offered

SIX = LocalMedia("2001:db8::9", 16384, session_id=7)
AUDIO = "m=audio 4000 RTP/AVP 0"


def test_a_call_on_ipv6_is_agreed_both_ways() -> None:
    theirs = LocalMedia("fd00::2", 4000, session_id=1)
    offer = make_offer(SIX)
    assert b"c=IN IP6 2001:db8::9\r\n" in offer
    assert offer.splitlines()[1].endswith(b" IN IP6 2001:db8::9")

    sdp, at_their_side = answer(offer, theirs)
    at_our_side = accept(sdp, local_ip="::")

    assert (at_their_side.remote, at_their_side.rtcp) == (("2001:db8::9", 16384), ("2001:db8::9", 16385))
    assert (at_our_side.remote, at_our_side.rtcp) == (("fd00::2", 4000), ("fd00::2", 4001))


@pytest.mark.parametrize("address", ["2001:DB8:0::7", "2001:db8::7"])
def test_the_peers_address_is_held_in_the_spelling_of_sockets(address: str) -> None:
    agreed = answer(offered(AUDIO, f"a=rtcp:5 IN IP6 {address}", session=f"c=IN IP6 {address}"), SIX)[1]

    assert (agreed.remote, agreed.rtcp) == (("2001:db8::7", 4000), ("2001:db8::7", 5))


@pytest.mark.parametrize(
    "address", ["IP4 192.0.2.2", "IP6 ff02::1", "IP6 fe80::1", "IP6 ::ffff:192.0.2.2", "IP6 phone.example"]
)
def test_what_cannot_be_reached_by_ipv6_is_refused(address: str) -> None:
    with pytest.raises(NegotiationError, match="our family"):
        answer(offered(AUDIO, session=f"c=IN {address}"), SIX)


def test_a_stream_of_the_other_family_leaves_the_next_one_to_us() -> None:
    both = AUDIO, "c=IN IP4 192.0.2.2", "m=audio 4002 RTP/AVP 0", "c=IN IP6 fd00::2"

    for local, ports, remote in (
        (SIX, [0, 16384], ("fd00::2", 4002)),
        (US, [16384, 0], ("192.0.2.2", 4000)),
    ):
        sdp, agreed = answer(offered(*both), local)
        assert [media.port for media in SessionDescription.parse(sdp).media] == ports
        assert agreed.remote == remote


def test_the_address_that_is_none_holds_a_call_on_ipv6_as_well() -> None:
    agreed = answer(offered(AUDIO, session="c=IN IP6 ::"), SIX)[1]

    assert (agreed.remote, agreed.held) == (None, True)


@pytest.mark.parametrize("rtcp", ["5 IN IP4 192.0.2.2", "5 IN IP6 ::", "5 IN IP6 fe80::1", "5 IN IP6 x"])
def test_reports_do_not_go_to_the_other_family_or_nowhere(rtcp: str) -> None:
    assert answer(offered(AUDIO, f"a=rtcp:{rtcp}", session="c=IN IP6 fd00::2"), SIX)[1].rtcp is None


def test_a_call_does_not_change_its_family() -> None:
    ours = Negotiator(ip="2001:db8::9", port=16384, session_id=7)
    ours.answer(offered(AUDIO, session="c=IN IP6 fd00::2"))
    before = ours.negotiated

    with pytest.raises(NegotiationError):
        ours.answer(offered(AUDIO, session="c=IN IP4 192.0.2.2"))

    assert ours.negotiated == before
    ours.offer()
    with pytest.raises(NegotiationError, match="refuses the audio"):
        ours.accept(offered(AUDIO, session="c=IN IP4 192.0.2.2"))
