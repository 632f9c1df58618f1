import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import RemoteProtocolError
from bridge.rtp.header import RtpPacket, build, parse

PACKETS = st.builds(
    RtpPacket,
    payload_type=st.integers(0, 127),
    sequence=st.integers(0, 0xFFFF),
    timestamp=st.integers(0, 0xFFFF_FFFF),
    ssrc=st.integers(0, 0xFFFF_FFFF),
    payload=st.binary(max_size=400),
    marker=st.booleans(),
)
PLAIN = build(RtpPacket(0, 7, 160, 99, b"sound"))


@given(PACKETS)
def test_what_is_built_is_what_is_parsed(packet: RtpPacket) -> None:
    assert parse(build(packet)) == packet


@given(st.binary(max_size=80) | st.binary(max_size=40).map(lambda tail: b"\xb0" + tail))
def test_arbitrary_bytes_are_a_packet_or_a_remote_fault(data: bytes) -> None:
    try:
        packet = parse(data)
    except RemoteProtocolError:
        return
    assert packet.payload in data


def test_sources_extension_and_padding_are_stepped_over() -> None:
    data = bytearray(PLAIN)
    data[0] = 0x80 | 0x20 | 0x10 | 2
    data[12:12] = b"\0" * 8 + struct.pack(">HH", 0xBEDE, 1) + b"\1\2\3\4"
    data += b"\0\0\3"

    packet = parse(bytes(data))

    assert packet.payload == b"sound"


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "0 bytes are no RTP header"),
        (PLAIN[:11], "11 bytes are no RTP header"),
        (b"\x40" + PLAIN[1:], "RTP version 1 is not 2"),
        (b"\x90" + PLAIN[1:12] + b"\xbe\xde", "the header extension is cut off"),
        (b"\x90" + PLAIN[1:12] + b"\xbe\xde\0\x09", "the header takes 52 of 16 bytes"),
        (b"\x8f" + PLAIN[1:], "the header takes 72 of 17 bytes"),
        (b"\xa0" + PLAIN[1:12] + b"\0", "padding of 0 bytes"),
        (b"\xa0" + PLAIN[1:12] + b"\x02", "the header takes 12 of 11 bytes"),
    ],
)
def test_lying_headers_are_refused(data: bytes, complaint: str) -> None:
    with pytest.raises(RemoteProtocolError, match=complaint):
        parse(data)


def test_a_field_that_does_not_fit_is_our_own_mistake() -> None:
    with pytest.raises(ValueError, match="payload type 128 does not fit 7 bits"):
        build(RtpPacket(128, 0, 0, 0, b""))
    with pytest.raises(ValueError, match="a field does not fit its bits"):
        build(RtpPacket(0, 65536, 0, 0, b""))
