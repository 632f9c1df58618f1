"""The judge of voices as the control plane sees him: a process that is told who asks and answers if it can.

Nobody waits for him. While he loads, hangs or is gone, the voice gate's own evidence decides.
"""

import asyncio
import logging
import socket
import subprocess
import time
from collections.abc import Callable

from bridge.engine.shared import SharedMemory
from bridge.engine.spawn import spawn
from bridge.engine.verdict import Verdict
from bridge.engine.verdict_process import ASKED, CANNOT_LOAD, COMMAND, LET_GO, WATCH, read_verdicts

__all__ = ["VerdictProcess"]

_READ_BYTES = 65536
_STEADY_S = 60.0
"""A life shorter than this counts as a failure."""
_MOST_FAILURES = 5
"""Failures in a row after which nobody is asked any more."""
_STOP_S = 2.0
"""Time that he has to end by himself."""
_LOOK_S = 0.02

_log = logging.getLogger(__name__)


class VerdictProcess:
    """Judges beside the event loop, in a process of its own; made on the loop and used there.

    Args:
        deliver: Called on the loop with answers as they come.
        module: What is run; it speaks as `bridge.engine.verdict_process` does.
        pause_s: Before the next life; doubles with every further failure in a row.
    """

    def __init__(
        self,
        deliver: Callable[[list[Verdict]], None],
        *,
        module: str = "bridge.engine.verdict_process",
        pause_s: float = 0.5,
    ) -> None:
        self._deliver = deliver
        self._module = module
        self._pause_s = pause_s
        self._loop = asyncio.get_running_loop()
        self._memories: dict[int, SharedMemory] = {}
        self._popen: subprocess.Popen[bytes] | None = None
        self._sock: socket.socket | None = None
        self._pending = b""
        self._began_s = 0.0
        self._failures = 0
        self._retry: asyncio.TimerHandle | None = None
        self._dying: dict[subprocess.Popen[bytes], asyncio.TimerHandle] = {}
        """Those whose end was not seen yet, and when to look again."""
        self._is_closed = False
        self._begin()

    @property
    def pid(self) -> int:
        """Process id of the judge; 0 while there is none."""
        return self._popen.pid if self._popen is not None else 0

    def watch(self, memory: SharedMemory | None, *, place: int = 0) -> None:
        """Judge the rows of this memory from now on; None lets go of it.

        Args:
            memory: Its descriptor has to be open until the memory is let go of: another judge may need it.
            place: Which of several memories it is; at each place there is one.
        """
        if memory is None:
            self._memories.pop(place, None)
        else:
            self._memories[place] = memory
        self._introduce(place)

    def wake(self) -> None:
        """Somebody asks."""
        self._tell(COMMAND.pack(ASKED, 0, 0, 0))

    async def close(self) -> None:
        """End the process and wait for it, two seconds at most; safe twice.

        So is it with one that went before and has not ended yet.
        """
        self._is_closed = True
        self._memories.clear()
        if self._retry is not None:
            self._retry.cancel()
        left = list(self._dying)
        for look in self._dying.values():
            look.cancel()
        self._dying.clear()
        if (popen := self._part()) is not None:
            left.append(popen)
        if left:
            # A thread ends what it has begun, even if whoever waits for it is cancelled.
            await asyncio.to_thread(_reap, left)

    def _begin(self) -> None:
        self._retry = None
        self._began_s = self._loop.time()
        self._pending = b""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        ours.setblocking(False)
        try:
            self._popen = spawn(self._module, [str(theirs.fileno())], fds=[theirs.fileno()])
        except OSError as error:
            ours.close()
            self._fail(f"cannot start: {error.strerror or error}")
            return
        finally:
            theirs.close()
        self._sock = ours
        self._loop.add_reader(ours.fileno(), self._read, ours)
        for place in self._memories:
            self._introduce(place)

    def _introduce(self, place: int) -> None:
        memory = self._memories.get(place)
        if memory is None:
            self._tell(COMMAND.pack(LET_GO, place, 0, 0))
        else:
            self._tell(COMMAND.pack(WATCH, place, memory.columns.capacity, memory.wide), memory.fd)

    def _tell(self, command: bytes, *fds: int) -> None:
        if self._sock is None:
            return
        try:
            whole = socket.send_fds(self._sock, [command], fds) == len(command)
        except BlockingIOError:
            whole = False
        except OSError:
            return  # He is gone; the reader will notice.
        if not whole and self._popen is not None:
            # He has not read for hundreds of questions: as good as dead.
            self._popen.kill()

    def _read(self, sock: socket.socket) -> None:
        try:
            data = sock.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            told, self._pending = read_verdicts(self._pending + data)
            self._deliver(told)
            return
        popen = self._part()
        if popen is not None:
            self._mourn(popen, self._loop.time() + _STOP_S)

    def _part(self) -> subprocess.Popen[bytes] | None:
        """Break off contact, whereupon he ends; return who is still to be waited for."""
        popen, self._popen = self._popen, None
        if self._sock is not None:
            self._loop.remove_reader(self._sock.fileno())
            self._sock.close()
            self._sock = None
        return popen

    def _mourn(self, popen: subprocess.Popen[bytes], until_s: float) -> None:
        """Look whether he has ended, until he has."""
        self._dying.pop(popen, None)
        status = popen.poll()
        if status is None:
            if self._loop.time() > until_s:
                popen.kill()
            self._dying[popen] = self._loop.call_later(_LOOK_S, self._mourn, popen, until_s)
        elif status == CANNOT_LOAD:
            _log.error("voices are judged by their loudness alone; the judge's last line says why")
        else:
            self._fail(f"ended by signal {-status}" if status < 0 else f"ended with status {status}")

    def _fail(self, cause: str) -> None:
        if self._is_closed:
            return
        self._failures = self._failures + 1 if self._loop.time() - self._began_s < _STEADY_S else 1
        if self._failures >= _MOST_FAILURES:
            _log.error("voices are judged by their loudness alone: the judge %s", cause)
            return
        pause_s = self._pause_s * 2 ** (self._failures - 1)
        _log.warning("the judge %s; the next one comes in %.1f s", cause, pause_s)
        self._retry = self._loop.call_later(pause_s, self._begin)


def _reap(left: list[subprocess.Popen[bytes]]) -> None:
    """Wait for the end of all, and force it if need be."""
    until_s = time.monotonic() + _STOP_S
    for popen in left:
        try:
            popen.wait(max(0.0, until_s - time.monotonic()))
        except subprocess.TimeoutExpired:
            popen.kill()
            popen.wait()
