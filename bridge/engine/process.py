"""The media process: ``python -m bridge.engine.process LINK_FD MEMORY_FD CAPACITY SETTINGS``.

Started by `bridge.engine.supervisor` only. It loads neither asyncio nor any other room than
the plane, starts no thread, and ends with the process that started it.
"""

import contextlib
import gc
import json
import os
import signal
import socket
import sys
from types import TracebackType

from bridge.clock import SystemClock, unix_offset_ns
from bridge.engine.commands import Ready
from bridge.engine.link import Link
from bridge.engine.loop import MediaLoop
from bridge.engine.mmsg import BatchSockets, die_with_parent, is_supported, lock_memory
from bridge.engine.ports import raise_file_limit
from bridge.engine.shared import SharedMemory
from bridge.engine.sockets import LegSockets, PlainSockets
from bridge.errors import RemoteProtocolError
from bridge.plane.packets import Arrivals
from bridge.plane.plane import Plane
from bridge.plane.spec import PlaneSettings

__all__ = ["ARRIVALS", "main"]

ARRIVALS = 1024
"""Datagrams read in one go."""
_PRIORITY = 10
"""SCHED_FIFO priority: above everything ordinary, below the kernel's own threads."""


def main(arguments: list[str]) -> int:
    """Carry legs until told to stop or left alone; return the exit status."""
    link_fd, memory_fd, capacity, settings = (
        int(arguments[0]),
        int(arguments[1]),
        int(arguments[2]),
        arguments[3],
    )
    options = json.loads(settings)
    sys.excepthook = _say_exception
    # Ctrl-C reaches the whole terminal; ending in good order is the control plane's decision.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent(signal.SIGKILL)
    raise_file_limit()
    link = Link(socket.socket(fileno=link_fd))
    memory = SharedMemory(capacity, fd=memory_fd)
    memory.close_fd()
    arrivals = Arrivals(ARRIVALS)
    is_batched = not options["plain_sockets"] and is_supported()
    sockets: LegSockets = BatchSockets(arrivals, capacity=capacity) if is_batched else PlainSockets(arrivals)
    plane = Plane(
        memory.columns,
        PlaneSettings(**options["plane"]),
        wall_offset_ns=unix_offset_ns(),
        shelf=memory.shelf,
    )
    loop = MediaLoop(
        plane, arrivals, sockets=sockets, link=link, gauges=memory.gauge_columns(), clock=SystemClock()
    )
    is_realtime = options["realtime"] and _take_priority()
    gc.collect()
    gc.freeze()  # What is loaded stays; the collector never walks it again.
    link.send(Ready(pid=os.getpid(), is_realtime=is_realtime, is_batched=is_batched))
    try:
        loop.run()
    except RemoteProtocolError as error:
        _say(f"ending, because the control plane cannot be understood: {error}")
        return 3
    finally:
        sockets.close()
        link.close()
    return 0


def _take_priority() -> bool:
    """Run before everything ordinary and on a core of our own choice, if the system allows it."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(_PRIORITY))
    except (OSError, AttributeError):
        if sys.platform.startswith("linux"):
            _say(
                "no real-time priority, voice may stutter on a busy machine; grant it with: "
                'echo "$USER - rtprio 10" | sudo tee /etc/security/limits.d/cosybridge.conf; log in again'
            )
        return False
    lock_memory()  # best effort: who may run at this priority may nearly always lock as well
    with contextlib.suppress(OSError):
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) > 1:
            # The last one: interrupts and most other things gather on the first.
            os.sched_setaffinity(0, {cores[-1]})
    return True


def _say(line: str) -> None:
    print(f"media: {line}", file=sys.stderr, flush=True)  # noqa: T201  this process's log is its standard error


def _say_exception(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """A dying process tells where in one line; the control plane goes on without it."""
    frame = trace
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    where = f" at {frame.tb_frame.f_code.co_filename}:{frame.tb_lineno}" if frame is not None else ""
    _say(f"{kind.__name__}: {' '.join(str(error).split())}{where}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
