"""The far end of many calls: a socket for each phone, system calls through cffi, receive times by the kernel.

One process must play 1000 phones and not be what is measured. Sending costs it a call into the kernel a
packet; what comes back waits in the phones' sockets, with its time of arrival, and is fetched a few packets
at a time.
"""

import socket
import time
from collections.abc import Sequence
from functools import cache
from typing import Any

import cffi
import numpy as np
from numpy.typing import NDArray

from tests.bench.layouts import IOVEC, MMSGHDR, RTP, SO_TIMESTAMPNS, STAMP

__all__ = ["PACKET_SAMPLES", "Ear", "Mouth", "Received", "phones"]

PACKET_SAMPLES = 160
_PACKET_BYTES = 12 + PACKET_SAMPLES
_AT_ONCE = 4096
"""Packets fetched in one go."""
_BURST = 16
"""… of one phone."""
_SILENT_CODE = 0xFF

_DECLARATIONS = """
int recvmmsg(int fd, uintptr_t messages, unsigned int count, int flags, uintptr_t timeout);
ssize_t send(int fd, uintptr_t data, size_t length, int flags);
"""


def phones(count: int) -> list[socket.socket]:
    """Sockets on ports of their own, whose packets are stamped on arrival; the caller closes them."""
    made = []
    for _ in range(count):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.append(sock)
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    return made


