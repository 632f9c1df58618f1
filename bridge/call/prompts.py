"""Recorded prompts and beds: files of the prompt folder as PCM at the leg's rate."""

from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from bridge.errors import ConfigError
from bridge.plane.bed import loop_of

__all__ = ["bed_name", "load", "load_bed"]

_LONGEST_S = 600
_LARGEST_BYTES = 64 << 20
_EDGE_S = 0.005
_AUDIBLE_STEP = 256
"""A file that begins or ends further from silence than this would click."""


def load(folder: Path, name: str, *, rate: int) -> NDArray[np.int16]:
    """Decode one prompt. Reads a file: call it off the loop.

    Args:
        folder: The prompt folder; `name` cannot lead out of it.
        name: File name, e.g. ``welcome.wav``; any container that PyAV reads.
        rate: Wanted sampling frequency in Hz.

    Returns:
        Mono samples of shape ``[n]``. A file cut out of the middle of a sound begins and ends in a fade.

    Raises:
        ConfigError: If there is no such file, or it is not sound, or longer than ten minutes.
    """
    path = _path(folder, name)
    if path.stat().st_size > _LARGEST_BYTES:
        raise ConfigError(f"prompt {name!r} is larger than {_LARGEST_BYTES >> 20} MiB")
    pieces: list[NDArray[np.int16]] = []
    resampler = av.AudioResampler(format="s16", layout="mono", rate=rate)
    try:
        with av.open(str(path), metadata_errors="ignore") as container:
            for frame in container.decode(audio=0):
                pieces += [out.to_ndarray()[0] for out in resampler.resample(frame)]
        pieces += [out.to_ndarray()[0] for out in resampler.resample(None)]
    except (FFmpegError, IndexError, ValueError) as error:
        raise ConfigError(f"prompt {name!r} cannot be decoded: {error}") from error
    samples = np.concatenate(pieces) if pieces else np.zeros(0, np.int16)
    if samples.size > _LONGEST_S * rate:
        raise ConfigError(f"prompt {name!r} is longer than {_LONGEST_S} s")
    return _soft_edged(samples, rate)


def bed_name(folder: Path, name: str, *, rate: int) -> str:
    """Tell under which name a file as it is now is known as a bed. Looks at a file: call it off the loop.

    Raises:
        ConfigError: If there is no such file.
    """
    path = _path(folder, name)
    return f"{path}@{rate}/{path.stat().st_mtime_ns}"


def load_bed(folder: Path, name: str, *, rate: int) -> NDArray[np.int16]:
    """Decode one file and make a loop of it. Reads a file: call it off the loop.

    Raises:
        ConfigError: If there is no such file, or it is not sound, or no bed can be so short or so long.
    """
    try:
        return loop_of(load(folder, name, rate=rate), rate)
    except ValueError as error:
        raise ConfigError(f"prompt {name!r}: {error}") from error


def _soft_edged(samples: NDArray[np.int16], rate: int) -> NDArray[np.int16]:
    """Fade in, where the first sample is a step, and out, where the last one is."""
    soft = samples.copy()
    for edge in (soft, soft[::-1]):
        length = min(round(_EDGE_S * rate), len(edge))
        if length and abs(int(edge[0])) > _AUDIBLE_STEP:
            edge[:length] = np.rint(edge[:length] * (np.arange(length) / length))
    return soft


def _path(folder: Path, name: str) -> Path:
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()) or not path.is_file():
        raise ConfigError(f"prompt {name!r} is not a file in {folder}")
    return path
