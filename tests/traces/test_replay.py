import numpy as np
import pytest

from tests.traces.networks import Trace, make
from tests.traces.replay import best_fixed, replay

SENT = np.linspace(0.0, 2000.0, 100, endpoint=False)
STEADY = Trace("steady", SENT, SENT + 7.0)


def test_a_steady_network_needs_what_the_grid_of_frames_needs() -> None:
    assert best_fixed(STEADY, 0.01, phases=10) == pytest.approx(10.0)


def test_who_knows_the_future_is_late_as_often_as_allowed() -> None:
    trace = make("Wi-Fi bursts", seconds=60)

    assert best_fixed(trace, 0.001) > best_fixed(trace, 0.01) > best_fixed(trace, 0.1)


def test_a_network_that_loses_a_packet_has_none_late() -> None:
    arrived = STEADY.arrived_ms.copy()
    arrived[50] = np.inf

    (played,) = replay(Trace("one lost", STEADY.sent_ms, arrived), [0.005], phases=2)

    assert played.late_share == 0
    assert 0 < played.delay_ms < 60


@pytest.mark.parametrize("name", ["calm", "LTE steps", "reordering", "handover", "drift +200 ppm"])
def test_the_delay_stays_near_the_best_that_knew_the_future(name: str) -> None:
    trace = make(name, seconds=30)

    (played,) = replay(trace, [0.01], phases=5)

    assert played.late_share <= 0.01
    assert played.delay_ms <= 1.5 * best_fixed(trace, 0.01)