class Mouth:
    """What the phones say: the same payloads over and over, each phone in a stream of its own.

    Args:
        sockets: One per phone; the mouth connects them.
        payloads: ``[k, 160]`` codes.
    """

    def __init__(self, sockets: Sequence[socket.socket], payloads: NDArray[np.uint8]) -> None:
        count = len(sockets)
        self._sockets = sockets
        self._fds = np.array([sock.fileno() for sock in sockets])
        self._payloads = payloads
        self._out = np.zeros(2 * count, RTP)
        self._out["first"] = 0x80
        self._places: list[int] = _places(self._out).tolist()
        self.ssrcs: NDArray[np.uint32] = (np.arange(count) + 0x10000).astype(np.uint32)
        """Of each phone's stream; may be changed between two calls."""
        self.sent: NDArray[np.int64] = np.zeros(count, np.int64)
        """Packets that the kernel took."""

    def call(self, phone: int, port: int) -> None:
        """Let this phone speak to a loopback port, and hear nothing else."""
        self._sockets[phone].connect(("127.0.0.1", port))

    def say(self, which: NDArray[np.intp], numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Send one packet per entry: the `numbers`-th of that phone's stream; return which ones left.

        A phone may occur more than once, but there is room for twice as many packets as there are phones.
        """
        out = self._out[: len(which)]
        out["sequence"] = numbers & 0xFFFF
        out["timestamp"] = numbers * PACKET_SAMPLES & 0xFFFFFFFF
        out["ssrc"] = self.ssrcs[which]
        out["payload"] = self._payloads[numbers % len(self._payloads)]
        send, flags = _library().send, int(socket.MSG_DONTWAIT)
        left = np.array(
            [
                send(fd, at, _PACKET_BYTES, flags) > 0
                for fd, at in zip(self._fds[which].tolist(), self._places, strict=False)
            ],
            np.bool_,
        )
        np.add.at(self.sent, which[left], 1)
        return left

    def report(self, phone: int, compound: bytes) -> None:
        """Send RTCP from the port that RTP uses (RFC 5761)."""
        self._sockets[phone].send(compound)


class Received:
    """Columns of what came back, in the order in which it was fetched."""

    def __init__(self, capacity: int) -> None:
        self.count = 0
        self.arrival_ns: NDArray[np.int64] = np.zeros(capacity, np.int64)
        self.phone: NDArray[np.int32] = np.zeros(capacity, np.int32)
        self.ssrc: NDArray[np.uint32] = np.zeros(capacity, np.uint32)
        self.sequence: NDArray[np.uint16] = np.zeros(capacity, np.uint16)
        self.timestamp: NDArray[np.uint32] = np.zeros(capacity, np.uint32)
        self.is_silent: NDArray[np.bool_] = np.zeros(capacity, np.bool_)
        self.overflow = 0
        """Packets that found no room."""
        self.reports = 0
        """RTCP packets."""

    def until_now(self) -> "Received":
        """The filled part; a view."""
        view = Received(0)
        view.count, view.overflow, view.reports = self.count, self.overflow, self.reports
        for name in ("arrival_ns", "phone", "ssrc", "sequence", "timestamp", "is_silent"):
            setattr(view, name, getattr(self, name)[: self.count])
        return view


class Ear:
    """What the phones hear.

    Args:
        sockets: One per phone.
        keep: Packets to remember.
        watch_ssrc: Payloads of this source are kept whole, for a comparison bit by bit.
    """

    def __init__(self, sockets: Sequence[socket.socket], *, keep: int, watch_ssrc: int | None = None) -> None:
        self.received = Received(keep)
        self.watched: list[tuple[int, bytes]] = []
        self._watch_ssrc = watch_ssrc
        self._fds = [sock.fileno() for sock in sockets]
        self._offset_ns = _offset_ns()
        self._packets = np.zeros((_AT_ONCE, 256), np.uint8)
        self._stamps = np.zeros(_AT_ONCE, STAMP)
        self._vectors = np.zeros(_AT_ONCE, IOVEC)
        self._vectors["base"] = _places(self._packets)
        self._vectors["length"] = self._packets.strides[0]
        self._headers = np.zeros(_AT_ONCE, MMSGHDR)
        self._headers["iov"] = _places(self._vectors)
        self._headers["iov_length"] = 1
        self._headers["control"] = _places(self._stamps)
        self._headers["control_length"] = STAMP.itemsize

    def listen(self, begin: int, end: int) -> None:
        """Fetch what waits for the phones `begin` to `end`."""
        recvmmsg, flags, size = _library().recvmmsg, int(socket.MSG_DONTWAIT), MMSGHDR.itemsize
        first_at = at = int(self._headers.ctypes.data)
        owners: list[int] = []
        for phone in range(begin, end):
            taken = _BURST
            while taken == _BURST:
                if len(owners) > _AT_ONCE - _BURST:
                    self._note(owners)
                    owners, at = [], first_at
                # An error is an ICMP message about an earlier packet: nothing was fetched.
                taken = max(0, recvmmsg(self._fds[phone], at, _BURST, flags, 0))
                owners += [phone] * taken
                at += taken * size
        self._note(owners)

    def _note(self, owners: list[int]) -> None:
        count, kept = len(owners), self.received
        if not count:
            return
        lengths = self._headers["length"][:count] & 0xFFFFFFFF
        packets = np.ascontiguousarray(self._packets[:count, :_PACKET_BYTES]).view(RTP)[:, 0]
        arrival_ns = self._stamps["s"][:count] * 1_000_000_000 + self._stamps["ns"][:count] + self._offset_ns
        # The kernel writes how much it has used.
        self._headers["control_length"][:count] = STAMP.itemsize
        phone = np.array(owners, np.int32)
        is_report = (packets["second"] >= 192) & (packets["second"] < 224)
        if is_report.any():
            kept.reports += int(np.count_nonzero(is_report))
            rtp = ~is_report
            packets, lengths, arrival_ns, phone = packets[rtp], lengths[rtp], arrival_ns[rtp], phone[rtp]
            count = len(phone)
        if kept.count + count > len(kept.ssrc):
            kept.overflow += count
            return
        place = slice(kept.count, kept.count + count)
        kept.arrival_ns[place] = arrival_ns
        kept.phone[place] = phone
        for name in ("ssrc", "sequence", "timestamp"):
            getattr(kept, name)[place] = packets[name]
        kept.is_silent[place] = (packets["payload"] == _SILENT_CODE).all(axis=1) | (lengths != _PACKET_BYTES)
        kept.count += count
        if self._watch_ssrc is not None:
            for index in np.nonzero(packets["ssrc"] == self._watch_ssrc)[0].tolist():
                self.watched.append((int(packets["timestamp"][index]), packets["payload"][index].tobytes()))


@cache  # Parsing the declarations takes 20 ms.
def _library() -> Any:  # noqa: ANN401  cffi has no type for a library
    ffi = cffi.FFI()
    ffi.cdef(_DECLARATIONS)
    return ffi.dlopen(None)


def _places(array: NDArray[Any]) -> NDArray[np.uint64]:
    step = np.uint64(array.strides[0])
    return np.uint64(array.ctypes.data) + np.arange(len(array), dtype=np.uint64) * step


def _offset_ns() -> int:
    """Monotonic minus real time, from the quickest of a few readings."""
    readings = []
    for _ in range(16):
        before_ns = time.monotonic_ns()
        real_ns = time.time_ns()
        width_ns = time.monotonic_ns() - before_ns
        readings.append((width_ns, before_ns + width_ns // 2 - real_ns))
    return min(readings)[1]
