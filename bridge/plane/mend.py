"""What a row hears where nothing came: the lost is concealed, a quiet sender's noise is made."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from bridge.plane.codec import RowDecoder
from bridge.plane.columns import Columns
from bridge.plane.comfort import ComfortNoise
from bridge.plane.conceal import FUTURE_TICKS, HISTORY_TICKS, Concealer
from bridge.plane.masks import somewhere
from bridge.plane.samples import SampleRing
from bridge.plane.shape import FRAME_TICKS, PIECE_TICKS

__all__ = ["Mender"]

_FRAME_PIECES = FRAME_TICKS // PIECE_TICKS
_SLOT_PIECES = 2
"""`rx_concealed` counts 10 ms."""
_FUTURE_PIECES = FUTURE_TICKS // PIECE_TICKS
_MOST_CARRIED = 200
"""A codec carries on for 1 s at most: a sender with nothing to say is heard of twice in that time."""
_COUNTED = 12
"""What it makes up beyond 60 ms is no loss any more but a silence."""
_BRIDGE_PIECES = 8
"""A gap of up to 40 ms is bridged."""


class Mender:
    """Concealment and comfort noise over the frames of one tick.

    Args:
        columns: Shared columns.
        ring: Where to look for what was before a gap and what is behind it, and to keep what was made.
        decoders: Of rows whose codec may have means of its own, by row.
        newest: Tick at which the newest sound of each row ends.
    """

    def __init__(
        self,
        columns: Columns,
        ring: SampleRing,
        decoders: Mapping[int, RowDecoder] | None = None,
        newest: NDArray[np.int64] | None = None,
    ) -> None:
        n, shape = columns.capacity, columns.shape
        self._columns = columns
        self._ring = ring
        self._piece = shape.piece
        self._per_tick = shape.per_tick
        self._behind = np.arange(-HISTORY_TICKS * shape.per_tick, 0)
        self._beyond = np.arange(FUTURE_TICKS * shape.per_tick)
        self._within = np.arange(shape.piece)
        self._concealer = Concealer(n, shape)
        self._comfort = ComfortNoise(n, shape)
        self._decoders = {} if decoders is None else decoders
        self._newest = np.zeros(n, np.int64) if newest is None else newest
        # Pieces that the codec has carried the sound on for.
        self._carried = np.zeros(n, np.int64)
        self._odd_pieces = np.zeros(n, np.int64)
        self._hushed = np.zeros(n, np.bool_)

    def restart(self, row: int) -> None:
        """Begin in silence."""
        self._hushed[row] = False
        self._odd_pieces[row] = self._carried[row] = 0
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
        return (self._concealer.run[rows] > 0) | (self._carried[rows] > 0)

    def mend(
        self,
        rows: NDArray[np.intp],
        frames: NDArray[np.int16],
        filled: NDArray[np.bool_],
        play: NDArray[np.int64],
    ) -> None:
        """Fill what is missing of ``[k, shape.frame]`` frames from tick `play` on, and lead into the rest."""
        if self._decoders:
            filled = self._carry_on(rows, frames, filled, play)
        pieces = frames.reshape(len(rows), _FRAME_PIECES, self._piece)
        for number in range(_FRAME_PIECES):
            places = play * self._per_tick + number * self._piece
            gone = (~filled[:, number]).nonzero()[0]
            back = (filled[:, number] & (self._concealer.run[rows] > 0)).nonzero()[0]
            if len(back):
                led = pieces[back, number]
                self._concealer.merge(rows[back], led)
                pieces[back, number] = led
                self._ring.write(rows[back], places[back][:, None] + self._within, led)
            if len(gone):
                made = self._make(rows[gone], places[gone])
                pieces[gone, number] = made
                self._ring.write(rows[gone], places[gone][:, None] + self._within, made)

    def _make(self, rows: NDArray[np.intp], places: NDArray[np.int64]) -> NDArray[np.int16]:
        hushed = self._hushed[rows]
        made = np.zeros((len(rows), self._piece), np.int16)
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
            self._count(lost, 1)
        return made

    def _count(self, rows: NDArray[np.intp], pieces: int) -> None:
        count = self._odd_pieces[rows] + pieces
        self._odd_pieces[rows] = count % _SLOT_PIECES
        self._columns.rx_concealed[rows] += (count // _SLOT_PIECES).astype(np.uint64)

    def _carry_on(
        self,
        rows: NDArray[np.intp],
        frames: NDArray[np.int16],
        filled: NDArray[np.bool_],
        play: NDArray[np.int64],
    ) -> NDArray[np.bool_]:
        """Let codecs make up what was to come behind all that has come; return what is there then.

        Only there: a decoder has heard what waits behind a gap, and cannot go back before it.
        """
        filled = filled.copy()
        for k, row in enumerate(rows.tolist()):
            decoder = self._decoders.get(row)
            if decoder is None or filled[k].all():
                self._carried[row] = 0
                continue
            begin = max(0, -(-(int(self._newest[row]) - int(play[k])) // PIECE_TICKS))
            carried = int(self._carried[row]) if begin == 0 else 0
            if (
                begin >= _FRAME_PIECES
                or self._hushed[row]
                or not (carried or self._may_begin(row, filled[k, :begin]))
            ):
                continue
            if carried >= _MOST_CARRIED:
                self._concealer.silence(np.array([row]))
                self._carried[row] = 0
                continue
            count = _FRAME_PIECES - begin
            made = decoder.conceal(count * self._piece)
            if made is None:
                continue
            frames[k, begin * self._piece :] = made
            at = int(play[k]) * self._per_tick + np.arange(begin * self._piece, frames.shape[1])
            self._ring.write(rows[k : k + 1], at[None, :], made[None, :])
            filled[k, begin:] = True
            self._carried[row] = carried + count
            if carried < _COUNTED:
                self._count(rows[k : k + 1], count)
        return filled

    def _may_begin(self, row: int, before: NDArray[np.bool_]) -> bool:
        """Whether sound, and none that we made up ourselves, goes right up to here."""
        return bool(before.all()) and (len(before) > 0 or int(self._concealer.run[row]) == 0)

    def _remember(self, rows: NDArray[np.intp], places: NDArray[np.int64]) -> None:
        """Look at what was before the gap that begins here, and at what is behind it if that has come."""
        self._concealer.remember(rows, self._ring.read(rows, places[:, None] + self._behind))
        border = -(-places // self._piece) * PIECE_TICKS
        waiting = self._ring.pieces(rows, border, _BRIDGE_PIECES + _FUTURE_PIECES)
        runs = np.lib.stride_tricks.sliding_window_view(waiting, _FUTURE_PIECES, axis=1)
        there = np.count_nonzero(runs, axis=2) == _FUTURE_PIECES
        bridged = there.any(axis=1)
        if somewhere(bridged):
            begin = border[bridged] + np.argmax(there[bridged], axis=1) * PIECE_TICKS
            begin *= self._per_tick
            future = self._ring.read(rows[bridged], begin[:, None] + self._beyond)
            self._concealer.bridge(rows[bridged], future, begin - places[bridged])
