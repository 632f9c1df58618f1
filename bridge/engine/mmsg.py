"""All legs' sockets through recvmmsg, sendmmsg, sendto and timerfd, by cffi in ABI mode (Linux, 64 bits).

Every structure the kernel reads or writes is a numpy array built once; what crosses
into C per packet are plain integers, so nothing is allocated for a packet.
"""

import errno
import os
import select
import socket
import sys
from collections.abc import Sequence
from functools import cache
from typing import Any

import cffi
import numpy as np
from numpy.typing import NDArray

from bridge.clock import unix_ns
from bridge.engine.demux import Demux
from bridge.engine.hosts6 import FIRST_KEY6, Hosts6
from bridge.engine.sockets import FOREVER_NS, assign_rows, forget_backlog
from bridge.plane.packets import Arrivals, Departures
from bridge.plane.spec import RowSpec

__all__ = ["BatchSockets", "die_with_parent", "is_supported", "lock_memory"]

# Pointers are declared as integers of their size: the same to the machine, and a
# Python int costs less than a cdata object.
_DECLARATIONS = """
int timerfd_create(int clock, int flags);
int timerfd_settime(int fd, int flags, uintptr_t value, uintptr_t old);
int recvmmsg(int fd, uintptr_t messages, unsigned int count, int flags, uintptr_t timeout);
ssize_t sendto(int fd, uintptr_t data, size_t length, int flags, uintptr_t address, unsigned int size);
int sendmmsg(int fd, uintptr_t messages, unsigned int count, int flags);
int mlockall(int flags);
int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d);
"""
_CLOCK_MONOTONIC = 1
_TFD_TIMER_ABSTIME = 1
_PR_SET_PDEATHSIG = 1
_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4

_MOST_PACKETS = 4
"""Of one row in a slot: short ones, or a key behind what waited before it."""
_IOVEC = np.dtype([("base", "u8"), ("length", "u8")])
_MMSGHDR = np.dtype(
    [
        ("name", "u8"),
        ("name_length", "u4"),
        ("iov", "u8"),
        ("iov_length", "u8"),
        ("control", "u8"),
        ("control_length", "u8"),
        ("flags", "i4"),
        ("length", "u8"),
    ],
    align=True,
)
"""struct mmsghdr of 64-bit Linux; `length` is 32 bits and its padding, on little-endian one field."""
_MMSGHDR_BYTES = _MMSGHDR.itemsize
_DONTWAIT = int(socket.MSG_DONTWAIT)
_RECEIVE = int(socket.MSG_DONTWAIT | socket.MSG_TRUNC)
"""Lengths are those of the wire, so that what was too long is known (recv(2))."""
_SOCKADDR_IN = np.dtype([("family", "u2"), ("port", ">u2"), ("ip", ">u4"), ("zero", "u8")])
_SOCKADDR_IN6 = np.dtype(
    [("family", "u2"), ("port", ">u2"), ("flow", "u4"), ("address", "V16"), ("scope", "u4")]
)
_SOCKADDR = np.dtype(
    {
        "names": ["family", "port", "ip", "address"],
        "formats": ["u2", ">u2", ">u4", "V16"],
        "offsets": [0, 2, 4, 8],
        "itemsize": 32,
    }
)
"""Room for either: what the kernel writes tells by `family` which it is."""

_SO_TIMESTAMPNS = 35
"""asm-generic/socket.h; Python 3.11 does not name it."""
_STAMP = np.dtype([("length", "u8"), ("level", "i4"), ("kind", "i4"), ("seconds", "i8"), ("ns", "i8")])
"""The control message of one datagram: when it came, by the wall clock."""
_LONGEST_WAIT_NS = 100_000_000
"""What waited longer was kept by us, or the wall clock was set: it tells nothing about the network."""
_BURST = 4
"""Packets taken from one socket per turn; more stay queued, so that no flood starves the others."""
_HARMLESS = frozenset({errno.EAGAIN, errno.EINTR})


def is_supported() -> bool:
    """Whether this system has what `BatchSockets` needs."""
    if not sys.platform.startswith("linux") or sys.maxsize < 2**32 or sys.byteorder != "little":
        return False
    try:
        libc = _library()[1]
        return all(
            hasattr(libc, name)
            for name in ("timerfd_create", "timerfd_settime", "recvmmsg", "sendmmsg", "sendto")
        )
    except OSError:
        return False


