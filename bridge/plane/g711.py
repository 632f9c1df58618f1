"""G.711 by table: the code of every sample computed once, then only looked up (ITU-T G.711).

Decoding is the recommendation's table of output values. Encoding takes the nearest of those values in 14-bit
arithmetic, code for code what FFmpeg does. The recommendation's own decision values differ from that only
beside its segment borders, by one step: there they are not quite half-way.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "DECODE",
    "ENCODE",
    "SILENCE",
    "decode_alaw",
    "decode_ulaw",
    "encode_alaw",
    "encode_ulaw",
]

_ULAW_MASK = 0xFF
_ALAW_MASK = 0xD5
"""A code is its magnitude's rank, exclusive-or this; 0x80 less for negative samples."""


def _expand_ulaw() -> NDArray[np.int16]:
    code = ~np.arange(256) & 0xFF
    segment, step = code >> 4 & 7, code & 0x0F
    magnitude = ((step << 3 | 0x84) << segment) - 0x84
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def _expand_alaw() -> NDArray[np.int16]:
    code = np.arange(256) ^ 0x55
    segment, step = code >> 4 & 7, code & 0x0F
    magnitude = np.where(segment == 0, step << 4 | 8, (step << 4 | 0x108) << np.maximum(segment - 1, 0))
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


def _compress(expanded: NDArray[np.int16], mask: int) -> NDArray[np.uint8]:
    """Invert `expanded`: for every sample, viewed as uint16, the code of the nearest output value."""
    levels = expanded[np.arange(128) ^ mask].astype(np.int64)
    borders = (levels[:-1] + levels[1:] + 4) >> 3
    sample = np.arange(65536).astype(np.uint16).view(np.int16).astype(np.int64) >> 2
    rank = np.searchsorted(borders, np.abs(sample), side="right")
    codes: NDArray[np.int64] = rank ^ np.where(sample < 0, mask ^ 0x80, mask)
    return codes.astype(np.uint8)


DECODE: NDArray[np.int16] = np.stack((_expand_ulaw(), _expand_alaw()))
"""``[codec, code]`` → sample; codec 0 is PCMU, 1 is PCMA."""
ENCODE: NDArray[np.uint8] = np.stack((_compress(DECODE[0], _ULAW_MASK), _compress(DECODE[1], _ALAW_MASK)))
"""``[codec, sample viewed as uint16]`` → code."""
SILENCE: NDArray[np.uint8] = ENCODE[:, 0].copy()
"""Code of the sample 0, per codec: 0xFF and 0xD5."""


def encode_ulaw(pcm: NDArray[np.int16], out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
    """Samples to PCMU, any shape; into `out` if given."""
    return np.take(ENCODE[0], pcm.view(np.uint16), out=out, mode="clip")


def encode_alaw(pcm: NDArray[np.int16], out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
    """Samples to PCMA, any shape; into `out` if given."""
    return np.take(ENCODE[1], pcm.view(np.uint16), out=out, mode="clip")


def decode_ulaw(codes: NDArray[np.uint8]) -> NDArray[np.int16]:
    """PCMU to samples, any shape."""
    return np.take(DECODE[0], codes)


def decode_alaw(codes: NDArray[np.uint8]) -> NDArray[np.int16]:
    """PCMA to samples, any shape."""
    return np.take(DECODE[1], codes)
