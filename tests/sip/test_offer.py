import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import NegotiationError, RemoteProtocolError
from bridge.sip.crypto import MediaCrypto, SrtpPolicy
from bridge.sip.offer import LocalMedia, Negotiated, Negotiator, accept, answer, make_offer
from bridge.sip.sdp import SessionDescription
from bridge.sip.security import MediaSecurity
from tests.fakes import SeededIds
from tests.sip.messages import OFFER

US = LocalMedia("192.0.2.9", 16384, session_id=77, version=3)


def offered(*lines: str, session: str = "c=IN IP4 192.0.2.2") -> bytes:
    return "\n".join(["v=0", "o=x 1 1 IN IP4 192.0.2.2", "s=-", session, "t=5 6", *lines]).encode()


def held(ours: Negotiator) -> bytes:
    ours.hold(True)
    return ours.offer()


def test_whoever_is_held_stays_held_through_an_offer_of_its_own() -> None:
    ours = Negotiator(ip="192.0.2.9", port=16384, session_id=5)
    ours.answer(offered("m=audio 4000 RTP/AVP 0"))
    assert b"a=sendonly" in held(ours)
    assert b"a=sendonly" in ours.answer(offered("m=audio 4444 RTP/AVP 0"))
    assert ours.negotiated is not None
    assert not ours.negotiated.receiving
    ours.hold(False)
    assert b"a=sendrecv" in ours.offer()


def test_the_first_codec_that_we_know_is_taken_with_the_offerers_numbers() -> None:
    sdp, agreed = answer(
        offered(
            "m=audio 4000 RTP/AVP 4 101 18 96 0",
            "a=rtpmap:96 pcma/8000/1",
            "a=rtpmap:101 Telephone-Event/8000",
            "a=rtcp-mux",
        ),
        US,
    )

    assert agreed == Negotiated(
        1, 96, 101, ("192.0.2.2", 4000), True, True, held=False, rtcp=("192.0.2.2", 4001), rtcp_mux=True
    )
    assert sdp.decode().split("\r\n") == [
        "v=0",
        "o=- 77 3 IN IP4 192.0.2.9",
        "s=-",
        "c=IN IP4 192.0.2.9",
        "t=5 6",
        "m=audio 16384 RTP/AVP 101 96",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-15",
        "a=rtpmap:96 PCMA/8000",
        "a=ptime:20",
        "a=sendrecv",
        "a=rtcp-mux",
        "",
    ]


def test_static_payload_types_need_no_explanation() -> None:
    agreed = answer(offered("m=audio 4000 RTP/AVP 0 8"), US)[1]

    assert (agreed.codec, agreed.payload_type, agreed.dtmf_payload_type) == (0, 0, -1)


def test_a_number_that_is_given_another_meaning_loses_its_own() -> None:
    agreed = answer(offered("m=audio 4000 RTP/AVP 0 8", "a=rtpmap:0 speex/8000"), US)[1]

    assert agreed.payload_type == 8


def test_every_further_stream_is_refused_in_its_place() -> None:
    sdp, _ = answer(
        offered(
            "m=video 5000 RTP/AVP 31 32",
            "m=audio 0 RTP/AVP 0",
            "m=audio 4000 RTP/SAVP 0",
            "m=audio 4000 RTP/AVP 0",
            "m=audio 4002 RTP/AVP 8",
            "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
        ),
        US,
    )

    streams = SessionDescription.parse(sdp).media
    assert [(media.kind, media.port) for media in streams] == [
        ("video", 0), ("audio", 0), ("audio", 0), ("audio", 16384), ("audio", 0), ("application", 0),
    ]  # fmt: skip
    assert streams[0].formats == ("31", "32")


