"""L16: sound as it is, two bytes a sample, the high one first (RFC 3551 §4.5.11)."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["L16Decoder", "L16Encoder"]


class L16Decoder:
    """One leg's packets to samples; knows nothing of other packets."""

    @property
    def carried_lost(self) -> bool:
        """Never: a packet carries its own sound alone."""
        return False

    def receive(self, sequence: int, timestamp: int, payload: bytes) -> list[tuple[int, NDArray[np.int16]]]:
        """Decode one packet.

        Raises:
            ValueError: If it ends in the middle of a sample.
        """
        if len(payload) % 2:
            raise ValueError(f"L16 of {len(payload)} bytes ends in the middle of a sample")
        return [(timestamp, np.frombuffer(payload, ">i2").astype(np.int16))]

    def conceal(self, samples: int) -> NDArray[np.int16] | None:
        """Nothing: the codec has no means of its own for what is lost."""
        return None


class L16Encoder:
    """Samples to bytes, whatever their rate."""

    def encode(self, pcm: NDArray[np.int16]) -> bytes:
        """Encode any number of samples."""
        return pcm.astype(">i2").tobytes()
