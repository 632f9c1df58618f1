"""How a call sounds, as a number: the E-model of ITU-T G.107, reduced to what a network does to G.711.

R = 93.2 − Id − Ie,eff: noise, levels and sidetone are at their default values (G.107 §7.7), and nobody
expects less because the phone is mobile (A = 0). The mean opinion score follows from R by G.107 annex B.

Sources: ITU-T G.107 (06/2015), equation 7-29 for Ie,eff, annex B for the score; ITU-T G.113 (11/2007),
appendix I, for G.711 with concealment; for Id the fit to G.107 of R. Cole and J. Rosenbluth, "Voice over IP
performance monitoring", ACM SIGCOMM Computer Communication Review 31(2), 2001.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["BEST_R", "burst_ratio", "mean_opinion", "rating"]

BEST_R = 93.2
"""R of G.711 over a network without fault or delay."""
_BPL = 25.1
"""Robustness against loss of G.711 with concealment, in percent; 4.3 without."""
_IE_MAX = 95.0
"""Impairment at which nothing is understood (equation 7-29)."""
_KNEE_MS = 177.3
"""One-way delay beyond which people begin to speak at the same time."""
_MOST_BURST = 8.0
"""Bursts longer than the model was made for say no more than this."""

Values = NDArray[np.float64]


def burst_ratio(lost: ArrayLike, gaps: ArrayLike, expected: ArrayLike) -> Values:
    """BurstR: mean length of the gaps, over the one that random loss of the same rate would have.

    Args:
        lost: Packets lost.
        gaps: Runs of lost packets.
        expected: Packets that should have come.
    """
    losses, runs = np.asarray(lost, np.float64), np.asarray(gaps, np.float64)
    kept = 1 - losses / np.maximum(np.asarray(expected, np.float64), 1)
    ratio: Values = np.clip(losses / np.maximum(runs, 1) * kept, 1.0, _MOST_BURST)
    return ratio


def rating(delay_ms: ArrayLike, loss: ArrayLike, burst: ArrayLike) -> Values:
    """Transmission rating R, at most `BEST_R`.

    Args:
        delay_ms: From mouth to ear: network, jitter buffer and packets.
        loss: Part of the packets that was not played, 0 to 1.
        burst: BurstR; 1 is random loss.
    """
    delays = np.asarray(delay_ms, np.float64)
    percent = 100 * np.asarray(loss, np.float64)
    impaired_by_delay = 0.024 * delays + 0.11 * np.maximum(delays - _KNEE_MS, 0)
    impaired_by_loss = _IE_MAX * percent / (percent / np.asarray(burst, np.float64) + _BPL)
    r: Values = BEST_R - impaired_by_delay - impaired_by_loss
    return r


def mean_opinion(r: ArrayLike) -> Values:
    """Mean opinion score of a conversation (MOS-CQE), 1 to 4.5 (annex B)."""
    clipped = np.clip(np.asarray(r, np.float64), 0, 100)
    score = 1 + 0.035 * clipped + clipped * (clipped - 60) * (100 - clipped) * 7e-6
    # Annex B's cubic dips below 1 between 0 and 6.5; nothing is worse than bad.
    opinion: Values = np.maximum(score, 1.0)
    return opinion
