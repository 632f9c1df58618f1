"""How each kind of call of the survival benchmark speaks, so that every frame says whose it is and which."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridge.plane.g711 import decode_ulaw

__all__ = ["SPECS", "FrameNames", "SurvivalSpec"]

_DIGITS = 64
_LOWEST = 0x10
"""Codes from here on survive decoding and encoding, and none of their words looks like silence."""
_FADE_BYTES = 40
"""What may sound softer at the begin of the first frame after a gap."""


@dataclass(frozen=True, slots=True)
class FrameNames:
    """What frames say of themselves; -1 where they say nothing that is true of any."""

    legs: NDArray[np.int64]
    frames: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SurvivalSpec:
    """One kind of call."""

    open: dict[str, Any]
    """What `MediaLeg.open` is told of the codec."""
    samples: int
    """Of a frame of 20 ms, as the playout ring counts them."""
    speak: Callable[[int, int, int], NDArray[np.int16]]
    """Sound of `count` frames of a leg, from a frame on: ``speak(leg, frame, count)``."""
    read: Callable[[NDArray[np.uint8]], FrameNames]
    """What received payloads ``[k, bytes]`` say."""


def _name(leg: int, frames: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Four codes that name a frame: two digits of the leg, two of the frame."""
    words = np.empty((len(frames), 4), np.uint8)
    words[:, 0], words[:, 1] = divmod(leg, _DIGITS)
    words[:, 2], words[:, 3] = frames // _DIGITS % _DIGITS, frames % _DIGITS
    return words + np.uint8(_LOWEST)


def _speak_pcmu(leg: int, frame: int, count: int) -> NDArray[np.int16]:
    codes = np.tile(_name(leg, np.arange(frame, frame + count)), (1, 40)).reshape(-1)
    pcm: NDArray[np.int16] = decode_ulaw(codes)
    return pcm


def _read_pcmu(payloads: NDArray[np.uint8]) -> FrameNames:
    words = payloads[:, _FADE_BYTES:].reshape(len(payloads), -1, 4)
    names = words[:, 0].astype(np.int64) - _LOWEST
    is_named = (words == words[:, :1]).all(axis=(1, 2)) & ((names >= 0) & (names < _DIGITS)).all(axis=1)
    legs = np.where(is_named, names[:, 0] * _DIGITS + names[:, 1], -1)
    frames = np.where(is_named, names[:, 2] * _DIGITS + names[:, 3], -1)
    return FrameNames(legs, frames)


SPECS: dict[str, SurvivalSpec] = {
    "pcmu": SurvivalSpec(
        open={"codec": 0, "payload_type": 0, "dtmf_payload_type": 101},
        samples=160,
        speak=_speak_pcmu,
        read=_read_pcmu,
    )
}
"""By the name that `bench_survival --spec` takes."""
