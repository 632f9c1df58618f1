import pytest

from bridge.sip.message import Request
from bridge.sip.texting import LONGEST_BYTES, refusal_of_text, text_of
from tests.sip.messages import request


def message(body: bytes, *fields: str) -> Request:
    sent = request("MESSAGE", extra=fields)
    sent.body = body
    return sent


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "Text/Plain;charset=UTF-8",
        'text/plain ; charset="utf-8" ; x=y',
        "text/plain;format=flowed",
    ],
)
def test_plain_text_is_read(kind: str) -> None:
    sent = message("Grüße".encode(), f"Content-Type: {kind}")

    assert refusal_of_text(sent) is None
    assert text_of(sent) == "Grüße"
    assert refusal_of_text(message(b"hi")) is None


def test_what_is_not_utf_8_is_replaced() -> None:
    assert text_of(message(b"a\xffb")) == "a\ufffdb"


@pytest.mark.parametrize(
    "fields",
    [
        ("Content-Type: text/html",),
        ("Content-Type: message/cpim",),
        ("Content-Type: text/plain;charset=koi8-r",),
        ("Content-Type: text/plain", "Content-Encoding: gzip"),
    ],
)
def test_anything_else_is_refused_with_what_we_take(fields: tuple[str, ...]) -> None:
    assert refusal_of_text(message(b"x", *fields)) == (
        415,
        [("Accept", "text/plain"), ("Accept-Encoding", "identity")],
    )


def test_a_text_has_a_bound() -> None:
    assert refusal_of_text(message(b"x" * LONGEST_BYTES)) is None
    assert refusal_of_text(message(b"x" * (LONGEST_BYTES + 1))) == (413, [])