@pytest.mark.parametrize(
    ("line", "session", "says", "sending", "receiving"),
    [
        ("a=sendrecv", "c=IN IP4 192.0.2.2", "sendrecv", True, True),
        ("a=sendonly", "c=IN IP4 192.0.2.2", "recvonly", False, True),
        ("a=recvonly", "c=IN IP4 192.0.2.2", "sendonly", True, False),
        ("a=inactive", "c=IN IP4 192.0.2.2", "inactive", False, False),
        ("a=x", "c=IN IP4 0.0.0.0", "recvonly", False, True),
        ("a=inactive", "c=IN IP4 0.0.0.0", "inactive", False, False),
        ("a=recvonly", "c=IN IP4 0.0.0.0", "inactive", False, False),
    ],
)
def test_hold_is_answered_by_its_mirror(
    line: str, session: str, says: str, sending: bool, receiving: bool
) -> None:
    sdp, agreed = answer(offered("m=audio 4000 RTP/AVP 0", line, session=session), US)

    assert (agreed.sending, agreed.receiving, agreed.held) == (sending, receiving, not sending)
    assert (agreed.remote is None) is ("0.0.0.0" in session)
    assert f"a={says}\r\n".encode() in sdp


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["m=audio 4000 RTP/AVP 4 18"],
        ["m=audio 4000 RTP/AVP 96", "a=rtpmap:96 PCMU/16000"],
        ["m=audio 4000 RTP/AVP 96", "a=rtpmap:96 PCMU/8000/2"],
        ["m=audio 4000 RTP/AVP x 300"],
        ["m=audio 4000 RTP/AVP 0", "c=IN IP6 2001:db8::1"],
        ["m=audio 4000 RTP/AVP 0", "c=IN IP4 phone.example.com"],
        ["m=audio 4000 RTP/AVP 0", "c=IN IP4 224.0.0.1/127"],
        ["m=audio 4000 RTP/AVP 0", "c=IN IP4 255.255.255.255"],
        ["m=audio 4000 RTP/AVP 0", "c=IN IP4 0.0.0.1"],
    ],
)
def test_an_offer_with_nothing_for_us_is_declined(lines: list[str]) -> None:
    with pytest.raises(NegotiationError):
        answer(offered(*lines), US)


@pytest.mark.parametrize("elsewhere", ["IP6 2001:db8::1", "IP4 phone.example.com", "IP4 239.1.1.1/3"])
def test_a_stream_that_we_cannot_reach_leaves_the_next_one_to_us(elsewhere: str) -> None:
    first = "m=audio 4000 RTP/AVP 0", f"c=IN {elsewhere}"

    sdp, agreed = answer(offered(*first, "m=audio 4002 RTP/AVP 0"), US)

    assert agreed.remote == ("192.0.2.2", 4002)
    assert [media.port for media in SessionDescription.parse(sdp).media] == [0, 16384]


def test_events_on_another_clock_are_not_for_us() -> None:
    lines = "m=audio 4000 RTP/AVP 0 101", "a=rtpmap:101 telephone-event/48000"

    assert answer(offered(*lines), US)[1].dtmf_payload_type == -1


def test_our_offer_and_an_answer_to_it_agree() -> None:
    theirs = LocalMedia("192.0.2.2", 4000, session_id=1)

    sdp, at_their_side = answer(make_offer(US, codecs=("PCMU", "PCMA")), theirs)
    at_our_side = accept(sdp)

    assert at_their_side == Negotiated(
        0, 0, 101, ("192.0.2.9", 16384), True, True, held=False, rtcp=("192.0.2.9", 16385), rtcp_mux=True
    )
    assert at_our_side == Negotiated(
        0, 0, 101, ("192.0.2.2", 4000), True, True, held=False, rtcp=("192.0.2.2", 4001), rtcp_mux=True
    )


@pytest.mark.parametrize(
    ("lines", "rtcp"),
    [
        (["m=audio 4000 RTP/AVP 0"], ("192.0.2.2", 4001)),
        (["m=audio 4000 RTP/AVP 0", "a=rtcp:53020"], ("192.0.2.2", 53020)),
        (["m=audio 4000 RTP/AVP 0", "a=rtcp:53020 IN IP4 192.0.2.77"], ("192.0.2.77", 53020)),
        (["m=audio 4000 RTP/AVP 0", "a=rtcp:nonsense"], ("192.0.2.2", 4001)),
        (["m=audio 4000 RTP/AVP 0", "a=rtcp:53020 IN IP6 2001:db8::1"], None),
        (["m=audio 4000 RTP/AVP 0", "a=rtcp:53020 IN IP4 phone.example.com"], None),
        (["m=audio 4000 RTP/AVP 0", "a=rtcp:53020 IN IP4 0.0.0.0"], None),
        (["m=audio 4000 RTP/AVP 0", "a=rtcp:0"], None),
        (["m=audio 4000 RTP/AVP 0", "a=rtcp:70000"], None),
        (["m=audio 65535 RTP/AVP 0"], None),
        (["m=audio 4000 RTP/AVP 0", "c=IN IP4 0.0.0.0"], None),
    ],
)
def test_reports_go_where_the_peer_wants_them(lines: list[str], rtcp: tuple[str, int] | None) -> None:
    sdp, agreed = answer(offered(*lines), US)

    assert (agreed.rtcp, agreed.rtcp_mux) == (rtcp, False)
    assert b"rtcp" not in sdp


