"""Cuts a stream of speech where the speaker pauses, so that it can be written down sentence by sentence."""

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Cutter", "Segment"]

_FRAME_MS = 20
_PAUSE_MS = 800
"""What the documented service takes for the end of a sentence (max_sentence_silence)."""
_LEAD_MS = 300
"""Kept of the silence before a voice: consonants are soft."""
_LONGEST_MS = 28_000
"""What the recogniser hears at one go."""
_FAINTEST = 100.0
"""Root mean square of a frame, -50 dBFS: what is softer is no voice on any line."""
_BELOW_LOUDEST = 0.05
"""A frame this far (26 dB) under the loudest of its segment is a pause."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of speech."""

    begin_ms: int
    """From the first sample of the stream."""
    end_ms: int
    samples: NDArray[np.int16]


class Cutter:
    """Takes sound as it comes, gives stretches that end in a pause.

    Args:
        rate: Sampling frequency in Hz.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._frame = rate * _FRAME_MS // 1000
        self._rest = np.empty(0, np.int16)
        """Less than a frame, not looked at yet."""
        self._frames: deque[NDArray[np.int16]] = deque()
        self._begin_frame = 0
        """Place in the stream of the first frame kept."""
        self._loudest = 0.0
        self._pause_frames = 0

    @property
    def open_ms(self) -> int:
        """Length of the stretch that goes on; 0 while nobody speaks."""
        return len(self._frames) * _FRAME_MS if self._loudest else 0

    def push(self, samples: NDArray[np.int16]) -> list[Segment]:
        """Take sound; return the stretches that it brought to an end."""
        waiting = np.concatenate((self._rest, samples))
        whole = len(waiting) // self._frame * self._frame
        self._rest = waiting[whole:].copy()
        found: list[Segment] = []
        for at in range(0, whole, self._frame):
            self._judge(waiting[at : at + self._frame])
            if self._pause_frames * _FRAME_MS >= _PAUSE_MS or self.open_ms >= _LONGEST_MS:
                found += self.flush()
        return found

    def look(self) -> Segment | None:
        """The stretch that goes on, as far as it has come; None while nobody speaks."""
        if not self._loudest:
            return None
        begin_ms = self._begin_frame * _FRAME_MS
        return Segment(begin_ms, begin_ms + self.open_ms, np.concatenate(self._frames))

    def flush(self) -> list[Segment]:
        """End the stretch that goes on, as the end of the stream does."""
        segment = self.look()
        if segment is None:
            return []
        self._begin_frame += len(self._frames)
        self._frames.clear()
        self._loudest, self._pause_frames = 0.0, 0
        return [segment]

    def _judge(self, frame: NDArray[np.int16]) -> None:
        self._frames.append(frame)
        wide = frame.astype(np.float64)
        level = float(np.sqrt(np.mean(wide * wide)))
        if level >= max(_FAINTEST, _BELOW_LOUDEST * self._loudest):
            self._loudest, self._pause_frames = max(self._loudest, level), 0
        elif self._loudest:
            self._pause_frames += 1
        elif len(self._frames) * _FRAME_MS > _LEAD_MS:
            self._frames.popleft()
            self._begin_frame += 1
