"""The jitter ring: samples wait at the place their RTP timestamp gives them until their time has come.

Addressed in pieces of 5 ms, so that any ptime fits. A row plays one frame of 20 ms with every packet that we send.
Its delay starts at 40 ms and follows what `DelayNeed` asks for: it grows at once when packets come late, and
otherwise moves in silence, or by a pitch period at a time where nobody falls silent.
"""

import numpy as np
from numpy.typing import NDArray

from bridge.plane.columns import FRAME_SAMPLES, Columns
from bridge.plane.conceal import PIECE_SAMPLES
from bridge.plane.jitter import DelayNeed
from bridge.plane.masks import everywhere, somewhere
from bridge.plane.mend import Mender
from bridge.plane.spec import PlaneSettings
from bridge.plane.splice import LONGEST_PERIOD, SEEN_SAMPLES, blend, periods_ahead

__all__ = ["ArrivalRing"]

_PIECES = 128
_PIECE_MASK = _PIECES - 1
_RING_SAMPLES = _PIECES * PIECE_SAMPLES
_REACH_SAMPLES = 2880
"""A packet that begins further ahead than this, or behind, belongs to another time line."""
_DRY_SAMPLES = 480
"""A ring empty for so long plays silence: the next packet may take its full delay again for nothing."""
_TICKS_PER_MS = 8
_NS_PER_TICK = 125_000
_REVIEW_FRAMES = 5
_LEARN_PACKETS = 50
"""Nothing is given back before a stream has shown for a second how it comes."""
_CALM_TICKS = 8
"""1 ms more than needed has to be left over, or the delay would swing."""
_FRAME_PIECES = FRAME_SAMPLES // PIECE_SAMPLES
_AHEAD = np.arange(_FRAME_PIECES)
_SAMPLES = np.arange(FRAME_SAMPLES)
_SEEN = np.arange(SEEN_SAMPLES)


