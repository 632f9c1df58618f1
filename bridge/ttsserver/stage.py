"""What happens to a passage between the voice and the packer: its effect, and the sound under it."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bridge.media.bed import Bed
from bridge.text.passage import Manner
from bridge.ttsserver.sounds import Sounds
from bridge.ttsserver.voice import UnspeakableError

if TYPE_CHECKING:
    from bridge.media.effects import Effect

__all__ = ["VOICED_EFFECTS", "Stage"]

VOICED_EFFECTS = frozenset({"", "lolita"})
"""Effects that the voice itself makes, if any."""

Samples = NDArray[np.int16]


class Stage:
    """One passage's way of sounding; keeps the state of its effect from sentence to sentence.

    Args:
        manner: Of the passage.
        rate: Of all samples, in Hz.
        sounds: Where the background comes from.

    Raises:
        UnspeakableError: If there is no such background, or no such effect at this rate.
    """

    def __init__(self, manner: Manner, *, rate: int, sounds: Sounds) -> None:
        self.manner: Manner = manner
        self._effect = None if manner.effect in VOICED_EFFECTS else _effect(manner, rate)
        self._bed = Bed(sounds.load(manner.bed, rate), manner.bed_volume) if manner.bed else None

    def process(self, samples: Samples) -> Samples:
        """Shape the next samples; as many come out."""
        if self._effect is not None:
            samples = self._effect.process(samples)
        return samples if self._bed is None else self._bed.mix(samples)

    def tail(self) -> Samples:
        """What still rings when the passage is over."""
        if self._effect is None:
            return np.zeros(0, np.int16)
        rest = self._effect.tail()
        return rest if self._bed is None else self._bed.mix(rest)


def _effect(manner: Manner, rate: int) -> "Effect":
    # Its filters take half a second to load; few ask for them.
    from bridge.media.effects import effect

    try:
        return effect(manner.effect, manner.effect_values, rate)
    except ValueError as error:
        raise UnspeakableError(str(error)) from None
