"""The plane's side of the ring test, in a process of its own: play, record, and flush now and then."""

import mmap
import sys

import numpy as np

from bridge.plane.columns import Columns
from bridge.plane.plane import Plane
from bridge.plane.spec import PlaneSettings
from tests.plane.rig import spec

__all__ = ["CAPACITY", "GENERATION", "ROW"]

CAPACITY, ROW, GENERATION = 2, 1, 7


def main(fd: int, ticks: int, seed: int) -> None:
    """Run `ticks` slots of 20 ms as fast as the machine can."""
    columns = Columns(mmap.mmap(fd, Columns.size_bytes(CAPACITY)), CAPACITY)
    # Faded samples would not tell their index.
    plane, dice = Plane(columns, PlaneSettings(fades=False)), np.random.default_rng(seed)
    rows, now_ns = np.array([ROW]), 0
    plane.open(ROW, spec(generation=GENERATION), now_ns=0)
    for _ in range(ticks):
        plane.build(rows, now_ns=now_ns)
        now_ns += 20_000_000
        if dice.random() < 0.01:
            plane.flush(ROW, now_ns=now_ns)
        plane.drain()
    plane.close(ROW)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]))
