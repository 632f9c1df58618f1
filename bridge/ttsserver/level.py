"""Loudness and edges of rendered speech: gain for telephones, a soft ceiling, the silence cut off."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["EDGE_MS", "limited", "speech_span"]

EDGE_MS = 30
"""Silence left before the first and after the last audible sound, at the natural rate."""

# Only what would clip is bent: a volume of 100 is to be twice the amplitude.
_KNEE = 0.85
_CEILING = 0.97  # room for the overshoot of a resampler behind us
_FRAME_MS = 5
_FLOOR = 10 ** (-50 / 20)  # of the loudest frame; an initial "f" stands at -47 dB


def limited(samples: NDArray[np.float32], gain: float) -> NDArray[np.int16]:
    """Apply `gain` (a factor) to samples of ±1 and bend what is too loud, so that nothing clips.

    The curve has no memory, so the same sound is always the same bytes wherever it stands.
    """
    raised = samples * np.float32(gain)
    size = np.abs(raised)
    loud = size > _KNEE
    if loud.any():
        room = _CEILING - _KNEE
        bent = _KNEE + room * np.tanh((size[loud] - _KNEE) / room)
        raised[loud] = np.copysign(bent, raised[loud])
    return np.asarray(np.rint(raised * 32767.0), np.int16)


def speech_span(samples: NDArray[np.float32], rate: int, *, edge_ms: float = EDGE_MS) -> tuple[int, int]:
    """Find the part worth sending: [begin, end) in samples, `edge_ms` wider than what is audible."""
    step = rate * _FRAME_MS // 1000
    count = len(samples) // step
    if count == 0:
        return 0, 0
    frames = samples[: count * step].reshape(count, step)
    power = np.einsum("ij,ij->i", frames, frames)
    peak = float(power.max())
    if peak <= 0.0:
        return 0, 0
    audible = np.flatnonzero(power > peak * _FLOOR * _FLOOR)
    edge = round(rate * edge_ms / 1000)
    begin = max(0, int(audible[0]) * step - edge)
    end = min(len(samples), (int(audible[-1]) + 1) * step + edge)
    return begin, end
