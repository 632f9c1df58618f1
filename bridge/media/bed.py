"""Background sound under speech."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["Bed"]

_AS_IT_IS = 50


class Bed:
    """A sound that begins again when it ends, for as long as there is speech on top of it.

    Args:
        samples: At the rate of the speech; none at all is silence.
        volume: 0 to 100, linear; 50 leaves the sound as it is, 100 doubles it.

    Raises:
        ValueError: If `volume` is out of range.
    """

    def __init__(self, samples: NDArray[np.int16], volume: int) -> None:
        if not 0 <= volume <= 100:
            raise ValueError(f"volume must be 0 to 100, not {volume}")
        # Two full scales fit into 32 bits with room for the speech.
        self._sound = np.asarray(np.rint(samples.astype(np.float64) * (volume / _AS_IT_IS)), np.int32)
        self._position = 0

    def mix(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        """Put the next stretch of the sound under `samples`; what is too loud stops at full scale."""
        if not len(self._sound):
            return samples
        under = np.take(self._sound, np.arange(self._position, self._position + len(samples)), mode="wrap")
        self._position = (self._position + len(samples)) % len(self._sound)
        return np.asarray(np.clip(samples + under, -32768, 32767), np.int16)
