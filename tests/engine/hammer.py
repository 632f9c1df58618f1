"""The plane's side of the rings in its own process: plays, flushes, gives rows away, checks every sample.

``python -m tests.engine.hammer MEMORY_FD CAPACITY SEED SECONDS``; prints what it saw as JSON.
"""

import json
import random
import sys
import time

import numpy as np
from numpy.typing import NDArray

from bridge.engine.shared import SharedMemory
from bridge.plane.columns import CAPTURE_SAMPLES, FRAME_SAMPLES
from bridge.plane.playout import Playout


def pattern(generation: int, epoch: int, start: int, count: int) -> NDArray[np.int16]:
    """Samples that tell whose they are, under which epoch they were written, and where they belong."""
    index = np.arange(start, start + count, dtype=np.int64)
    return ((index * 31 + generation * 7919 + epoch * 104_729) % 65_521 - 32_760).astype(np.int16)


def captured(generation: int, lane: int, start: int, count: int) -> NDArray[np.int16]:
    return pattern(generation, lane + 1, start, count)


def main(arguments: list[str]) -> None:
    memory_fd, capacity, seed, seconds = (int(word) for word in arguments)
    columns = SharedMemory(capacity, fd=memory_fd).columns
    playout = Playout(columns)
    dice = random.Random(seed)  # noqa: S311  predictable on purpose
    rows = np.arange(capacity)
    seen = {"frames": 0, "wrong": 0, "broken": 0, "flushes": 0, "generations": 0}
    generation = 0
    until_ns = time.monotonic_ns() + seconds * 1_000_000_000
    while time.monotonic_ns() < until_ns:
        for row in rows.tolist():
            if columns.generation[row] == 0 or dice.random() < 0.003:
                generation += 1
                columns.generation[row] = 0
                columns.clear(row)
                columns.epoch[row] = 1
                columns.generation[row] = generation
                seen["generations"] += 1
        survey = playout.survey(rows)
        seen["broken"] += int(survey.broken.sum())
        ready = np.flatnonzero(survey.ready & ~survey.broken)
        if len(ready):
            frames = playout.take(rows[ready], survey.reads[ready], survey.available[ready])
            for at, row in enumerate(ready.tolist()):
                count = min(FRAME_SAMPLES, int(survey.available[row]))
                right = pattern(
                    int(columns.generation[row]), int(columns.epoch[row]), int(survey.reads[row]), count
                )
                seen["frames"] += 1
                seen["wrong"] += not np.array_equal(frames[at, :count], right)
        for row in rows.tolist():
            if dice.random() < 0.01:
                playout.flush(row)
                seen["flushes"] += 1
            write = int(columns.capture_write[row])
            at = write % CAPTURE_SAMPLES
            if at + FRAME_SAMPLES <= CAPTURE_SAMPLES:
                for lane in (0, 1):
                    columns.capture[row, lane, at : at + FRAME_SAMPLES] = captured(
                        int(columns.generation[row]), lane, write, FRAME_SAMPLES
                    )
                columns.capture_write[row] = write + FRAME_SAMPLES
            else:
                for offset in range(FRAME_SAMPLES):
                    for lane in (0, 1):
                        value = captured(int(columns.generation[row]), lane, write + offset, 1)[0]
                        columns.capture[row, lane, (write + offset) % CAPTURE_SAMPLES] = value
                columns.capture_write[row] = write + FRAME_SAMPLES
    print(json.dumps(seen))


if __name__ == "__main__":
    main(sys.argv[1:])
