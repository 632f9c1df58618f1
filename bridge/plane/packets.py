"""Batches of RTP packets as columns (RFC 3550 §5.1): buffers made once, headers handled all at once."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bridge.plane.columns import FRAME_SAMPLES
from bridge.plane.keypad import Strokes

__all__ = [
    "HEADER",
    "HEADER_BYTES",
    "MAX_PACKET_BYTES",
    "TRAILER_BYTES",
    "Arrivals",
    "Departures",
    "Headers",
    "parse_headers",
]

HEADER = np.dtype(
    [("first", "u1"), ("second", "u1"), ("sequence", ">u2"), ("timestamp", ">u4"), ("ssrc", ">u4")]
)
"""`first` is version, padding, extension and CSRC count; `second` is marker and payload type."""
HEADER_BYTES = HEADER.itemsize
MAX_PACKET_BYTES = 1500
PACKET_BYTES = HEADER_BYTES + FRAME_SAMPLES
TRAILER_BYTES = 20
"""Room behind every packet that we build: the longest tag of SRTP, and the index of SRTCP (RFC 7714 §9)."""

_PLAIN = 0x80
"""Version 2, no padding, no extension, no CSRC: what nearly every packet begins with."""


class Arrivals:
    """Datagrams received in one tick, filled by the engine in the order of their arrival.

    Args:
        capacity: How many datagrams fit.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity: int = capacity
        self.packets: NDArray[np.uint8] = np.zeros((capacity, MAX_PACKET_BYTES), np.uint8)
        self.lengths: NDArray[np.int32] = np.zeros(capacity, np.int32)
        """As they were on the wire: one beyond `MAX_PACKET_BYTES` lacks its end, and is refused."""
        self.rows: NDArray[np.intp] = np.zeros(capacity, np.intp)
        """Row whose socket each datagram arrived on."""
        self.sources: NDArray[np.int64] = np.zeros(capacity, np.int64)
        """Source address, ``ip << 16 | port``."""
        self.is_rtcp: NDArray[np.bool_] = np.zeros(capacity, np.bool_)
        """Whether it arrived on the row's RTCP socket; muxed RTCP is told by its type."""
        self.waited_ns: NDArray[np.int64] = np.zeros(capacity, np.int64)
        """For how long each lay in the kernel before the tick; 0 where nobody knows."""
        self.count: int = 0
        """How many of them are valid."""
        self.headers: NDArray[np.void] = self.packets[:, :HEADER_BYTES].view(HEADER)[:, 0]
        """The fixed headers, in place."""

    def from_row(self, first: int) -> "Arrivals":
        """The same datagrams as somebody sees them whose row 0 is `first`; nothing is copied but the rows."""
        seen = object.__new__(Arrivals)
        vars(seen).update(vars(self))
        seen.rows = self.rows - first
        return seen

    def add(self, packet: bytes, *, row: int, source: int, is_rtcp: bool = False) -> None:
        """Append one datagram: for callers that receive them one by one.

        Raises:
            IndexError: If the buffer is full.
        """
        at = self.count
        data = packet[:MAX_PACKET_BYTES]
        self.packets[at, : len(data)] = np.frombuffer(data, np.uint8)
        self.lengths[at] = len(packet)
        self.rows[at] = row
        self.sources[at] = source
        self.is_rtcp[at] = is_rtcp
        self.waited_ns[at] = 0
        self.count = at + 1

    def remove(self, dropped: NDArray[np.intp]) -> None:
        """Take out datagrams at these indices; the others stay in order."""
        keep = np.delete(np.arange(self.count), dropped)
        count = len(keep)
        begin = int(dropped[0]) if len(dropped) else count
        # Only what stands behind the first one moves, and only as far as it is filled.
        width = int(self.lengths[keep[begin:]].max(initial=0))
        self.packets[begin:count, :width] = self.packets[keep[begin:], :width]
        for column in (self.lengths, self.rows, self.sources, self.is_rtcp, self.waited_ns):
            column[:count] = column[keep]
        self.count = count


