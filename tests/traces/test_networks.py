import numpy as np
import pytest

from tests.traces.networks import PTIME_MS, TRACES, make


@pytest.mark.parametrize("name", TRACES)
def test_a_seed_makes_the_same_network_again(name: str) -> None:
    once, again, other = make(name, seconds=20), make(name, seconds=20), make(name, seconds=20, seed=2)

    assert np.array_equal(once.arrived_ms, again.arrived_ms)
    assert not np.array_equal(once.arrived_ms, other.arrived_ms)
    assert len(once.sent_ms) == 20_000 / PTIME_MS
    assert (once.arrived_ms >= once.sent_ms).all()


@pytest.mark.parametrize("name", [name for name in TRACES if name != "reordering"])
def test_a_queue_lets_nobody_overtake(name: str) -> None:
    trace = make(name, seconds=60)

    assert (np.diff(trace.arrived_ms[trace.came]) >= 0).all()


def test_the_networks_are_as_bad_as_they_say() -> None:
    lost = {name: 1 - float(make(name).came.mean()) for name in TRACES}
    spread = {name: float(np.ptp(make(name).transit_ms())) for name in TRACES}

    assert 0.015 < lost["Gilbert-Elliott loss"] < 0.06
    assert lost["calm"] == 0
    assert spread["calm"] < 15
    assert spread["spikes"] > 100
    assert spread["handover"] > 80
    assert (np.diff(make("reordering").arrived_ms) < 0).any()
    assert make("drift +200 ppm").transit_ms()[-50:].mean() > 11
    assert make("drift -200 ppm").transit_ms()[-50:].mean() < 1
