"""What a row hears where nothing came: the lost is concealed, a quiet sender's noise is made."""

import numpy as np
from numpy.typing import NDArray

from bridge.plane.columns import FRAME_SAMPLES, Columns
from bridge.plane.comfort import ComfortNoise
from bridge.plane.conceal import FUTURE_SAMPLES, HISTORY_SAMPLES, Concealer
from bridge.plane.masks import somewhere
from bridge.plane.samples import PIECE_SAMPLES, SampleRing

__all__ = ["Mender"]

_FRAME_PIECES = FRAME_SAMPLES // PIECE_SAMPLES
_SLOT_PIECES = 2
"""`rx_concealed` counts 10 ms."""
_FUTURE_PIECES = FUTURE_SAMPLES // PIECE_SAMPLES
_BRIDGE_PIECES = 8
"""A gap of up to 40 ms is bridged."""
_BEHIND = np.arange(-HISTORY_SAMPLES, 0)
_BEYOND = np.arange(FUTURE_SAMPLES)
_WITHIN = np.arange(PIECE_SAMPLES)


class Mender:
    """Concealment and comfort noise over the frames of one tick.

    Args:
        columns: Shared columns.
        ring: Where to look for what was before a gap and what is behind it, and to keep what was made.
    """

    def __init__(self, columns: Columns, ring: SampleRing) -> None:
        n = columns.capacity
        self._columns = columns
        self._ring = ring
        self._concealer = Concealer(n)
        self._comfort = ComfortNoise(n)
        self._odd_pieces = np.zeros(n, np.int64)
        self._hushed = np.zeros(n, np.bool_)

    def restart(self, row: int) -> None:
        """Begin in silence."""
        self._hushed[row] = False
        self._odd_pieces[row] = 0
        self._concealer.silence(np.array([row]))
        self._comfort.restart(row)

    def hush(self, row: int) -> None:
        """The sender sends events instead: what is missing now is not lost."""
        self._hushed[row] = True

    def describe_silence(self, row: int, payload: bytes) -> None:
        """Take a SID (RFC 3389): the sender is quiet, and this is how its silence sounds."""
        self._hushed[row] = True
        self._comfort.describe(row, payload)

    def expect_sound(self, rows: NDArray[np.intp]) -> None:
        """The sender speaks again: what is missing now is lost."""
        self._hushed[rows] = False

    def is_hushed(self, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Where the sender said so."""
        return self._hushed[rows]

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
        """Fill what is missing of ``[k, 160]`` frames from `play` on, and lead back into the rest."""
        pieces = frames.reshape(len(rows), _FRAME_PIECES, PIECE_SAMPLES)
        for number in range(_FRAME_PIECES):
            places = play + number * PIECE_SAMPLES
            gone = (~filled[:, number]).nonzero()[0]
            back = (filled[:, number] & self.is_busy(rows)).nonzero()[0]
            if len(back):
                led = pieces[back, number]
                self._concealer.merge(rows[back], led)
                pieces[back, number] = led
                self._ring.write(rows[back], places[back][:, None] + _WITHIN, led)
            if len(gone):
                made = self._make(rows[gone], places[gone])
                pieces[gone, number] = made
                self._ring.write(rows[gone], places[gone][:, None] + _WITHIN, made)

    def _make(self, rows: NDArray[np.intp], places: NDArray[np.int64]) -> NDArray[np.int16]:
        hushed = self._hushed[rows]
        made = np.zeros((len(rows), PIECE_SAMPLES), np.int16)
        if somewhere(hushed):
            self._concealer.silence(rows[hushed])
            made[hushed] = self._comfort.next(rows[hushed])
        sounding = self._concealer.sounds(rows)
        if somewhere(sounding):
            lost, at = rows[sounding], places[sounding]
            fresh = self._concealer.needs_history(lost)
            if somewhere(fresh):
                self._remember(lost[fresh], at[fresh])
            made[sounding] = self._concealer.fill(lost)
            count = self._odd_pieces[lost] + 1
            self._odd_pieces[lost] = count % _SLOT_PIECES
            self._columns.rx_concealed[lost] += (count // _SLOT_PIECES).astype(np.uint64)
        return made

    def _remember(self, rows: NDArray[np.intp], places: NDArray[np.int64]) -> None:
        """Look at what was before the gap that begins here, and at what is behind it if that has come."""
        self._concealer.remember(rows, self._ring.read(rows, places[:, None] + _BEHIND))
        border = -(-places // PIECE_SAMPLES) * PIECE_SAMPLES
        waiting = self._ring.pieces(rows, border, _BRIDGE_PIECES + _FUTURE_PIECES)
        runs = np.lib.stride_tricks.sliding_window_view(waiting, _FUTURE_PIECES, axis=1)
        there = np.count_nonzero(runs, axis=2) == _FUTURE_PIECES
        bridged = there.any(axis=1)
        if somewhere(bridged):
            begin = border[bridged] + np.argmax(there[bridged], axis=1) * PIECE_SAMPLES
            future = self._ring.read(rows[bridged], begin[:, None] + _BEYOND)
            self._concealer.bridge(rows[bridged], future, begin - places[bridged])
