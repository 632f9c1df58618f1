"""Recorded prompts and beds: files of the prompt folder as PCM at the leg's rate."""

from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from bridge.errors import ConfigError
from bridge.plane.bed import loop_of

if TYPE_CHECKING:
    from av.container import InputContainer

__all__ = ["bed_name", "decode", "load", "load_bed"]

_CONTAINERS = (
    (b"RIFF", "wav"),
    (b"OggS", "ogg"),
    (b"fLaC", "flac"),
    (b"ID3", "mp3"),
    (b"\xff\xfb", "mp3"),
    (b"\xff\xfa", "mp3"),
    (b"\xff\xf3", "mp3"),
    (b"\xff\xf2", "mp3"),
)

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
    try:
        with av.open(str(path), metadata_errors="ignore") as container:
            return _soft_edged(_decoded(container, rate), rate)
    except (FFmpegError, IndexError, ValueError) as error:
        raise ConfigError(f"prompt {name!r} cannot be decoded: {error}") from error
    except _TooLong:
        raise ConfigError(f"prompt {name!r} is longer than {_LONGEST_S} s") from None


def decode(data: bytes, *, rate: int) -> NDArray[np.int16]:
    """Decode a file that somebody sent: WAV, FLAC, Ogg or MP3. Takes long: call it off the loop.

    The container is told by its first bytes and nothing else is tried: some that FFmpeg knows are lists of
    further addresses, which it would open.

    Args:
        data: The whole file.
        rate: Wanted sampling frequency in Hz.

    Raises:
        ValueError: If it is none of these, or broken, or longer than ten minutes.
    """
    kind = next((name for start, name in _CONTAINERS if data.startswith(start)), "")
    if data[8:12] != b"WAVE" and kind == "wav":
        kind = ""
    if not kind:
        raise ValueError("the file is neither WAV, FLAC, Ogg nor MP3")
    try:
        with av.open(BytesIO(data), "r", format=kind, metadata_errors="ignore") as container:
            return _soft_edged(_decoded(container, rate), rate)
    except (FFmpegError, IndexError, ValueError) as error:
        raise ValueError(f"the {kind} file cannot be decoded") from error
    except _TooLong:
        raise ValueError(f"the file is longer than {_LONGEST_S} s") from None


class _TooLong(Exception):  # noqa: N818  never leaves this file
    """More sound than is taken."""


def _decoded(container: "InputContainer", rate: int) -> NDArray[np.int16]:
    """All of its sound; stops in time, because a small file may hold hours."""
    pieces: list[NDArray[np.int16]] = []
    size, most = 0, _LONGEST_S * rate
    resampler = av.AudioResampler(format="s16", layout="mono", rate=rate)
    for frame in chain(container.decode(audio=0), [None]):
        for out in resampler.resample(frame):
            pieces.append(out.to_ndarray()[0])
            size += pieces[-1].size
        if size > most:
            raise _TooLong
    return np.concatenate(pieces) if pieces else np.zeros(0, np.int16)


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
