"""Offers of browsers, and of whoever else brings ICE or a handshake."""

import pytest

from bridge.errors import NegotiationError
from bridge.sip.crypto import MediaCrypto
from bridge.sip.dtls import DtlsParty, DtlsTerms
from bridge.sip.ice import IceParty, IcePolicy
from bridge.sip.offer import Negotiated, Negotiator
from bridge.sip.sdp import SessionDescription
from bridge.sip.security import KeyMethod, MediaSecurity
from tests.fakes import SeededIds

FINGERPRINT = "a=fingerprint:sha-256 " + ":".join(["0F"] * 32)
ICE = ("a=ice-ufrag:frag", "a=ice-pwd:" + "p" * 22)
BROWSER = (
    "m=audio 9 UDP/TLS/RTP/SAVPF 111 0 126",
    "c=IN IP4 0.0.0.0",
    "a=rtcp:9 IN IP4 0.0.0.0",
    *ICE,
    "a=ice-options:trickle",
    FINGERPRINT,
    "a=setup:actpass",
    "a=mid:0",
    "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level",
    "a=rtcp-mux",
    "a=rtpmap:111 opus/48000/2",
    "a=rtcp-fb:111 transport-cc",
    "a=rtpmap:126 telephone-event/8000",
    "a=candidate:1 1 udp 2122260223 6b2f2a1c-7a3b-4b52-9d52-4f6d0d9a7e11.local 54321 typ host",
    "m=video 9 UDP/TLS/RTP/SAVPF 96",
    "a=mid:1",
    "a=rtpmap:96 VP8/90000",
)


def offer(*lines: str, session: tuple[str, ...] = ("c=IN IP4 192.0.2.2",)) -> bytes:
    return "\n".join(
        ["v=0", "o=x 1 1 IN IP4 192.0.2.2", "s=-", *session[:1], "t=0 0", *session[1:], *lines]
    ).encode()


BROWSERS = offer(*BROWSER, session=("c=IN IP4 0.0.0.0", "a=group:BUNDLE 0 1", "a=group:LS 0 1"))


def negotiator(
    *,
    ice: IcePolicy = "auto",
    first: KeyMethod = "dtls",
    seed: int = 1,
    ip: str = "192.0.2.9",
    source: str = "",
) -> Negotiator:
    ids = SeededIds(seed)
    security = MediaSecurity(
        "required",
        crypto=MediaCrypto("required", ids),
        dtls=DtlsParty(":".join(["AB"] * 32), ids),
        first=first,
    )
    return Negotiator(
        ip=ip, port=16384, session_id=7, security=security, ice=IceParty(ice, ids), source=source
    )


def agreed_of(ours: Negotiator) -> Negotiated:
    assert ours.negotiated is not None
    return ours.negotiated


def test_a_browsers_offer_is_answered_by_the_lite_end_of_ice_and_a_handshake() -> None:
    ours = negotiator()

    answer = ours.answer(BROWSERS).decode().split("\r\n")

    agreed = agreed_of(ours)
    assert agreed.ice is not None
    assert agreed.dtls == DtlsTerms(False, (("sha-256", "0f" * 32),))
    assert (agreed.remote, agreed.sending, agreed.receiving, agreed.held) == (None, True, True, False)
    assert agreed.rtcp_mux
    assert answer[4:] == [
        "t=0 0",
        "a=group:BUNDLE 0",
        "a=ice-lite",
        "m=audio 16384 UDP/TLS/RTP/SAVPF 111",
        "a=rtpmap:111 opus/48000/2",
        "a=fmtp:111 maxplaybackrate=24000;sprop-maxcapturerate=24000;useinbandfec=1",
        "a=ptime:20",
        "a=sendrecv",
        "a=rtcp-mux",
        "a=mid:0",
        "a=fingerprint:sha-256 " + ":".join(["AB"] * 32),
        "a=setup:passive",
        f"a=ice-ufrag:{agreed.ice.ufrag}",
        f"a=ice-pwd:{agreed.ice.password}",
        "a=ice-options:ice2",
        "a=candidate:1 1 UDP 2130706431 192.0.2.9 16384 typ host",
        "a=end-of-candidates",
        "m=video 0 UDP/TLS/RTP/SAVPF 96",
        "a=mid:1",
        "",
    ]