def test_an_answer_without_a_shared_port_means_two() -> None:
    ours = Negotiator(ip="192.0.2.9", port=16384, session_id=5)

    assert b"a=rtcp-mux\r\n" in ours.offer()
    agreed = ours.accept(offered("m=audio 4000 RTP/AVP 0", "a=rtcp:4444"))

    assert (agreed.rtcp, agreed.rtcp_mux) == (("192.0.2.2", 4444), False)


@pytest.mark.parametrize("maps", [("72 PCMU/8000",), ("0 PCMU/8000", "72 telephone-event/8000")])
def test_payload_types_that_look_like_rtcp_cannot_share_its_port(maps: tuple[str, ...]) -> None:
    formats = " ".join(text.split()[0] for text in maps)
    lines = [f"m=audio 4000 RTP/AVP {formats}", *(f"a=rtpmap:{text}" for text in maps), "a=rtcp-mux"]

    sdp, agreed = answer(offered(*lines), US)

    assert not agreed.rtcp_mux
    assert b"rtcp-mux" not in sdp


def test_what_we_offered_limits_what_an_answer_can_open() -> None:
    generous = offered("m=audio 4000 RTP/AVP 0")

    agreed = accept(generous, direction="recvonly")
    assert (agreed.sending, agreed.receiving) == (False, True)
    agreed = accept(generous, direction="sendonly")
    assert (agreed.sending, agreed.receiving) == (True, False)


@pytest.mark.parametrize(
    "lines", [[], ["m=audio 0 RTP/AVP 0"], ["m=video 1 RTP/AVP 0", "m=audio 2 RTP/AVP 0"]]
)
def test_an_answer_that_refuses_the_stream_ends_the_negotiation(lines: list[str]) -> None:
    with pytest.raises(NegotiationError, match="refuses"):
        accept(offered(*lines))


def test_the_version_grows_only_when_the_description_changes() -> None:
    ours = Negotiator(ip="192.0.2.9", port=16384, session_id=5)

    versions = [
        SessionDescription.parse(sdp).origin.version
        for sdp in (
            ours.answer(offered("m=audio 4000 RTP/AVP 0")),
            ours.answer(offered("m=audio 4444 RTP/AVP 0")),
            ours.answer(offered("m=audio 4444 RTP/AVP 0", "a=sendonly")),
            ours.offer(),
            ours.offer(),
            held(ours),
        )
    ]

    assert versions == [1, 1, 2, 3, 3, 4]


def test_a_negotiator_remembers_what_was_agreed_last() -> None:
    ours = Negotiator(ip="192.0.2.9", port=16384, session_id=5)
    ours.answer(OFFER)
    before = ours.negotiated
    assert before is not None
    assert (before.codec, before.dtmf_payload_type) == (1, 101)

    with pytest.raises(NegotiationError):
        ours.answer(offered("m=audio 4000 RTP/AVP 9"))
    assert ours.negotiated is before

    held(ours)
    agreed = ours.accept(offered("m=audio 4000 RTP/AVP 0"))
    assert ours.negotiated is agreed
    assert not agreed.receiving


def test_a_later_offer_keeps_the_streams_and_their_numbers() -> None:
    ours = Negotiator(ip="192.0.2.9", port=16384, session_id=5)
    ours.answer(
        offered(
            "m=video 5000 RTP/AVP 99",
            "m=audio 4000 RTP/AVP 97 101 96",
            "a=rtpmap:97 PCMA/8000",
            "a=rtpmap:101 opus/48000/2",
            "a=rtpmap:96 telephone-event/8000",
            "m=audio 4002 RTP/AVP 0",
        )
    )

    again = ours.offer().decode().split("\r\n")

    assert again[5:] == [
        "m=video 0 RTP/AVP 99",
        "m=audio 16384 RTP/AVP 97 0 96",
        "a=rtpmap:97 PCMA/8000",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:96 telephone-event/8000",
        "a=fmtp:96 0-15",
        "a=ptime:20",
        "a=sendrecv",
        "a=rtcp-mux",
        "m=audio 0 RTP/AVP 0",
        "",
    ]
    agreed = ours.accept(offered("m=video 0 RTP/AVP 99", "m=audio 4444 RTP/AVP 0", "m=audio 0 RTP/AVP 0"))
    assert (agreed.remote, agreed.codec) == (("192.0.2.2", 4444), 0)
    with pytest.raises(NegotiationError, match="refuses"):
        ours.accept(offered("m=video 0 RTP/AVP 99"))


