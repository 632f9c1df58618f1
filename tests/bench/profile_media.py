"""Where the microseconds of a tick go: the media loop on real sockets, in time that moves by itself.

    python -m tests.bench.profile_media --legs 500 1000

The loop, the plane and the system calls are those of the media process. Phones send between the turns, off
the clock; no turn waits for its time to come. Parts are timed by the CPU time of the thread, so that
neighbours do not count. A second pass under cProfile splits them by stage; it costs some, so only its shares
are used.
"""

import argparse
import cProfile
import pstats
import socket
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from bridge.engine.commands import OpenRow, SharePort
from bridge.engine.demux import Demux
from bridge.engine.link import Link
from bridge.engine.loop import MediaLoop
from bridge.engine.mmsg import BatchSockets
from bridge.engine.ports import peer_key, raise_file_limit
from bridge.engine.shared import SharedMemory
from bridge.engine.sockets import FOREVER_NS
from bridge.engine.srtp import SrtpRows
from bridge.plane.banks import Banks
from bridge.plane.columns import Columns
from bridge.plane.packets import Arrivals, Departures
from bridge.plane.ring import PlayoutWriter
from bridge.plane.spec import PlaneSettings, RowSpec
from tests.bench.crowd import Ear, Mouth, phones
from tests.bench.generator import noise
from tests.bench.network import Network
from tests.bench.stages import STAGES, StageSet, stage_set

__all__ = ["Cost", "Rig", "Split", "by_stage"]

_SLOT_NS = 20_000_000
_START_NS = 1_000_000_000
_ARRIVALS = 1024
_BURST_SAMPLES = 16_000
_CYCLE_SLOTS = 200
"""Two seconds of speech in four."""
_WARM_UP_SLOTS = 75
_BUFFER_BYTES = 4 << 20
_AHEAD_MS = 4
"""A tick finds the packets of the time that it slept."""


@dataclass(slots=True)
class Split:
    """CPU time by part, and how often each ran."""

    taken_ns: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    times: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    packets: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def clear(self) -> None:
        for counts in (self.taken_ns, self.times, self.packets):
            counts.clear()

    def note(self, part: str, began_ns: int, packets: int = 0) -> None:
        self.taken_ns[part] += time.thread_time_ns() - began_ns
        self.times[part] += 1
        self.packets[part] += packets


class _Dial:
    """Time that jumps to whatever the loop waits for."""

    def __init__(self) -> None:
        self.ns = _START_NS

    def now_ns(self) -> int:
        return self.ns


class _TimedSockets(BatchSockets):
    def __init__(self, arrivals: Arrivals, *, capacity: int, demux: Demux, split: Split, dial: _Dial) -> None:
        super().__init__(arrivals, capacity=capacity, demux=demux)
        self._split = split
        self._dial = dial

    def wait(self, until_ns: int, *, for_packets: bool) -> bool:
        if until_ns != FOREVER_NS:
            self._dial.ns = max(self._dial.ns, until_ns)
        began_ns = time.thread_time_ns()
        # The dial is behind the machine's clock: the timer is due at once, and costs what it costs.
        has_commands = super().wait(until_ns, for_packets=for_packets)
        self._split.note("wait", began_ns)
        return has_commands

    def receive(self) -> int:
        began_ns = time.thread_time_ns()
        count = super().receive()
        self._split.note("receive calls", began_ns, count)
        return count

    def send(self, departures: Departures) -> None:
        began_ns = time.thread_time_ns()
        super().send(departures)
        self._split.note("send calls", began_ns, len(departures))


class _TimedPlane(Banks):
    def __init__(self, columns: Columns, settings: PlaneSettings, split: Split) -> None:
        super().__init__([columns], settings)
        self._split = split

    def receive(self, arrivals: Arrivals, *, now_ns: int) -> None:
        began_ns = time.thread_time_ns()
        super().receive(arrivals, now_ns=now_ns)
        self._split.note("plane.receive", began_ns, arrivals.count)

    def build(self, rows: NDArray[np.intp], *, now_ns: int) -> Departures:
        began_ns = time.thread_time_ns()
        departures = super().build(rows, now_ns=now_ns)
        self._split.note("plane.build", began_ns, len(departures))
        return departures

    def report(self, rows: NDArray[np.intp], *, now_ns: int) -> Departures:
        began_ns = time.thread_time_ns()
        departures = super().report(rows, now_ns=now_ns)
        self._split.note("plane.report", began_ns, len(departures))
        return departures


