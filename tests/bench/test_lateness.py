import numpy as np

from tests.bench.lateness import Lateness, of_packets

MS = 1_000_000


def test_a_constant_delay_is_not_lateness() -> None:
    timestamp = (np.arange(10) * 160).astype(np.uint32)
    arrival_ns = np.arange(10) * 20 * MS + 7 * MS

    late = of_packets(arrival_ns, np.full(10, 5, np.uint32), timestamp)

    assert not late.any()


def test_each_stream_has_a_grid_of_its_own_and_timestamps_may_wrap() -> None:
    ticks = np.arange(10) * 160
    timestamp = np.concatenate((ticks + 2**32 - 480, ticks + 77)) % 2**32
    arrival_ns = np.concatenate((np.arange(10) * 20 * MS, np.arange(10) * 20 * MS + 13 * MS))
    arrival_ns[4] += 3 * MS
    arrival_ns[15] += 9 * MS
    ssrc = np.repeat(np.array([1, 2], np.uint32), 10)
    shuffled = np.random.default_rng(1).permutation(20)

    late = of_packets(arrival_ns[shuffled], ssrc[shuffled], timestamp.astype(np.uint32)[shuffled])

    found = np.zeros(20, np.int64)
    found[shuffled] = late
    assert found[4] == 3 * MS
    assert found[15] == 9 * MS
    assert np.count_nonzero(found) == 2


def test_figures_of_nothing_are_zero() -> None:
    assert Lateness.of(np.zeros(0, np.int64)).as_json() == {
        "p50_ms": 0,
        "p99_ms": 0,
        "p999_ms": 0,
        "max_ms": 0,
    }


def test_figures_are_in_milliseconds() -> None:
    figures = Lateness.of(np.arange(1001) * MS)

    assert figures.p50_ms == 500
    assert figures.p99_ms == 990
    assert figures.max_ms == 1000