class ArrivalRing:
    """Received samples of every row, ``[n, 128 pieces, 40]``. Places are RTP ticks, counted on through wraps."""

    def __init__(self, columns: Columns, settings: PlaneSettings) -> None:
        n = columns.capacity
        self._columns = columns
        self._start_ticks = settings.depth_start_ms * _TICKS_PER_MS
        self._min_ticks = settings.depth_min_ms * _TICKS_PER_MS
        self._max_ticks = settings.depth_max_ms * _TICKS_PER_MS
        self._samples = np.zeros((n, _PIECES, PIECE_SAMPLES), np.int16)
        self._filled = np.zeros((n, _PIECES), np.bool_)
        self._started = np.zeros(n, np.bool_)
        self._timestamp = np.zeros(n, np.int64)
        # The newest packet's place and length, the end of the newest sound, and of the newest sound that was heard.
        self._tick = np.zeros(n, np.int64)
        self._length = np.full(n, FRAME_SAMPLES, np.int64)
        self._newest = np.zeros(n, np.int64)
        self._heard = np.zeros(n, np.int64)
        # What is played next, and the transit of a packet that would come just then.
        self._play = np.zeros(n, np.int64)
        self._lag = np.zeros(n, np.int64)
        self.delays: DelayNeed = DelayNeed(n, settings)
        self.mender: Mender = Mender(columns, self._samples, self._filled)

    def restart(self, row: int) -> None:
        """Forget everything; the next packet sets the time line."""
        self._samples[row] = 0
        self._filled[row] = False
        self._started[row] = False
        self._play[row] = self._newest[row] = self._heard[row] = 0
        self._columns.depth_samples[row] = 0
        self.delays.restart(row)
        self.mender.restart(row)

    def place(
        self, rows: NDArray[np.intp], timestamps: NDArray[np.int64], pcm: NDArray[np.int16], *, now_ns: int
    ) -> None:
        """Put one packet of each of these distinct rows, ``[k, L]`` samples, where it belongs."""
        length = pcm.shape[1]
        is_whole = length % PIECE_SAMPLES == 0
        step = (timestamps - self._timestamp[rows] + 0x8000_0000 & 0xFFFF_FFFF) - 0x8000_0000
        ticks = self._tick[rows] + step
        if is_whole:
            # Off the grid by less than a piece, and all of a talk spurt alike: nobody hears where it stands.
            ticks = ticks // PIECE_SAMPLES * PIECE_SAMPLES
        now = now_ns // _NS_PER_TICK
        ahead = ticks - self._play[rows]
        late = ahead < 0
        anew = ~self._started[rows] | (np.abs(ahead) > _REACH_SAMPLES)
        if somewhere(late):
            stood = ticks >= self._newest[rows] + _DRY_SAMPLES
            anew |= late & stood & (now - ticks > self.delays.base[rows] + self._max_ticks)
            anew |= late & (self._play[rows] - self._newest[rows] > _REACH_SAMPLES)
        if somewhere(anew):
            ticks = np.where(anew, ticks // PIECE_SAMPLES * PIECE_SAMPLES, ticks)
            self._start(rows[anew], ticks[anew], now)
            late &= ~anew
        self._timestamp[rows] = timestamps
        self._tick[rows] = ticks
        self._length[rows] = length
        self.mender.hushed[rows] = False
        self.delays.observe(rows, now - ticks)
        if somewhere(late):
            self._hold_back(rows[late], ticks[late], length)
        self._newest[rows] = np.maximum(self._newest[rows], ticks + length)
        if is_whole:
            self._store(rows, ticks, pcm)
        else:
            self._store_exactly(rows, ticks, pcm)

    def pop(
        self, rows: NDArray[np.intp], quiet: NDArray[np.bool_], due_ns: NDArray[np.int64]
    ) -> NDArray[np.int16]:
        """Take the next frame of each row, ``[k, 160]``: silence before the first packet, concealed if lost.

        Args:
            rows: Distinct rows whose slot has come.
            quiet: Where nobody speaks: there the delay may change at once.
            due_ns: When each slot was to come.
        """
        play = self._play[rows]
        due = due_ns // _NS_PER_TICK
        self._lag[rows] = due - play
        aligned = play % PIECE_SAMPLES == 0
        if everywhere(aligned):
            pieces = (play // PIECE_SAMPLES)[:, None] + _AHEAD & _PIECE_MASK
            frames = self._samples[rows[:, None], pieces].reshape(len(rows), FRAME_SAMPLES)
            filled = self._filled[rows[:, None], pieces]
        else:
            frames, filled = self._take_exactly(rows, play)
            pieces = (play // PIECE_SAMPLES)[:, None] + _AHEAD & _PIECE_MASK
        started = self._started[rows]
        after = play + np.where(started, FRAME_SAMPLES, 0)
        self._play[rows] = after
        is_whole = everywhere(filled)
        if is_whole:
            self._heard[rows] = after
        else:
            last = _FRAME_PIECES - np.argmax(filled[:, ::-1], axis=1)
            heard = np.where(filled.any(axis=1), play + last * PIECE_SAMPLES, 0)
            self._heard[rows] = np.maximum(self._heard[rows], heard)
        if not is_whole or somewhere(self.mender.is_busy(rows)):
            self.mender.mend(rows, frames, filled, play)
        self._filled[rows[:, None], pieces] = False
        due_for_review = due // FRAME_SAMPLES % _REVIEW_FRAMES == 0
        if somewhere(due_for_review):
            self._review(rows, frames, due_for_review & started, quiet)
        waiting = np.maximum(self._newest[rows] - self._play[rows], 0)
        self._columns.depth_samples[rows] = waiting.astype(np.uint64)
        return frames

    # Where a time line begins, and where it is held back.

    def _start(self, rows: NDArray[np.intp], ticks: NDArray[np.int64], now: int) -> None:
        known = self.delays.seen[rows] >= _LEARN_PACKETS
        need = self.delays.need[rows] - self.delays.base[rows]
        asked = np.clip(need, self._min_ticks, self._max_ticks)
        delay = np.where(known, -(-asked // PIECE_SAMPLES) * PIECE_SAMPLES, self._start_ticks)
        self.delays.begin(rows, now - ticks)
        self._filled[rows] = False
        self._play[rows] = self._heard[rows] = ticks - delay
        self._lag[rows] = now - ticks + delay
        self._newest[rows] = ticks
        self._started[rows] = True

    def _hold_back(self, rows: NDArray[np.intp], ticks: NDArray[np.int64], length: int) -> None:
        """Late packets pull the whole row back, as far as the longest delay allows, unless newer ones were heard."""
        begin = np.maximum(ticks, self._heard[rows])
        room = self.delays.base[rows] + self._max_ticks - self._lag[rows]
        back = np.where(begin < ticks + length, np.minimum(self._play[rows] - begin, room), 0)
        back = np.maximum(back, 0) // PIECE_SAMPLES * PIECE_SAMPLES
        self._play[rows] -= back
        self._lag[rows] += back

    # Into the ring and out of it.

    def _store(self, rows: NDArray[np.intp], ticks: NDArray[np.int64], pcm: NDArray[np.int16]) -> None:
        count = pcm.shape[1] // PIECE_SAMPLES
        pieces = pcm.reshape(len(rows), count, PIECE_SAMPLES)
        targets = (ticks // PIECE_SAMPLES)[:, None] + np.arange(count)
        due = targets > (self._play[rows] // PIECE_SAMPLES - 1)[:, None]
        row_of = rows[:, None]
        if everywhere(due):
            self._samples[row_of, targets & _PIECE_MASK] = pieces
            self._filled[row_of, targets & _PIECE_MASK] = True
            return
        self._columns.rx_late[rows[~due.any(axis=1)]] += np.uint64(1)
        row_of = np.broadcast_to(row_of, targets.shape)[due]
        self._samples[row_of, targets[due] & _PIECE_MASK] = pieces[due]
        self._filled[row_of, targets[due] & _PIECE_MASK] = True

    def _store_exactly(
        self, rows: NDArray[np.intp], ticks: NDArray[np.int64], pcm: NDArray[np.int16]
    ) -> None:
        """Packets that are no whole number of pieces, which hardly anybody sends: sample by sample."""
        length = pcm.shape[1]
        for row, tick, samples in zip(rows.tolist(), ticks.tolist(), pcm, strict=True):
            skip = max(0, int(self._play[row]) - tick)
            if skip >= length:
                self._columns.rx_late[row] += np.uint64(1)
                continue
            begin, end = tick + skip, tick + length
            touched = np.arange(begin // PIECE_SAMPLES, -(-end // PIECE_SAMPLES)) & _PIECE_MASK
            # A piece that is touched first may still hold what was played long ago.
            self._samples[row, touched[~self._filled[row, touched]]] = 0
            ring = self._samples[row].reshape(_RING_SAMPLES)
            ring[np.arange(begin, end) % _RING_SAMPLES] = samples[skip:]
            self._filled[row, touched] = True

    def _take_exactly(
        self, rows: NDArray[np.intp], play: NDArray[np.int64]
    ) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
        """Frames that begin anywhere, and which of their pieces are all there."""
        frames = self._sound(rows, play[:, None] + _SAMPLES)
        first = play[:, None] // PIECE_SAMPLES + _AHEAD
        second = (play[:, None] - 1) // PIECE_SAMPLES + 1 + _AHEAD
        row_of = rows[:, None]
        filled = self._filled[row_of, first & _PIECE_MASK] & self._filled[row_of, second & _PIECE_MASK]
        return frames, filled

    def _sound(self, rows: NDArray[np.intp], places: NDArray[np.int64]) -> NDArray[np.int16]:
        at = places % _RING_SAMPLES
        sound: NDArray[np.int16] = self._samples[rows[:, None], at // PIECE_SAMPLES, at % PIECE_SAMPLES]
        return sound

    # The delay.

    def _review(
        self,
        rows: NDArray[np.intp],
        frames: NDArray[np.int16],
        asked: NDArray[np.bool_],
        quiet: NDArray[np.bool_],
    ) -> None:
        """Move the delay of these rows towards what they need, a step at most; their frames lead into it."""
        at = asked.nonzero()[0]
        rows = rows[at]
        self.delays.review(rows)
        shift = self._shift(rows, quiet[at])
        moves = shift != 0
        if not somewhere(moves):
            return
        at, rows, shift, quiet = at[moves], rows[moves], shift[moves], quiet[at[moves]]
        play = self._play[rows]
        empty = self._newest[rows] <= play
        self._play[rows[empty]] += shift[empty]
        # What has been heard ends at `play`: the frame just taken is led over to where playing goes on.
        held = ~empty
        at, rows, shift, quiet, play = at[held], rows[held], shift[held], quiet[held], play[held]
        spoken = ~quiet
        if somewhere(spoken):
            shift[spoken] = self._by_period(rows[spoken], shift[spoken])
        shift = np.maximum(shift, -FRAME_SAMPLES)
        kept = (shift != 0) & self._is_there(rows, play, play + np.maximum(shift, 0))
        at, rows, shift, play = at[kept], rows[kept], shift[kept], play[kept]
        target = play - FRAME_SAMPLES + shift
        frames[at] = blend(frames[at], self._sound(rows, target[:, None] + _SAMPLES))
        # What is left out is free again; what is heard once more is there once more.
        self._fill(rows, np.minimum(play, play + shift), np.maximum(play, play + shift), shift < 0)
        self._play[rows] = play + shift
        self._heard[rows] = np.maximum(self._heard[rows], play + shift)

    def _shift(self, rows: NDArray[np.intp], quiet: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Ticks to leave out, or less than none to put in, so that each row waits no longer than it needs.

        What we play and what they send come in frames: a delay can only be so long that a packet is there when a
        frame begins with it. All between two such delays is time lost for nothing. In a voice, no delay that a
        stream may begin with is worth an alteration.
        """
        grain = np.gcd(self._length[rows], FRAME_SAMPLES)
        idle = (self._tick[rows] - self._play[rows]) % grain
        base = self.delays.base[rows]
        need = np.maximum(self.delays.need[rows], base + self._min_ticks)
        spare = self._lag[rows] - idle - (FRAME_SAMPLES - grain) - need
        kept = np.where(quiet, 0, np.maximum(base + self._start_ticks - need, 0))
        steps = np.where(spare < 0, spare // grain, np.maximum(spare - kept - _CALM_TICKS, 0) // grain)
        steps = np.where(self.delays.seen[rows] < _LEARN_PACKETS, 0, steps)
        shift: NDArray[np.int64] = np.where(quiet | (steps != 0), idle + steps * grain, 0)
        return shift

    def _by_period(self, rows: NDArray[np.intp], shift: NDArray[np.int64]) -> NDArray[np.int64]:
        """In a voice: one pitch period, if there is one and it leads the right way."""
        begin = self._play[rows] - FRAME_SAMPLES
        begin = np.where(shift < 0, begin - LONGEST_PERIOD, begin)
        period = periods_ahead(self._sound(rows, begin[:, None] + _SEEN))
        return np.where(shift < 0, -period, np.where(period <= shift, period, 0))

    def _is_there(
        self, rows: NDArray[np.intp], begin: NDArray[np.int64], end: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Where everything between these places has come."""
        first = begin[:, None] // PIECE_SAMPLES
        pieces = first + np.arange(_PIECES // 2)
        filled = self._filled[rows[:, None], pieces & _PIECE_MASK]
        there: NDArray[np.bool_] = (filled | (pieces * PIECE_SAMPLES >= end[:, None])).all(axis=1)
        return there & (end <= self._newest[rows])

    def _fill(
        self,
        rows: NDArray[np.intp],
        begin: NDArray[np.int64],
        end: NDArray[np.int64],
        value: NDArray[np.bool_],
    ) -> None:
        """Say of the pieces between these places whether they are there."""
        first, last = begin[:, None] // PIECE_SAMPLES, end[:, None] // PIECE_SAMPLES
        pieces = first + np.arange(_PIECES // 2)
        within = pieces < last
        row_of, values = (
            np.broadcast_to(rows[:, None], within.shape),
            np.broadcast_to(value[:, None], within.shape),
        )
        self._filled[row_of[within], pieces[within] & _PIECE_MASK] = values[within]
