import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import RemoteProtocolError
from bridge.sip.sdp import MAX_LINES, MAX_STREAMS, Media, Origin, RtpMap, SessionDescription

BROWSERLIKE = b"""v=0
o=- 4611 2 IN IP6 2001:db8::1
s=
i=a title
c=IN IP6 2001:db8::1
b=AS:128
t=3034423619 3042462419
a=group:BUNDLE 0 1
a=recvonly
m=audio 5004/2 RTP/AVP 0 96 97 200
c=IN IP4 192.0.2.1/127
a=rtpmap:96 opus/48000/2
a=rtpmap:97 broken
a=rtpmap:200 PCMU/8000
a=sendonly
a=rtcp-mux
m=video 0 RTP/SAVPF 100
"""


def test_a_description_is_read_whatever_its_line_ends() -> None:
    for data in (BROWSERLIKE, BROWSERLIKE.replace(b"\n", b"\r\n")):
        session = SessionDescription.parse(data)

        assert session.origin == Origin("-", 4611, 2, "2001:db8::1")
        assert session.timing == "3034423619 3042462419"
        assert [media.kind for media in session.media] == ["audio", "video"]


def test_what_a_stream_says_goes_before_what_the_session_says() -> None:
    session = SessionDescription.parse(BROWSERLIKE)
    audio, video = session.media

    assert (session.address_of(audio), session.direction_of(audio)) == ("192.0.2.1", "sendonly")
    assert (session.address_of(video), session.direction_of(video)) == ("2001:db8::1", "recvonly")
    assert (
        SessionDescription.parse(b"v=0\no=- 1 1 IN IP4 h\nm=audio 1 x 0\n").direction_of(audio) == "sendonly"
    )


def test_a_direction_left_out_means_both() -> None:
    session = SessionDescription.parse(b"v=0\no=- 1 1 IN IP4 h\nm=audio 1 x 0\n")

    assert session.direction_of(session.media[0]) == "sendrecv"
    assert session.address_of(session.media[0]) is None


def test_payload_types_are_explained_where_that_is_possible() -> None:
    audio = SessionDescription.parse(BROWSERLIKE).media[0]

    assert audio.rtp_maps() == {96: RtpMap("opus", 48000, 2)}
    assert (audio.attribute("rtcp-mux"), audio.attribute("ptime")) == ("", None)
    assert audio.attribute("rtpmap") == "96 opus/48000/2"


def test_a_description_is_written_as_the_standard_orders_it() -> None:
    media = Media("audio", 4000, "RTP/AVP", ("0",), "2001:db8::2", (("ptime", "20"), ("sendrecv", None)))
    session = SessionDescription(Origin("-", 1, 2, "192.0.2.1"), "192.0.2.1", (media,), (("tool", "x"),))

    assert bytes(session) == (
        b"v=0\r\no=- 1 2 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\na=tool:x\r\n"
        b"m=audio 4000 RTP/AVP 0\r\nc=IN IP6 2001:db8::2\r\na=ptime:20\r\na=sendrecv\r\n"
    )


@pytest.mark.parametrize("origin", ["- 1.5 1 IN IP4 h", "SIP Phone 1 1 IN IP4 h", "- x 1 IN IP4 h", "-"])
def test_an_origin_that_cannot_be_read_costs_no_call(origin: str) -> None:
    session = SessionDescription.parse(f"v=0\no={origin}\nm=audio 1 x 0\n".encode())

    assert len(session.media) == 1
    assert SessionDescription.parse(bytes(session)) == session


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"o=- 1 1 IN IP4 h\n",
        b"v=0\n",
        b"v=0\nhello\n",
        b"v=0\no=- 1 1 IN IP4 h\nc=IN IP5 h\n",
        b"v=0\no=- 1 1 IN IP4 h\nm=audio RTP/AVP 0\n",
        b"v=0\no=- 1 1 IN IP4 h\nm=audio 65536 RTP/AVP 0\n",
        b"v=0\n" + b"a=x\n" * MAX_LINES,
    ],
)
def test_a_broken_description_is_the_senders_fault(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        SessionDescription.parse(data)


NUMBERS = st.integers(0, 10**15)
WORDS = st.text("abcdefXYZ019-", min_size=1, max_size=8)
ATTRIBUTES = st.lists(st.tuples(WORDS, st.none() | WORDS), max_size=4).map(tuple)
STREAMS = st.builds(
    Media,
    WORDS,
    st.integers(0, 65535),
    WORDS,
    st.lists(WORDS, min_size=1, max_size=4).map(tuple),
    st.none() | st.just("192.0.2.7") | st.just("2001:db8::7"),
    ATTRIBUTES,
)
SESSIONS = st.builds(
    SessionDescription,
    st.builds(Origin, WORDS, NUMBERS, NUMBERS, st.just("192.0.2.1")),
    st.none() | st.just("192.0.2.1"),
    st.lists(STREAMS, max_size=3).map(tuple),
    ATTRIBUTES,
    st.just("0 0"),
    WORDS,
)


@given(SESSIONS)
def test_a_description_survives_writing_and_parsing(session: SessionDescription) -> None:
    assert SessionDescription.parse(bytes(session)) == session


@given(st.binary(max_size=200) | st.text("voscmabt=0 :/\nIN4audio", max_size=120).map(str.encode))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        SessionDescription.parse(b"v=0\r\no=- 1 1 IN IP4 h\r\n" + data)
    except RemoteProtocolError:
        return


def test_a_key_is_not_repeated_by_an_error() -> None:
    line = "a crypto:1 AES_CM_128_HMAC_SHA1_80 inline:c2VjcmV0"

    with pytest.raises(RemoteProtocolError) as refused:
        SessionDescription.parse(f"v=0\no=x 1 1 IN IP4 192.0.2.2\n{line}".encode())

    assert "c2Vj" not in str(refused.value)


@pytest.mark.parametrize("line", [b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:c2VjcmV0", b"k=clear:c2VjcmV0"])
def test_a_description_with_a_key_is_forgotten_with_its_call(line: bytes) -> None:
    data = b"v=0\no=- 1 1 IN IP4 h\nm=audio 1 RTP/SAVP 0\n" + line + b"\n"
    plain = b"v=0\no=- 1 1 IN IP4 h\nm=audio 1 RTP/AVP 0\n"

    assert SessionDescription.parse(data) is not SessionDescription.parse(data)
    assert SessionDescription.parse(plain) is SessionDescription.parse(plain)


def test_more_streams_than_anybody_has_are_refused() -> None:
    data = b"v=0\no=- 1 1 IN IP4 h\n" + b"m=audio 1 RTP/AVP 0\n" * MAX_STREAMS

    assert len(SessionDescription.parse(data).media) == MAX_STREAMS
    with pytest.raises(RemoteProtocolError):
        SessionDescription.parse(data + b"m=audio 1 RTP/AVP 0\n")
