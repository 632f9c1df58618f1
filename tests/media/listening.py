"""What the tests of the packers share: something to say, FFmpeg's ears, and a ruler."""

import io
from dataclasses import dataclass

import av
import numpy as np
from numpy.typing import NDArray

__all__ = ["Heard", "compare", "decode", "level_db", "tone", "voice"]

Samples = NDArray[np.int16]

CONTAINERS = {"opus": "ogg"}


@dataclass(frozen=True)
class Heard:
    late_samples: int
    gain_db: float
    likeness: float
    """Correlation coefficient."""


def tone(hz: float, rate: int, *, seconds: float = 1.0, size: float = 8000) -> Samples:
    times = np.arange(round(rate * seconds)) / rate
    return np.rint(np.sin(2 * np.pi * hz * times) * size).astype(np.int16)


def voice(rate: int, seconds: float = 1.0) -> Samples:
    """Harmonics of a wandering pitch, in syllables."""
    times = np.arange(round(rate * seconds)) / rate
    pitch_hz = 130 + 20 * np.sin(2 * np.pi * 0.7 * times)
    phase = 2 * np.pi * np.cumsum(pitch_hz) / rate
    sound = sum(np.sin(n * phase) / n for n in range(1, 20))
    return np.asarray(sound * np.clip(np.sin(2 * np.pi * 1.5 * times), 0.1, 1) * 5000, np.int16)


def decode(data: bytes, format: str, rate: int) -> Samples:
    """What FFmpeg hears in a whole file."""
    resampler = av.AudioResampler("s16", "mono", rate)
    with av.open(io.BytesIO(data), mode="r", format=CONTAINERS.get(format, format)) as container:
        frames = [out for frame in container.decode(audio=0) for out in resampler.resample(frame)]
    frames += resampler.resample(None)
    return np.concatenate([frame.to_ndarray()[0] for frame in frames])


def compare(said: Samples, heard: Samples) -> Heard:
    size = len(said) + len(heard)
    match = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(said, size)), size)
    late = int(np.argmax(match[: len(heard)]))
    both = min(len(said), len(heard) - late)
    a, b = said[:both].astype(float), heard[late : late + both].astype(float)
    return Heard(late, level_db(b) - level_db(a), float(np.corrcoef(a, b)[0, 1]))


def level_db(samples: NDArray[np.generic]) -> float:
    return float(10 * np.log10(np.mean(samples.astype(float) ** 2) + 1e-12))
