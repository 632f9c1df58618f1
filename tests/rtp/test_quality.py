import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.rtp.quality import BEST_R, burst_ratio, mean_opinion, rating


def test_a_perfect_line_has_the_score_that_the_standard_names() -> None:
    # G.107 annex B: R = 93.2 is a MOS of 4.41.
    assert float(mean_opinion(rating(0, 0, 1))) == pytest.approx(4.41, abs=0.005)


@pytest.mark.parametrize(
    ("r", "mos"), [(-5, 1), (0, 1), (50, 2.58), (60, 3.1), (80, 4.02), (90, 4.34), (100, 4.5)]
)
def test_scores_are_those_of_the_standards_table(r: float, mos: float) -> None:
    # G.107 table B.1 for 50 to 90; its ends by annex B.
    assert float(mean_opinion(r)) == pytest.approx(mos, abs=0.01)


@pytest.mark.parametrize(
    ("delay_ms", "loss", "burst", "lowered"),
    [
        (100, 0, 1, 2.4),
        (177.3, 0, 1, 4.2552),
        (277.3, 0, 1, 6.6552 + 11),
        (0, 0.01, 1, 95 / 26.1),
        (0, 0.05, 1, 95 * 5 / 30.1),
        (0, 0.05, 2, 95 * 5 / 27.6),
        (0, 1, 1, 9500 / 125.1),
    ],
)
def test_delay_and_loss_lower_the_rating(delay_ms: float, loss: float, burst: float, lowered: float) -> None:
    assert float(rating(delay_ms, loss, burst)) == pytest.approx(BEST_R - lowered)


def test_columns_are_rated_at_once() -> None:
    r = rating(np.array([0.0, 100.0]), np.array([0.0, 0.0]), 1.0)

    assert r.tolist() == pytest.approx([93.2, 90.8])


@pytest.mark.parametrize(
    ("lost", "gaps", "expected", "ratio"),
    [(0, 0, 0, 1), (0, 0, 100, 1), (5, 5, 100, 1), (10, 5, 100, 1.8), (10, 1, 100, 8), (4, 1, 100, 3.84)],
)
def test_long_gaps_make_a_loss_bursty(lost: int, gaps: int, expected: int, ratio: float) -> None:
    assert float(burst_ratio(lost, gaps, expected)) == pytest.approx(ratio)


@given(st.floats(0, 10_000), st.floats(0, 1), st.floats(1, 8))
def test_a_score_is_always_a_score_and_more_loss_is_never_better(
    delay_ms: float, loss: float, burst: float
) -> None:
    better, worse = rating(delay_ms, loss / 2, burst), rating(delay_ms, loss, burst)

    assert worse <= better <= BEST_R
    assert 1 <= float(mean_opinion(worse)) <= float(mean_opinion(better)) + 1e-9 <= 4.5