@pytest.mark.parametrize(
    ("maps", "formats"),
    [
        ((), ("0", "8", "101")),
        (("8 speex/8000",), ("0", "101")),
        (("8 pcma/8000", "101 opus/48000/2"), ("0", "8", "127")),
        (("101 telephone-event/48000",), ("0", "8", "127")),
        (("101 opus/48000/2", "127 Telephone-Event/8000"), ("0", "8", "127")),
        (tuple(f"{number} opus/48000/2" for number in range(96, 128)), ("0", "8")),
    ],
)
def test_no_number_changes_its_meaning_within_a_call(maps: tuple[str, ...], formats: tuple[str, ...]) -> None:
    ours = Negotiator(ip="192.0.2.9", port=16384, session_id=5)
    ours.answer(offered("m=audio 4000 RTP/AVP 0", *(f"a=rtpmap:{text}" for text in maps)))

    assert SessionDescription.parse(ours.offer()).media[0].formats == formats


FORMATS = st.lists(st.sampled_from(["0", "8", "9", "18", "96", "97", "101"]), min_size=1, unique=True)


@given(FORMATS, FORMATS, st.sampled_from(["sendrecv", "sendonly", "recvonly", "inactive"]))
def test_an_answer_lists_only_what_was_offered_and_in_its_order(
    first: list[str], second: list[str], direction: str
) -> None:
    maps = [
        "a=rtpmap:96 PCMA/8000",
        "a=rtpmap:97 opus/48000/2",
        "a=rtpmap:101 telephone-event/8000",
        f"a={direction}",
    ]
    offer = offered(
        f"m=audio 4000 RTP/AVP {' '.join(first)}", *maps, f"m=audio 4002 RTP/AVP {' '.join(second)}", *maps
    )

    try:
        sdp, agreed = answer(offer, US)
    except NegotiationError:
        assert not {"0", "8", "96"} & {*first, *second}
        return

    streams = SessionDescription.parse(sdp).media
    assert len(streams) == 2
    assert sum(media.port != 0 for media in streams) == 1
    for media, formats in zip(streams, (first, second), strict=True):
        if media.port:
            assert list(media.formats) == [text for text in formats if text in media.formats]
            assert str(agreed.payload_type) in media.formats


@given(st.binary(max_size=200))
def test_any_bytes_are_answered_or_refused(data: bytes) -> None:
    ours = Negotiator(ip="192.0.2.9", port=16384, session_id=5)
    try:
        first = ours.answer(b"v=0\r\no=- 1 1 IN IP4 h\r\n" + data)
    except (RemoteProtocolError, NegotiationError):
        return
    assert ours.offer().count(b"m=") == first.count(b"m=")


def test_an_answer_under_another_number_makes_events_come_under_both() -> None:
    negotiator = Negotiator(ip="192.0.2.9", port=16384, session_id=1)
    assert b"a=rtpmap:101 telephone-event/8000" in negotiator.offer()

    agreed = negotiator.accept(
        offered(
            "m=audio 4000 RTP/AVP 0 96",
            "a=rtpmap:96 telephone-event/8000",
            "a=fmtp:96 0-16",
        )
    )

    assert (agreed.dtmf_payload_type, agreed.dtmf_offered) == (96, 101)
    # What is offered next is what is sent: nothing is left in doubt.
    assert b"a=rtpmap:96 telephone-event/8000\r\na=fmtp:96 0-15" in negotiator.offer()


