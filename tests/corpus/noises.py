"""Sounds that must not stop us, made by arithmetic from a seed: no recording, so nothing to license."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["KINDS", "Signal", "background", "echo_of", "make"]

Signal = NDArray[np.float64]
_RATE = 8000


def make(kind: str, seed: int) -> Signal:
    """One event of this kind; full scale is 1, peaks are 0.05 to 0.5."""
    dice = np.random.default_rng([seed, sorted(KINDS).index(kind)])
    sound = KINDS[kind](dice)
    scaled: Signal = sound / np.abs(sound).max() * 10 ** (dice.uniform(-26, -6) / 20)
    return scaled


def background(samples: int, *, level_db: float, seed: int) -> Signal:
    """Room noise: pink-like, falling 3 dB an octave, as strong as `level_db` over full scale says."""
    dice = np.random.default_rng(seed)
    spectrum = np.fft.rfft(dice.normal(0, 1, samples))
    hz = np.fft.rfftfreq(samples, 1 / _RATE)
    noise = np.fft.irfft(spectrum / np.sqrt(np.maximum(hz, 100)), samples)
    scaled: Signal = noise / np.sqrt((noise**2).mean()) * 10 ** (level_db / 20)
    return scaled


def echo_of(sent: Signal, *, delay_ms: float, loss_db: float, seed: int) -> Signal:
    """What a line returns of us: late, weaker, and through a short dispersive path of its own."""
    dice = np.random.default_rng(seed)
    path = np.zeros(64)
    path[0] = 1.0
    path[1:] = dice.normal(0, 0.35, 63) * np.exp(-np.arange(1, 64) / 10)
    path /= np.sqrt((path**2).sum())
    late = round(delay_ms * _RATE / 1000)
    returned = np.convolve(np.concatenate((np.zeros(late), sent)), path)[: len(sent)]
    weaker: Signal = returned * 10 ** (loss_db / 20)
    return weaker


def _band(dice: np.random.Generator, samples: int, low_hz: float, high_hz: float) -> Signal:
    spectrum = np.fft.rfft(dice.normal(0, 1, samples))
    hz = np.fft.rfftfreq(samples, 1 / _RATE)
    shape = np.exp(-0.5 * ((hz - (low_hz + high_hz) / 2) / ((high_hz - low_hz) / 2)) ** 2)
    band: Signal = np.fft.irfft(spectrum * shape, samples)
    even: Signal = band / np.sqrt((band**2).mean())
    return even


def _envelope(samples: int, rise_ms: float, fall_ms: float) -> Signal:
    at_ms = np.arange(samples) * 1000 / _RATE
    curve: Signal = (1 - np.exp(-at_ms / rise_ms)) * np.exp(-at_ms / fall_ms)
    return curve


def _cough(dice: np.random.Generator) -> Signal:
    """One to three bursts: an explosive of 30 to 60 ms, then breath with the throat's resonances in it."""
    parts: list[Signal] = []
    for _ in range(int(dice.integers(1, 4))):
        length = int(dice.uniform(0.18, 0.35) * _RATE)
        centre = dice.uniform(450, 900)
        breath = _band(dice, length, centre * 0.6, centre * 1.6) + 0.7 * _band(dice, length, 1400, 2800)
        burst = breath * _envelope(length, 3, dice.uniform(35, 80))
        parts += [burst, np.zeros(int(dice.uniform(0.06, 0.25) * _RATE))]
    return np.concatenate(parts)


def _clicks(dice: np.random.Generator) -> Signal:
    sound = np.zeros(int(dice.uniform(0.05, 0.6) * _RATE))
    for _ in range(int(dice.integers(1, 6))):
        at = int(dice.integers(0, len(sound) - 40))
        sound[at : at + 40] += dice.normal(0, 1, 40) * np.exp(-np.arange(40) / dice.uniform(3, 12))
    return sound


def _door(dice: np.random.Generator) -> Signal:
    length = int(dice.uniform(0.25, 0.5) * _RATE)
    thud = _band(dice, length, 80, 500) * _envelope(length, 1, dice.uniform(20, 60))
    rattle = _band(dice, length, 900, 2400) * _envelope(length, 1, dice.uniform(10, 30)) * 0.5
    room = _band(dice, length, 150, 1800) * _envelope(length, 5, 90) * dice.uniform(0.05, 0.25)
    return thud + rattle + room


def _music(dice: np.random.Generator) -> Signal:
    """Two to six seconds of plucked and held notes in a key, up to four at a time, with a beat."""
    seconds = dice.uniform(2, 6)
    sound = np.zeros(int(seconds * _RATE))
    beat = dice.uniform(0.18, 0.45)
    root = dice.uniform(110, 220)
    scale = (0, 2, 4, 5, 7, 9, 11, 12, 14, 16)
    decay = dice.uniform(0.15, 1.2)
    for step in range(int(seconds / beat)):
        for _ in range(int(dice.integers(1, 4))):
            hz = root * 2 ** (scale[int(dice.integers(len(scale)))] / 12)
            at = int(step * beat * _RATE)
            t = np.arange(len(sound) - at) / _RATE
            note = sum(np.sin(2 * np.pi * hz * k * t) / k**1.3 for k in range(1, 7) if hz * k < 3600)
            sound[at:] += note * (1 - np.exp(-t / 0.008)) * np.exp(-t / decay) * dice.uniform(0.4, 1)
        if dice.uniform() < 0.5:
            at = int(step * beat * _RATE)
            hit = _band(dice, 800, 1500, 3800) * _envelope(800, 1, 20)
            sound[at : at + 800] += hit[: len(sound) - at] * 0.4
    return sound


def _typing(dice: np.random.Generator) -> Signal:
    sound = np.zeros(int(dice.uniform(1, 4) * _RATE))
    at = 0.0
    while (begin := int(at * _RATE)) < len(sound) - 200:
        stroke = _band(dice, 200, 900, 3600) * _envelope(200, 0.5, dice.uniform(3, 9))
        sound[begin : begin + 200] += stroke * dice.uniform(0.3, 1)
        at += dice.uniform(0.06, 0.3)
    return sound


KINDS: dict[str, Callable[[np.random.Generator], Signal]] = {
    "cough": _cough,
    "clicks": _clicks,
    "door": _door,
    "music": _music,
    "typing": _typing,
}
"""By name; the echo of our own voice is made by `echo_of`."""
