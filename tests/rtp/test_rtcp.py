import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import RemoteProtocolError
from bridge.rtp.rtcp import (
    CNAME,
    MAX_BLOCKS,
    Goodbye,
    ReceiverReport,
    ReportBlock,
    RtcpPacket,
    SenderReport,
    SourceDescription,
    build,
    middle_of,
    ntp_of,
    parse,
)

WORDS = st.integers(0, 2**32 - 1)
BLOCKS = st.builds(
    ReportBlock, WORDS, st.integers(0, 255), st.integers(-(2**23), 2**23 - 1), WORDS, WORDS, WORDS, WORDS
)
SOME_BLOCKS = st.lists(BLOCKS, max_size=MAX_BLOCKS).map(tuple)
REPORTS: st.SearchStrategy[RtcpPacket] = st.one_of(
    st.builds(SenderReport, WORDS, st.integers(0, 2**64 - 1), WORDS, WORDS, WORDS, SOME_BLOCKS),
    st.builds(ReceiverReport, WORDS, SOME_BLOCKS),
)
ITEMS = st.lists(st.tuples(st.integers(1, 255), st.binary(max_size=255)), max_size=4).map(tuple)
OTHERS: st.SearchStrategy[RtcpPacket] = st.one_of(
    REPORTS,
    st.builds(SourceDescription, WORDS, ITEMS),
    st.builds(Goodbye, st.lists(WORDS, max_size=MAX_BLOCKS).map(tuple), st.binary(max_size=255)),
)
COMPOUNDS = st.tuples(REPORTS, st.lists(OTHERS, max_size=4)).map(lambda parts: [parts[0], *parts[1]])

BLOCK = ReportBlock(0x0102_0304, 64, -2, 0x0001_0005, 77, 0xAABB_CCDD, 65536)
EMPTY = bytes.fromhex("80c90001 00000007")


@given(COMPOUNDS)
def test_what_is_built_is_read_back(packets: list[RtcpPacket]) -> None:
    data = build(packets)

    assert len(data) % 4 == 0
    assert parse(data) == packets


@given(st.binary(max_size=400), st.booleans())
def test_any_bytes_are_read_or_refused_as_the_peers_fault(data: bytes, begins_well: bool) -> None:
    with contextlib.suppress(RemoteProtocolError):
        parse(EMPTY + data if begins_well else data)


@given(COMPOUNDS, st.data())
def test_a_flipped_byte_or_a_cut_is_read_or_refused(packets: list[RtcpPacket], draw: st.DataObject) -> None:
    data = bytearray(build(packets))
    at = draw.draw(st.integers(0, len(data) - 1))
    data[at] ^= draw.draw(st.integers(1, 255))
    with contextlib.suppress(RemoteProtocolError):
        parse(bytes(data[: draw.draw(st.integers(0, len(data)))]))


def test_a_sender_report_lies_on_the_wire_as_the_rfc_draws_it() -> None:
    data = build([SenderReport(7, 0x83AA_7E80_8000_0000, 160, 3, 480, (BLOCK,))])

    assert data == bytes.fromhex(
        "81c8000c 00000007 83aa7e80 80000000 000000a0 00000003 000001e0"
        "01020304 40fffffe 00010005 0000004d aabbccdd 00010000"
    )


def test_a_description_ends_with_a_null_and_whole_words() -> None:
    data = build([ReceiverReport(7), SourceDescription(7, ((CNAME, b"ab"),))])

    assert data == EMPTY + bytes.fromhex("81ca0003 00000007 01026162 00000000")


def test_several_chunks_are_several_descriptions() -> None:
    data = EMPTY + bytes.fromhex("82ca0004 00000007 01016100 00000008 00000000")

    assert parse(data)[1:] == [SourceDescription(7, ((CNAME, b"a"),)), SourceDescription(8, ())]


def test_a_goodbye_may_give_a_reason() -> None:
    data = build([ReceiverReport(7), Goodbye((7, 8), b"bye now"), Goodbye(())])

    assert data == EMPTY + bytes.fromhex("82cb0004 00000007 00000008 07627965206e6f77 80cb0000")
    assert parse(data)[1:] == [Goodbye((7, 8), b"bye now"), Goodbye(())]


