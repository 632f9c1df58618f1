"""Who holds a port that we wanted (Linux: /proc/net and /proc/PID/fd, proc(5))."""

import errno
import os
import pwd
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bridge.errors import SetupError
from bridge.hosts import is_v6, spot

__all__ = ["Holder", "Kind", "Wanted", "port_taken", "refuse_taken", "who_holds"]

Kind = Literal["udp", "tcp"]

_LISTENING = "0A"
_PROC = Path("/proc")
_OUR_CHILD = "-m bridge.app.voice_process"


@dataclass(frozen=True, slots=True)
class Holder:
    """The process behind an open port, as far as we may look."""

    pid: int | None
    """None when the process belongs to another user."""
    name: str
    """Program, without its arguments: those may hold secrets."""
    user: str

    def __str__(self) -> str:
        if self.pid is None:
            return f"a process of user {self.user}"
        return f"{self.name} (process {self.pid} of user {self.user})"


@dataclass(frozen=True, slots=True)
class Wanted:
    """An address that a setting asks for."""

    setting: str
    listen: tuple[str, int]
    kind: Kind


def refuse_taken(wanted: Sequence[Wanted]) -> None:
    """Try all addresses before anything is started, so that one line names everything that is in the way.

    Raises:
        SetupError: If one of them cannot be bound.
    """
    faults = [(want, error) for want in wanted if (error := _try(want)) is not None]
    if not faults:
        return
    holders = {str(who_holds(want.listen[1], want.kind)) for want, _ in faults}
    if len(faults) == 1 or len(holders) > 1 or any(e.errno != errno.EADDRINUSE for _, e in faults):
        want, error = faults[0]
        raise port_taken(want.listen, want.kind, setting=want.setting, cause=error)
    # UDP and TCP of one setting are one place.
    taken = dict.fromkeys((want.setting, want.listen) for want, _ in faults)
    places = ", ".join(f"{setting} {spot(*listen)}" for setting, listen in taken)
    others = " ".join(f"--set {setting}={spot(host, _another(port))}" for setting, (host, port) in taken)
    raise SetupError(f"{places} are taken by {holders.pop()}; stop that, or choose others: {others}")


def _try(want: Wanted) -> OSError | None:
    kind = socket.SOCK_DGRAM if want.kind == "udp" else socket.SOCK_STREAM
    family = socket.AF_INET6 if is_v6(want.listen[0]) else socket.AF_INET
    with socket.socket(family, kind) as probe:
        if family == socket.AF_INET6:
            # As our sockets are: IPv4 has its own (RFC 3493 §5.3).
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if want.kind == "tcp":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(want.listen)
        except OSError as error:
            return error
    return None


def who_holds(port: int, kind: Kind, *, proc: Path = _PROC) -> Holder | None:
    """Find the process that has `port` open; None if there is none or the platform does not tell."""
    sockets = _sockets_at(port, kind, proc)
    if not sockets:
        return None
    for pid in _pids(proc):
        if _holds(proc / str(pid), set(sockets)):
            responsible = _responsible(pid, proc)
            program = _program(proc / str(responsible))
            return Holder(responsible, program, _user(next(iter(sockets.values()))))
    return Holder(None, "", _user(next(iter(sockets.values()))))


def port_taken(listen: tuple[str, int], kind: Kind, *, setting: str, cause: OSError) -> SetupError:
    """Explain why an address could not be bound, and what to do.

    Args:
        listen: Address that was asked for.
        kind: Transport.
        setting: Key of the settings file that names the address, e.g. ``sip.listen``.
        cause: What bind raised.
    """
    host, port = listen
    place = f"{setting} {spot(host, port)} ({kind})"
    if cause.errno == errno.EADDRINUSE:
        holder = who_holds(port, kind)
        by = f"taken by {holder}" if holder is not None else "taken"
        return SetupError(
            f"{place} is {by}; stop that, or choose another: --set {setting}={spot(host, _another(port))}"
        )
    if cause.errno == errno.EADDRNOTAVAIL:
        return SetupError(f"{place} is no address of this machine")
    if cause.errno == errno.EACCES:
        return SetupError(f"{place} needs privileges; ports from 1024 on do not")
    return SetupError(f"{place} cannot be opened: {cause.strerror or cause}")


def _another(port: int) -> int:
    return port + 10_000 if port < 55_000 else port - 10_000


def _sockets_at(port: int, kind: Kind, proc: Path) -> dict[str, int]:
    """Map the inode of each socket on this port to its user id."""
    found: dict[str, int] = {}
    for table in (kind, f"{kind}6"):
        try:
            lines = (proc / "net" / table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for columns in (line.split() for line in lines):
            # sl local_address rem_address st tx:rx tr:tm retrnsmt uid timeout inode
            if len(columns) < 10 or int(columns[1].rpartition(":")[2], 16) != port:
                continue
            if kind == "udp" or columns[3] == _LISTENING:
                found[columns[9]] = int(columns[7])
    return found


def _pids(proc: Path) -> list[int]:
    try:
        return sorted(int(entry.name) for entry in proc.iterdir() if entry.name.isdigit())
    except OSError:
        return []


def _holds(process: Path, inodes: set[str]) -> bool:
    wanted = {f"socket:[{inode}]" for inode in inodes}
    try:
        return any(_target(handle) in wanted for handle in (process / "fd").iterdir())
    except OSError:  # gone, or not ours to look at
        return False


def _responsible(pid: int, proc: Path) -> int:
    """Name the parent of a child that would only be started again."""
    if not _program(proc / str(pid)).endswith(_OUR_CHILD):
        return pid
    try:
        after_name = (
            (proc / str(pid) / "stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2]
        )
        return int(after_name.split()[1])
    except (OSError, ValueError, IndexError):
        return pid


def _target(handle: Path) -> str:
    try:
        return str(handle.readlink())
    except OSError:
        return ""


def _program(process: Path) -> str:
    """Name of the program; for an interpreter also the module or the script that it runs."""
    try:
        command = (process / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
    except OSError:
        return "a process"
    name = os.path.basename(command[0]) or "a process"
    if name.startswith("python") and len(command) > 1:
        if command[1] == "-m" and len(command) > 2:
            return f"{name} -m {command[2]}"
        if not command[1].startswith("-"):
            return f"{name} {os.path.basename(command[1])}"
    return name


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