@pytest.mark.parametrize(
    ("formats", "maps", "number"),
    [("0 101", "a=rtpmap:101 telephone-event/8000", 101), ("0", "a=rtpmap:0 PCMU/8000", -1)],
)
def test_an_answer_under_our_number_or_without_events_leaves_one_or_none(
    formats: str, maps: str, number: int
) -> None:
    negotiator = Negotiator(ip="192.0.2.9", port=16384, session_id=1)
    negotiator.offer()

    agreed = negotiator.accept(offered(f"m=audio 4000 RTP/AVP {formats}", maps))

    assert (agreed.dtmf_payload_type, agreed.dtmf_offered) == (number, -1)


@pytest.mark.parametrize(
    ("events", "keys"),
    [
        ("a=fmtp:101 0-15", 0xFFFF),
        ("a=fmtp:101 0-16", 0xFFFF),
        ("a=fmtp:101 0-11,32-36", 0x0FFF),
        ("a=fmtp:101 0, 2-3 ,11", 0b1000_0000_1101),
        ("a=fmtp:101 66,70", 0),
        ("a=fmtp:101 9-3", 0),
        ("a=fmtp:97 0-3", 0xFFFF),
        ("a=fmtp:101 all of them", 0xFFFF),
        ("a=fmtp:101", 0xFFFF),
        ("a=ptime:20", 0xFFFF),
    ],
)
def test_a_peer_may_take_only_some_keys_as_events(events: str, keys: int) -> None:
    _, agreed = answer(offered("m=audio 4000 RTP/AVP 0 101", "a=rtpmap:101 telephone-event/8000", events), US)

    assert agreed.dtmf_events == keys


SAVP = ("m=audio 4002 RTP/SAVP 0", "a=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:" + "A" * 40)


def secured(policy: SrtpPolicy, seed: int = 1) -> Negotiator:
    ids = SeededIds(seed)
    return Negotiator(
        ip="192.0.2.9",
        port=16384,
        session_id=7,
        security=MediaSecurity(policy, crypto=MediaCrypto(policy, ids)),
    )


def test_a_secured_offer_is_answered_in_kind() -> None:
    ours = secured("preferred")

    sdp = ours.answer(offered(*SAVP)).decode()

    assert "m=audio 16384 RTP/SAVP 0\r\n" in sdp
    assert sdp.count("a=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:") == 1
    assert "A" * 40 not in sdp
    assert ours.negotiated is not None
    assert ours.negotiated.srtp.rx == "00" * 30
    assert ours.negotiated.srtp.tx[:8] not in repr(ours.negotiated)
    # Again: nothing changes, not even the version.
    assert ours.answer(offered(*SAVP)).decode() == sdp


def test_of_the_same_offered_twice_the_secured_one_is_taken() -> None:
    ours = secured("preferred")

    sdp = ours.answer(offered("m=audio 4000 RTP/AVP 0", *SAVP)).decode()

    assert "m=audio 0 RTP/AVP 0\r\nm=audio 16384 RTP/SAVP 0\r\n" in sdp
    assert ours.negotiated is not None
    assert ours.negotiated.remote == ("192.0.2.2", 4002)
    assert b"m=audio 0 RTP/AVP 0\r\nm=audio 16384 RTP/SAVP 0 8" in ours.offer()


def test_who_requires_security_refuses_an_offer_without() -> None:
    with pytest.raises(NegotiationError):
        secured("required").answer(offered("m=audio 4000 RTP/AVP 0", SAVP[1]))
    with pytest.raises(NegotiationError):
        Negotiator(ip="192.0.2.9", port=16384, session_id=7).answer(offered(*SAVP))


def test_who_requires_security_offers_it_and_both_come_to_the_same_keys() -> None:
    ours, theirs = secured("required", 1), secured("preferred", 2)

    agreed = ours.accept(theirs.answer(ours.offer()))

    assert theirs.negotiated is not None
    assert agreed.srtp.suite == "AEAD_AES_128_GCM"
    assert (agreed.srtp.tx, agreed.srtp.rx) == (theirs.negotiated.srtp.rx, theirs.negotiated.srtp.tx)


def test_a_clear_answer_to_a_secured_offer_is_no_answer() -> None:
    ours = secured("required")
    clear = Negotiator(ip="192.0.2.2", port=4000, session_id=8)
    clear.answer(offered("m=audio 4000 RTP/AVP 0"))
    ours.offer()

    with pytest.raises(NegotiationError):
        ours.accept(clear.offer())
