"""The effects of SSML's ``speak`` on a running stream of sound.

Each takes chunks of any length and gives as many samples; how the stream is cut makes no difference to a
single bit. What grows too loud stops at full scale. ``lolita`` is another voice and is made there.
"""

import math
from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

__all__ = ["EQ_HZ", "Effect", "effect"]

EQ_HZ = (40, 100, 200, 400, 800, 1600, 4000, 12000)
"""Centre frequencies of ``eq``; those at or above half the rate have no effect."""

Samples = NDArray[np.int16]
Floats = NDArray[np.float64]

_MOST_DB = 20
_ORDER = 4
_MUFFLED_HZ = 1200
_ECHO_MS = 200
_ECHO_GAIN = 0.35  # 9 dB down each time
_ECHOES = 5
_ROBOT_HZ = 100
_EQ_Q = 1.4
_EQ_STEPS = 12
_TAIL_DROP = math.log(1000)  # 60 dB


class Effect(Protocol):
    """One effect on one stream."""

    def process(self, samples: Samples) -> Samples:
        """Take a chunk and give one of the same length."""
        ...

    def tail(self) -> Samples:
        """What still sounds when the stream is over, maybe nothing. Nothing may be processed afterwards."""
        ...


def effect(name: str, values: tuple[int, ...], rate: int) -> Effect:
    """Make an effect.

    - ``robot``: a monotone of 100 Hz, whatever the pitch was; 20 ms late.
    - ``lowpass``: as through a wall, nothing above 1200 Hz.
    - ``echo``: back after 200 ms, 9 dB softer each time.
    - ``eq``: eight gains of −20 to 20 dB, at `EQ_HZ`.
    - ``lpfilter``, ``hpfilter``: 24 dB an octave beyond a cut-off in Hz, above 0 and up to half the rate.

    Args:
        name: Of the effect.
        values: Eight gains for ``eq``, one frequency for the two filters, nothing for the others.
        rate: Sampling frequency in Hz.

    Raises:
        ValueError: If there is no such effect, or the values are not what it takes.
    """
    if name == "eq":
        if len(values) != len(EQ_HZ) or not all(-_MOST_DB <= gain <= _MOST_DB for gain in values):
            raise ValueError(f"eq takes {len(EQ_HZ)} gains of -{_MOST_DB} to {_MOST_DB} dB, not {values}")
        return _Filter(_equalizer(values, rate))
    if name in ("lpfilter", "hpfilter"):
        if len(values) != 1 or not 0 < values[0] <= rate / 2:
            raise ValueError(f"{name} takes a frequency above 0 and up to {rate // 2} Hz, not {values}")
        return _cut(name, values[0], rate)
    if name not in _FIXED:
        raise ValueError(f"no effect {name!r}; there are {', '.join(_FIXED)}, eq, lpfilter, hpfilter")
    if values:
        raise ValueError(f"{name} takes no values, not {values}")
    return _FIXED[name](rate)


class _Filter:
    """Second-order sections, one behind the other; none at all lets everything through."""

    def __init__(self, sections: Floats) -> None:
        self._sections = sections
        self._state = np.zeros((len(sections), 2))

    def process(self, samples: Samples) -> Samples:
        if not len(self._sections) or not len(samples):
            return samples
        filtered, self._state = sosfilt(self._sections, samples.astype(np.float64), zi=self._state)
        return _saturated(filtered)

    def tail(self) -> Samples:
        radius = max((float(np.abs(np.roots(row[3:])).max()) for row in self._sections), default=0.0)
        # The pole that rings longest, down to 60 dB below; no more than what the ear takes for a filter.
        longest = int(_TAIL_DROP / -math.log(radius)) if radius else 0
        return self.process(np.zeros(min(longest, _LONGEST_TAIL), np.int16))


class _Silence:
    """What a high-pass at half the rate leaves."""

    def process(self, samples: Samples) -> Samples:
        return np.zeros_like(samples)

    def tail(self) -> Samples:
        return np.zeros(0, np.int16)


class _Echo:
    """Repetitions that die away."""

    def __init__(self, rate: int) -> None:
        self._delay = rate * _ECHO_MS // 1000
        self._past = np.zeros(self._delay)

    def process(self, samples: Samples) -> Samples:
        out = np.empty(len(samples))
        # No longer than the delay at a time: all that comes back is then already known.
        for at in range(0, len(samples), self._delay):
            block = samples[at : at + self._delay]
            heard = block + _ECHO_GAIN * self._past[: len(block)]
            out[at : at + len(block)] = heard
            self._past = np.concatenate((self._past[len(block) :], heard))
        return _saturated(out)

    def tail(self) -> Samples:
        return self.process(np.zeros(self._delay * _ECHOES, np.int16))


