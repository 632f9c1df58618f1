import numpy as np

from tests.bench.web_line import Heard
from tests.bench.web_phones import Network, Talk, gaps_of, lost_of, mute_ns
from tests.fakes import MS


def heard(numbers: list[int], *, skipped_ms: int = 0) -> list[Heard]:
    return [
        Heard((number * 20 + (skipped_ms if number > 5 else 0)) * MS, number & 0xFFFF, number * 960, b"")
        for number in numbers
    ]


def test_gaps_are_counted_from_the_first_moment_to_the_last() -> None:
    steady = gaps_of(heard(list(range(10))), 0, 200 * MS)
    broken = gaps_of(heard(list(range(10)), skipped_ms=50), 0, 250 * MS)
    silent = gaps_of([], 0, 5000 * MS)

    assert (steady.longest_ms, steady.stalls) == (20.0, 0)
    assert (broken.longest_ms, broken.stalls) == (70.0, 1)
    assert (silent.longest_ms, silent.stalls) == (5000.0, 1)


def test_lost_packets_are_counted_across_the_turn_of_the_numbers() -> None:
    numbers = [65_534, 65_535, 65_537, 65_538]

    assert lost_of(heard(numbers)) == 1
    assert lost_of([]) == 0


def test_a_mute_is_the_first_packet_of_a_silence_that_lasts() -> None:
    arrivals = np.arange(60, dtype=np.int64) * 20 * MS
    audible = np.ones(60, np.bool_)
    audible[28:30] = False  # between two words
    audible[33:] = False

    assert mute_ns(arrivals, audible, 500 * MS + 1) == 160 * MS - 1


def test_there_is_no_mute_without_speech_before_it_or_silence_after_it() -> None:
    arrivals = np.arange(60, dtype=np.int64) * 20 * MS
    speaking, silent = np.ones(60, np.bool_), np.zeros(60, np.bool_)

    assert mute_ns(arrivals, speaking, 500 * MS) is None
    assert mute_ns(arrivals, silent, 500 * MS) is None
    assert mute_ns(arrivals, speaking, 0) is None


def test_a_network_loses_and_delays_the_same_packets_for_the_same_seed() -> None:
    def carried(seed: int) -> list[list[bytes]]:
        network = Network(Talk([], loss=0.2, jitter_ms=60, lost=[3], seed=seed))
        out = []
        for tick in range(600):
            if tick % 20 == 0:
                network.put(0, tick // 20, bytes([tick // 20]), tick=tick)
            out.append([sealed for _, sealed in network.take(tick)])
        return out

    one, same, other = carried(1), carried(1), carried(2)

    assert one == same != other
    came = [number for tick in one for (number,) in tick]
    assert 3 not in came
    assert len(came) < 30
    assert came != sorted(came)
