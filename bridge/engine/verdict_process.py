"""The judge's process: ``python -m bridge.engine.verdict_process LINK_FD``.

Started by `bridge.engine.verdict_child` only. It maps the shared columns for reading, sleeps until somebody
asks, and ends with the process that started it. Its own interpreter's lock keeps nobody waiting. It is as
important as the control plane: a verdict that is 15 ms late is often one that does not count any more.
"""

import mmap
import os
import select
import signal
import socket
import struct
import sys
from collections.abc import Callable
from contextlib import suppress

from bridge.engine.mmsg import die_with_parent
from bridge.engine.shared import lay_banks
from bridge.engine.verdict import Judge, Network, Verdict, silero
from bridge.plane.columns import Columns

__all__ = ["ASKED", "CANNOT_LOAD", "COMMAND", "LET_GO", "VERDICT", "WATCH", "Bench", "main", "read_verdicts"]

COMMAND = struct.Struct("<BxHII")
"""Kind, place of the memory, its rows of 8 kHz, and of each higher rate."""
VERDICT = struct.Struct("<IIQQB7x")
"""Row, generation, epoch, question, 1 for speech."""
WATCH, LET_GO, ASKED = 1, 2, 3
"""Kinds of command; with `WATCH` travels the memory's descriptor."""
CANNOT_LOAD = 2
"""Exit status of a process that another one would only repeat."""
_POLL_S = 0.008
"""A quarter of a window."""
_READ_BYTES = 4096
_MOST_FDS = 16


class Bench:
    """Where the judge sits: reads commands, lets him listen, sends his answers.

    Args:
        sock: To the control plane; whoever is on its other side is obeyed.
        network: Judges sound.
    """

    def __init__(self, sock: socket.socket, network: Network) -> None:
        self._sock = sock
        self._network = network
        self._judges: dict[int, list[Judge]] = {}
        """One for each bank of the memory at a place."""
        self._pending = b""
        self._fds: list[int] = []

    def run(self) -> None:
        """Judge until the other side is gone."""
        with suppress(BrokenPipeError, ConnectionResetError):
            while True:
                is_asked = any(judge.is_asked for judges in self._judges.values() for judge in judges)
                readable, _, _ = select.select([self._sock], [], [], _POLL_S if is_asked else None)
                if readable and not self._read():
                    return
                for judges in self._judges.values():
                    for number, judge in enumerate(judges):
                        if judge.is_asked:
                            self._hear(judges, number)

    def _read(self) -> bool:
        """Take what has come; false at the end."""
        data, fds, _, _ = socket.recv_fds(self._sock, _READ_BYTES, _MOST_FDS)
        self._fds += fds
        if not data:
            return False
        self._pending += data
        whole = len(self._pending) // COMMAND.size * COMMAND.size
        for kind, place, capacity, wide in COMMAND.iter_unpack(self._pending[:whole]):
            if kind == WATCH:
                banks = _map(self._fds.pop(0), capacity, wide)
                self._judges[place] = [Judge(columns, self._network) for columns in banks]
            elif kind == LET_GO:
                self._judges.pop(place, None)
        self._pending = self._pending[whole:]
        return True

    def _hear(self, judges: list[Judge], number: int) -> None:
        judge = judges[number]
        try:
            verdicts = judge.step()
        except Exception as error:
            _say(f"a round of verdicts failed: {error}")
            judges[number] = Judge(judge.columns, self._network)
            return
        if verdicts:
            self._sock.sendall(b"".join(map(_packed, verdicts)))


def main(arguments: list[str], *, load: Callable[[], Network] = silero) -> int:
    """Judge until left alone; return the exit status."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent(signal.SIGKILL)
    sock = socket.socket(fileno=int(arguments[0]))
    try:
        network = load()
    except Exception as error:
        _say(f"voices are judged by their loudness alone, for Silero does not load: {error}")
        return CANNOT_LOAD
    with sock:
        Bench(sock, network).run()
    return 0


def read_verdicts(data: bytes) -> tuple[list[Verdict], bytes]:
    """Take the answers out of what came from a judge; return the rest, too."""
    whole = len(data) // VERDICT.size * VERDICT.size
    told = [
        Verdict(row, generation, epoch, question, bool(is_speech))
        for row, generation, epoch, question, is_speech in VERDICT.iter_unpack(data[:whole])
    ]
    return told, data[whole:]


def _map(fd: int, capacity: int, wide: int) -> tuple[Columns, ...]:
    """The columns of a memory, to be read only."""
    try:
        return lay_banks(mmap.mmap(fd, 0, access=mmap.ACCESS_READ), capacity, wide)
    finally:
        os.close(fd)


def _packed(told: Verdict) -> bytes:
    return VERDICT.pack(told.row, told.generation, told.epoch, told.question, told.is_speech)


def _say(line: str) -> None:
    print(f"judge: {line}", file=sys.stderr, flush=True)  # noqa: T201  this process's log is its standard error


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
