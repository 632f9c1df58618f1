"""What a row hears where nothing came: a lost piece is concealed, a quiet sender's noise is made, else silence."""

import numpy as np
from numpy.typing import NDArray

from bridge.plane.columns import FRAME_SAMPLES, Columns
from bridge.plane.comfort import ComfortNoise
from bridge.plane.conceal import FUTURE_SAMPLES, HISTORY_SAMPLES, PIECE_SAMPLES, Concealer
from bridge.plane.masks import somewhere

__all__ = ["Mender"]

_FRAME_PIECES = FRAME_SAMPLES // PIECE_SAMPLES
_SLOT_PIECES = 2
"""`rx_concealed` counts 10 ms."""
_BEHIND = np.arange(-HISTORY_SAMPLES, 0)
_FUTURE_PIECES = FUTURE_SAMPLES // PIECE_SAMPLES
_BRIDGE_PIECES = 8
"""A gap of up to 40 ms is bridged."""
_AHEAD = np.arange(_BRIDGE_PIECES + _FUTURE_PIECES)
_BEYOND = np.arange(FUTURE_SAMPLES)
_WITHIN = np.arange(PIECE_SAMPLES)


class Mender:
    """Concealment and comfort noise over the frames of one tick.

    Args:
        columns: Shared columns.
        samples: The jitter ring, ``[n, pieces, 40]``: what is made is written back as history.
        filled: Which pieces of it are there, ``[n, pieces]``.
    """

    def __init__(self, columns: Columns, samples: NDArray[np.int16], filled: NDArray[np.bool_]) -> None:
        n = columns.capacity
        self._columns = columns
        self._samples = samples
        self._filled = filled
        self._ring_samples = samples.shape[1] * PIECE_SAMPLES
        self._concealer = Concealer(n)
        self._comfort = ComfortNoise(n)
        self._odd = np.zeros(n, np.int64)
        self.hushed: NDArray[np.bool_] = np.zeros(n, np.bool_)
        """Where what is missing is not lost: the sender said that it is quiet, or sends events instead."""

    def restart(self, row: int) -> None:
        """Begin in silence."""
        self.hushed[row] = False
        self._odd[row] = 0
        self._concealer.silence(np.array([row]))
        self._comfort.restart(row)

    def describe_silence(self, row: int, payload: bytes) -> None:
        """Take a SID (RFC 3389): the sender is quiet, and this is how its silence sounds."""
        self.hushed[row] = True
        self._comfort.describe(row, payload)

    def is_busy(self, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Where a gap has not ended yet."""
        return self._concealer.run[rows] > 0

    def mend(
        self,
        rows: NDArray[np.intp],
        frames: NDArray[np.int16],
        filled: NDArray[np.bool_],
        play: NDArray[np.int64],
    ) -> None:
        """Fill what is missing of ``[k, 160]`` frames that begin at `play`, and lead back into what is not."""
        pieces = frames.reshape(len(rows), _FRAME_PIECES, PIECE_SAMPLES)
        for number in range(_FRAME_PIECES):
            places = play + number * PIECE_SAMPLES
            gone = (~filled[:, number]).nonzero()[0]
            back = (filled[:, number] & self.is_busy(rows)).nonzero()[0]
            if len(back):
                led = pieces[back, number]
                self._concealer.merge(rows[back], led)
                pieces[back, number] = led
                self._write(rows[back], places[back], led)
            if len(gone):
                made = self._make(rows[gone], places[gone])
                pieces[gone, number] = made
                self._write(rows[gone], places[gone], made)

    def _make(self, rows: NDArray[np.intp], places: NDArray[np.int64]) -> NDArray[np.int16]:
        hushed = self.hushed[rows]
        self._concealer.silence(rows[hushed])
        made = np.zeros((len(rows), PIECE_SAMPLES), np.int16)
        if somewhere(hushed):
            made[hushed] = self._comfort.next(rows[hushed])
        sounding = self._concealer.sounds(rows)
        if somewhere(sounding):
            lost, at = rows[sounding], places[sounding]
            fresh = self._concealer.needs_history(lost)
            if somewhere(fresh):
                self._remember(lost[fresh], at[fresh])
            made[sounding] = self._concealer.fill(lost)
            pieces = self._odd[lost] + 1
            self._odd[lost] = pieces % _SLOT_PIECES
            self._columns.rx_concealed[lost] += (pieces // _SLOT_PIECES).astype(np.uint64)
        return made

    def _remember(self, rows: NDArray[np.intp], places: NDArray[np.int64]) -> None:
        """Look at what was before the gap that begins here, and at what is behind it if that has come."""
        self._concealer.remember(rows, self._read(rows, places[:, None] + _BEHIND))
        # A piece counts from its border on: what is in one that we enter in its middle is not looked at.
        first = -(-places // PIECE_SAMPLES)
        ahead = self._filled[rows[:, None], (first[:, None] + _AHEAD) % self._filled.shape[1]]
        there = np.lib.stride_tricks.sliding_window_view(ahead, _FUTURE_PIECES, axis=1).all(axis=2)
        bridged = there.any(axis=1)
        if somewhere(bridged):
            rows, places, first = rows[bridged], places[bridged], first[bridged]
            begin = (first + np.argmax(there[bridged], axis=1)) * PIECE_SAMPLES
            self._concealer.bridge(rows, self._read(rows, begin[:, None] + _BEYOND), begin - places)

    def _read(self, rows: NDArray[np.intp], places: NDArray[np.int64]) -> NDArray[np.int16]:
        at = places % self._ring_samples
        sound: NDArray[np.int16] = self._samples[rows[:, None], at // PIECE_SAMPLES, at % PIECE_SAMPLES]
        return sound

    def _write(self, rows: NDArray[np.intp], places: NDArray[np.int64], pieces: NDArray[np.int16]) -> None:
        at = (places[:, None] + _WITHIN) % self._ring_samples
        self._samples[rows[:, None], at // PIECE_SAMPLES, at % PIECE_SAMPLES] = pieces