def test_the_same_offer_again_changes_nothing_and_our_own_repeats_it() -> None:
    ours = negotiator()
    first = ours.answer(BROWSERS)
    before = ours.negotiated

    assert ours.answer(BROWSERS) == first
    assert ours.negotiated == before
    later = SessionDescription.parse(ours.offer())
    assert later.attributes == (("group", "BUNDLE 0"), ("ice-lite", None))
    assert later.media[0].attribute("mid") == "0"
    assert later.media[0].attribute("setup") == "actpass"
    assert later.media[1].port == 0


def test_what_the_session_says_holds_for_its_streams() -> None:
    ours = negotiator()
    sdp = offer(
        "m=audio 4000 UDP/TLS/RTP/SAVP 0",
        "a=rtcp-mux",
        "a=setup:passive",
        session=("c=IN IP4 192.0.2.2", FINGERPRINT, "a=setup:active", *ICE, "a=ice-lite"),
    )

    ours.answer(sdp)

    agreed = agreed_of(ours)
    assert agreed.dtls is not None
    assert agreed.dtls.is_client
    assert agreed.ice is not None
    assert agreed.ice.is_peer_lite
    assert agreed.remote == ("192.0.2.2", 4000)


def test_without_ice_an_address_is_needed() -> None:
    ours = negotiator(ice="off")
    ours.answer(offer("m=audio 4000 UDP/TLS/RTP/SAVP 0", FINGERPRINT, "a=setup:actpass", *ICE))
    assert agreed_of(ours).ice is None
    assert agreed_of(ours).remote == ("192.0.2.2", 4000)

    with pytest.raises(NegotiationError):
        negotiator(ice="off").answer(
            offer("m=audio 4000 UDP/TLS/RTP/SAVP 0", "c=IN IP6 2001:db8::1", FINGERPRINT, *ICE)
        )


@pytest.mark.parametrize("place", [(), ("a=rtcp:5000",), ("a=rtcp:4001 IN IP4 192.0.2.2",)])
def test_reports_on_a_port_of_their_own_would_need_keys_of_their_own(place: tuple[str, ...]) -> None:
    ours = negotiator(ice="off")

    answer = ours.answer(offer("m=audio 4000 UDP/TLS/RTP/SAVP 0", FINGERPRINT, *place))

    agreed = agreed_of(ours)
    assert (agreed.rtcp, agreed.rtcp_mux, agreed.has_reports) == (None, False, False)
    assert (agreed.remote, agreed.sending) == (("192.0.2.2", 4000), True)
    assert b"rtcp" not in answer
    # Said before the attributes (RFC 8866 §5).
    assert b"m=audio 16384 UDP/TLS/RTP/SAVP 0\r\nb=RS:0\r\nb=RR:0\r\na=rtpmap:0 " in answer


def test_who_checks_two_components_and_shares_no_port_is_promised_none() -> None:
    components = [
        f"a=candidate:1 {component} UDP 9 192.0.2.2 400{component} typ host" for component in (1, 2)
    ]
    lines = "m=audio 4001 UDP/TLS/RTP/SAVP 0", FINGERPRINT, *ICE, *components
    ours = negotiator(ice="always")

    apart = ours.answer(offer(*lines, "a=rtcp:4002"))
    shared = negotiator(ice="always").answer(offer(*lines, "a=rtcp:4002", "a=rtcp-mux"))

    assert agreed_of(ours).ice is None
    assert agreed_of(ours).remote == ("192.0.2.2", 4001)
    assert b"ice" not in apart
    assert b"candidate" not in apart
    assert b"b=RS:0\r\nb=RR:0\r\n" in apart
    assert shared.count(b"a=candidate:1 1 UDP ") == shared.count(b"a=candidate:") == 1
    assert b"a=rtcp-mux\r\n" in shared
    assert b"b=" not in shared