def lock_memory() -> bool:
    """Keep every page that was used once in memory (mlockall(2)); false if the system does not allow it.

    A page that the kernel took back costs a tick milliseconds when it is needed again. Rows that no call
    has used yet stay unbacked.
    """
    if not sys.platform.startswith("linux"):
        return False
    return bool(_library()[1].mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT) == 0)


def die_with_parent(signal: int) -> bool:
    """Ask the kernel to send us `signal` when the process that started us ends; false if it cannot."""
    if not sys.platform.startswith("linux"):
        return False
    return bool(_library()[1].prctl(_PR_SET_PDEATHSIG, signal, 0, 0, 0) == 0)


@cache  # Parsing the declarations takes 20 ms.
def _library() -> tuple[Any, Any]:
    ffi = cffi.FFI()
    ffi.cdef(_DECLARATIONS)
    return ffi, ffi.dlopen(None)


class BatchSockets:
    """`LegSockets` at the price of the system calls.

    Two epolls: one for the legs, and one for the command pipe, the timer and, while
    few rows make every packet worth a wake-up, the first epoll itself.

    Args:
        arrivals: Where `receive` puts packets; the kernel writes into its buffers. Room for 4 at least.
        capacity: Number of rows.
        demux: Whose packets are whose on shared ports.
    """

    def __init__(self, arrivals: Arrivals, *, capacity: int, demux: Demux) -> None:
        self.rtcp_packets = 0
        self.errors = 0
        self.strangers = 0
        self.has_more = self.is_crowded = False
        self._arrivals = arrivals
        self._demux = demux
        self._ffi, self._libc = _library()
        self._legs = select.epoll()
        self._pipe = select.epoll()
        self._hears_legs = False
        self._timer = _Timer(self._libc)
        self._pipe.register(self._timer.fd, select.EPOLLIN)
        self._link_fd = -1
        self._fds: list[tuple[int, ...]] = [()] * capacity
        # By name: a row's RTP socket is called row, and its RTCP socket ~row, an index from the end.
        self._fd_by_name = [-1] * (2 * capacity)
        self._name_by_fd: dict[int, int] = {}
        self._shared: list[tuple[int, ...]] = []
        # The same by columns, for rows on shared ports: -1 where a row has a port of its own.
        self._shared_fd_by_name = np.full(2 * capacity, -1, np.int64)
        self._seated: set[int] = set()
        self.hosts = Hosts6()
        self._fds6: set[int] = set()
        """Those of IPv6; while there are none, nothing is asked of any packet."""
        self._most = _MOST_PACKETS * capacity
        self._build_headers()
        self._build_departures(self._most)

    def _build_headers(self) -> None:
        """Point one mmsghdr at each buffer of the Arrivals; they stay valid for ever."""
        packets = self._arrivals.packets
        count, size = packets.shape
        self._names = np.zeros(count, _SOCKADDR)
        self._iovecs = np.zeros(count, _IOVEC)
        index = np.arange(count, dtype=np.uint64)
        self._iovecs["base"] = packets.ctypes.data + index * np.uint64(packets.strides[0])
        self._iovecs["length"] = size
        self._headers = _headers_of(self._names, self._iovecs)
        self._headers_at = self._headers.ctypes.data
        self._stamps = np.zeros(count, _STAMP)
        self._headers["control"] = self._stamps.ctypes.data + index * np.uint64(_STAMP.itemsize)
        self._headers["control_length"] = _STAMP.itemsize

    def _build_departures(self, most: int) -> None:
        """The same for what is sent: `sendto` needs the addresses, `sendmmsg` the headers."""
        self._peers = np.zeros(most, _SOCKADDR_IN)
        self._peers["family"] = socket.AF_INET
        self._out_iovecs = np.zeros(most, _IOVEC)
        self._out_headers = _headers_of(self._peers, self._out_iovecs)
        self._out_headers_at = self._out_headers.ctypes.data
        self._peers_at = self._out_headers["name"].tolist()
        # Made with the first socket of IPv6.
        self._peers6 = np.zeros(0, _SOCKADDR_IN6)
        self._out_headers6 = _headers_of(self._peers6, self._out_iovecs[:0])

    def _prepare(self, fd: int) -> None:
        """Ask for the moment of every arrival, and note what kind of socket it is."""
        sock = socket.socket(fileno=fd)
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        if sock.family == socket.AF_INET6:
            self._fds6.add(fd)
            if not len(self._peers6):
                self._peers6 = np.zeros(self._most, _SOCKADDR_IN6)
                self._peers6["family"] = socket.AF_INET6
                self._out_headers6 = _headers_of(self._peers6, self._out_iovecs)
        sock.detach()

    def watch(self, link: socket.socket) -> None:
        self._link_fd = link.fileno()
        self._pipe.register(self._link_fd, select.EPOLLIN)

    def add(self, row: int, fds: Sequence[int]) -> None:
        self.remove(row)
        self._fds[row] = tuple(fds)
        for fd, name in zip(fds, (row, ~row), strict=False):
            self._fd_by_name[name] = fd
            os.set_blocking(fd, False)
            forget_backlog(fd)
            self._prepare(fd)
            self._name_by_fd[fd] = name
            self._legs.register(fd, select.EPOLLIN)

    def share(self, port: int, fds: Sequence[int]) -> None:
        if port != len(self._shared):
            raise ValueError(f"shared port {port} comes after {len(self._shared)}")
        self._shared.append(tuple(fds))
        for fd in fds:
            os.set_blocking(fd, False)
            self._prepare(fd)
            self._legs.register(fd, select.EPOLLIN)

    def seat(self, row: int, port: int, spec: RowSpec) -> None:
        self.remove(row)
        self._seated.add(row)
        for fd, name in zip(self._shared[port], (row, ~row), strict=False):
            self._shared_fd_by_name[name] = self._fd_by_name[name] = fd
        self._demux.seat(row, port, spec)

    def expect(self, row: int, spec: RowSpec) -> None:
        self._demux.update(row, spec)

    def learn(self, row: int, key: int) -> None:
        self._demux.learn(row, key)

    def remove(self, row: int) -> None:
        self.hosts.leave(row)
        if row in self._seated:
            self._seated.remove(row)
            self._demux.remove(row)
            self._shared_fd_by_name[row] = self._shared_fd_by_name[~row] = -1
        for fd in self._fds[row]:
            # The parent's duplicate keeps the registration alive, so closing alone does not end it.
            self._legs.unregister(fd)
            del self._name_by_fd[fd]
            self._fds6.discard(fd)
            os.close(fd)
        self._fds[row] = ()
        self._fd_by_name[row] = self._fd_by_name[~row] = -1

    def wait(self, until_ns: int, *, for_packets: bool) -> bool:
        if for_packets is not self._hears_legs:
            self._hears_legs = for_packets
            if for_packets:
                self._pipe.register(self._legs.fileno(), select.EPOLLIN)
            else:
                self._pipe.unregister(self._legs.fileno())
        self._timer.arm(until_ns)
        link_fd = self._link_fd
        return any(fd == link_fd for fd, _ in self._pipe.poll())

    def receive(self) -> int:
        arrivals = self._arrivals
        arrivals.count = 0
        self.has_more = self.is_crowded = False
        if self._fds6:
            # The kernel has put there how long the last address was.
            self._headers["name_length"] = _SOCKADDR.itemsize
        if self._shared:
            self._receive_shared()
        if self._name_by_fd:
            self._receive_own()
        return arrivals.count

    def _receive_own(self) -> None:
        """Append what waits on ports of one row each."""
        arrivals = self._arrivals
        begin = arrivals.count
        names: list[int] = []
        at = self._headers_at + begin * _MMSGHDR_BYTES
        recvmmsg, name_by_fd, append = self._libc.recvmmsg, self._name_by_fd, names.append
        # No more sockets than there is room for a full burst of each.
        room = (arrivals.capacity - begin) // _BURST
        for fd, _ in self._legs.poll(0, room + 2 * len(self._shared)) if room else ():
            if fd not in name_by_fd or len(names) + _BURST > arrivals.capacity - begin:
                continue
            taken = recvmmsg(fd, at, _BURST, _RECEIVE, 0)
            if taken == 1:
                append(name_by_fd[fd])
                at += _MMSGHDR_BYTES
            elif taken < 0:
                self._note_error()
            else:
                names += [name_by_fd[fd]] * taken
                at += taken * _MMSGHDR_BYTES
                self.has_more |= taken == _BURST
        if names:
            rows = np.array(names, np.intp)
            is_rtcp = rows < 0
            if rtcp_packets := np.count_nonzero(is_rtcp):
                self.rtcp_packets += int(rtcp_packets)
                rows[is_rtcp] = ~rows[is_rtcp]
            end = begin + len(names)
            self._take(begin, end)
            arrivals.rows[begin:end] = rows
            arrivals.is_rtcp[begin:end] = is_rtcp

    def _receive_shared(self) -> None:
        """Append what waits on shared ports; none of them takes the others' room, and reports get little."""
        arrivals = self._arrivals
        eighth = arrivals.capacity / (8 * len(self._shared))
        for port, fds in enumerate(self._shared):
            for fd, is_rtcp in zip(fds, (False, True), strict=False):
                begin, room = arrivals.count, max(1, int(eighth if is_rtcp else 7 * eighth))
                at = self._headers_at + begin * _MMSGHDR_BYTES
                taken = self._libc.recvmmsg(fd, at, room, _RECEIVE, 0)
                if taken < 0:
                    self._note_error()
                    continue
                if taken == room:
                    self.has_more = self.is_crowded = True
                self._take(begin, begin + taken)
                self.rtcp_packets += taken * is_rtcp
                lost = assign_rows(self._demux, arrivals, port, begin, begin + taken, is_rtcp=is_rtcp)
                self.strangers += len(lost)
                if len(lost):
                    arrivals.remove(lost)

    def _take(self, begin: int, end: int) -> None:
        """Read lengths and sources out of what the kernel wrote."""
        arrivals, peers = self._arrivals, self._names[begin:end]
        arrivals.lengths[begin:end] = self._headers["length"][begin:end]
        stamps, told = self._stamps[begin:end], self._headers["control_length"][begin:end]
        waited = unix_ns() - (stamps["seconds"] * 1_000_000_000 + stamps["ns"])
        useful = (waited > 0) & (waited < _LONGEST_WAIT_NS) & (told == _STAMP.itemsize)
        arrivals.waited_ns[begin:end] = np.where(useful, waited, 0)
        told[:] = _STAMP.itemsize  # The kernel has put there how much it told.
        arrivals.sources[begin:end] = (peers["ip"].astype(np.int64) << 16) | peers["port"]
        if self._fds6 and len(six := np.flatnonzero(peers["family"] == socket.AF_INET6)):
            packed = peers["address"][six].tolist()
            numbers = np.array([self.hosts.number(address) for address in packed], np.int64)
            arrivals.sources[begin + six] = numbers << 16 | peers["port"][six]
        arrivals.count = end

    def send(self, departures: Departures) -> None:
        rows = departures.rows
        if not len(rows):
            return
        if not self._seated:
            self._send_own(departures, range(len(rows)))
            return
        fds = self._shared_fd_by_name[rows]
        for fd in set(fds.tolist()):
            if fd >= 0:
                self._send_shared(departures, fd, np.flatnonzero(fds == fd))
            else:
                self._send_own(departures, np.flatnonzero(fds < 0).tolist())

    def _send_own(self, departures: Departures, chosen: Sequence[int]) -> None:
        """Send from ports of one row each, a call per packet."""
        if self._fds6:
            chosen = self._send_own6(departures, np.asarray(chosen, np.intp))
        count = len(departures)
        peers = self._peers[:count]
        peers["port"] = departures.destinations & 0xFFFF
        peers["ip"] = departures.destinations >> 16
        begin, stride = departures.packets.ctypes.data, departures.packets.strides[0]
        rows, lengths = departures.rows.tolist(), departures.lengths.tolist()
        sendto, fds, peers_at, size = (
            self._libc.sendto,
            self._fd_by_name,
            self._peers_at,
            _SOCKADDR_IN.itemsize,
        )
        for at in chosen:
            if sendto(fds[rows[at]], begin + at * stride, lengths[at], _DONTWAIT, peers_at[at], size) < 0:
                self.errors += 1  # A full buffer too: either way this packet never leaves.

    def _send_own6(self, departures: Departures, chosen: NDArray[np.intp]) -> list[int]:
        """The same for what goes by IPv6; return what does not."""
        is_six = departures.destinations[chosen] >= FIRST_KEY6
        six = self._fill6(departures, chosen[is_six])
        begin, stride = departures.packets.ctypes.data, departures.packets.strides[0]
        rows, lengths = departures.rows[six].tolist(), departures.lengths[six].tolist()
        peers_at, size = self._peers6.ctypes.data, _SOCKADDR_IN6.itemsize
        for index, at in enumerate(six.tolist()):
            fd, peer_at = self._fd_by_name[rows[index]], peers_at + index * size
            if self._libc.sendto(fd, begin + at * stride, lengths[index], _DONTWAIT, peer_at, size) < 0:
                self.errors += 1
        others: list[int] = chosen[~is_six].tolist()
        return others

    def _fill6(self, departures: Departures, chosen: NDArray[np.intp]) -> NDArray[np.intp]:
        """Write where these packets go, in order; return those whose hosts are known."""
        if not len(chosen):
            return chosen
        packed = list(map(self.hosts.address, (departures.destinations[chosen] >> 16).tolist()))
        if None in packed:
            self.errors += packed.count(None)
            chosen = chosen[[address is not None for address in packed]]
        peers = self._peers6[: len(chosen)]
        peers["port"] = departures.destinations[chosen] & 0xFFFF
        peers["address"] = np.frombuffer(b"".join(filter(None, packed)), "V16")
        return chosen

    def _send_shared(self, departures: Departures, fd: int, chosen: NDArray[np.intp]) -> None:
        """Send from one shared port, all in one call."""
        if fd in self._fds6:
            chosen = self._fill6(departures, chosen)
            headers_at = self._out_headers6.ctypes.data
        else:
            peers, destinations = self._peers[: len(chosen)], departures.destinations[chosen]
            peers["port"] = destinations & 0xFFFF
            peers["ip"] = destinations >> 16
            headers_at = self._out_headers_at
        count, packets = len(chosen), departures.packets
        iovecs = self._out_iovecs[:count]
        iovecs["base"] = packets.ctypes.data + chosen * packets.strides[0]
        iovecs["length"] = departures.lengths[chosen]
        sent = 0
        while sent < count:
            at = headers_at + sent * _MMSGHDR_BYTES
            taken = self._libc.sendmmsg(fd, at, count - sent, _DONTWAIT)
            if taken <= 0:
                # The first of them cannot be sent; those behind it can.
                self.errors += 1
                taken = 1
            sent += taken

    def close(self) -> None:
        for row in range(len(self._fds)):
            self.remove(row)
        for fds in self._shared:
            for fd in fds:
                os.close(fd)
        self._legs.close()
        self._pipe.close()
        self._timer.close()

    def _note_error(self) -> None:
        # ECONNREFUSED and its kin report an ICMP message about an earlier packet (RFC 1122 §4.1.3.3);
        # the peer may be there again in a moment, and a call ends by signalling or inactivity only.
        if self._ffi.errno not in _HARMLESS:
            self.errors += 1


