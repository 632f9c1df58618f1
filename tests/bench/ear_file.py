"""What a bot heard and when, kept until the call is over and then written into a file."""

import struct
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["EarFile", "Piece", "load"]

_HEAD = struct.Struct("<i")
_PIECE = struct.Struct("<qi")

Piece = tuple[int, NDArray[np.int16]]
"""When it was there, in monotonic ns, and its samples."""


class EarFile:
    """Collects sound.

    Args:
        path: Written by `save`.
        rate_hz: Of the sound.
    """

    def __init__(self, path: str, rate_hz: int) -> None:
        self._path = Path(path)
        self._data = bytearray(_HEAD.pack(rate_hz))

    def take(self, sound: NDArray[np.int16]) -> None:
        """Keep what is there now."""
        if len(sound):
            self._data += _PIECE.pack(time.monotonic_ns(), len(sound)) + sound.astype("<i2").tobytes()

    def save(self) -> None:
        self._path.write_bytes(self._data)


def load(path: Path) -> tuple[int, list[Piece]]:
    """Rate in Hz, and the pieces in their order."""
    data = path.read_bytes()
    pieces: list[Piece] = []
    at = _HEAD.size
    while at < len(data):
        stamp_ns, count = _PIECE.unpack_from(data, at)
        at += _PIECE.size
        pieces.append((stamp_ns, np.frombuffer(data, "<i2", count, at)))
        at += 2 * count
    return int(_HEAD.unpack_from(data)[0]), pieces
