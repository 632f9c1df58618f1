"""Two processes on the same rings, as fast as they can."""

import json
import random
import subprocess
import sys

import numpy as np
import pytest

from bridge.engine.shared import SharedMemory
from bridge.plane.ring import CaptureReader, PlayoutWriter
from tests.engine.hammer import captured, pattern

ROWS = 3
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
    written = heard = 0
    while child.poll() is None:
        for row in range(ROWS):
            generation = int(columns.generation[row])
            if generation not in (0, generations[row]):
                generations[row] = generation
                writers[row] = PlayoutWriter(columns, row, generation)
                readers[row] = CaptureReader(columns, row, generation)
            writer, reader = writers[row], readers[row]
            if writer is None or reader is None:
                continue
            epoch = writer.epoch
            writer.open_utterance(epoch)
            for _ in range(dice.randint(1, 3)):
                written += writer.write(
                    pattern(generations[row], epoch, writer.write_index, dice.randint(1, 2000)), epoch=epoch
                )
            if dice.random() < 0.3:
                writer.close_utterance(epoch)
            samples = reader.read(dice.randint(1, 4000))
            count = samples.shape[1]
            start = reader.position - count
            heard += count
            for lane in (0, 1):
                assert np.array_equal(samples[lane], captured(generations[row], lane, start, count))
    assert child.stdout is not None
    seen = json.loads(child.stdout.read())
    child.stdout.close()
    memory.close_fd()

    assert seen["wrong"] == seen["broken"] == 0
    assert min(seen["frames"], seen["flushes"], seen["generations"]) > 10
    assert written > 10_000
    assert heard > 10_000
