import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import RemoteProtocolError
from bridge.rtp.dtmf import DIGITS
from bridge.sip.info import Key, key_of, refusal_of_info
from bridge.sip.message import Request
from tests.sip.messages import request

RELAY, BARE = "application/dtmf-relay", "application/dtmf"


def info(body: bytes, kind: str = RELAY, *extra: str) -> Request:
    asked = request("INFO", body=body, extra=extra)
    if body:
        asked.headers.set("Content-Type", kind)
    return asked


@pytest.mark.parametrize("digit", DIGITS)
def test_every_key_can_be_relayed_or_told_bare(digit: str) -> None:
    relayed = info(f"Signal={digit}\r\nDuration=250\r\n".encode())
    bare = info(digit.encode(), BARE)

    assert (refusal_of_info(relayed), key_of(relayed)) == (None, Key(digit, 250))
    assert (refusal_of_info(bare), key_of(bare)) == (None, Key(digit, 160))


@pytest.mark.parametrize(
    ("body", "kind", "key"),
    [
        (b"Signal= 5\r\nDuration= 160", RELAY, Key("5", 160)),
        (b"signal=*\nduration=90\n", RELAY, Key("*", 90)),
        (b"Signal=#", RELAY, Key("#", 160)),
        (b"Signal=10\r\nDuration=100\r\n", RELAY, Key("*", 100)),
        (b"Signal=11", RELAY, Key("#", 160)),
        (b"Signal=15", RELAY, Key("D", 160)),
        (b"Signal=a", RELAY, Key("A", 160)),
        (b"Duration=300\r\nSignal=7\r\nX-Other=1\r\n", RELAY, Key("7", 300)),
        (b"Signal=7\r\nDuration=300\r\n", BARE + "; charset=utf-8", Key("7", 300)),
        (b" 9 \r\n", BARE, Key("9", 160)),
        (b"Signal=16", RELAY, Key("", 160)),
        (b"!", BARE, Key("", 160)),
        (b"Signal=flash", "Application/DTMF-Relay", Key("", 160)),
    ],
)
def test_telephones_write_keys_in_many_ways(body: bytes, kind: str, key: Key) -> None:
    asked = info(body, kind)

    assert refusal_of_info(asked) is None
    assert key_of(asked) == key


@pytest.mark.parametrize(
    "body",
    [
        b"5",
        b"Signal=",
        b"Signal=55\r\n",
        b"Signal=17",
        b"Signal=E",
        b"Signal=5\r\nDuration=0",
        b"Signal=5\r\nDuration=-3",
        b"Signal=5\r\nDuration=60001",
        b"Signal=5\r\nDuration=9" + b"9" * 100,
        "Signal=5\r\nDuration=²".encode(),
        "Signal=５".encode(),
        b"\xff\xfe",
        b"Duration=100",
        b"Signal=5" + b" " * 300,
    ],
)
def test_what_cannot_be_a_key_is_a_remote_fault(body: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        key_of(info(body))


@given(st.binary(min_size=1, max_size=400), st.sampled_from([RELAY, BARE]))
def test_arbitrary_bytes_are_a_key_or_a_remote_fault(body: bytes, kind: str) -> None:
    try:
        key = key_of(info(body, kind))
    except RemoteProtocolError:
        return
    assert key is not None
    assert key.digit in DIGITS
    assert 0 < key.duration_ms <= 60_000


def test_an_info_about_nothing_is_about_no_key() -> None:
    asked = info(b"")

    assert refusal_of_info(asked) is None
    assert key_of(asked) is None


@pytest.mark.parametrize("kind", ["application/media_control+xml", "text/plain", ""])
def test_a_body_of_another_kind_is_refused_with_those_that_are_not(kind: str) -> None:
    refused = refusal_of_info(info(b"<x/>", kind))

    assert refused == (
        415,
        [("Accept", "application/dtmf-relay, application/dtmf"), ("Accept-Encoding", "identity")],
    )


def test_a_body_that_is_packed_is_refused() -> None:
    refused = refusal_of_info(info(b"x", RELAY, "Content-Encoding: gzip"))

    assert refused is not None
    assert refused[0] == 415


def test_a_package_is_refused_since_we_have_none() -> None:
    assert refusal_of_info(info(b"", RELAY, "Info-Package: foo")) == (469, [("Recv-Info", "")])
