"""Both ends of the rings at full speed in two processes: nothing torn, nothing stale, nothing swapped."""

import mmap
import os
import subprocess
import sys

import numpy as np
import pytest

from bridge.plane.columns import Columns
from bridge.plane.ring import CaptureReader, PlayoutWriter
from tests.plane.ring_peer import CAPACITY, GENERATION, ROW

_PERIOD = 30011


@pytest.mark.e2e
@pytest.mark.parametrize("seed", [1, 2])
def test_two_processes_hammer_the_rings(seed: int) -> None:
    ticks, dice = 3000, np.random.default_rng(seed)
    fd = os.memfd_create("rings")
    os.truncate(fd, Columns.size_bytes(CAPACITY))
    columns = Columns(mmap.mmap(fd, Columns.size_bytes(CAPACITY)), CAPACITY)
    writer = PlayoutWriter(columns, ROW, GENERATION)
    reader = CaptureReader(columns, ROW, GENERATION)
    command = [sys.executable, "-m", "tests.plane.ring_peer", str(fd), str(ticks), str(seed)]
    heard, was_open = [], False
    with subprocess.Popen(command, pass_fds=[fd]) as peer:
        while peer.poll() is None:
            epoch = writer.epoch
            begin = writer.write_index
            # Every sample tells its own index, so that whatever comes out can be checked alone.
            indices = np.arange(begin, begin + int(dice.integers(0, 4000)))
            writer.write((indices % _PERIOD + 1).astype(np.int16), epoch=epoch)
            was_open |= writer.is_open
            heard.append(reader.read(int(dice.integers(1, 4000)))[1].astype(np.int64))
    os.close(fd)
    assert peer.returncode == 0
    assert was_open
    assert reader.position > 0
    for piece in heard:
        sounding = np.flatnonzero(piece)
        steps = np.diff(piece[sounding])[np.diff(sounding) == 1]
        # Within one piece samples follow each other; only a flush may leap, and only forward.
        assert ((steps % _PERIOD) >= 1).all()
        leaps = int((steps % _PERIOD != 1).sum())
        assert leaps <= 1 + len(piece) // 160 // 4
