"""Messages out of a byte stream, however it is cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import RemoteProtocolError
from bridge.sip.framing import MAX_BODY_BYTES, PING, StreamFramer
from bridge.sip.wire import MAX_HEAD_BYTES


def message(body: bytes = b"", *, name: str = "Content-Length") -> bytes:
    return f"OPTIONS sip:a@b SIP/2.0\r\nVia: x\r\n{name}: {len(body)}\r\n\r\n".encode() + body


pieces = st.one_of(
    st.just(PING),
    st.binary(max_size=40).map(message),
    st.sampled_from(["l", "L", "content-LENGTH", "Content-Length \t", "Content-Length:\r\n "]).map(
        lambda name: message(b"\r\n\r\n", name=name).replace(b":\r\n : ", b":\r\n ")
    ),
)


@given(st.lists(pieces, max_size=6), st.data())
def test_any_cut_of_the_stream_gives_the_same_messages(sent: list[bytes], data: st.DataObject) -> None:
    stream, framer = b"".join(sent), StreamFramer()
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=8).map(sorted))
    found: list[bytes] = []
    for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += framer.feed(stream[begin:end])
    assert found == sent
    assert framer.is_between


def test_lone_line_ends_are_skipped_and_told_from_a_ping() -> None:
    framer = StreamFramer()
    assert framer.feed(b"\r\n") == []
    assert framer.is_between
    assert framer.feed(b"\r") == []
    assert framer.feed(b"\n") == [PING]
    assert framer.feed(b"\r\n" + message()) == [message()]


def test_a_message_that_has_begun_is_not_between() -> None:
    framer = StreamFramer()
    assert framer.feed(message(b"abc")[:-1]) == []
    assert not framer.is_between
    assert framer.feed(b"c") == [message(b"abc")]


@pytest.mark.parametrize(
    "data",
    [
        b"\rINVITE",
        b"\r\n\rX",
        b"OPTIONS sip:a@b SIP/2.0\r\nVia: x\r\n\r\n",
        message(b"x", name="Content-Length: 7\r\nl"),
        message().replace(b": 0", b": -1"),
        message().replace(b": 0", b": nine"),
        message().replace(b": 0", f": {MAX_BODY_BYTES + 1}".encode()),
        b"x" * (MAX_HEAD_BYTES + 1),
        b"x" * MAX_HEAD_BYTES + b"\r\nl: 0\r\n\r\n",
    ],
)
def test_a_stream_without_borders_is_given_up(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        StreamFramer().feed(data)


@given(st.binary(max_size=200))
def test_no_bytes_do_anything_else(data: bytes) -> None:
    framer = StreamFramer()
    try:
        framer.feed(data)
    except RemoteProtocolError:
        return
    assert b"\r\n\r\n" not in bytes(framer._held)[:-4] or not framer.is_between
