import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.load.tape import ReceivedPacket, Tape, is_silent, read_packet


def packet(sequence: int = 1) -> ReceivedPacket:
    return ReceivedPacket(0, sequence, 0, 0, False, 1, b"\xff" * 160)


def test_a_packet_is_taken_apart() -> None:
    data = struct.pack("!BBHII", 0x80, 0x80 | 101, 65_535, 4_000_000_000, 0xDEADBEEF) + b"abcd"

    found = read_packet(data, arrival_ns=12)

    assert found == ReceivedPacket(12, 65_535, 4_000_000_000, 101, True, 0xDEADBEEF, b"abcd")


def test_sources_extension_and_padding_are_not_payload() -> None:
    header = struct.pack("!BBHII", 0xB2, 0, 1, 2, 3)
    sources, extension, padding = b"s" * 8, struct.pack("!HH4s", 0xBEDE, 1, b"xxxx"), b"\0\0\3"

    found = read_packet(header + sources + extension + b"payload" + padding, arrival_ns=0)

    assert found is not None
    assert found.payload == b"payload"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80" * 11,
        b"\x40" + bytes(20),
        b"\x8f" + bytes(20),
        b"\x90" + bytes(11),
        b"\x90" + bytes(13) + b"\xff\xff",
    ],
    ids=["empty", "short", "version 1", "too many sources", "no room for an extension", "extension too long"],
)
def test_what_is_not_rtp_is_none(data: bytes) -> None:
    assert read_packet(data, arrival_ns=0) is None


@given(st.binary(max_size=64))
def test_no_datagram_can_raise(data: bytes) -> None:
    packet = read_packet(data, arrival_ns=0)

    assert packet is None or len(packet.payload) <= len(data) - 12


def test_both_zeros_of_g711_are_silence_and_the_softest_sound_is_not() -> None:
    assert is_silent(b"\xff\x7f" * 80, 0)
    assert is_silent(b"\xd5\x55" * 80, 8)
    assert not is_silent(b"\xff" * 159 + b"\xfe", 0)
    assert not is_silent(b"\xff" * 160, 8)


def test_a_full_tape_counts_what_it_does_not_keep() -> None:
    tape = Tape(packets_max=2)

    for sequence in range(5):
        tape.add_received(packet(sequence))

    assert [kept.sequence for kept in tape.received] == [0, 1]
    assert tape.overflow == 3
    assert [kept.sequence for kept in tape.latest(1)] == [1]
