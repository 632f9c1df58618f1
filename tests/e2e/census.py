"""What a bridge holds at this moment, so that a test can tell what was left behind."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.e2e.running import RunningBridge

__all__ = ["Burden", "Census", "child_pid"]

_PROC = Path("/proc")


def child_pid(bridge: RunningBridge, module: str, *, name: str = "") -> int:
    """The child that runs ``python -m module``, e.g. ``bridge.engine.process``; by its own name, if given."""
    for pid in _children(bridge.process.pid):
        if module in _command(pid) and name in ("", _own_name(pid)):
            return pid
    raise LookupError(f"the bridge has no child {name} that runs {module}")


@dataclass(frozen=True, slots=True)
class Census:
    """Calls, rows, threads and descriptors; equal before and after whatever leaves nothing behind.

    TCP connections are left out: to the voice there are as many as it takes, and ours come and go.
    """

    calls: int
    """Running, by the bridge's own account."""
    rows: float
    processes: tuple[str, ...]
    descriptors: dict[str, int]
    """Sockets, pipes and files of every process, by the module it runs and the kind."""

    @classmethod
    def of(cls, bridge: RunningBridge, *, but: str = "") -> Self:
        """Count now; `but` leaves one kind of descriptor out, e.g. ``bridge /memfd``."""
        own = bridge.process.pid
        pids = [own, *_children(own)]
        modules = {pid: _module(pid) for pid in pids}
        kinds: Counter[str] = Counter()
        for pid in pids:
            targets = _descriptors(pid)
            tables = {kind: _inodes(kind) for kind in ("udp", "unix")}
            for target in targets:
                kind = target.split(":")[0]
                if kind == "socket":
                    kind = next((name for name, inodes in tables.items() if target in inodes), "")
                if kind:
                    kinds[f"{modules[pid]} {kind}"] += 1
        return cls(
            calls=sum(call["state"] != "ended" for call in bridge.get("/api/calls")["calls"]),
            rows=bridge.metric("cosybridge_engine_legs"),
            processes=tuple(sorted(modules.values())),
            descriptors={kind: count for kind, count in sorted(kinds.items()) if kind != but},
        )


@dataclass(frozen=True, slots=True)
class Burden:
    """What the process that signals carries: tasks by owner, and descriptors of every kind, TCP included.

    Connections to it come and go, each with a descriptor and a task of a library's; those to the voice, of
    which there are as many as it takes, are left out.
    """

    tasks: dict[str, int]
    strangers: int
    """Tasks that nobody of ours started, connections to the page among them."""
    descriptors: int

    @classmethod
    def of(cls, bridge: RunningBridge) -> Self:
        owners = {owner: int(count) for owner, count in bridge.series("cosybridge_tasks", "owner").items()}
        strangers = owners.pop("other", 0)
        owners.pop("cosyvoice", None)  # as many connections as it takes
        voice = _connections_to(bridge.tts_port)
        held = [target for target in _descriptors(bridge.process.pid) if target not in voice]
        return cls(owners, strangers, len(held))

    def is_no_more_than(self, before: Self, *, slack: int) -> bool:
        """Whether our own tasks are the same, and of the others no more than `slack` came."""
        return (
            self.tasks == before.tasks
            and self.strangers <= before.strangers + slack
            and self.descriptors <= before.descriptors + slack
        )


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in (_PROC / str(pid) / "task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split()]
    return found


def _command(pid: int) -> list[str]:
    try:
        return (_PROC / str(pid) / "cmdline").read_bytes().decode().split("\0")
    except OSError:
        return []


def _own_name(pid: int) -> str:
    try:
        return (_PROC / str(pid) / "comm").read_text().strip()
    except OSError:
        return ""


def _module(pid: int) -> str:
    command = _command(pid)
    return command[command.index("-m") + 1] if "-m" in command else " ".join(command)[:40]


def _descriptors(pid: int) -> list[str]:
    targets = []
    try:
        for handle in (_PROC / str(pid) / "fd").iterdir():
            try:
                targets.append(str(handle.readlink()))
            except OSError:
                continue  # closed meanwhile
    except OSError:
        pass
    return targets


def _inodes(kind: str) -> set[str]:
    """The sockets of one kind, as links to their descriptors name them (proc(5))."""
    column = 6 if kind == "unix" else 9
    lines = (_PROC / "net" / kind).read_text().splitlines()[1:]
    return {f"socket:[{line.split()[column]}]" for line in lines}


def _connections_to(port: int) -> set[str]:
    """TCP sockets whose other end has this port, as links to their descriptors name them."""
    lines = (_PROC / "net" / "tcp").read_text().splitlines()[1:]
    rows = [line.split() for line in lines]
    return {f"socket:[{row[9]}]" for row in rows if int(row[2].split(":")[1], 16) == port}