class Rig:
    """A media loop with `legs` calls and their phones, in one process."""

    def __init__(self, legs: int, stages: StageSet, *, shared: bool = False) -> None:
        self.split = Split()
        self._legs = legs
        self._dial = _Dial()
        self._arrivals = Arrivals(_ARRIVALS)
        ours, theirs = socket.socketpair()
        self._control, self._link = Link(ours), Link(theirs)
        memory = SharedMemory(legs)
        memory.close_fd()
        plane = _TimedPlane(memory.columns, stages.plane, self.split)
        self._sockets = _TimedSockets(
            self._arrivals,
            capacity=legs,
            demux=Demux(plane.peer_ssrc),
            split=self.split,
            dial=self._dial,
        )
        self._loop = MediaLoop(
            plane,
            self._arrivals,
            sockets=self._sockets,
            srtp=SrtpRows(memory.banks),
            link=self._link,
            gauges=memory.gauge_columns(),
            clock=self._dial,
        )
        self._phones = phones(legs)
        self._mouth = Mouth(self._phones, noise())
        self._ear = Ear(self._phones, keep=0)
        self._network = Network(loss=stages.loss)
        self._speech = np.random.default_rng(3).integers(-9000, 9000, _BURST_SAMPLES).astype(np.int16)
        self._open(stages, shared=shared)
        self._writers = [PlayoutWriter(memory.columns, row, 1) for row in range(legs)]
        self._next_send = self._next_talk = 0
        self._began_ns = self._dial.ns

    def run(self, slots: int) -> int:
        """Carry `slots` times 20 ms; return the CPU time of the loop's turns in ns."""
        taken_ns = 0
        end_ns = self._dial.ns + slots * _SLOT_NS
        while self._dial.ns < end_ns:
            self._play_phones()
            began_ns = time.thread_time_ns()
            self._loop.turn()
            taken_ns += time.thread_time_ns() - began_ns
            self._ear.listen(0, self._legs)
            self._control.receive()
        return taken_ns

    def close(self) -> None:
        self._sockets.close()
        for sock in self._phones:
            sock.close()
        self._link.close()
        self._control.close()

    def _open(self, stages: StageSet, *, shared: bool) -> None:
        common = _bound()
        if shared:
            self._control.send(SharePort(0, 1), [common.fileno()])
        for row in range(self._legs):
            sock = common if shared else _bound()
            self._mouth.call(row, sock.getsockname()[1])
            spec = RowSpec(
                generation=1,
                ssrc=row + 1,
                sequence=row,
                timestamp=row,
                codec=0,
                payload_type=0,
                dtmf_payload_type=101,
                remote_key=peer_key(self._phones[row].getsockname()),
                latch_ip=0,
                sending=True,
                receiving=True,
                interruptible=3,
                rtcp_mux=stages.reports,
                cname="rig",
            )
            if shared:
                self._control.send(OpenRow(row, 0, spec, shared_port=0))
            else:
                self._control.send(OpenRow(row, 1, spec), [sock.fileno()])
                sock.close()
            while self._loop.rows <= row:
                # Rows are opened in the midst of a slot, as calls come: they spread over the ticks.
                self._loop.turn()
                self._control.receive()

        common.close()

    def _play_phones(self) -> None:
        """Send what the phones would have sent by now, and write what is to be said."""
        passed_ns = self._dial.ns - self._began_ns
        due = (passed_ns // 1_000_000 + _AHEAD_MS) * self._legs // 20
        if due > self._next_send:
            turns = np.arange(self._next_send, due)
            self._network.put(turns % self._legs, turns // self._legs, tick=due)
            self._mouth.say(*self._network.take(due))
            self._next_send = due
        talk_due = passed_ns * self._legs // (_CYCLE_SLOTS * _SLOT_NS)
        while self._next_talk <= talk_due:
            writer = self._writers[self._next_talk % self._legs]
            epoch = writer.epoch
            writer.write(self._speech, epoch=epoch)
            writer.close_utterance(epoch)
            self._next_talk += 1


def _bound() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
    sock.bind(("127.0.0.1", 0))
    return sock


@dataclass(slots=True)
class Cost:
    """Seconds of one module or function."""

    own_s: float = 0.0
    """Library code counts to whoever called it."""
    whole_s: float = 0.0
    """With what it calls of ours; 0 for a module."""


def by_stage(profile: cProfile.Profile) -> tuple[dict[str, Cost], dict[str, Cost]]:
    """What our own code cost, by module and by function."""
    modules: dict[str, Cost] = defaultdict(Cost)
    functions: dict[str, Cost] = defaultdict(Cost)
    # typeshed does not know the dictionary that pstats is made of.
    for (path, _, name), figures in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        _, _, own_s, whole_s, _ = figures
        if (module := _module(path)) is None:
            continue
        modules[module].own_s += own_s
        function = functions[f"{module}.{name}"]
        function.own_s += own_s
        function.whole_s += whole_s
    return dict(modules), dict(functions)


def _module(path: str) -> str | None:
    """``plane.gate`` for that file of ours, None for code that is not the media process's."""
    parts = Path(path).with_suffix("").parts
    return ".".join(parts[-2:]) if parts[-3:-1] in (("bridge", "plane"), ("bridge", "engine")) else None


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.profile_media", description=__doc__)
    parser.add_argument("--legs", type=int, nargs="+", default=[500], help="numbers of calls")
    parser.add_argument("--slots", type=int, default=200, help="slots of 20 ms to measure")
    parser.add_argument("--stages", choices=STAGES, default="all")
    parser.add_argument("--shared", action="store_true", help="all calls on one port")
    parser.add_argument("--top", type=int, default=25, help="functions to show")
    told = parser.parse_args()
    raise_file_limit()
    console = Console(width=110)
    for legs in told.legs:
        _show(legs, told, console)


def _show(legs: int, told: argparse.Namespace, console: Console) -> None:
    rig = Rig(legs, stage_set(told.stages), shared=told.shared)
    try:
        rig.run(_WARM_UP_SLOTS)
        rig.split.clear()
        taken_ns = rig.run(told.slots)
        split = Split(dict(rig.split.taken_ns), dict(rig.split.times), dict(rig.split.packets))
        profile = cProfile.Profile(builtins=False)
        profile.enable()
        rig.run(told.slots)
        profile.disable()
    finally:
        rig.close()
    ticks = split.times["wait"] / told.slots
    pairs = legs * told.slots
    ports = " on one port" if told.shared else ""
    console.print(
        f"\n{legs} legs{ports}, stages: {told.stages}: {taken_ns / told.slots / 1e6:.2f} ms a slot of 20 ms "
        f"({taken_ns / told.slots / 2e5:.1f} % of a core), {taken_ns / pairs / 1000:.2f} µs a packet pair, "
        f"{taken_ns / told.slots / ticks / 1000:.0f} µs a tick"
    )
    console.print(_parts(split, taken_ns, told.slots, pairs))
    modules, functions = by_stage(profile)
    scale = taken_ns / 1e9 / sum(cost.own_s for cost in modules.values())
    console.print("by module and by function: shares under cProfile, laid on the sum above", style="dim")
    console.print(_costs("module", modules, scale, pairs, told.slots, most=40))
    console.print(_costs("function", functions, scale, pairs, told.slots, most=told.top))


def _parts(split: Split, taken_ns: int, slots: int, pairs: int) -> Table:
    grid = Table()
    for name in ("part", "µs a slot", "µs a pair", "share", "times a slot", "packets a time"):
        grid.add_column(name, justify="left" if name == "part" else "right")
    parts = {**split.taken_ns, "loop and pipe": taken_ns - sum(split.taken_ns.values())}
    for name, part_ns in sorted(parts.items(), key=lambda item: -item[1]):
        times = split.times.get(name, 0)
        grid.add_row(
            name,
            f"{part_ns / slots / 1000:.0f}",
            f"{part_ns / pairs / 1000:.2f}",
            f"{part_ns / taken_ns:.1%}",
            f"{times / slots:.1f}" if times else "",
            f"{split.packets[name] / times:.0f}" if split.packets.get(name) else "",
        )
    return grid


def _costs(kind: str, costs: dict[str, Cost], scale: float, pairs: int, slots: int, *, most: int) -> Table:
    grid = Table()
    for name in (kind, "own µs a slot", "own µs a pair", "with callees, µs a slot"):
        grid.add_column(name, justify="left" if name == kind else "right")
    ordered = sorted(costs.items(), key=lambda item: -item[1].own_s)
    for name, cost in ordered[:most]:
        own_us, whole_us = cost.own_s * scale * 1e6, cost.whole_s * scale * 1e6
        grid.add_row(
            name,
            f"{own_us / slots:.0f}",
            f"{own_us / pairs:.3f}",
            f"{whole_us / slots:.0f}" if whole_us else "",
        )
    return grid


if __name__ == "__main__":
    main()
