from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.errors import RemoteProtocolError
from bridge.sip import wire
from bridge.sip.message import Request
from bridge.sip.wire import MAX_FIELDS, MAX_HEAD_BYTES, BadRequestError
from tests.sip.messages import PHONE, parsed_request, parsed_response, raw, reply, request

VECTORS = sorted((Path(__file__).parents[1] / "vectors").glob("*.sip"))


def refused(data: bytes) -> BadRequestError:
    with pytest.raises(BadRequestError) as caught:
        wire.parse(data)
    return caught.value


@pytest.mark.parametrize("data", [b"", b"\r\n\r\n", b"\r\n", b"\x00\x00\x00\x00"])
def test_a_keep_alive_is_no_message(data: bytes) -> None:
    assert wire.parse(data) is None


def test_empty_lines_before_a_message_are_skipped() -> None:
    assert isinstance(wire.parse(b"\r\n\r\n" + raw("OPTIONS")), Request)


def test_a_response_survives_writing_and_parsing() -> None:
    answer = reply(request("INVITE"), 200, body=b"v=0\r\n")

    again = parsed_response(bytes(answer))

    assert (again.status, again.reason, again.body) == (200, "OK", b"v=0\r\n")
    assert again.to.tag == "bot"


def test_reason_words_that_are_no_text_become_readable() -> None:
    assert parsed_response(bytes(reply(request(), 200)).replace(b"OK", b"\xff!")).reason == "\ufffd!"


def test_folded_lines_and_odd_spaces_are_straightened() -> None:
    data = raw("OPTIONS", extra=("Subject :  a\r\n\t  b   c ",))

    assert parsed_request(data).headers.get("Subject") == "a b c"


def test_the_body_ends_where_its_length_says() -> None:
    data = raw("MESSAGE", body=b"12345").replace(b"Content-Length: 5", b"l: 3")

    assert parsed_request(data).body == b"123"


def test_without_a_length_the_body_is_the_rest() -> None:
    data = raw("MESSAGE", body=b"12345").replace(b"Content-Length: 5\r\n", b"")

    assert parsed_request(data).body == b"12345"


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        (b"SIP/2.0\r\nVia", b"SIP/3.1\r\nVia", 505),
        (b"Content-Length: 0", b"Content-Length: 9", 400),
        (b"Content-Length: 0", b"Content-Length: x", 400),
        (b"Content-Length: 0", b"Content-Length: 0\r\nl: 0", 400),
        (b"Max-Forwards: 70", b"Max-Forwards: 256", 400),
        (b"Max-Forwards: 70", b"Max-Forwards: -1", 400),
        (b"Max-Forwards: 70", b"Max-Forwards: 7\r\nMax-Forwards: 7", 400),
        (b"Max-Forwards: 70", b"no header at all", 400),
        (b"Max-Forwards: 70", b"na me: x", 400),
        (b"Max-Forwards: 70", b"X: a\rb", 400),
        (b"Max-Forwards: 70", b"X: " + b"a" * MAX_HEAD_BYTES, 513),
        (b"Max-Forwards: 70\r\n", b"X: y\r\n" * MAX_FIELDS, 513),
        (b"sip:bot@192.0.2.9 SIP", b"sip:bot@192.0.2.9?a=b SIP", 400),
        (b"sip:bot@192.0.2.9 SIP", b"sip: SIP", 400),
        (b"sip:bot@192.0.2.9 SIP", b"sip:a b SIP", 400),
        (b"tag=phone", b"tag=phone\r\nFrom: <sip:x@h>", 400),
    ],
)
def test_a_broken_request_is_answered_where_that_is_safe(old: bytes, new: bytes, status: int) -> None:
    # Large values come last, so that what an answer mirrors is still within the limit.
    data = raw("OPTIONS")
    assert old in data
    if len(new) > 700:
        data = data.replace(b"\r\n\r\n", b"\r\n" + new.rstrip() + b"\r\n\r\n")
    else:
        data = data.replace(old, new)

    error = refused(data)

    assert error.status == status


def test_the_answer_to_a_broken_request_mirrors_its_fields() -> None:
    data = raw("OPTIONS", extra=("Via: SIP/2.0/UDP far", "Content-Length: 1"))

    answer = parsed_response(refused(data).answer(source=("192.0.2.2", 7), to_tag="t"))

    assert answer.status == 400
    assert answer.headers.all("Via") == ["SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bK1", "SIP/2.0/UDP far"]
    assert (answer.from_.tag, answer.to.tag, answer.call_id) == ("phone", "t", "call-1")


def test_a_tag_in_a_broken_request_stays_the_only_one() -> None:
    answer = refused(raw("OPTIONS", to_tag="old", extra=("no header",))).answer(source=PHONE, to_tag="new")

    assert parsed_response(answer).to.tag == "old"


def test_a_request_that_lacks_fields_is_answered_with_those_it_has() -> None:
    error = refused(raw("OPTIONS").replace(b"Call-ID", b"Call").replace(b"From", b"Frum"))

    answer = error.answer(source=PHONE, to_tag="t")

    assert (error.status, error.reply_address(PHONE)) == (400, PHONE)
    assert answer.startswith(
        b"SIP/2.0 400 Bad Request\r\nVia: SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bK1\r\nTo: "
    )
    assert b"Call-ID" not in answer


@pytest.mark.parametrize("via", ["SIP/2.0/UDP ;;", 'SIP/2.0/UDP h;a="', ""])
def test_a_request_whose_way_cannot_be_read_is_answered_where_it_came_from(via: str) -> None:
    error = refused(raw("OPTIONS", via=via))

    answer = error.answer(source=("192.0.2.2", 7), to_tag="t")

    assert error.reply_address(("192.0.2.2", 7)) == ("192.0.2.2", 7)
    assert f"Via: {via};branch=z9hG4bK1\r\n".encode() in answer


@pytest.mark.parametrize(
    "data",
    [
        b"hello",
        b"hello\r\n\r\n",
        b"OPTIONS sip:h HTTP/1.1\r\n\r\n",
        b"O\x00 sip:h SIP/2.0\r\n\r\n",
        b"SIP/2.0 99 Low\r\n\r\n",
        b"SIP/2.0 700 High\r\n\r\n",
        b"SIP/1.0 200 OK\r\n\r\n",
        raw("ACK").replace(b"Content-Length: 0", b"Content-Length: 9"),
        raw("OPTIONS", extra=("no header",)).replace(b"Via", b"Vio"),
        bytes(reply(request(), 200)).replace(b"Content-Length: 0", b"Content-Length: 9"),
        bytes(reply(request(), 200)).replace(b"Contact: ", b"Contact "),
    ],
)
def test_what_cannot_be_answered_is_the_senders_fault_alone(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        wire.parse(data)

    assert not isinstance(caught.value, BadRequestError)


@given(st.binary(max_size=400))
@example(b"SIP/2.0 200 \r\n\r\n")
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        wire.parse(data)
    except RemoteProtocolError:
        return


@given(st.sampled_from(VECTORS), st.integers(0, 2000), st.binary(max_size=6), st.integers(0, 60))
def test_a_mutilated_message_is_read_or_refused(path: Path, at: int, put: bytes, cut: int) -> None:
    whole = path.read_bytes()
    at %= len(whole)
    answer = b"SIP/2.0 "

    try:
        wire.parse(whole[:at] + put + whole[at + cut :])
    except BadRequestError as error:
        answer = error.answer(source=PHONE, to_tag="t")
    except RemoteProtocolError:
        return

    assert answer.startswith(b"SIP/2.0 ")
