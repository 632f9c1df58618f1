import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import RemoteProtocolError
from bridge.plane.packets import MAX_PACKET_BYTES, Arrivals, PacketBuffer, parse_headers
from bridge.rtp.header import RtpPacket, build, parse

DATAGRAMS = st.binary(max_size=90) | st.tuples(
    st.sampled_from([0x80, 0x90, 0xA0, 0xB3, 0x8F, 0x40]), st.binary(min_size=11, max_size=90)
).map(lambda parts: bytes([parts[0]]) + parts[1])


def arrived(*datagrams: bytes) -> Arrivals:
    arrivals = Arrivals(max(len(datagrams), 1))
    for row, datagram in enumerate(datagrams):
        arrivals.add(datagram, row=row, source=row)
    return arrivals


@given(st.lists(DATAGRAMS, max_size=12))
def test_a_batch_is_read_exactly_as_packet_by_packet(datagrams: list[bytes]) -> None:
    arrivals = arrived(*datagrams)

    headers = parse_headers(arrivals, np.arange(len(datagrams)))

    for at, datagram in enumerate(datagrams):
        try:
            packet = parse(datagram)
        except RemoteProtocolError:
            assert not headers.valid[at]
            continue
        assert headers.valid[at]
        assert headers.payload_types[at] == packet.payload_type
        assert headers.sequences[at] == packet.sequence
        assert headers.timestamps[at] == packet.timestamp
        assert headers.ssrcs[at] == packet.ssrc
        payload = arrivals.packets[at, headers.begins[at] : headers.ends[at]]
        assert payload.tobytes() == packet.payload


def test_only_some_of_a_batch_can_be_kept() -> None:
    packets = [build(RtpPacket(0, number, 0, 0, b"x")) for number in range(4)]

    kept = parse_headers(arrived(*packets), np.arange(4)).only(np.array([False, True, False, True]))

    assert kept.sequences.tolist() == [1, 3]
    assert kept.ends.tolist() == [13, 13]


def test_a_datagram_longer_than_its_buffer_is_cut() -> None:
    arrivals = arrived(b"\x80" * 2000)

    assert arrivals.lengths[0] == MAX_PACKET_BYTES


def test_a_full_buffer_takes_no_more() -> None:
    arrivals = arrived(b"one")

    with pytest.raises(IndexError):
        arrivals.add(b"two", row=0, source=0)


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF_FFFF), st.integers(0, 0xFFFF_FFFF), st.booleans())
def test_what_is_built_reads_back(sequence: int, timestamp: int, ssrc: int, marker: bool) -> None:
    payload = np.arange(160, dtype=np.uint8)

    departures = PacketBuffer(4).build(
        rows=np.array([2]),
        destinations=np.array([5]),
        seconds=np.array([marker << 7 | 8], np.uint8),
        sequences=np.array([sequence]),
        timestamps=np.array([timestamp]),
        ssrcs=np.array([ssrc]),
        payloads=payload[None, :],
    )

    assert len(departures) == 1
    assert departures.rows.tolist() == [2]
    assert departures.lengths.tolist() == [172]
    assert parse(departures.packets[0, :172].tobytes()) == RtpPacket(
        8, sequence, timestamp, ssrc, payload.tobytes(), marker=marker
    )


@given(st.lists(st.tuples(st.binary(max_size=40), st.booleans()), max_size=8), st.integers(0, 3))
def test_what_is_removed_leaves_the_others_in_order(datagrams: list[tuple[bytes, bool]], spare: int) -> None:
    arrivals = Arrivals(len(datagrams) + spare + 1)
    for number, (data, _) in enumerate(datagrams):
        arrivals.add(data, row=number, source=number + 100, is_rtcp=number % 2 == 1)

    arrivals.remove(np.array([at for at, (_, stays) in enumerate(datagrams) if not stays], np.intp))

    kept = [(number, data) for number, (data, stays) in enumerate(datagrams) if stays]
    assert arrivals.count == len(kept)
    for at, (number, data) in enumerate(kept):
        assert arrivals.packets[at, : arrivals.lengths[at]].tobytes() == data
        assert (arrivals.rows[at], arrivals.sources[at]) == (number, number + 100)
        assert arrivals.is_rtcp[at] == (number % 2 == 1)