class _Robot:
    """Every 10 ms a pulse with the spectrum of the 20 ms around it and no phase: a voice without melody."""

    def __init__(self, rate: int) -> None:
        self._hop = round(rate / _ROBOT_HZ)
        size = 2 * self._hop
        self._window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
        # The window keeps 3/8 of a frame's energy, and there are two frames a size.
        self._gain = math.sqrt(4 / 3)
        self._waiting: Floats = np.zeros(0)
        self._overlap: Floats = np.zeros(size)
        self._ready: Floats = np.zeros(size)

    def process(self, samples: Samples) -> Samples:
        stream = np.concatenate((self._waiting, samples.astype(np.float64)))
        size = 2 * self._hop
        finished = [self._ready]
        at = 0
        while at + size <= len(stream):
            magnitudes = np.abs(np.fft.rfft(stream[at : at + size] * self._window))
            pulse = np.roll(np.fft.irfft(magnitudes, size), self._hop)
            self._overlap += self._gain * pulse
            finished.append(self._overlap[: self._hop])
            self._overlap = np.concatenate((self._overlap[self._hop :], np.zeros(self._hop)))
            at += self._hop
        self._waiting = stream[at:]
        ready = np.concatenate(finished)
        self._ready = ready[len(samples) :]
        return _saturated(ready[: len(samples)])

    def tail(self) -> Samples:
        return self.process(np.zeros(2 * self._hop, np.int16))


def _cut(name: str, cutoff_hz: int, rate: int) -> Effect:
    if cutoff_hz == rate / 2:
        return _Filter(np.zeros((0, 6))) if name == "lpfilter" else _Silence()
    kind = "lowpass" if name == "lpfilter" else "highpass"
    return _Filter(np.asarray(butter(_ORDER, cutoff_hz, kind, output="sos", fs=rate)))


def _equalizer(gains_db: tuple[int, ...], rate: int) -> Floats:
    """One peaking section a band, with gains that together give those asked for at every centre."""
    centres = [hz for hz in EQ_HZ if hz < rate / 2]
    wanted = np.array(gains_db[: len(centres)], np.float64)
    if not wanted.any():
        return np.zeros((0, 6))
    one = 10.0
    # What one band does to the centres of the others, for each dB of its own.
    spill = np.array(
        [_response_db(_peaking(np.array([hz]), np.array([one]), rate), centres, rate) for hz in centres]
    )
    inverse = np.linalg.inv(spill.T / one)
    gains = inverse @ wanted
    for _ in range(_EQ_STEPS):
        missing = wanted - _response_db(_peaking(np.array(centres), gains, rate), centres, rate)
        gains = gains + inverse @ missing
    return _peaking(np.array(centres), gains, rate)


def _peaking(centres_hz: Floats, gains_db: Floats, rate: int) -> Floats:
    """The bilinear transform of (s² + s·A/Q + 1) / (s² + s/(A·Q) + 1), A² the gain."""
    angle = 2 * np.pi * centres_hz / rate
    amplitude = 10 ** (gains_db / 40)
    alpha = np.sin(angle) / (2 * _EQ_Q)
    middle = -2 * np.cos(angle)
    lowest = 1 + alpha / amplitude
    rows = (
        1 + alpha * amplitude,
        middle,
        1 - alpha * amplitude,
        lowest,
        middle,
        1 - alpha / amplitude,
    )
    return np.stack(rows, axis=1) / lowest[:, None]


def _response_db(sections: Floats, at_hz: list[int], rate: int) -> Floats:
    delay = np.exp(-2j * np.pi * np.array(at_hz) / rate)
    powers = np.stack((np.ones_like(delay), delay, delay**2))
    response = (sections[:, :3] @ powers) / (sections[:, 3:] @ powers)
    return np.asarray(20 * np.log10(np.abs(response)).sum(axis=0))


def _saturated(samples: Floats) -> Samples:
    return np.asarray(np.clip(np.rint(samples), -32768, 32767), np.int16)


_LONGEST_TAIL = 24000

_FIXED: dict[str, Callable[[int], Effect]] = {
    "robot": _Robot,
    "lowpass": lambda rate: _cut("lpfilter", _MUFFLED_HZ, rate),
    "echo": _Echo,
}
