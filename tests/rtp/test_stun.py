from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import RemoteProtocolError
from bridge.rtp.stun import (
    BINDING_ERROR,
    BINDING_REQUEST,
    BINDING_SUCCESS,
    ERROR_CODE,
    MESSAGE_INTEGRITY,
    PRIORITY,
    USERNAME,
    XOR_MAPPED_ADDRESS,
    StunMessage,
    error_code,
    has_integrity,
    is_stun,
    xor_address,
)

VECTORS = Path(__file__).parents[1] / "vectors"
PASSWORD = b"VOkJxbRl1RmTxUk/WvJxBt"
TRANSACTION = bytes.fromhex("b7e7a701bc34d686fa87dfae")


def vector(name: str) -> bytes:
    return (VECTORS / f"rfc5769_{name}.stun").read_bytes()


def test_the_request_of_rfc_5769_is_read() -> None:
    data = vector("request")

    message = StunMessage.parse(data)

    assert (message.kind, message.transaction, message.is_signed) == (BINDING_REQUEST, TRANSACTION, True)
    assert message.attribute(USERNAME) == b"evtj:h6vY"
    assert message.attribute(PRIORITY) == bytes.fromhex("6e0001ff")
    assert message.attribute(XOR_MAPPED_ADDRESS) is None
    assert has_integrity(data, PASSWORD)
    assert not has_integrity(data, b"another")


@pytest.mark.parametrize(
    ("name", "host"), [("answer_ipv4", "192.0.2.1"), ("answer_ipv6", "2001:db8:1234:5678:11:2233:4455:6677")]
)
def test_the_answers_of_rfc_5769_are_read_and_could_be_ours(name: str, host: str) -> None:
    data = vector(name)

    message = StunMessage.parse(data)

    assert message.kind == BINDING_SUCCESS
    assert has_integrity(data, PASSWORD)
    assert message.attribute(XOR_MAPPED_ADDRESS) == xor_address((host, 32853), TRANSACTION)
    # They pad with spaces and we with zeros, so only what is aligned comes out alike.
    ours = StunMessage(message.kind, TRANSACTION, message.attributes[1:]).signed(PASSWORD)
    assert StunMessage.parse(ours).attributes == message.attributes[1:]
    assert has_integrity(ours, PASSWORD)


def test_what_stands_behind_the_integrity_is_not_believed() -> None:
    signed = StunMessage(BINDING_REQUEST, TRANSACTION, ((USERNAME, b"a:b"),)).signed(PASSWORD)
    body = signed[20:-8] + bytes.fromhex("00250000")
    forged = signed[:2] + len(body).to_bytes(2, "big") + signed[4:20] + body

    assert StunMessage.parse(forged).attributes == ((USERNAME, b"a:b"),)
    assert has_integrity(forged, PASSWORD)


def test_a_message_without_integrity_has_none_under_any_key() -> None:
    data = bytes(StunMessage(BINDING_ERROR, TRANSACTION, ((ERROR_CODE, error_code(487, "Role Conflict")),)))

    assert not StunMessage.parse(data).is_signed
    assert not has_integrity(data, PASSWORD)
    assert StunMessage.parse(data).attribute(ERROR_CODE) == b"\0\0\4\x57Role Conflict"


def header(length: int, *, kind: int = BINDING_REQUEST, cookie: str = "2112a442") -> bytes:
    return kind.to_bytes(2, "big") + length.to_bytes(2, "big") + bytes.fromhex(cookie) + TRANSACTION


@pytest.mark.parametrize(
    "data",
    [
        b"",
        header(0)[:-1],
        header(0, kind=0x4001),
        header(0, cookie="2112a443"),
        header(4),
        header(2) + b"ab",
        header(4) + bytes.fromhex("00060001"),
        header(8) + MESSAGE_INTEGRITY.to_bytes(2, "big") + bytes.fromhex("000400000000"),
        header(8) + bytes.fromhex("8028000400000000"),
        header(12) + bytes.fromhex("802800040000000000250000"),
        header(4 * 65) + bytes.fromhex("80220000") * 65,
    ],
)
def test_malformed_messages_are_refused(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        StunMessage.parse(data)


def test_the_first_byte_tells_stun_from_its_neighbours() -> None:
    assert is_stun(b"\x00\x01")
    assert is_stun(b"\x03")
    assert not is_stun(b"\x14")
    assert not is_stun(b"\x80")
    assert not is_stun(b"")


@given(st.binary(max_size=80), st.booleans())
def test_any_bytes_are_read_or_refused(data: bytes, with_header: bool) -> None:
    data = header(len(data)) + data if with_header else data
    try:
        message = StunMessage.parse(data)
    except RemoteProtocolError:
        return
    has_integrity(data, PASSWORD)
    assert StunMessage.parse(bytes(message)).attributes == message.attributes


@given(
    st.integers(0, 0x3FFF),
    st.lists(st.tuples(st.sampled_from([USERNAME, PRIORITY, 0x8022]), st.binary(max_size=20)), max_size=5),
)
def test_what_is_written_is_read_again(kind: int, attributes: list[tuple[int, bytes]]) -> None:
    message = StunMessage(kind, TRANSACTION, tuple(attributes))

    data = message.signed(PASSWORD)

    assert StunMessage.parse(data) == StunMessage(kind, TRANSACTION, tuple(attributes), is_signed=True)
    assert has_integrity(data, PASSWORD)
