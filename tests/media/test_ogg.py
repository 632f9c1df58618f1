import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import RemoteProtocolError
from bridge.media.ogg import (
    OggReader,
    OggWriter,
    OpusHead,
    Packet,
    opus_tags,
    parse_opus_head,
    parse_opus_tags,
)

PACKETS = st.lists(st.integers(0, 700).map(bytes), max_size=40)


def slow_crc(page: bytes) -> int:
    """RFC 3533 §6: polynomial 0x04c11db7, nothing inverted."""
    crc = 0
    for byte in page:
        crc ^= byte << 24
        for _ in range(8):
            crc = crc << 1 ^ (0x04C11DB7 if crc & 0x80000000 else 0)
            crc &= 0xFFFFFFFF
    return crc


def page(
    body: bytes, lengths: list[int], *, flags: int, granule: int = -1, serial: int = 5, sequence: int = 0
) -> bytes:
    fields = (b"OggS", 0, flags, granule, serial, sequence)
    rest = bytes(lengths) + body
    crc = slow_crc(struct.pack("<4sBBqIIIB", *fields, 0, len(lengths)) + rest)
    return struct.pack("<4sBBqIIIB", *fields, crc, len(lengths)) + rest


def test_a_page_is_what_the_specification_draws() -> None:
    writer = OggWriter(5)

    first = writer.page([b"ab", b"c" * 255], 7)
    last = writer.page([], 8, is_last=True)

    assert first == page(b"ab" + b"c" * 255, [2, 255, 0], flags=2, granule=7)
    assert last == page(b"", [], flags=4, granule=8, sequence=1)


@pytest.mark.parametrize(("size", "fit"), [(1275, 42), (254, 50), (0, 50)])
def test_many_packets_go_on_as_many_pages_as_they_need(size: int, fit: int) -> None:
    packets = [bytes([n]) * size for n in range(101)]

    read = OggReader().push(OggWriter(1).pages(packets, 101 * 960, step=960))

    assert [packet.data for packet in read] == packets
    assert [packet.granule for packet in read if packet.granule] == [fit * 960, 2 * fit * 960, 101 * 960]


def test_the_last_packet_knows_that_it_is_the_last() -> None:
    writer = OggWriter(1)

    read = OggReader().push(writer.page([b"a", b"b"], 1920) + writer.page([b"c", b"d"], 2500, is_last=True))

    assert read == [Packet(b"a"), Packet(b"b", 1920), Packet(b"c"), Packet(b"d", 2500, is_last=True)]


@given(PACKETS, st.lists(st.integers(1, 300), max_size=30))
def test_packets_come_out_as_they_went_in_however_the_bytes_are_cut(
    packets: list[bytes], cuts: list[int]
) -> None:
    data = OggWriter(9).pages(packets, 0, step=960)
    reader = OggReader()
    read: list[Packet] = []
    at = 0
    for size in [*cuts, len(data)]:
        read += reader.push(data[at : at + size])
        at += size

    assert [packet.data for packet in read] == packets


def test_a_packet_may_run_over_pages() -> None:
    data = page(b"a" * 255, [255], flags=2) + page(b"b" * 255 + b"c" + b"dd", [255, 1, 2], flags=1, granule=3)

    assert OggReader().push(data) == [Packet(b"a" * 255 + b"b" * 255 + b"c"), Packet(b"dd", 3)]


def test_pieces_without_their_beginning_or_end_are_dropped() -> None:
    data = (
        page(b"a" * 255, [255], flags=2)
        + page(b"b", [1], flags=0)
        + page(b"c" * 255 + b"d" + b"e", [255, 1, 1], flags=1)
    )

    assert [packet.data for packet in OggReader().push(data)] == [b"b", b"e"]


def test_a_granule_below_nothing_is_not_known() -> None:
    assert OggReader().push(page(b"a", [1], flags=2, granule=-2)) == [Packet(b"a")]


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"RIFF", "no Ogg page"),
        (b"OggS\x01", "no Ogg page"),
        (page(b"a", [1], flags=2)[:-1] + b"b", "checksum"),
        (page(b"a", [1], flags=0), "another Ogg stream"),
        (page(b"a", [1], flags=2) + page(b"a", [1], flags=0, serial=6), "another Ogg stream"),
        (page(b"a", [1], flags=2) + page(b"a", [1], flags=2), "another Ogg stream"),
        (page(b"a", [1], flags=6) + page(b"a", [1], flags=0), "another Ogg stream"),
    ],
)
def test_what_is_no_single_ogg_stream_is_refused(data: bytes, complaint: str) -> None:
    with pytest.raises(RemoteProtocolError, match=complaint):
        OggReader().push(data)


def test_a_packet_without_an_end_does_not_fill_the_memory() -> None:
    reader = OggReader()
    endless = OggWriter(5)
    reader.push(endless.page([b""], 0))
    full = [255] * 255
    body = bytes(255 * 255)
    reader.push(page(body, full, flags=0))
    continued = page(body, full, flags=1)
    for _ in range(3):
        reader.push(continued)

    with pytest.raises(RemoteProtocolError, match="larger than 262144 bytes"):
        reader.push(continued)


@given(st.binary(max_size=150))
def test_any_bytes_after_a_page_are_read_or_refused(data: bytes) -> None:
    reader = OggReader()
    reader.push(OggWriter(5).page([b"x"], 0))

    try:
        packets = reader.push(b"OggS\0" + data)
    except RemoteProtocolError:
        packets = []

    assert packets == []


def test_a_head_survives_the_wire() -> None:
    head = OpusHead(1, 312, 24000, -1.5)

    assert parse_opus_head(head.pack()) == head


@pytest.mark.parametrize(
    "packet",
    [
        b"OpusHead",
        b"OpusTags" + bytes(11),
        OpusHead(3, 0, 0).pack(),
        OpusHead(1, 0, 0).pack()[:-1] + b"\x01",
        b"OpusHead\x10" + OpusHead(1, 0, 0).pack()[9:],
    ],
)
def test_a_head_we_cannot_play_is_refused(packet: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="7845"):
        parse_opus_head(packet)


def test_comments_survive_the_wire_and_their_keys_have_no_case() -> None:
    packet = opus_tags("someone", {"aigc": "a=b", "TITLE": "你好"})

    assert parse_opus_tags(packet) == {"AIGC": "a=b", "TITLE": "你好"}


@pytest.mark.parametrize("size", [0, 8, 10, 18, 22, 30])
def test_comments_that_are_cut_off_are_refused(size: int) -> None:
    with pytest.raises(RemoteProtocolError, match="OpusTags"):
        parse_opus_tags(opus_tags("someone", {"AIGC": "12345678"})[:size])


@given(st.binary(max_size=80))
def test_any_bytes_are_headers_or_refused(data: bytes) -> None:
    with contextlib.suppress(RemoteProtocolError):
        assert parse_opus_head(b"OpusHead" + data).channels in (1, 2)
    with contextlib.suppress(RemoteProtocolError):
        assert all(isinstance(text, str) for text in parse_opus_tags(b"OpusTags" + data).values())