class Departures:
    """Packets built in one tick: views into buffers of the plane, valid until its next `build`."""

    __slots__ = ("destinations", "lengths", "packets", "rows")

    def __init__(
        self,
        packets: NDArray[np.uint8],
        lengths: NDArray[np.int32],
        rows: NDArray[np.intp],
        destinations: NDArray[np.int64],
    ) -> None:
        self.packets: NDArray[np.uint8] = packets
        """``[m, longest]``, C-contiguous: `TRAILER_BYTES` more than the longest packet."""
        self.lengths: NDArray[np.int32] = lengths
        self.rows: NDArray[np.intp] = rows
        """Rows that send; fewer than were asked for when some are held or their peer is unknown.

        ``~row`` sends from the row's RTCP socket.
        """
        self.destinations: NDArray[np.int64] = destinations
        """Where each goes, ``ip << 16 | port``."""

    def __len__(self) -> int:
        return len(self.rows)

    @classmethod
    def of(cls, packets: Sequence[tuple[int, int, bytes]]) -> "Departures":
        """Row, destination and bytes of each packet, in order; rows may repeat."""
        lengths = np.array([len(packet) for _, _, packet in packets], np.int32)
        buffer = np.zeros((len(packets), int(lengths.max(initial=0)) + TRAILER_BYTES), np.uint8)
        for line, (_, _, packet) in zip(buffer, packets, strict=True):
            line[: len(packet)] = np.frombuffer(packet, np.uint8)
        rows = np.array([row for row, _, _ in packets], np.intp)
        return cls(buffer, lengths, rows, np.array([key for _, key, _ in packets], np.int64))

    @classmethod
    def join(cls, parts: "Sequence[Departures]") -> "Departures":
        """All packets of the parts, one part after the other; the only one that has any stays as it is."""
        some = [part for part in parts if len(part)]
        if len(some) < 2:
            return some[0] if some else parts[0]
        packets = np.zeros((sum(map(len, some)), max(part.packets.shape[1] for part in some)), np.uint8)
        at = 0
        for part in some:
            packets[at : at + len(part), : part.packets.shape[1]] = part.packets
            at += len(part)
        return cls(
            packets,
            np.concatenate([part.lengths for part in some]),
            np.concatenate([part.rows for part in some]),
            np.concatenate([part.destinations for part in some]),
        )


class Headers:
    """Header fields of one batch as signed 64-bit columns, so that differences need no care."""

    __slots__ = ("begins", "ends", "payload_types", "sequences", "ssrcs", "timestamps", "valid")

    def __init__(self, arrivals: Arrivals, chosen: NDArray[np.intp]) -> None:
        raw = arrivals.headers[chosen]
        lengths = arrivals.lengths[chosen].astype(np.int64)
        first = raw["first"]
        self.payload_types: NDArray[np.int64] = raw["second"].astype(np.int64) & 0x7F
        self.sequences: NDArray[np.int64] = raw["sequence"].astype(np.int64)
        self.timestamps: NDArray[np.int64] = raw["timestamp"].astype(np.int64)
        self.ssrcs: NDArray[np.int64] = raw["ssrc"].astype(np.int64)
        self.begins: NDArray[np.int64] = np.full(len(chosen), HEADER_BYTES, np.int64)
        """Offset of the payload's first byte."""
        self.ends: NDArray[np.int64] = lengths
        """Offset after the payload's last byte."""
        self.valid: NDArray[np.bool_] = (lengths >= HEADER_BYTES) & (lengths <= MAX_PACKET_BYTES)
        """Whether it is RTP at all and its lengths do not lie."""
        unusual = (self.valid & (first != _PLAIN)).nonzero()[0]
        if len(unusual):
            self._read_unusual(arrivals, chosen, unusual, first[unusual].astype(np.int64))

    def only(self, mask: NDArray[np.bool_]) -> "Headers":
        """Those of the packets where `mask` is set."""
        chosen = object.__new__(Headers)
        for name in self.__slots__:
            setattr(chosen, name, getattr(self, name)[mask])
        return chosen

    def _read_unusual(
        self,
        arrivals: Arrivals,
        chosen: NDArray[np.intp],
        unusual: NDArray[np.intp],
        first: NDArray[np.int64],
    ) -> None:
        """Find the payload behind CSRCs and extension (§5.3.1) and before padding (§5.1)."""
        where = chosen[unusual]
        ends = self.ends[unusual]
        begins = HEADER_BYTES + 4 * (first & 0x0F)
        extended = first & 0x10 != 0
        fits = begins + 4 <= ends
        # Offsets are clipped so that a lying length reads a byte of our own buffer and is then refused.
        at = np.minimum(begins + 2, MAX_PACKET_BYTES - 2)
        words = arrivals.packets[where, at].astype(np.int64) << 8 | arrivals.packets[where, at + 1]
        begins = np.where(extended, begins + 4 + 4 * words, begins)
        padded = first & 0x20 != 0
        padding = arrivals.packets[where, ends - 1].astype(np.int64)
        ends = np.where(padded, ends - padding, ends)
        valid = (first >> 6 == 2) & (fits | ~extended) & (begins <= ends) & (~padded | (padding > 0))
        self.begins[unusual] = begins
        self.ends[unusual] = ends
        self.valid[unusual] = valid


