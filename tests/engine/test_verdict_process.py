"""What the judge's process does with what it is told, inside this one."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from numpy.typing import NDArray

from bridge.engine.shared import SharedMemory
from bridge.engine.verdict import Network, Verdict
from bridge.engine.verdict_process import ASKED, COMMAND, LET_GO, VERDICT, WATCH, Bench, read_verdicts
from bridge.plane.columns import Columns
from bridge.plane.floor import DUCKED
from tests.engine.judges.quick import positive


@contextmanager
def bench(network: Network = positive) -> Iterator[socket.socket]:
    ours, theirs = socket.socketpair()
    ours.settimeout(10)
    sitting = threading.Thread(target=Bench(theirs, network).run)
    sitting.start()
    try:
        yield ours
    finally:
        ours.close()
        sitting.join(10)
        theirs.close()
    assert not sitting.is_alive()


@pytest.fixture
def memory() -> Iterator[SharedMemory]:
    made = SharedMemory(8)
    made.columns.generation[:] = np.arange(8) + 1
    made.columns.sensitivity[:] = 1
    made.columns.floor_state[:] = DUCKED
    yield made
    made.close_fd()


def ask(columns: Columns, row: int, *, question: int = 1) -> None:
    """Ask about a voice that has been heard already: its windows come with the question's second look."""
    columns.capture[row, 0] = 900
    columns.question[row] = question


def watch(sock: socket.socket, memory: SharedMemory, *, place: int = 0) -> None:
    socket.send_fds(sock, [COMMAND.pack(WATCH, place, memory.columns.capacity, memory.wide)], [memory.fd])


def answers(sock: socket.socket, columns: Columns, count: int) -> list[Verdict]:
    """What is said while the voices go on."""
    told: list[Verdict] = []
    sock.settimeout(0.02)
    for _ in range(500):
        columns.capture_write += np.uint64(160)
        try:
            told += read_verdicts(sock.recv(VERDICT.size))[0]
        except TimeoutError:
            continue
        if len(told) == count:
            break
    return told


def test_whoever_asks_is_answered(memory: SharedMemory) -> None:
    with bench() as sock:
        watch(sock, memory)
        memory.columns.epoch[5] = 3
        ask(memory.columns, 5, question=9)
        sock.sendall(COMMAND.pack(ASKED, 0, 0, 0))

        told = answers(sock, memory.columns, 1)

    assert told == [Verdict(row=5, generation=6, epoch=3, question=9, is_speech=True)]


def test_several_memories_are_judged_each_by_its_place(memory: SharedMemory) -> None:
    other = SharedMemory(4)
    other.columns.generation[:] = 77
    with bench() as sock:
        watch(sock, memory)
        watch(sock, other, place=1)
        other.close_fd()
        ask(memory.columns, 5)
        ask(other.columns, 2)
        other.columns.capture_write[:] = 4096
        sock.sendall(COMMAND.pack(ASKED, 0, 0, 0))
        first = answers(sock, memory.columns, 1)
        memory.columns.question[5] = 0
        second = answers(sock, other.columns, 1)

    assert [told.generation for told in (*first, *second)] == [6, 77]


def test_memory_that_was_let_go_of_is_not_judged_any_more(memory: SharedMemory) -> None:
    with bench() as sock:
        watch(sock, memory)
        sock.sendall(COMMAND.pack(LET_GO, 0, 0, 0))
        sock.sendall(COMMAND.pack(LET_GO, 7, 0, 0))  # whom nobody watched
        ask(memory.columns, 5)
        sock.sendall(COMMAND.pack(ASKED, 0, 0, 0))
        sock.settimeout(0.1)

        with pytest.raises(TimeoutError):
            sock.recv(1)


def test_commands_may_come_in_pieces(memory: SharedMemory) -> None:
    command = COMMAND.pack(WATCH, 0, 8, 0)
    with bench() as sock:
        socket.send_fds(sock, [command[:3]], [memory.fd])
        sock.sendall(command[3:])
        ask(memory.columns, 5)
        sock.sendall(COMMAND.pack(ASKED, 0, 0, 0))

        assert len(answers(sock, memory.columns, 1)) == 1


def test_a_round_that_fails_is_not_the_last(memory: SharedMemory, capfd: pytest.CaptureFixture[str]) -> None:
    failures: list[int] = []

    def fragile(
        sound: NDArray[np.float32], state: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        if not failures:
            failures.append(1)
            raise RuntimeError("out of memory")
        return positive(sound, state)

    with bench(fragile) as sock:
        watch(sock, memory)
        ask(memory.columns, 5)
        sock.sendall(COMMAND.pack(ASKED, 0, 0, 0))

        assert len(answers(sock, memory.columns, 1)) == 1

    assert "a round of verdicts failed: out of memory" in capfd.readouterr().err


def test_the_descriptor_of_a_memory_is_not_kept(memory: SharedMemory) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with bench() as sock:
        watch(sock, memory)
        ask(memory.columns, 5)
        sock.sendall(COMMAND.pack(ASKED, 0, 0, 0))
        answers(sock, memory.columns, 1)

        # The two ends of the pair; a mapping keeps a copy of its own.
        assert len(os.listdir("/proc/self/fd")) <= before + 3


def test_answers_are_read_whole_and_the_rest_is_kept() -> None:
    first, second = Verdict(1, 2, 3, 4, True), Verdict(5, 6, 7, 8, False)
    data = b"".join(
        VERDICT.pack(told.row, told.generation, told.epoch, told.question, told.is_speech)
        for told in (first, second)
    )

    told, rest = read_verdicts(data[:-3])

    assert told == [first]
    assert read_verdicts(rest + data[-3:]) == ([second], b"")
