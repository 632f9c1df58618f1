"""The far end of many calls on one UDP socket: batches through cffi, receive times by the kernel.

One process must play 500 phones and not be what is measured: a packet costs it about 8 µs.
"""

import socket
import time
from typing import Any

import cffi
import numpy as np
from numpy.typing import NDArray

from tests.bench.layouts import IOVEC, MMSGHDR, RTP, SO_TIMESTAMPNS, STAMP

__all__ = ["FarEnd", "Received", "kernel_offset_ns"]

PAYLOAD = 160
PACKET = 12 + PAYLOAD
_BATCH = 512
_SO_RCVBUFFORCE = 33
_BUFFER_BYTES = 8 << 20

_DECLARATIONS = """
int recvmmsg(int fd, uintptr_t messages, unsigned int count, int flags, uintptr_t timeout);
int sendmmsg(int fd, uintptr_t messages, unsigned int count, int flags);
"""
_ADDRESS = np.dtype([("family", "u2"), ("port", ">u2"), ("ip", ">u4"), ("zero", "u8")])


class Received:
    """Columns of everything that came back, in order of arrival."""

    def __init__(self, capacity: int) -> None:
        self.count = 0
        self.arrival_ns: NDArray[np.int64] = np.zeros(capacity, np.int64)
        self.ssrc: NDArray[np.uint32] = np.zeros(capacity, np.uint32)
        self.sequence: NDArray[np.uint16] = np.zeros(capacity, np.uint16)
        self.timestamp: NDArray[np.uint32] = np.zeros(capacity, np.uint32)
        self.is_silent: NDArray[np.bool_] = np.zeros(capacity, np.bool_)
        self.payload: NDArray[np.uint8] = np.zeros((0, PAYLOAD), np.uint8)
        """Of all of them, up to `PAYLOAD` bytes each; none unless they are asked for."""
        self.overflow = 0