def parse_headers(arrivals: Arrivals, chosen: NDArray[np.intp]) -> Headers:
    """Read the headers of the datagrams at the indices `chosen`."""
    return Headers(arrivals, chosen)


class PacketBuffer:
    """Outgoing packets of up to `capacity` rows: made once, overwritten by every tick."""

    def __init__(self, capacity: int) -> None:
        self._packets = np.zeros((capacity, PACKET_BYTES + TRAILER_BYTES), np.uint8)
        self._headers = self._packets[:, :HEADER_BYTES].view(HEADER)[:, 0]
        self._lengths = np.full(capacity, PACKET_BYTES, np.int32)

    def build(
        self,
        *,
        rows: NDArray[np.intp],
        destinations: NDArray[np.int64],
        seconds: NDArray[np.uint8],
        sequences: NDArray[np.int64],
        timestamps: NDArray[np.int64],
        ssrcs: NDArray[np.int64],
        payloads: NDArray[np.uint8],
    ) -> Departures:
        """Write one packet per row: `seconds` is each header's second byte, `payloads` is ``[m, 160]``."""
        count = len(rows)
        self._lengths[:count] = PACKET_BYTES
        headers = self._headers[:count]
        headers["first"] = _PLAIN
        headers["second"] = seconds
        headers["sequence"] = sequences
        headers["timestamp"] = timestamps
        headers["ssrc"] = ssrcs
        if count:
            self._packets[:count, HEADER_BYTES:PACKET_BYTES] = payloads
        return Departures(self._packets[:count], self._lengths[:count], rows, destinations)

    def replace(self, positions: NDArray[np.intp], strokes: Strokes) -> None:
        """Put telephone events, under their own types and timestamps, into packets just built."""
        length = strokes.payloads.shape[1]
        self._headers["second"][positions] = strokes.seconds
        self._headers["timestamp"][positions] = strokes.timestamps
        self._packets[positions, HEADER_BYTES : HEADER_BYTES + length] = strokes.payloads
        self._lengths[positions] = HEADER_BYTES + length

    def comfort(self, positions: NDArray[np.intp], payload_types: NDArray[np.uint8], sid: bytes) -> None:
        """Put the same SID, under their own types and without a marker, into packets just built."""
        self._headers["second"][positions] = payload_types
        self._packets[positions, HEADER_BYTES : HEADER_BYTES + len(sid)] = np.frombuffer(sid, np.uint8)
        self._lengths[positions] = HEADER_BYTES + len(sid)
