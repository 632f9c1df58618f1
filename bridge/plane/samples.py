"""Sound by its place in time: the memory of the jitter ring, in pieces of 5 ms so that any ptime fits.

Times are ticks of 8 kHz, counted on through the wraps of the timestamp. A place is a sample, so many of them
to a tick as the rate has.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from bridge.plane.masks import everywhere
from bridge.plane.shape import FRAME_TICKS, NARROW, PIECE_TICKS, Shape

__all__ = ["PIECE_SAMPLES", "SampleRing"]

PIECE_SAMPLES = NARROW.piece
"""5 ms at 8 kHz."""
_PIECES = 128
"""640 ms: what waits, and what was heard and may be looked at once more."""
_MASK = _PIECES - 1
_FRAME_PIECES = FRAME_TICKS // PIECE_TICKS
_FRAME = np.arange(_FRAME_PIECES)
_FAR = np.arange(_PIECES)
_LAST_WHOLE = _PIECES - _FRAME_PIECES
"""The last piece from which a frame lies in one stretch."""


class SampleRing:
    """Samples of every row, ``[n, 128, shape.piece]``, and which pieces of them wait to be heard."""

    def __init__(self, capacity: int, shape: Shape = NARROW) -> None:
        self._per_tick = shape.per_tick
        self._piece = shape.piece
        self._room = _PIECES * self._piece
        self._frame = np.arange(shape.frame)
        # What is put may run over the ring's end; nothing is read from there.
        self._memory = np.zeros((capacity, _PIECES + _FRAME_PIECES - 1, self._piece), np.int16)
        self._samples = self._memory[:, :_PIECES]
        self._stretches = sliding_window_view(
            self._memory.reshape(capacity, -1), shape.frame, axis=1, writeable=True
        )[:, :: self._piece]
        self._filled = np.zeros((capacity, _PIECES), np.bool_)

    def erase(self, row: int) -> None:
        """Leave no sound behind."""
        self._memory[row] = 0
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
        count = pcm.shape[1] // self._piece
        pieces = pcm.reshape(len(rows), count, self._piece)
        targets = (ticks // PIECE_TICKS)[:, None] + np.arange(count)
        due = targets >= (play // PIECE_TICKS)[:, None]
        row_of = rows[:, None]
        if everywhere(due):
            places = targets & _MASK
            if count == _FRAME_PIECES:
                self._put_frames(rows, places, pcm)
            else:
                self._samples[row_of, places] = pieces
            self._filled[row_of, places] = True
            return np.ones(len(rows), np.bool_)
        row_of = np.broadcast_to(row_of, targets.shape)[due]
        self._samples[row_of, targets[due] & _MASK] = pieces[due]
        self._filled[row_of, targets[due] & _MASK] = True
        return due[:, -1]

    def _put_frames(self, rows: NDArray[np.intp], places: NDArray[np.int64], pcm: NDArray[np.int16]) -> None:
        """Store packets of 20 ms, each in one stretch: a copy for each piece takes three times as long."""
        first = places[:, 0]
        self._stretches[rows, first] = pcm
        if len(split := (first > _LAST_WHOLE).nonzero()[0]):
            pieces = pcm[split].reshape(len(split), _FRAME_PIECES, self._piece)
            self._samples[rows[split, None], places[split]] = pieces

    def put_exactly(self, row: int, place: int, pcm: NDArray[np.int16], play: int) -> bool:
        """Store one packet that is no whole number of pieces, sample by sample: hardly anybody sends such.

        Args:
            row: Whose it is.
            place: Of its first sample.
            pcm: Its samples.
            play: Tick from which on anything is due.
        """
        begin, end = max(place, play * self._per_tick), place + len(pcm)
        if begin >= end:
            return False
        touched = np.arange(begin // self._piece, -(-end // self._piece)) & _MASK
        # A piece that is touched first may still hold what was played long ago.
        self._samples[row, touched[~self._filled[row, touched]]] = 0
        at = np.arange(begin, end) % self._room
        self._samples[row, at // self._piece, at % self._piece] = pcm[begin - place :]
        self._filled[row, touched] = True
        return True

    def patch(self, row: int, place: int, pcm: NDArray[np.int16], play: int) -> int:
        """Store those whole pieces of it that are still due, over what is there; return how many."""
        piece = self._piece
        first = max(-(-place // piece), -(-play // PIECE_TICKS))
        wanted = np.arange(first, (place + len(pcm)) // piece)
        at = (wanted * piece - place)[:, None] + np.arange(piece)
        self._samples[row, wanted & _MASK] = pcm[at]
        self._filled[row, wanted & _MASK] = True
        return len(wanted)

    def take(
        self, rows: NDArray[np.intp], play: NDArray[np.int64]
    ) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
        """Each row's frame from tick `play` on, ``[k, shape.frame]``, and which quarters of it are there."""
        row_of = rows[:, None]
        first = (play // PIECE_TICKS)[:, None] + _FRAME
        places = first & _MASK
        filled = self._filled[row_of, places]
        if everywhere(play % PIECE_TICKS == 0):
            return self._take_frames(rows, places), filled
        second = (-(-play // PIECE_TICKS))[:, None] + _FRAME
        return self.read(rows, (play * self._per_tick)[:, None] + self._frame), filled & self._filled[
            row_of, second & _MASK
        ]

    def _take_frames(self, rows: NDArray[np.intp], places: NDArray[np.int64]) -> NDArray[np.int16]:
        first = places[:, 0]
        frames: NDArray[np.int16] = self._stretches[rows, np.minimum(first, _LAST_WHOLE)]
        if len(split := (first > _LAST_WHOLE).nonzero()[0]):
            frames[split] = self._samples[rows[split, None], places[split]].reshape(len(split), -1)
        return frames

    def release(self, rows: NDArray[np.intp], play: NDArray[np.int64]) -> None:
        """The frame that begins at `play` was heard: its pieces are free."""
        self._filled[rows[:, None], (play // PIECE_TICKS)[:, None] + _FRAME & _MASK] = False

    def read(self, rows: NDArray[np.intp], places: NDArray[np.int64]) -> NDArray[np.int16]:
        """Return what lies at these places, ``[k, m]``, whether it is due, was heard, or was made up."""
        at = places % self._room
        sound: NDArray[np.int16] = self._samples[rows[:, None], at // self._piece, at % self._piece]
        return sound

    def write(self, rows: NDArray[np.intp], places: NDArray[np.int64], sound: NDArray[np.int16]) -> None:
        """Keep what was made up as history."""
        at = places % self._room
        self._samples[rows[:, None], at // self._piece, at % self._piece] = sound

    def pieces(self, rows: NDArray[np.intp], begin: NDArray[np.int64], count: int) -> NDArray[np.bool_]:
        """Which of the `count` pieces from each border on wait, ``[k, count]``."""
        first = (begin // PIECE_TICKS)[:, None]
        waiting: NDArray[np.bool_] = self._filled[rows[:, None], first + np.arange(count) & _MASK]
        return waiting

    def holds(
        self, rows: NDArray[np.intp], begin: NDArray[np.int64], end: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Where all between two places waits."""
        pieces = (begin // PIECE_TICKS)[:, None] + _FAR
        filled = self._filled[rows[:, None], pieces & _MASK]
        all_there: NDArray[np.bool_] = (filled | (pieces * PIECE_TICKS >= end[:, None])).all(axis=1)
        return all_there

    def mark(
        self,
        rows: NDArray[np.intp],
        begin: NDArray[np.int64],
        end: NDArray[np.int64],
        waits: NDArray[np.bool_],
    ) -> None:
        """Say of the pieces from the one with `begin` to the one before `end` whether they wait."""
        pieces = (begin // PIECE_TICKS)[:, None] + _FAR
        within = pieces < (end // PIECE_TICKS)[:, None]
        row_of = np.broadcast_to(rows[:, None], within.shape)[within]
        values = np.broadcast_to(waits[:, None], within.shape)[within]
        self._filled[row_of, pieces[within] & _MASK] = values
