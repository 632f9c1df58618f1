"""From the playout rings to frames: what each row could send now, and the samples of those that do."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from bridge.plane.columns import Columns
from bridge.plane.masks import somewhere

__all__ = ["Playout", "Survey"]


class Survey:
    """What lies in the rings of some rows, read once so that all decisions of a tick agree."""

    __slots__ = ("available", "broken", "open", "reads", "ready")

    def __init__(
        self,
        reads: NDArray[np.int64],
        available: NDArray[np.int64],
        is_open: NDArray[np.bool_],
        broken: NDArray[np.bool_],
        frame_samples: int,
    ) -> None:
        self.reads: NDArray[np.int64] = reads
        """Index of the next sample to send."""
        self.available: NDArray[np.int64] = available
        """Samples from there on that belong to the present epoch."""
        self.open: NDArray[np.bool_] = is_open
        """Whether the utterance has more to come."""
        self.broken: NDArray[np.bool_] = broken
        """Whether the indices contradict each other."""
        self.ready: NDArray[np.bool_] = (available >= frame_samples) | (~is_open & (available > 0))
        """Whether a frame can be sent: a whole one, or the padded end of a closed utterance."""


class Playout:
    """The reading end of all playout rings."""

    def __init__(self, columns: Columns) -> None:
        self._frame = columns.shape.frame
        self._room = columns.shape.play
        self._last_window = self._room - self._frame
        # 5 ms from silence to full level.
        count = columns.shape.piece
        self._fade = (np.arange(1, count + 1) / (count + 1)).astype(np.float32)
        self._stamp = columns.play_stamp
        self._open = columns.play_open
        self._start = columns.play_start.view(np.int64)
        self._write = columns.play_write.view(np.int64)
        self._played = columns.played.view(np.int64)
        self._generation = columns.generation
        self._epoch = columns.epoch
        self._told = columns.flush_position
        self._samples = columns.play_samples
        self._windows = sliding_window_view(columns.play_samples, self._frame, axis=1)
        self.fades_in: NDArray[np.bool_] = np.zeros(columns.capacity, np.bool_)
        """Rows whose next frame begins in silence: after a duck."""
        self._sounds = np.zeros(columns.capacity, np.bool_)
        self._tails: dict[int, NDArray[np.int16]] = {}
        self._gain = np.ones(columns.capacity, np.float32)

    def restart(self, row: int) -> None:
        """A new leg begins at full level; where its ring stands is told by the columns."""
        self.fades_in[row] = False
        self._sounds[row] = False
        self._tails.pop(row, None)

    def set_gain(self, row: int, gain_db: int) -> None:
        """Make what this row says louder from its next frame on."""
        self._gain[row] = 10 ** (gain_db / 20)

    def survey(self, rows: NDArray[np.intp]) -> Survey:
        """Look at the rings; samples of an older epoch or another leg do not exist."""
        stamp = self._generation[rows] << np.uint64(32) | self._epoch[rows] & np.uint64(0xFFFF_FFFF)
        valid = self._stamp[rows] == stamp
        # The writer closes an utterance after its last sample: read in the opposite order.
        is_open = valid & (self._open[rows] != 0)
        write = self._write[rows]
        reads = np.where(valid, np.maximum(self._played[rows], self._start[rows]), self._played[rows])
        available = np.where(valid, write - reads, 0)
        broken = (available < 0) | (available > self._room)
        return Survey(reads, available, is_open, broken, self._frame)

    def take(
        self, rows: NDArray[np.intp], reads: NDArray[np.int64], available: NDArray[np.int64]
    ) -> NDArray[np.int16]:
        """Frames ``[k, shape.frame]`` of rows that are ready; they count as sent."""
        at = reads & self._room - 1
        frames: NDArray[np.int16] = self._windows[rows, np.minimum(at, self._last_window)]
        special = (at > self._last_window) | (available < self._frame) | self.fades_in[rows]
        for k in special.nonzero()[0].tolist():
            self._finish(frames[k], int(rows[k]), int(at[k]), int(available[k]))
        gain = self._gain[rows]
        louder = gain != 1
        if somewhere(louder):
            frames[louder] = np.rint(frames[louder] * gain[louder, None]).clip(-32768, 32767)
        self._played[rows] = reads + np.minimum(available, self._frame)
        return frames

    def fade_out(self, rows: NDArray[np.intp], silent: NDArray[np.bool_], pcm: NDArray[np.int16]) -> None:
        """Let what a flush has cut off end within 5 ms, in the frames of those rows that are silent now."""
        self._sounds[rows] = ~silent
        if not self._tails:
            return
        for k, row in enumerate(rows.tolist()):
            tail = self._tails.pop(row, None)
            if tail is not None and silent[k]:
                pcm[k, : len(tail)] = tail

    def _finish(self, frame: NDArray[np.int16], row: int, at: int, available: int) -> None:
        """Set right what is no plain copy: the ring's seam, an utterance's end, the end of a duck."""
        if at > self._last_window:
            ring, tail = self._samples[row], self._room - at
            frame[:tail] = ring[at:]
            frame[tail:] = ring[: self._frame - tail]
        frame[available:] = 0
        if self.fades_in[row]:
            fade = self._fade
            frame[: len(fade)] = np.rint(frame[: len(fade)] * fade)
            self.fades_in[row] = False

    def flush(self, row: int, *, fades: bool = False) -> int:
        """Forget what was not sent by raising the epoch; return the index after the last sample sent.

        With `fades`, 5 ms more are sent on their way to silence; they count as not sent.
        """
        seen = self.survey(np.array([row]))
        position = int(seen.reads[0])
        fade = self._fade[::-1]
        if fades and self._sounds[row] and seen.available[0] >= len(fade):
            ring = self._samples[row].take(range(position, position + len(fade)), mode="wrap")
            self._tails[row] = np.rint(ring * (fade * self._gain[row])).clip(-32768, 32767).astype(np.int16)
        self._told[row] = position
        self._played[row] = position
        self._epoch[row] += np.uint64(1)
        self.fades_in[row] = False
        return position

    def resume(self, row: int, *, fades_in: bool) -> bool:
        """Go on where a process that died stopped; false if the indices contradict each other.

        Then nothing of the ring is believed but where its writer stands: flush it.
        """
        self.fades_in[row] = fades_in
        if not self.survey(np.array([row])).broken[0]:
            return True
        self._played[row] = self._write[row]
        return False

    def has_pending(self, row: int) -> bool:
        """Whether an utterance is under way, sounding or not yet."""
        seen = self.survey(np.array([row]))
        return bool(seen.open[0] or seen.available[0] > 0)

    def position(self, row: int) -> int:
        """Index of the next sample to be played."""
        return int(self.survey(np.array([row])).reads[0])
