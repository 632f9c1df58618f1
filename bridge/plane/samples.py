"""Sound by its place in time: the memory of the jitter ring, in pieces of 5 ms so that any ptime fits.

A place is an RTP tick of 8 kHz, counted on through the wraps of the timestamp.
"""

import numpy as np
from numpy.typing import NDArray

from bridge.plane.columns import FRAME_SAMPLES
from bridge.plane.masks import everywhere

__all__ = ["PIECE_SAMPLES", "SampleRing"]

PIECE_SAMPLES = 40
"""5 ms at 8 kHz."""
_PIECES = 128
"""640 ms: what waits, and what was heard and may be looked at once more."""
_MASK = _PIECES - 1
_RING_SAMPLES = _PIECES * PIECE_SAMPLES
_FRAME_PIECES = FRAME_SAMPLES // PIECE_SAMPLES
_FRAME = np.arange(_FRAME_PIECES)
_SAMPLES = np.arange(FRAME_SAMPLES)
_FAR = np.arange(_PIECES)


class SampleRing:
    """Samples of every row, ``[n, 128, 40]``, and which pieces of them wait to be heard."""

    def __init__(self, capacity: int) -> None:
        self._samples = np.zeros((capacity, _PIECES, PIECE_SAMPLES), np.int16)
        self._filled = np.zeros((capacity, _PIECES), np.bool_)

    def erase(self, row: int) -> None:
        """Leave no sound behind."""
        self._samples[row] = 0
        self._filled[row] = False

    def forget(self, rows: NDArray[np.intp]) -> None:
        """Nothing of these rows waits any more."""
        self._filled[rows] = False

    def put(
        self,
        rows: NDArray[np.intp],
        ticks: NDArray[np.int64],
        pcm: NDArray[np.int16],
        play: NDArray[np.int64],
    ) -> NDArray[np.bool_]:
        """Store ``[k, L]`` samples, whole pieces, from `play` on; false where none of them was due."""
        count = pcm.shape[1] // PIECE_SAMPLES
        pieces = pcm.reshape(len(rows), count, PIECE_SAMPLES)
        targets = (ticks // PIECE_SAMPLES)[:, None] + np.arange(count)
        due = targets >= (play // PIECE_SAMPLES)[:, None]
        row_of = rows[:, None]
        if everywhere(due):
            self._samples[row_of, targets & _MASK] = pieces
            self._filled[row_of, targets & _MASK] = True
            return np.ones(len(rows), np.bool_)
        row_of = np.broadcast_to(row_of, targets.shape)[due]
        self._samples[row_of, targets[due] & _MASK] = pieces[due]
        self._filled[row_of, targets[due] & _MASK] = True
        return due[:, -1]

    def put_exactly(self, row: int, tick: int, pcm: NDArray[np.int16], play: int) -> bool:
        """Store one packet that is no whole number of pieces, sample by sample: hardly anybody sends such."""
        begin, end = max(tick, play), tick + len(pcm)
        if begin >= end:
            return False
        touched = np.arange(begin // PIECE_SAMPLES, -(-end // PIECE_SAMPLES)) & _MASK
        # A piece that is touched first may still hold what was played long ago.
        self._samples[row, touched[~self._filled[row, touched]]] = 0
        self._samples[row].reshape(_RING_SAMPLES)[np.arange(begin, end) % _RING_SAMPLES] = pcm[begin - tick :]
        self._filled[row, touched] = True
        return True

    def take(
        self, rows: NDArray[np.intp], play: NDArray[np.int64]
    ) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
        """Return each row's frame from `play` on, ``[k, 160]``, and which quarters of it are there."""
        row_of = rows[:, None]
        first = (play // PIECE_SAMPLES)[:, None] + _FRAME
        filled = self._filled[row_of, first & _MASK]
        if everywhere(play % PIECE_SAMPLES == 0):
            whole: NDArray[np.int16] = self._samples[row_of, first & _MASK].reshape(len(rows), FRAME_SAMPLES)
            return whole, filled
        second = (-(-play // PIECE_SAMPLES))[:, None] + _FRAME
        return self.read(rows, play[:, None] + _SAMPLES), filled & self._filled[row_of, second & _MASK]

    def release(self, rows: NDArray[np.intp], play: NDArray[np.int64]) -> None:
        """The frame that begins at `play` was heard: its pieces are free."""
        self._filled[rows[:, None], (play // PIECE_SAMPLES)[:, None] + _FRAME & _MASK] = False

    def read(self, rows: NDArray[np.intp], places: NDArray[np.int64]) -> NDArray[np.int16]:
        """Return what lies at these places, ``[k, m]``, whether it is due, was heard, or was made up."""
        at = places % _RING_SAMPLES
        sound: NDArray[np.int16] = self._samples[rows[:, None], at // PIECE_SAMPLES, at % PIECE_SAMPLES]
        return sound

    def write(self, rows: NDArray[np.intp], places: NDArray[np.int64], sound: NDArray[np.int16]) -> None:
        """Keep what was made up as history."""
        at = places % _RING_SAMPLES
        self._samples[rows[:, None], at // PIECE_SAMPLES, at % PIECE_SAMPLES] = sound

    def pieces(self, rows: NDArray[np.intp], begin: NDArray[np.int64], count: int) -> NDArray[np.bool_]:
        """Which of the `count` pieces from each border on wait, ``[k, count]``."""
        first = (begin // PIECE_SAMPLES)[:, None]
        waiting: NDArray[np.bool_] = self._filled[rows[:, None], first + np.arange(count) & _MASK]
        return waiting

    def holds(
        self, rows: NDArray[np.intp], begin: NDArray[np.int64], end: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Where all between two places waits."""
        pieces = (begin // PIECE_SAMPLES)[:, None] + _FAR
        filled = self._filled[rows[:, None], pieces & _MASK]
        all_there: NDArray[np.bool_] = (filled | (pieces * PIECE_SAMPLES >= end[:, None])).all(axis=1)
        return all_there

    def mark(
        self,
        rows: NDArray[np.intp],
        begin: NDArray[np.int64],
        end: NDArray[np.int64],
        waits: NDArray[np.bool_],
    ) -> None:
        """Say of the pieces from the one with `begin` to the one before `end` whether they wait."""
        pieces = (begin // PIECE_SAMPLES)[:, None] + _FAR
        within = pieces < (end // PIECE_SAMPLES)[:, None]
        row_of = np.broadcast_to(rows[:, None], within.shape)[within]
        values = np.broadcast_to(waits[:, None], within.shape)[within]
        self._filled[row_of, pieces[within] & _MASK] = values
