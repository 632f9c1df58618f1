"""One media process as the control plane sees it: spawned, given rows to carry, spoken to, mourned."""

import asyncio
import dataclasses
import json
import os
import socket
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from bridge.engine.budget import Costs
from bridge.engine.commands import Carry, Command, Message, Ready, Stop
from bridge.engine.link import Link
from bridge.engine.shared import SharedMemory
from bridge.engine.spawn import spawn
from bridge.errors import RemoteProtocolError
from bridge.plane.spec import PlaneSettings

__all__ = ["MediaProcess", "MediaSettings", "StartProcess"]

_STOP_S = 2.0
"""Time that a child has to end by itself."""
_SHORTAGE_S = 0.02
"""Pause when the system is short of memory or of room for descriptors on their way."""


@dataclass(frozen=True, slots=True)
class MediaSettings:
    """What the media engine is told at its start."""

    ports: tuple[int, int] = (16384, 20479)
    """First and last UDP port; even ones carry RTP."""
    bind_ip: str = "0.0.0.0"
    bind_ip6: str = "::"
    capacity: int = 1024
    """Legs of 8 kHz at once, over all processes; each takes 128 KiB of memory once it is used."""
    wide_capacity: int = 128
    """Legs at once of each higher rate, in each process; each takes 256 KiB to 1 MiB once it is used."""
    plane: PlaneSettings = field(default_factory=PlaneSettings)
    ports_shared: bool = False
    """Let calls share a few ports, told apart by where their peers send from; a call that fits nowhere gets
    its own. It costs less, but some firewalls and peers expect a port per call."""
    plain_sockets: bool = False
    """Use the standard library's sockets even where recvmmsg is there."""
    realtime: bool = True
    """Ask for SCHED_FIFO; refused without harm where the system does not grant it."""
    standby: bool = True
    """Keep a process ready that carries the calls on when a media process dies."""
    processes: int = 0
    """Media processes; 0 is one less than there are cores, and one at least."""
    costs: Costs | None = None
    """What ticks take, which decides how many calls fit; None = measure it at the start, in 0.2 s."""
    verdicts: bool = False
    """Let Silero judge voices (`bridge.engine.verdict`), where onnxruntime is installed."""


class StartProcess(Protocol):
    """How a media process comes to be: `MediaProcess` itself in life."""

    def __call__(
        self, settings: MediaSettings, *, on_message: Callable[[Message], None], on_end: Callable[[], None]
    ) -> "MediaProcess": ...


class MediaProcess:
    """A running child and its pipe; it loads what it needs and then waits for `carry`.

    Args:
        settings: Ports apart, all of it is the child's business.
        on_message: Called on the loop with everything the child says; replace it at any time.
        on_end: Called on the loop once, when the child is gone or cannot be understood; likewise.

    Raises:
        OSError: If the system refuses descriptors or the process.
    """

    def __init__(
        self, settings: MediaSettings, *, on_message: Callable[[Message], None], on_end: Callable[[], None]
    ) -> None:
        self.on_message: Callable[[Message], None] = on_message
        self.on_end: Callable[[], None] = on_end
        self._loop = asyncio.get_running_loop()
        self.is_alive: bool = True
        self.greeting: Ready | None = None
        """What it said when it had loaded everything."""
        self._ran_ns = 0
        self.started_s: float = self._loop.time()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self._link = Link(ours)
        try:
            self._loop.add_reader(ours.fileno(), self._read)
            # Last of all: nothing that fails may leave a process that nobody knows.
            self._popen = _spawn(settings, theirs.fileno())
        except OSError:
            self.abandon()
            raise
        finally:
            theirs.close()

    @property
    def pid(self) -> int:
        """Process id; stale once the child is gone."""
        return self._popen.pid

    def carry(self, memory: SharedMemory, *, place: int = 0) -> None:
        """Give it rows; whatever is sent afterwards is about these.

        Raises:
            OSError: If the memory cannot be handed over.
        """
        self.send(Carry(memory.columns.capacity, memory.wide, place), [memory.fd])

    def send(self, command: Command, fds: Sequence[int] = ()) -> None:
        """Hand one command over; returns at once, and does nothing once the child is gone.

        Raises:
            OSError: If `fds` cannot be handed over; the child does not hear of the command.
        """
        if not self.is_alive:
            return
        if not self._link.send(command, fds):
            # It has not read for thousands of commands: it hangs, and a hung one is as good as dead.
            self._popen.kill()
            return
        self._flush_when_writable()

    def stop(self) -> None:
        """Ask the child to end in good order."""
        self.send(Stop())

    def abandon(self) -> None:
        """Break off all contact: the child will end by itself."""
        if not self.is_alive:
            return
        self.is_alive = False
        self._loop.remove_reader(self._link.sock.fileno())
        self._loop.remove_writer(self._link.sock.fileno())
        self._link.close()

    def has_had_time(self) -> bool:
        """Whether it could have done something since this was last asked.

        False while it only waits for a core that others keep from it: another process would fare no better.
        """
        before_ns = self._ran_ns
        try:
            state = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]
            self._ran_ns = int(Path(f"/proc/{self.pid}/schedstat").read_text().split()[0])
        except (OSError, IndexError):
            return True  # no such file system: then it cannot be told apart
        return state != "R" or self._ran_ns != before_ns

    def kill(self) -> None:
        """End it by force: it is told nothing, and may be stopped (SIGSTOP) or hang."""
        self._popen.kill()

    async def reap(self, *, patience_s: float = _STOP_S) -> int:
        """Wait for the end, force it if need be, and return the exit status; negative is a signal.

        With patience 0 this is a fence: once it returns, the child can neither write nor send any more.
        """
        try:
            async with asyncio.timeout(patience_s or None):
                if not patience_s:
                    self.kill()
                await self._end()
        except TimeoutError:
            self.kill()
            await self._end()
        return self._popen.wait()

    async def _end(self) -> None:
        if self._popen.poll() is not None:
            return
        try:
            fd = os.pidfd_open(self.pid)
        except (AttributeError, OSError):  # not Linux, or out of descriptors
            await asyncio.to_thread(self._popen.wait)
            return
        ended = asyncio.Event()
        self._loop.add_reader(fd, ended.set)
        try:
            await ended.wait()
        finally:
            self._loop.remove_reader(fd)
            os.close(fd)

    def _read(self) -> None:
        try:
            messages = self._link.receive()
        except (EOFError, RemoteProtocolError):
            self._loop.remove_reader(self._link.sock.fileno())
            self.on_end()
            return
        for message in messages:
            if isinstance(message, Ready):
                self.greeting = message
            self.on_message(message)

    def _flush_when_writable(self) -> None:
        if self.is_alive and self._link.waiting:
            self._loop.add_writer(self._link.sock.fileno(), self._flush)

    def _flush(self) -> None:
        before = self._link.waiting
        if self._link.flush():
            self._loop.remove_writer(self._link.sock.fileno())
        elif self._link.waiting == before:
            # Writable, and yet nothing went: trying again at once would only spin.
            self._loop.remove_writer(self._link.sock.fileno())
            self._loop.call_later(_SHORTAGE_S, self._flush_when_writable)


def _spawn(settings: MediaSettings, link_fd: int) -> subprocess.Popen[bytes]:
    options = json.dumps(
        {
            "plane": dataclasses.asdict(settings.plane),
            "plain_sockets": settings.plain_sockets,
            "realtime": settings.realtime,
            "ports_shared": settings.ports_shared,
            "calibrates": settings.costs is None,
        }
    )
    return spawn("bridge.engine.process", [str(link_fd), options], fds=[link_fd])
