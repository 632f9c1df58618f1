import numpy as np
from numpy.typing import NDArray

from tests.bench.network import Network


def carried(network: Network, ticks: int, *, streams: int = 4) -> list[tuple[int, int, int]]:
    """Send one packet of every stream in every tick; return tick, stream and number of what came out."""
    everyone: NDArray[np.intp] = np.arange(streams)
    seen = []
    for tick in range(ticks + 100):
        if tick < ticks:
            network.put(everyone, np.full(streams, tick), tick=tick)
        phones, numbers = network.take(tick)
        seen += [(tick, *pair) for pair in zip(phones.tolist(), numbers.tolist(), strict=True)]
    return seen


def test_a_calm_network_hands_everything_on_at_once() -> None:
    seen = carried(Network(), 10)

    assert seen == [(tick, phone, tick) for tick in range(10) for phone in range(4)]


def test_loss_takes_its_share_and_nothing_comes_late() -> None:
    seen = carried(Network(loss=0.1), 1000)

    assert 0.88 < len(seen) / 4000 < 0.92
    assert len(set(seen)) == len(seen)
    assert all(tick == number for tick, _, number in seen)


def test_jitter_delays_within_its_bounds_and_loses_nothing() -> None:
    seen = carried(Network(jitter_ticks=30), 500)

    delays = [tick - number for tick, _, number in seen]
    assert (min(delays), max(delays)) == (0, 30)
    assert sorted((phone, number) for _, phone, number in seen) == [
        (phone, number) for phone in range(4) for number in range(500)
    ]


def test_copies_come_out_twice_each_in_its_own_time() -> None:
    seen = carried(Network(jitter_ticks=5, doubled=0.05), 1000)

    copies = len(seen) - len({(phone, number) for _, phone, number in seen})
    assert 150 < copies < 250
    assert len(set(seen)) > len(seen) - copies


def test_the_same_seed_loses_the_same_packets() -> None:
    assert carried(Network(loss=0.2, seed=3), 50) == carried(Network(loss=0.2, seed=3), 50)