def test_unknown_types_and_what_a_profile_appends_are_skipped() -> None:
    extended = bytes.fromhex("80cf0002 00000007 01020304")
    longer = bytes.fromhex("80c90002 00000009 deadbeef")

    assert parse(EMPTY + extended + longer) == [ReceiverReport(7), ReceiverReport(9)]


def test_what_is_no_compound_is_read_all_the_same() -> None:
    # baresip keeps its NAT open with an APP packet named PING of data PONG.
    assert parse(bytes.fromhex("80cc0003 ff465cd7 50494e47 504f4e47")) == []
    assert parse(bytes.fromhex("81cb0001 00000007")) == [Goodbye((7,))]


def test_padding_of_the_last_packet_is_no_content() -> None:
    padded = bytes.fromhex("a1cb0002 00000007 00000004")

    assert parse(EMPTY + padded)[1:] == [Goodbye((7,))]


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        ("", "empty"),
        ("80c900", "no RTCP header"),
        ("40c90001 00000007", "version 1 is not 2"),
        ("80c90002 00000007", "12 bytes, 8 are left"),
        ("80c9ffff 00000007", "262144 bytes, 8 are left"),
        ("a0c90002 00000007 00000004 80cb0000", "padding before"),
        ("80c90001 00000007 a0cb0000 80cb0000", "padding before"),
        ("80c90001 00000007 a0cb0001 00000000", "padding of 0 bytes"),
        ("80c90001 00000007 a0cb0001 00000003", "padding of 3 bytes"),
        ("80c90001 00000007 a0cb0001 00000008", "padding of 8 bytes"),
        ("80c90000", "a source is missing"),
        ("80c80001 00000007", "sender report of 4 bytes"),
        ("81c90001 00000007", "1 report blocks in 4 bytes"),
        ("80c90001 00000007 81cb0000", "a source is missing"),
        ("80c90001 00000007 81cb0002 00000007 04616263", "reason runs over"),
        ("80c90001 00000007 82ca0002 00000007 00000000", "a source is missing"),
        ("80c90001 00000007 81ca0001 00000007", "without its end"),
        ("80c90001 00000007 81ca0002 00000007 01ff6162", "description runs over"),
        ("80c90001 00000007 81ca0002 00000007 01016101", "description runs over"),
    ],
)
def test_lengths_that_lie_are_refused(data: str, complaint: str) -> None:
    with pytest.raises(RemoteProtocolError, match=complaint):
        parse(bytes.fromhex(data))


def test_as_many_blocks_as_a_datagram_holds_are_read() -> None:
    reports: list[RtcpPacket] = [ReceiverReport(number, (BLOCK,) * MAX_BLOCKS) for number in range(80)]

    assert parse(build(reports)) == reports


@pytest.mark.parametrize(
    "packet",
    [
        ReceiverReport(1 << 32),
        ReceiverReport(1, (BLOCK,) * 32),
        ReceiverReport(1, (ReportBlock(1, 256, 0, 0, 0, 0, 0),)),
        SourceDescription(1, ((CNAME, bytes(256)),)),
        Goodbye((1,), bytes(256)),
        Goodbye((1,) * 32),
    ],
)
def test_what_does_not_fit_is_our_own_fault(packet: RtcpPacket) -> None:
    with pytest.raises(ValueError, match=r"fit|bits"):
        build([packet])


@pytest.mark.parametrize(("lost", "told"), [(1 << 30, 2**23 - 1), (-(1 << 30), -(2**23))])
def test_a_loss_beyond_24_bits_stays_at_the_border(lost: int, told: int) -> None:
    block = ReportBlock(1, 0, lost, 0, 0, 0, 0)

    (report,) = parse(build([ReceiverReport(1, (block,))]))

    assert isinstance(report, ReceiverReport)
    assert report.blocks[0].cumulative_lost == told


def test_wall_time_becomes_ntp_time() -> None:
    # RFC 5905 figure 4: 1 January 1970 is second 2,208,988,800; half a second is 0x8000_0000.
    ntp = ntp_of(1_500_000_000)

    assert struct.pack(">Q", ntp) == struct.pack(">II", 2_208_988_801, 0x8000_0000)
    assert middle_of(ntp) == (2_208_988_801 & 0xFFFF) << 16 | 0x8000
    # The first era ends in 2036; time goes on.
    assert ntp_of((2**32 - 2_208_988_800) * 10**9) == 0