class FarEnd:
    """One socket, N destinations: row i is the phone that talks to the i-th port of `call`.

    Args:
        legs: Number of phones.
        payloads: [k, 160] codes; every row says them over and over.
        keep: Packets to remember.
        watch_ssrc: Payloads of this source are kept whole, for a comparison bit by bit.
        keeps_payloads: Keep all of them in `Received.payload`.
    """

    def __init__(
        self,
        legs: int,
        payloads: NDArray[np.uint8],
        *,
        keep: int,
        watch_ssrc: int,
        keeps_payloads: bool = False,
    ) -> None:
        self.received = Received(keep)
        if keeps_payloads:
            self.received.payload = np.zeros((keep, PAYLOAD), np.uint8)
        self.watched: list[tuple[int, bytes]] = []
        self._watch_ssrc = watch_ssrc
        self._payloads = payloads
        self._ffi = cffi.FFI()
        self._ffi.cdef(_DECLARATIONS)
        self._libc: Any = self._ffi.dlopen(None)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        for option in (_SO_RCVBUFFORCE, socket.SO_RCVBUF):
            try:
                self.socket.setsockopt(socket.SOL_SOCKET, option, _BUFFER_BYTES)
                break
            except PermissionError:
                continue
        self.sent: NDArray[np.int64] = np.zeros(legs, np.int64)
        self.offset_ns: int = kernel_offset_ns()
        self._build_outgoing(legs)
        self._build_incoming()

    def _build_outgoing(self, count: int) -> None:
        self._out = np.zeros(count, RTP)
        self._out["first"] = 0x80
        self._out["ssrc"] = np.arange(count) + 0x10000
        self._addresses = np.zeros(count, _ADDRESS)
        self._addresses["family"] = socket.AF_INET
        self._addresses["ip"] = 0x7F000001
        self._out_vectors = _vectors(self._out)
        self._out_headers = _headers(self._out_vectors)
        self._out_headers["name"] = _places(self._addresses)
        self._out_headers["name_length"] = _ADDRESS.itemsize

    def _build_incoming(self) -> None:
        self._in = np.zeros((_BATCH, 256), np.uint8)
        self._stamps = np.zeros(_BATCH, STAMP)
        self._in_vectors = _vectors(self._in)
        self._in_headers = _headers(self._in_vectors)
        self._in_headers["control"] = _places(self._stamps)

    def call(self, ports: list[int]) -> None:
        """Name the loopback ports of the legs, in the order in which they will be sent to."""
        self._addresses["port"] = ports

    def send(self, begin: int, end: int) -> None:
        """One packet from each of the rows `begin` to `end`."""
        rows = slice(begin, end)
        sent = self.sent[rows]
        out = self._out[rows]
        out["sequence"] = sent & 0xFFFF
        out["timestamp"] = sent * PAYLOAD & 0xFFFFFFFF
        out["payload"] = self._payloads[sent % len(self._payloads)]
        at = self._out_headers.ctypes.data + begin * MMSGHDR.itemsize
        left = end - begin
        while left > 0:
            taken = self._libc.sendmmsg(self.socket.fileno(), at, left, 0)
            if taken <= 0:
                break  # a full buffer: what is not sent shows in `sent`
            self.sent[end - left : end - left + taken] += 1
            at += taken * MMSGHDR.itemsize
            left -= taken

    def drain(self) -> None:
        """Take in everything that waits."""
        while True:
            self._in_headers["control_length"] = STAMP.itemsize
            count = self._libc.recvmmsg(
                self.socket.fileno(), self._in_headers.ctypes.data, _BATCH, socket.MSG_DONTWAIT, 0
            )
            if count <= 0:
                return
            self._note(count)
            if count < _BATCH:
                return

    def _note(self, count: int) -> None:
        kept = self.received
        if kept.count + count > len(kept.ssrc):
            kept.overflow += count
            return
        lengths = self._in_headers["length"][:count] & 0xFFFFFFFF
        packets = np.ascontiguousarray(self._in[:count, :PACKET]).view(RTP)[:, 0]
        stamps = self._stamps[:count]
        place = slice(kept.count, kept.count + count)
        kept.arrival_ns[place] = stamps["s"] * 1_000_000_000 + stamps["ns"] + self.offset_ns
        kept.ssrc[place] = packets["ssrc"]
        kept.sequence[place] = packets["sequence"]
        kept.timestamp[place] = packets["timestamp"]
        kept.is_silent[place] = (packets["payload"] == 0xFF).all(axis=1) | (lengths != PACKET)
        if len(kept.payload):
            kept.payload[place] = packets["payload"]
        kept.count += count
        for index in np.nonzero(packets["ssrc"] == self._watch_ssrc)[0].tolist():
            self.watched.append((int(packets["timestamp"][index]), packets["payload"][index].tobytes()))


def _places(array: NDArray[Any]) -> NDArray[np.uint64]:
    step = np.uint64(array.strides[0])
    return np.uint64(array.ctypes.data) + np.arange(len(array), dtype=np.uint64) * step


def _vectors(array: NDArray[Any]) -> NDArray[Any]:
    vectors = np.zeros(len(array), IOVEC)
    vectors["base"] = _places(array)
    vectors["length"] = array.strides[0]
    return vectors


def _headers(vectors: NDArray[Any]) -> NDArray[Any]:
    headers = np.zeros(len(vectors), MMSGHDR)
    headers["iov"] = _places(vectors)
    headers["iov_length"] = 1
    return headers


def kernel_offset_ns() -> int:
    """Monotonic minus real time, from the quickest of a few readings."""
    readings = []
    for _ in range(16):
        before_ns = time.monotonic_ns()
        real_ns = time.time_ns()
        width_ns = time.monotonic_ns() - before_ns
        readings.append((width_ns, before_ns + width_ns // 2 - real_ns))
    return min(readings)[1]
