"""What the jitter bench counts, on networks small enough to count by hand."""

import numpy as np
import pytest
from rich.console import Console

from tests.bench.bench_jitter import Row, at_share, play_peer, table
from tests.traces.networks import Trace
from tests.traces.replay import Played

SENT = np.linspace(0.0, 2000.0, 100, endpoint=False)


class Patient:
    """Plays packet n in the first frame that begins `delay_ms` after it was sent, if it is there by then."""

    def __init__(self, delay_ms: float) -> None:
        self.delay_ms = delay_ms
        self.here: set[int] = set()

    def put(self, number: int, *, at_ms: float) -> None:
        self.here.add(number)

    def get(self, *, at_ms: float) -> int | None:
        number = int((at_ms - self.delay_ms) // 20)
        return number if number in self.here else None


def test_delay_counts_from_when_the_fastest_packet_would_have_come() -> None:
    steady = Trace("steady", SENT, SENT + 7.0)

    played = play_peer(steady, lambda: Patient(40.0), phases=2)

    # Frames at 0 and at 10 ms of the grid play what was sent 40 and 50 ms before.
    assert played == Played(45.0 - 7.0, 0.0)


def test_a_packet_that_comes_after_its_frame_is_late_and_one_that_never_comes_is_not() -> None:
    arrived = SENT + 7.0
    arrived[30] += 60.0
    arrived[50] = np.inf

    played = play_peer(Trace("one late, one lost", SENT, arrived), lambda: Patient(40.0), phases=1)

    # Of 99 frames two end before the first packet is due.
    assert played.late_share == 1 / 97


def test_the_delay_at_a_share_is_read_off_the_curve() -> None:
    curve = [Played(60.0, 0.001), Played(20.0, 0.011)]

    assert at_share(curve, 0.006) == pytest.approx(40.0)
    assert at_share(curve, 0.02) == 20.0
    assert np.isnan(at_share(curve, 0.0005))


def test_the_column_of_who_is_not_installed_says_how_to_get_it() -> None:
    row = Row("calm", [15.0, 14.0], [15.0, 15.0], [1.0, 1.07], [1.0, 1.07], {"ours": [17.0, 0.0]})
    console = Console(width=200)

    with console.capture() as shown:
        console.print(table([row], {"aiortp": "pip install --target DIR aiortp, then --extras DIR"}))

    assert "aiortp as set" in shown.get()
    assert "not installed" in shown.get()
    assert "aiortp is not installed: pip install --target DIR aiortp" in shown.get()
