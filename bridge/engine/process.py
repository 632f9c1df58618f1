"""The media process: ``python -m bridge.engine.process LINK_FD SETTINGS``.

Started by `bridge.engine.child` only. It loads neither asyncio nor any other room than the plane, starts no
thread, and ends with the process that started it. It begins as a standby: once everything is loaded and was
used once it waits on its pipe, and whatever it is then given to carry it carries at once.
"""

import contextlib
import gc
import json
import os
import select
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from bridge.clock import SystemClock, unix_offset_ns
from bridge.engine.budget import Costs
from bridge.engine.calibrate import calibrate
from bridge.engine.codecs import make_codec
from bridge.engine.commands import Carry, Message, Ready
from bridge.engine.demux import Demux
from bridge.engine.link import Link
from bridge.engine.loop import MediaLoop
from bridge.engine.mmsg import BatchSockets, die_with_parent, is_supported, lock_memory
from bridge.engine.ports import raise_file_limit
from bridge.engine.rehearsal import rehearse
from bridge.engine.shared import SharedMemory
from bridge.engine.sockets import LegSockets, PlainSockets
from bridge.engine.srtp import SrtpRows
from bridge.errors import RemoteProtocolError
from bridge.plane.banks import Banks
from bridge.plane.packets import Arrivals
from bridge.plane.spec import PlaneSettings

__all__ = ["ARRIVALS", "main"]

ARRIVALS = 1024
"""Datagrams read in one go."""
_PRIORITY = 10
"""SCHED_FIFO priority: above everything ordinary, below the kernel's own threads."""
_LOADING_NICE = 19


def main(arguments: list[str]) -> int:
    """Carry legs until told to stop or left alone; return the exit status."""
    link_fd, settings = int(arguments[0]), arguments[1]
    options = json.loads(settings)
    sys.excepthook = _say_exception
    # Ctrl-C reaches the whole terminal; ending in good order is the control plane's decision.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent(signal.SIGKILL)
    raise_file_limit()
    link = Link(socket.socket(fileno=link_fd))
    is_urgent = options["realtime"] and _may_be_urgent()
    if is_urgent:
        os.nice(_LOADING_NICE)  # Calls are being carried: loading must not disturb them.
    rehearse(PlaneSettings(**options["plane"]))
    costs = _calibrate(options) if options["calibrates"] else Costs(0, 0)
    if is_urgent:
        _take_priority()
    _take_name("cosy-standby")
    gc.collect()
    gc.freeze()  # What is loaded stays; the collector never walks it again.
    link.send(
        Ready(os.getpid(), is_urgent, _is_batched(options), tick_ns=costs.tick_ns, pair_ns=costs.pair_ns)
    )
    try:
        orders = _await_orders(link)
        if orders and isinstance(orders[0], Carry):
            _carry(link, orders[0], orders[1:], options, is_urgent=is_urgent)
    except RemoteProtocolError as error:
        _say(f"ending, because the control plane cannot be understood: {error}")
        return 3
    finally:
        link.close()
    return 0


def _await_orders(link: Link) -> Sequence[Message]:
    """Wait until the control plane says something; nothing if it is gone."""
    poll = select.poll()
    poll.register(link.sock, select.POLLIN)
    try:
        while not (orders := link.receive()):
            poll.poll()
    except EOFError:
        return ()
    return orders


def _carry(
    link: Link, task: Carry, orders: Sequence[Message], options: dict[str, Any], *, is_urgent: bool
) -> None:
    """Serve these rows until the end."""
    fds = link.take_fds()
    if not fds:
        raise OSError("its memory did not arrive; the media process is out of file descriptors")
    memory = SharedMemory(task.capacity, wide=task.wide, fd=fds[0])
    memory.close_fd()
    _take_name("cosy-media")
    if is_urgent:
        _take_core(task.place)
    arrivals = Arrivals(ARRIVALS)
    plane = Banks(
        memory.banks,
        PlaneSettings(**options["plane"]),
        wall_offset_ns=unix_offset_ns(),
        make_codec=make_codec,
    )
    demux = Demux(plane.peer_ssrc)
    sockets: LegSockets = (
        BatchSockets(arrivals, capacity=sum(bank.capacity for bank in memory.banks), demux=demux)
        if _is_batched(options)
        else PlainSockets(arrivals, demux=demux)
    )
    loop = MediaLoop(
        plane,
        arrivals,
        sockets=sockets,
        srtp=SrtpRows(memory.banks),
        link=link,
        gauges=memory.gauge_columns(),
        clock=SystemClock(),
        orders=orders,
    )
    try:
        loop.run()
    finally:
        sockets.close()


def _calibrate(options: dict[str, Any]) -> Costs:
    return calibrate(
        PlaneSettings(**options["plane"]),
        ports_shared=options["ports_shared"],
        plain_sockets=not _is_batched(options),
    )


def _is_batched(options: dict[str, Any]) -> bool:
    return not options["plain_sockets"] and is_supported()


def _may_be_urgent() -> bool:
    """Whether the system lets us run before everything ordinary."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(_PRIORITY))
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    except (OSError, AttributeError):
        if sys.platform.startswith("linux"):
            _say(
                "no real-time priority, voice may stutter on a busy machine; grant it with: "
                'echo "$USER - rtprio 10" | sudo tee /etc/security/limits.d/cosybridge.conf; log in again'
            )
        return False
    return True


def _take_priority() -> None:
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(_PRIORITY))
    lock_memory()  # best effort: who may run at this priority may nearly always lock as well


def _take_core(place: int) -> None:
    """Stay on a core of our own choice."""
    with contextlib.suppress(OSError):
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) > 1:
            # The last ones: interrupts and most other things gather on the first.
            os.sched_setaffinity(0, {cores[-1 - place % len(cores)]})


def _take_name(name: str) -> None:
    """Let ``ps`` and ``top`` tell who carries the calls and who waits."""
    with contextlib.suppress(OSError):
        Path("/proc/self/comm").write_text(name)


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
