"""Dual tones as any telephone may make them: right or a little wrong, with noise, over G.711."""

import numpy as np
from numpy.typing import NDArray

from bridge.plane.columns import FRAME_SAMPLES
from bridge.plane.g711 import decode_ulaw, encode_ulaw
from bridge.plane.tones import HIGH_HZ, LOW_HZ, PAD, ZERO_DBM0_PEAK, ToneChange, Tones

__all__ = ["downs", "listen", "noise", "quiet", "tone"]

Sound = NDArray[np.float64]
_RATE_HZ = 8000


def tone(
    key: str,
    *,
    ms: float = 60,
    low_dbm0: float = -9.0,
    high_dbm0: float = -7.0,
    low_off: float = 0.0,
    high_off: float = 0.0,
    phase: float = 0.0,
) -> Sound:
    """One key; `low_off` and `high_off` say by which part of itself each frequency is wrong."""
    times_s = np.arange(round(ms * 8)) / _RATE_HZ
    low_hz = LOW_HZ[PAD.index(key) // 4] * (1 + low_off)
    high_hz = HIGH_HZ[PAD.index(key) % 4] * (1 + high_off)
    low = 10 ** (low_dbm0 / 20) * np.sin(2 * np.pi * low_hz * times_s + phase)
    high = 10 ** (high_dbm0 / 20) * np.sin(2 * np.pi * high_hz * times_s + 2.3 * phase)
    sound: Sound = ZERO_DBM0_PEAK * (low + high)
    return sound


def quiet(ms: float) -> Sound:
    return np.zeros(round(ms * 8))


def noise(sound: Sound, *, dbm0: float, seed: int = 0) -> Sound:
    """The same with white noise of that level over it."""
    return sound + np.random.default_rng(seed).normal(
        0, ZERO_DBM0_PEAK / 2**0.5 * 10 ** (dbm0 / 20), len(sound)
    )


def listen(sounds: list[Sound], *, codec: bool = True) -> list[list[ToneChange]]:
    """What the detector finds in each of them, side by side."""
    length = -(-max(map(len, sounds)) // FRAME_SAMPLES) * FRAME_SAMPLES
    lanes = np.zeros((len(sounds), length))
    for lane, sound in zip(lanes, sounds, strict=True):
        lane[: len(sound)] = sound
    pcm = lanes.clip(-32768, 32767).astype(np.int16)
    if codec:
        pcm = decode_ulaw(encode_ulaw(pcm))
    tones, rows = Tones(len(sounds)), np.arange(len(sounds))
    found: list[list[ToneChange]] = [[] for _ in sounds]
    for begin in range(0, length, FRAME_SAMPLES):
        for change in tones.hear(rows, pcm[:, begin : begin + FRAME_SAMPLES]):
            found[change.row].append(change)
    return found


def downs(changes: list[ToneChange]) -> str:
    """Keys that went down, in order."""
    return "".join(change.digit for change in changes if change.is_down)
