"""One life of the media process, as the control plane sees it: spawned, spoken to, mourned."""

import asyncio
import dataclasses
import json
import os
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import bridge
from bridge.engine.commands import Command, Message, Stop
from bridge.engine.link import Link
from bridge.engine.shared import SharedMemory
from bridge.engine.shelf import BedShelf
from bridge.errors import RemoteProtocolError
from bridge.plane.spec import PlaneSettings

__all__ = ["MediaProcess", "MediaSettings"]

_ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
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
    capacity: int = 1024
    """Legs at once; each takes 128 KiB of memory once it is used."""
    plane: PlaneSettings = field(default_factory=PlaneSettings)
    plain_sockets: bool = False
    """Use the standard library's sockets even where recvmmsg is there."""
    realtime: bool = True
    """Ask for SCHED_FIFO; refused without harm where the system does not grant it."""
    verdicts: bool = False
    """Let Silero judge voices (`bridge.engine.verdict`), where onnxruntime is installed."""


class MediaProcess:
    """A running child with its memory, its rows and its pipe.

    Args:
        settings: Ports apart, all of it is the child's business.
        on_message: Called on the loop with everything the child says.
        on_end: Called on the loop once, when the child is gone or cannot be understood.

    Raises:
        OSError: If the system refuses memory, descriptors or the process.
    """

    def __init__(
        self, settings: MediaSettings, *, on_message: Callable[[Message], None], on_end: Callable[[], None]
    ) -> None:
        self._on_message = on_message
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self.free_rows: deque[int] = deque(range(settings.capacity))
        """Rows that no leg has, longest free first."""
        self.is_alive: bool = True
        self.started_s: float = self._loop.time()
        self.memory: SharedMemory = SharedMemory(settings.capacity)
        self.shelf: BedShelf = BedShelf(self.memory.shelf)
        """Beds that this process can play."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._popen = _spawn(settings, theirs.fileno(), self.memory.fd)
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
            self.memory.close_fd()
        self._link = Link(ours)
        self._loop.add_reader(ours.fileno(), self._read)

    @property
    def pid(self) -> int:
        """Process id; stale once the child is gone."""
        return self._popen.pid

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

    async def stop(self) -> None:
        """End the child in good order, or else by force; returns when it is gone."""
        self.send(Stop())
        await self.reap()
        self.abandon()

    def abandon(self) -> None:
        """Break off all contact: the child will end by itself, and its rings accept nothing any more."""
        if not self.is_alive:
            return
        self.is_alive = False
        self._loop.remove_reader(self._link.sock.fileno())
        self._loop.remove_writer(self._link.sock.fileno())
        self._link.close()
        self.memory.columns.generation[:] = 0

    async def reap(self) -> int:
        """Wait for the end, force it if need be, and return the exit status; negative is a signal."""
        try:
            return await asyncio.to_thread(self._popen.wait, _STOP_S)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            return await asyncio.to_thread(self._popen.wait)

    def _read(self) -> None:
        try:
            messages = self._link.receive()
        except (EOFError, RemoteProtocolError):
            self._loop.remove_reader(self._link.sock.fileno())
            self._on_end()
            return
        for message in messages:
            self._on_message(message)

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


def _spawn(settings: MediaSettings, link_fd: int, memory_fd: int) -> subprocess.Popen[bytes]:
    options = json.dumps(
        {
            "plane": dataclasses.asdict(settings.plane),
            "plain_sockets": settings.plain_sockets,
            "realtime": settings.realtime,
        }
    )
    home = str(Path(bridge.__file__).parent.parent)
    inherited = os.environ.get("PYTHONPATH")
    environment = {
        **os.environ,
        **_ONE_THREAD,
        # Found where we were found, whatever the working directory; -P keeps that one off the path.
        "PYTHONPATH": home if not inherited else f"{home}{os.pathsep}{inherited}",
    }
    arguments = [str(link_fd), str(memory_fd), str(settings.capacity), options]
    return subprocess.Popen(  # noqa: S603  our own interpreter with our own module
        [sys.executable, "-P", "-m", "bridge.engine.process", *arguments],
        pass_fds=(link_fd, memory_fd),
        stdin=subprocess.DEVNULL,
        env=environment,
        # Ctrl-C and its kin reach the whole group; the control plane may still want to drain its calls.
        start_new_session=True,
    )