def _headers_of(names: NDArray[np.void], iovecs: NDArray[np.void]) -> NDArray[np.void]:
    """One mmsghdr for each address and its buffer."""
    headers = np.zeros(len(names), _MMSGHDR)
    index = np.arange(len(names), dtype=np.uint64)
    headers["name"] = names.ctypes.data + index * np.uint64(names.itemsize)
    headers["name_length"] = names.itemsize
    headers["iov"] = iovecs.ctypes.data + index * np.uint64(iovecs.itemsize)
    headers["iov_length"] = 1
    return headers


class _Timer:
    """A timerfd: absolute, free of the kernel's timer slack, and armed only when the deadline moves."""

    def __init__(self, libc: Any) -> None:  # noqa: ANN401  cffi has no type for a library
        self._libc = libc
        self.fd: int = libc.timerfd_create(_CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self.fd < 0:
            raise OSError("timerfd_create failed")
        self._value = np.zeros(4, np.int64)  # struct itimerspec: interval, then value; seconds, nanoseconds
        self._value_at = self._value.ctypes.data
        self._armed_ns = FOREVER_NS

    def arm(self, at_ns: int) -> None:
        if at_ns == self._armed_ns:
            return
        self._armed_ns = at_ns
        # Zero disarms; a moment in the past fires at once. Setting it also forgets an expiry not yet read.
        self._value[2], self._value[3] = (
            (0, 0) if at_ns == FOREVER_NS else divmod(max(1, at_ns), 1_000_000_000)
        )
        self._libc.timerfd_settime(self.fd, _TFD_TIMER_ABSTIME, self._value_at, 0)

    def close(self) -> None:
        os.close(self.fd)
