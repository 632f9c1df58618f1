"""What a listener with instruments finds in a voice: how loud, how high, how long."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["active_level_db", "f0_track_hz"]

_FRAME_S = 0.04
_STEP_S = 0.01
_LOWEST_HZ, _HIGHEST_HZ = 55.0, 700.0


def active_level_db(samples: NDArray[np.int16], rate: int) -> float:
    """Level while it speaks, in dB of full scale: frames of 20 ms within 30 dB of the loudest."""
    step = rate // 50
    frames = samples[: len(samples) // step * step].reshape(-1, step).astype(np.float64) / 32768
    power = (frames**2).mean(axis=1)
    return float(10 * np.log10(power[power > power.max() / 1000].mean()))


def f0_track_hz(samples: NDArray[np.int16], rate: int) -> NDArray[np.float64]:
    """Fundamental frequency every 10 ms by autocorrelation; NaN where there is no clear one."""
    size = int(_FRAME_S * rate)
    window = np.hanning(size)
    low, high = int(rate / _HIGHEST_HZ), int(rate / _LOWEST_HZ)
    spread = np.fft.irfft(np.abs(np.fft.rfft(window, 2 * size)) ** 2)[: high + 1]
    loud = float(np.abs(samples.astype(np.float64)).max()) * 0.05
    track = []
    for begin in range(0, len(samples) - size, int(_STEP_S * rate)):
        frame = samples[begin : begin + size].astype(np.float64)
        frame -= frame.mean()
        if frame.std() < loud:
            track.append(np.nan)
            continue
        power = np.abs(np.fft.rfft(frame * window, 2 * size)) ** 2
        same = np.fft.irfft(power)[: high + 1] / spread
        same /= same[0]
        # Among peaks of about the same height the shortest lag is the period; the others are its multiples.
        lags = [n for n in range(low, high) if same[n - 1] < same[n] >= same[n + 1]]
        best = max((same[n] for n in lags), default=0.0)
        lag = next((n for n in lags if same[n] > 0.9 * best), 0)
        if best < 0.6 or not lag:
            track.append(np.nan)
            continue
        left, middle, right = same[lag - 1 : lag + 2]
        track.append(rate / (lag + 0.5 * (left - right) / (left - 2 * middle + right)))
    return np.asarray(track)
