import os

import numpy as np
import pytest

from bridge.engine.shared import LATENESS_BOUNDS_NS, SharedMemory


def test_what_one_process_writes_the_other_reads() -> None:
    ours = SharedMemory(3)
    theirs = SharedMemory(3, fd=os.dup(ours.fd))

    ours.columns.play_samples[2, 5] = 1234
    theirs.columns.generation[1] = 9
    theirs.gauge_columns().note(
        rows=2, cpu_ns=3, rtcp_packets=4, socket_errors=5, events_dropped=6, strangers=7
    )

    assert theirs.columns.play_samples[2, 5] == 1234
    assert ours.columns.generation[1] == 9
    gauges = ours.gauges()
    assert (gauges.rows, gauges.cpu_ns, gauges.rtcp_packets, gauges.socket_errors, gauges.events_dropped) == (
        2,
        3,
        4,
        5,
        6,
    )
    ours.close_fd()
    theirs.close_fd()


def test_the_memory_outlives_its_descriptor() -> None:
    memory = SharedMemory(1)

    memory.close_fd()
    memory.close_fd()
    memory.columns.play_write[0] = 7

    assert memory.fd == -1
    assert memory.columns.play_write[0] == 7
    assert not np.any(memory.columns.play_samples)


def test_memory_that_is_too_small_is_refused_and_closed() -> None:
    fd = os.memfd_create("small")
    os.ftruncate(fd, 100)

    with pytest.raises(ValueError, match="mmap"):
        SharedMemory(1, fd=fd)

    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


def test_lateness_is_told_by_quantiles_and_never_above_the_worst() -> None:
    memory = SharedMemory(1)
    gauges = memory.gauge_columns()
    for _ in range(98):
        gauges.tick(40_000)
    gauges.tick(3_000_000)
    gauges.tick(30_000_000)

    reading = memory.gauges()

    assert reading.ticks == 100
    assert 40_000 <= reading.lateness_ns(0.5) <= 50_000
    assert 3_000_000 <= reading.lateness_ns(0.99) <= 3_750_000
    assert reading.lateness_ns(1.0) == reading.lateness_max_ns == 30_000_000
    assert reading.stalls == 1
    memory.close_fd()


def test_lateness_beyond_every_bound_is_counted() -> None:
    memory = SharedMemory(1)
    assert memory.gauges().lateness_ns(0.99) == 0

    memory.gauge_columns().tick(LATENESS_BOUNDS_NS[-1] * 2)

    assert memory.gauges().lateness_ns(0.5) == LATENESS_BOUNDS_NS[-1] * 2
    memory.close_fd()


def test_every_rate_has_a_bank_that_both_processes_find() -> None:
    ours = SharedMemory(3, wide=2)
    theirs = SharedMemory(3, wide=2, fd=os.dup(ours.fd))

    mine, at = ours.locate(8)
    mine.play_samples[at, 9] = 77
    theirs.gauge_columns().tick(0)

    assert [(bank.shape.rate_hz, bank.capacity) for bank in ours.banks] == [
        (8000, 3),
        (16000, 2),
        (24000, 2),
        (48000, 2),
    ]
    assert theirs.banks[3].play_samples[1, 9] == 77
    assert ours.locate(2) == (ours.columns, 2)
    assert ours.gauges().ticks == 1
    with pytest.raises(IndexError):
        ours.locate(9)
    ours.close_fd()
    theirs.close_fd()


def test_rows_that_nobody_uses_take_no_memory() -> None:
    memory = SharedMemory(1024, wide=128)

    memory.banks[3].capture[5] = 1

    assert os.fstat(memory.fd).st_blocks * 512 < 1 << 20
    memory.close_fd()
