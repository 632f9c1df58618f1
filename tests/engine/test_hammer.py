"""Two processes on the same rings, as fast as they can."""

import json
import random
import subprocess
import sys
import time
from typing import cast

import numpy as np
import pytest

from bridge.engine.shared import SharedMemory
from bridge.plane.columns import Columns
from bridge.plane.ring import CaptureReader, PlayoutWriter
from tests.engine.hammer import captured, pattern

ROWS = 3


class Hesitant:
    """The same columns, but now and then the hand that reaches for one stops halfway.

    What the two sides do between two loads or stores takes a microsecond; here it takes as long as the
    other side needs to do the worst.
    """

    def __init__(self, columns: Columns, dice: random.Random) -> None:
        self._columns = columns
        self._dice = dice

    def __getattr__(self, name: str) -> object:
        if self._dice.random() < 0.02:
            time.sleep(self._dice.random() * 0.004)
        return getattr(self._columns, name)


SECONDS = 2


@pytest.mark.e2e
@pytest.mark.parametrize("seed", [1, 20261122])
def test_no_sample_is_torn_stale_or_anothers_whatever_the_timing(seed: int) -> None:
    memory = SharedMemory(ROWS)
    columns = memory.columns
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.engine.hammer", str(memory.fd), str(ROWS), str(seed), str(SECONDS)],
        stdout=subprocess.PIPE,
        pass_fds=[memory.fd],
    )
    dice = random.Random(seed)  # noqa: S311  predictable on purpose
    writers: list[PlayoutWriter | None] = [None] * ROWS
    readers: list[CaptureReader | None] = [None] * ROWS
    generations = [0] * ROWS
    hesitant = cast("Columns", Hesitant(columns, dice))
    written = heard = 0
    try:
        while child.poll() is None:
            for row in range(ROWS):
                generation = int(columns.generation[row])
                if generation not in (0, generations[row]):
                    generations[row] = generation
                    writers[row] = PlayoutWriter(hesitant, row, generation)
                    readers[row] = CaptureReader(hesitant, row, generation)
                writer, reader = writers[row], readers[row]
                if writer is None or reader is None:
                    continue
                epoch = writer.epoch
                writer.open_utterance(epoch)
                # A full ring hides a careless writer: half of the time it is fed only when it has run dry.
                is_dry = writer.played >= writer.write_index
                for _ in range(dice.randint(1, 3) if row % 2 or is_dry else 0):
                    written += writer.write(
                        pattern(generations[row], epoch, writer.write_index, dice.randint(1, 2000)),
                        epoch=epoch,
                    )
                if dice.random() < 0.3:
                    writer.close_utterance(epoch)
                samples = reader.read(dice.randint(1, 4000))
                count = samples.shape[1]
                start = reader.position - count
                heard += count
                for lane in (0, 1):
                    assert np.array_equal(samples[lane], captured(generations[row], lane, start, count))
    finally:
        child.kill()
        output, _ = child.communicate()
        memory.close_fd()
    seen = json.loads(output)

    assert seen["wrong"] == seen["broken"] == 0
    assert min(seen["frames"], seen["flushes"], seen["generations"]) > 10
    assert written > 10_000
    assert heard > 10_000
