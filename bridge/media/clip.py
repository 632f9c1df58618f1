"""Sound files from outside: what a background or a sound event is made of."""

import struct

import numpy as np
from numpy.typing import NDArray

from bridge.errors import RemoteProtocolError
from bridge.media.wav import riff_chunks

__all__ = ["LARGEST_BYTES", "read_wav"]

LARGEST_BYTES = 2 << 20
"""Of a whole file."""

_PCM = 1
_EXTENSIBLE = 0xFFFE
_LOWEST_HZ, _HIGHEST_HZ = 4000, 192_000


def read_wav(data: bytes) -> tuple[NDArray[np.int16], int]:
    """Read 16-bit PCM mono; the sizes in the header are not believed.

    Returns:
        Samples of shape ``[n]``, n at least 1, and their rate in Hz.

    Raises:
        RemoteProtocolError: If it is anything else, larger than 2 MiB, or empty; names what is wrong.
    """
    if len(data) > LARGEST_BYTES:
        raise RemoteProtocolError(
            f"a sound file of {len(data)} bytes; {LARGEST_BYTES} are allowed: shorten it or lower its rate"
        )
    rate = 0
    for name, body in riff_chunks(data):
        if name == b"fmt " and not rate:
            rate = _read_format(body)
        elif name == b"data":
            if not rate:
                raise RemoteProtocolError("a wav file whose data come before their format")
            # A file cut off in the middle of a sample loses that sample.
            samples = np.frombuffer(body, "<i2", len(body) // 2).astype(np.int16)
            if not len(samples):
                raise RemoteProtocolError("a wav file without a sample")
            return samples, rate
    raise RemoteProtocolError("a wav file without a data chunk")


def _read_format(body: memoryview) -> int:
    if len(body) < 16:
        raise RemoteProtocolError(f"a wav format of {len(body)} bytes; it needs 16")
    coding, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", body)
    if coding == _EXTENSIBLE and len(body) >= 26:
        # The first two bytes of the sub-format are the coding that is meant.
        (coding,) = struct.unpack_from("<H", body, 24)
    if (coding, channels, bits) != (_PCM, 1, 16):
        raise RemoteProtocolError(
            f"a wav file with coding {coding}, {channels} channels, {bits} bits; save it as 16-bit PCM mono"
        )
    if not _LOWEST_HZ <= rate <= _HIGHEST_HZ:
        raise RemoteProtocolError(f"a wav file at {rate} Hz; {_LOWEST_HZ} to {_HIGHEST_HZ} Hz can be read")
    return int(rate)
