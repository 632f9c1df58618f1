"""The codecs that a row can speak, and what it asks of one that cannot work on columns (RFC 3551, 7587)."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "CODECS",
    "G722",
    "L16_8K",
    "L16_16K",
    "L16_48K",
    "OPUS",
    "PCMA",
    "PCMU",
    "ROW_RATES_HZ",
    "CodecInfo",
    "RowDecoder",
    "RowEncoder",
]

PCMU, PCMA, G722, L16_8K, L16_16K, L16_48K, OPUS = range(7)
"""Values of `RowSpec.codec`."""

ROW_RATES_HZ = (8000, 16000, 24000, 48000)
"""Audio rates that rows may have; rows of one rate are served together."""


@dataclass(frozen=True, slots=True)
class CodecInfo:
    """What is the same for every leg that speaks it."""

    encoding: str
    """Name in SDP."""
    clock_hz: int
    """RTP timestamps count these; G.722 counts 8000 for 16,000 samples, by mistake (RFC 3551 §4.5.2)."""
    rate_hz: int
    """Audio rate of a row that speaks it; 0 = chosen for each leg (`RowSpec.rate_hz`)."""


CODECS: tuple[CodecInfo, ...] = (
    CodecInfo("PCMU", 8000, 8000),
    CodecInfo("PCMA", 8000, 8000),
    CodecInfo("G722", 8000, 16000),
    CodecInfo("L16", 8000, 8000),
    CodecInfo("L16", 16000, 16000),
    CodecInfo("L16", 48000, 48000),
    CodecInfo("opus", 48000, 0),
)
"""By `RowSpec.codec`."""


class RowDecoder(Protocol):
    """From one leg's packets to sound, in the order in which they arrive."""

    @property
    def carried_lost(self) -> bool:
        """Whether the last packet carries again the frame before it, which is lost (in-band FEC).

        Then it pays to wait for one packet more.
        """
        ...

    def receive(self, sequence: int, timestamp: int, payload: bytes) -> list[tuple[int, NDArray[np.int16]]]:
        """Decode one packet, and what it tells about lost ones before it (in-band FEC).

        Args:
            sequence: RTP sequence number, 16 bits.
            timestamp: RTP timestamp, 32 bits.
            payload: Never empty. What cannot be decoded raises.

        Returns:
            RTP timestamp and samples at the row's rate of each piece, oldest first; a packet that is too late
            for the decoder to take gives none.

        Raises:
            ValueError: If the payload is not of this codec.
        """
        ...

    def conceal(self, samples: int) -> NDArray[np.int16] | None:
        """Make up the next `samples` that were to come, by the codec's own means; None if it has none."""
        ...


class RowEncoder(Protocol):
    """From one leg's frames to payloads."""

    def encode(self, pcm: NDArray[np.int16]) -> bytes:
        """Encode one frame of 20 ms at the row's rate."""
        ...
