"""Cuts a running stream of sound into a codec's frames, and keeps account of the silence put in between."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["Framer", "Samples"]

Samples = NDArray[np.int16]


class Framer:
    """From bytes of any length to frames of one length.

    A codec takes whole frames and gives them back late, so whoever wants to hear the last word now has to
    push silence after it. That silence would move all that follows. It is therefore taken back: zeros that
    stand at the beginning of what is pushed next are dropped until as much is gone as was put in. Where a
    pause follows a sentence, and it nearly always does, no sample ends up at another time than its own.

    Args:
        frame_samples: Length of a frame.
    """

    def __init__(self, frame_samples: int) -> None:
        self.frame_samples = frame_samples
        self.late_samples = 0
        """Silence put in and not yet taken back: so much later the next sound will be heard."""
        self.sound_end = 0
        """Where the sound pushed so far ends, in samples of the stream of frames."""
        self._framed = 0
        self._waiting = np.zeros(0, np.int16)
        self._half = b""
        self._at_seam = False

    def push(self, pcm: bytes) -> list[Samples]:
        """Take s16le bytes; give the frames they complete, maybe none."""
        pcm = self._half + pcm
        whole = len(pcm) & ~1
        self._half = pcm[whole:]
        samples = self._taken_back(np.frombuffer(pcm, "<i2", whole // 2).astype(np.int16, copy=False))
        if not len(samples):
            return []
        self.sound_end = self._framed + len(self._waiting) + len(samples)
        stream = np.concatenate((self._waiting, samples))
        count = len(stream) // self.frame_samples
        cut = count * self.frame_samples
        self._waiting = stream[cut:]
        self._framed += cut
        return list(stream[:cut].reshape(count, self.frame_samples))

    def pad(self) -> Samples:
        """Give one more frame: what waits, filled up with silence."""
        missing = self.frame_samples - len(self._waiting)
        frame = np.concatenate((self._waiting, np.zeros(missing, np.int16)))
        self._waiting = np.zeros(0, np.int16)
        self._framed += self.frame_samples
        self.late_samples += missing
        self._at_seam = True
        return frame

    def _taken_back(self, samples: Samples) -> Samples:
        if not self._at_seam:
            return samples
        head = samples[: self.late_samples]
        sounds = np.flatnonzero(head)
        zeros = int(sounds[0]) if len(sounds) else len(head)
        self.late_samples -= zeros
        self._at_seam = self.late_samples > 0 and zeros == len(samples)
        return samples[zeros:]