@pytest.mark.parametrize("also", [(), ("a=rtcp-mux",)])
def test_who_only_shares_a_port_is_answered_that_it_does(also: tuple[str, ...]) -> None:
    ours = negotiator(ice="always")

    answer = ours.answer(
        offer("m=audio 4000 UDP/TLS/RTP/SAVP 0", FINGERPRINT, *ICE, "a=rtcp-mux-only", *also)
    )

    assert agreed_of(ours).rtcp_mux
    assert agreed_of(ours).ice is not None
    assert b"a=rtcp-mux\r\n" in answer
    assert b"rtcp-mux-only" not in answer


def test_who_only_shares_a_port_is_refused_where_that_cannot_be() -> None:
    lines = "m=audio 4000 UDP/TLS/RTP/SAVP 72", "a=rtpmap:72 PCMU/8000", FINGERPRINT, "a=rtcp-mux"

    with pytest.raises(NegotiationError):
        negotiator().answer(offer(*lines, "a=rtcp-mux-only"))
    ours = negotiator()
    assert b"b=RS:0\r\n" in ours.answer(offer(*lines, *ICE))
    assert (agreed_of(ours).rtcp_mux, agreed_of(ours).rtcp, agreed_of(ours).ice is None) == (
        False,
        None,
        False,
    )


def test_an_answer_that_shares_no_port_leaves_reports_out_and_our_next_offer_asks_again() -> None:
    ours, theirs = negotiator(ice="off"), negotiator(seed=2, ice="off", ip="192.0.2.2")
    first = ours.offer()
    answer = theirs.answer(first).replace(b"a=rtcp-mux\r\n", b"")

    apart = ours.accept(answer)
    again = ours.offer()
    shared = ours.accept(theirs.answer(again))

    assert (apart.rtcp, apart.rtcp_mux, apart.has_reports) == (None, False, False)
    assert b"a=rtcp-mux\r\n" in first
    assert b"a=rtcp-mux\r\n" in again
    assert b"b=" not in again
    assert (shared.rtcp_mux, shared.has_reports) == (True, True)


def test_whoever_speaks_ice_is_told_which_source_is_ours() -> None:
    """werift hears nothing without (RFC 5576 §4.1); telephones never asked for it."""
    phone = offer("m=audio 4000 RTP/AVP 0")

    assert b"a=ssrc:123 cname:leg\r\n" in negotiator(source="123 cname:leg").answer(BROWSERS)
    assert b"a=ssrc" not in negotiator().answer(BROWSERS)
    assert b"a=ssrc" not in Negotiator(ip="192.0.2.9", port=4, session_id=7, source="123").answer(phone)


def test_an_answer_can_have_no_address_but_candidates() -> None:
    ours, theirs = negotiator(ice="always"), negotiator(seed=2, ip="192.0.2.2")
    sdp = theirs.answer(ours.offer()).replace(b"192.0.2.2", b"0.0.0.0")

    agreed = ours.accept(sdp)

    assert agreed.remote is None
    assert agreed.sending
    assert agreed.ice is not None
    assert agreed.dtls is not None


@pytest.mark.parametrize("first", ["sdes", "dtls"])
def test_our_offer_and_our_answer_come_to_the_same(first: KeyMethod) -> None:
    ours, theirs = negotiator(first=first, ice="always"), negotiator(seed=2, ice="always", ip="192.0.2.2")

    agreed = ours.accept(theirs.answer(ours.offer()))

    other = agreed_of(theirs)
    assert agreed.ice is not None
    assert other.ice is not None
    # Both are lite: each goes by the other's description.
    assert agreed.ice.is_peer_lite
    assert other.ice.is_peer_lite
    assert agreed.ice.peer_ufrag == other.ice.ufrag
    assert agreed.remote == ("192.0.2.2", 16384)
    assert (agreed.dtls is None) is (first == "sdes")
    assert agreed.rtcp_mux


def test_an_answer_without_ice_goes_without() -> None:
    ours, theirs = negotiator(ice="always"), negotiator(seed=2, ice="off")

    assert ours.accept(theirs.answer(ours.offer())).ice is None
