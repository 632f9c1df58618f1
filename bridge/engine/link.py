"""One end of the pipe between the control plane and the media process: messages and descriptors."""

import array
import contextlib
import errno
import os
import socket
from collections import deque
from collections.abc import Sequence

from bridge.engine.commands import FrameReader, Message, encode

__all__ = ["Link"]

_READ_BYTES = 65536
_READS = 64
"""Reads per call at most: whoever floods us must not keep us from the packets."""
_MAX_FDS = 8
_SHORTAGE = frozenset({errno.EAGAIN, errno.EINTR, errno.ENOBUFS, errno.ENOMEM, errno.ETOOMANYREFS})
"""No room in the pipe, no memory, or too many descriptors on their way: all of them pass."""
_PARTED = frozenset({errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN})


class Link:
    """A non-blocking stream that never makes its owner wait.

    Args:
        sock: One end of an ``AF_UNIX`` stream pair; owned from now on.
        limit: Messages that may wait while the other side does not read. Whoever sends vital ones, which
            wait beyond it, bounds them.
    """

    def __init__(self, sock: socket.socket, *, limit: int = 4096) -> None:
        sock.setblocking(False)
        self.sock: socket.socket = sock
        self._limit = limit
        self._frames = FrameReader()
        self._waiting: deque[tuple[bytes, tuple[int, ...]]] = deque()
        self._groups: deque[list[int]] = deque()

    @property
    def waiting(self) -> int:
        """Messages that the other side has not made room for; call `flush` again later."""
        return len(self._waiting)

    def send(self, message: Message, fds: Sequence[int] = (), *, is_vital: bool = False) -> bool:
        """Write one message, now or as soon as there is room; false if too many wait already.

        The descriptors are duplicated if they have to wait, so the caller may close them at once.

        Raises:
            OSError: If a descriptor is none of ours or cannot be duplicated; nothing was sent.
        """
        data = encode(message)
        if self._waiting:
            if len(self._waiting) >= self._limit and not is_vital:
                return False
            self._waiting.append((data, _duplicates(fds)))
            return True
        sent = self._write(data, fds)
        if sent < len(data):
            # Descriptors travel with the first byte.
            self._waiting.append((data[sent:], _duplicates(fds) if sent == 0 else ()))
        return True

    def flush(self) -> bool:
        """Write what waits; true when nothing is left.

        False although the pipe has room means that the system is short of something else: try again later.
        """
        while self._waiting:
            data, fds = self._waiting.popleft()
            sent = self._write(data, fds)
            if sent == 0:
                self._waiting.appendleft((data, fds))
                return False
            for fd in fds:
                os.close(fd)
            if sent < len(data):
                self._waiting.appendleft((data[sent:], ()))
        return True

    def receive(self) -> list[Message]:
        """Messages that have arrived whole.

        Raises:
            EOFError: If the other side is gone, after everything it said was returned.
            RemoteProtocolError: If what arrived is garbage; close the link.
        """
        messages: list[Message] = []
        for _ in range(_READS):
            try:
                data, fds, flags, _ = socket.recv_fds(self.sock, _READ_BYTES, _MAX_FDS)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:
                data, fds, flags = b"", [], 0
            if fds or flags & socket.MSG_CTRUNC:  # truncated: we are out of descriptors
                self._groups.append(fds)
            if not data:
                if messages:
                    break
                raise EOFError("the other end of the media pipe is closed")
            messages.extend(self._frames.feed(data))
        return messages

    def take_fds(self) -> list[int]:
        """Descriptors of the oldest message that carried some and was not asked about yet."""
        return self._groups.popleft() if self._groups else []

    def close(self) -> None:
        """Close the pipe and every descriptor on its way; safe twice."""
        for group in (*self._groups, *(fds for _, fds in self._waiting)):
            for fd in group:
                with contextlib.suppress(OSError):
                    os.close(fd)
        self._groups.clear()
        self._waiting.clear()
        self.sock.close()

    def _write(self, data: bytes, fds: Sequence[int]) -> int:
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        try:
            return self.sock.sendmsg([data], rights)
        except OSError as error:
            if error.errno in _SHORTAGE:
                return 0
            if error.errno in _PARTED:
                # Reading will say so, and nobody is left to care about this message.
                return len(data)
            raise


def _duplicates(fds: Sequence[int]) -> tuple[int, ...]:
    with contextlib.ExitStack() as opened:
        copies = []
        for fd in fds:
            copies.append(os.dup(fd))
            opened.callback(os.close, copies[-1])
        opened.pop_all()
    return tuple(copies)
