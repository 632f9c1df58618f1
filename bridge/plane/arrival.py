"""The jitter ring: samples wait at the place their RTP timestamp gives them until their time has come.

A row plays one frame of 20 ms with every packet that we send. Its delay starts at 40 ms and follows what
`DelayNeed` asks for: it grows at once when packets come late, and otherwise moves in silence, or by a
pitch period at a time.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from bridge.plane.codec import RowDecoder
from bridge.plane.columns import Columns
from bridge.plane.jitter import DelayNeed
from bridge.plane.masks import everywhere, somewhere
from bridge.plane.mend import Mender
from bridge.plane.samples import SampleRing
from bridge.plane.shape import FRAME_TICKS, PIECE_TICKS, thin
from bridge.plane.spec import PlaneSettings
from bridge.plane.splice import LONGEST_PERIOD, SEEN_SAMPLES, blend, periods_ahead

__all__ = ["ArrivalRing"]

_REACH_TICKS = 2880
"""A packet that begins further ahead than this, or behind, belongs to another time line."""
_DRY_TICKS = 480
"""A ring empty for so long plays silence: a new time line costs nothing."""
_HALT_TICKS = 40
"""Two packets whose transits differ by less than 5 ms came one after the other, and not in a burst."""
_STALE_TICKS = 16000
"""A packet that is no older than 2 s is a straggler, and no new time line."""
_TICKS_PER_MS = 8
_PIECE_MS = PIECE_TICKS // _TICKS_PER_MS
_NS_PER_TICK = 125_000
_REVIEW_FRAMES = 5
"""The delay moves at most once in 100 ms."""
_LEARN_PACKETS = 50
"""Nothing is given back before a stream has shown for a second how it comes."""
_CALM_TICKS = 8
"""1 ms more than needed has to be left over, or the delay would swing."""
_FRAME_PIECES = FRAME_TICKS // PIECE_TICKS


class ArrivalRing:
    """The time line of every row: what came, what is played next, and how far that is behind.

    Args:
        columns: Shared columns.
        settings: How long to wait for packets.
        decoders: By row, where the codec may have means against loss.
    """

    def __init__(
        self, columns: Columns, settings: PlaneSettings, decoders: Mapping[int, RowDecoder] | None = None
    ) -> None:
        n = columns.capacity
        self._columns = columns
        # Whole pieces, for a time line begins on the border of one.
        self._start_ticks = settings.depth_start_ms // _PIECE_MS * PIECE_TICKS
        self._min_ticks = settings.depth_min_ms * _TICKS_PER_MS
        self._max_ticks = settings.depth_max_ms * _TICKS_PER_MS
        self._per_tick = columns.shape.per_tick
        self._piece = columns.shape.piece
        self._frame = np.arange(columns.shape.frame)
        self._seen = np.arange(SEEN_SAMPLES * columns.shape.per_tick)
        self._ring = SampleRing(n, columns.shape)
        self._started = np.zeros(n, np.bool_)
        # The last packet's timestamp, place in samples, length and transit.
        self._timestamp = np.zeros(n, np.int64)
        self._place = np.zeros(n, np.int64)
        self._length = np.full(n, FRAME_TICKS, np.int64)
        self._transit = np.zeros(n, np.int64)
        # Where the newest sound ends, and the newest that was heard.
        self._newest = np.zeros(n, np.int64)
        self._heard = np.zeros(n, np.int64)
        # What is played next, and the transit of a packet that would come just when it is played.
        self._play = np.zeros(n, np.int64)
        self._lag = np.zeros(n, np.int64)
        self.delays: DelayNeed = DelayNeed(n, settings)
        self.mender: Mender = Mender(columns, self._ring, decoders, self._newest)

    def restart(self, row: int) -> None:
        """Forget everything; the next packet sets the time line."""
        self._ring.erase(row)
        self._started[row] = False
        self._play[row] = self._newest[row] = self._heard[row] = 0
        self._columns.depth_samples[row] = 0
        self.delays.restart(row)
        self.mender.restart(row)

    def place(
        self, rows: NDArray[np.intp], timestamps: NDArray[np.int64], pcm: NDArray[np.int16], *, now_ns: int
    ) -> None:
        """Put one packet of each of these distinct rows, ``[k, L]`` samples, where it belongs.

        Args:
            rows: Whose they are.
            timestamps: When each begins, counted in samples of the rate of the rows.
            pcm: Their sound.
            now_ns: Arrival time.
        """
        samples = pcm.shape[1]
        is_whole = samples % self._piece == 0
        step = (timestamps - self._timestamp[rows] + 0x8000_0000 & 0xFFFF_FFFF) - 0x8000_0000
        places = self._place[rows] + step
        if is_whole:
            # Off the grid by less than a piece, and all of a talk spurt alike: nobody hears where it stands.
            places = places // self._piece * self._piece
        ticks, length = places, samples
        if self._per_tick > 1:
            ticks, length = places // self._per_tick, -(-samples // self._per_tick)
        now = now_ns // _NS_PER_TICK
        anew = self._is_anew(rows, ticks, now)
        if somewhere(anew):
            # A time line begins on the border of a piece.
            places = np.where(anew, places // self._piece * self._piece, places)
            ticks = places // self._per_tick
            self._start(rows[anew], ticks[anew], now)
        self._timestamp[rows] = timestamps
        self._place[rows] = places
        self._length[rows] = length
        self.mender.expect_sound(rows)
        self._transit[rows] = now - ticks
        self.delays.observe(rows, now - ticks)
        late = ticks < self._play[rows]
        if somewhere(late):
            self._hold_back(rows[late], ticks[late], length)
        self._newest[rows] = np.maximum(self._newest[rows], ticks + length)
        if is_whole:
            due = self._ring.put(rows, ticks, pcm, self._play[rows])
        else:
            packets = zip(rows.tolist(), places.tolist(), pcm, self._play[rows].tolist(), strict=True)
            due = np.array([self._ring.put_exactly(*packet) for packet in packets])
        if not everywhere(due):
            self._columns.rx_late[rows[~due]] += np.uint64(1)

    def repeated(self, rows: NDArray[np.intp]) -> None:
        """Learn that the packets of these distinct rows, just placed, carry again what was lost before them.

        The lost frames came after all, a packet later than their time: as others that are late, they make the
        row wait longer if there are enough of them.
        """
        self.delays.observe(rows, self._transit[rows] + self._length[rows])

    def patch(self, row: int, timestamp: int, pcm: NDArray[np.int16]) -> None:
        """Put sound that a packet told of beside its own where it belongs, unless it is too late for it.

        To be called after the packet itself was placed.
        """
        step = (timestamp - int(self._timestamp[row]) + 0x8000_0000 & 0xFFFF_FFFF) - 0x8000_0000
        place = (int(self._place[row]) + step) // self._piece * self._piece
        self._ring.patch(row, place, pcm, int(self._play[row]))

    def pop(
        self, rows: NDArray[np.intp], quiet: NDArray[np.bool_], due_ns: NDArray[np.int64]
    ) -> NDArray[np.int16]:
        """Take the next frame of each row, ``[k, shape.frame]``: silence at first, and what is lost made up.

        Args:
            rows: Distinct rows whose slot has come.
            quiet: Where nobody speaks: there the delay may change at once.
            due_ns: When each slot was to come.
        """
        play = self._play[rows]
        due = due_ns // _NS_PER_TICK
        self._lag[rows] = due - play
        frames, filled = self._ring.take(rows, play)
        started = self._started[rows]
        self._play[rows] = play + np.where(started, FRAME_TICKS, 0)
        is_whole = everywhere(filled)
        if is_whole:
            self._heard[rows] = play + FRAME_TICKS
        else:
            last = _FRAME_PIECES - np.argmax(filled[:, ::-1], axis=1)
            heard = np.where(np.count_nonzero(filled, axis=1), play + last * PIECE_TICKS, self._heard[rows])
            self._heard[rows] = np.maximum(self._heard[rows], heard)
        if not is_whole or somewhere(self.mender.is_busy(rows)):
            self.mender.mend(rows, frames, filled, play)
        self._ring.release(rows, play)
        reviewed = started & (due // FRAME_TICKS % _REVIEW_FRAMES == 0)
        if somewhere(reviewed):
            self._review(rows, frames, reviewed, quiet)
        waiting = np.maximum(self._newest[rows] - self._play[rows], 0)
        self._columns.depth_samples[rows] = waiting.astype(np.uint64)
        return frames

    # Where a time line begins, and where it is held back.

    def _is_anew(self, rows: NDArray[np.intp], ticks: NDArray[np.int64], now: int) -> NDArray[np.bool_]:
        """Where the last time line is over: the first packet, a leap, a clock that stood still."""
        play, newest = self._play[rows], self._newest[rows]
        ahead = ticks - play
        anew: NDArray[np.bool_] = ~self._started[rows] | (ahead > _REACH_TICKS)
        late = ahead < 0
        if somewhere(late):
            dry = play - newest >= _DRY_TICKS
            longest = self.delays.base[rows] + self._max_ticks
            # After an outage packets come at once, each by a shorter way; after a halt they do not.
            before = self._transit[rows]
            halted = (before > longest) & (now - ticks >= before - _HALT_TICKS)
            halted |= self.mender.is_hushed(rows)
            anew |= late & dry & halted & (now - ticks > longest) & (ticks >= newest)
            anew |= (ahead < -_REACH_TICKS) & (dry & halted | (ticks < newest - _STALE_TICKS))
        return anew

    def _start(self, rows: NDArray[np.intp], ticks: NDArray[np.int64], now: int) -> None:
        known = self.delays.seen[rows] >= _LEARN_PACKETS
        need = np.clip(self.delays.need[rows] - self.delays.base[rows], self._min_ticks, self._max_ticks)
        delay = np.where(known, -(-need // PIECE_TICKS) * PIECE_TICKS, self._start_ticks)
        self.delays.begin(rows, now - ticks)
        self._ring.forget(rows)
        self._play[rows] = self._heard[rows] = ticks - delay
        self._lag[rows] = now - ticks + delay
        self._newest[rows] = ticks
        self._started[rows] = True

    def _hold_back(self, rows: NDArray[np.intp], ticks: NDArray[np.int64], length: int) -> None:
        """Let late packets be heard late, within the longest delay, unless newer ones were heard."""
        begin = np.maximum(ticks, self._heard[rows])
        room = self.delays.base[rows] + self._max_ticks - self._lag[rows]
        back = np.where(begin < ticks + length, np.minimum(self._play[rows] - begin, room), 0)
        back = np.maximum(back, 0)
        self._play[rows] -= back
        self._lag[rows] += back

    # The delay.

    def _review(
        self,
        rows: NDArray[np.intp],
        frames: NDArray[np.int16],
        asked: NDArray[np.bool_],
        quiet: NDArray[np.bool_],
    ) -> None:
        """Move the delay of these rows towards what they need, a step at most."""
        at = asked.nonzero()[0]
        self.delays.review(rows[at])
        shift = self._shift(rows[at], quiet[at])
        moves = shift != 0
        if not somewhere(moves):
            return
        at, shift = at[moves], shift[moves]
        rows, quiet = rows[at], quiet[at]
        dry = self._play[rows] - self._newest[rows] >= _DRY_TICKS
        self._play[rows[dry]] += shift[dry]
        sounding = ~dry
        if somewhere(sounding):
            at, rows, shift = at[sounding], rows[sounding], shift[sounding]
            over = self._lag[rows] - self.delays.base[rows] - self._max_ticks
            by_period = ~quiet[sounding] & (over <= FRAME_TICKS)
            if somewhere(by_period):
                shift[by_period] = self._by_period(rows[by_period], shift[by_period])
            self._splice(rows, frames, at, np.maximum(shift, -FRAME_TICKS))

    def _shift(self, rows: NDArray[np.intp], quiet: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Ticks to leave out, or less than none to put in, so that each row waits no longer than it needs.

        What we play and what they send come in frames: a packet is there in time only if it is there when
        the frame begins that needs it. Between two such delays, time is lost for nothing. In a voice, no
        delay that a stream may begin with is worth an alteration.
        """
        grain = np.gcd(self._length[rows], FRAME_TICKS)
        idle = (self._place[rows] // self._per_tick - self._play[rows]) % grain
        base = self.delays.base[rows]
        need = np.maximum(self.delays.need[rows], base + self._min_ticks)
        spare = self._lag[rows] - idle - (FRAME_TICKS - grain) - need
        kept = np.where(quiet, 0, np.maximum(base + self._start_ticks - need, 0))
        steps = np.where(spare < 0, spare // grain, np.maximum(spare - kept - _CALM_TICKS, 0) // grain)
        steps = np.where(self.delays.seen[rows] < _LEARN_PACKETS, 0, steps)
        # No further than what has come.
        steps = np.minimum(steps, np.maximum(self._newest[rows] - self._play[rows] - idle, 0) // grain)
        shift: NDArray[np.int64] = np.where(quiet | (steps != 0), idle + steps * grain, 0)
        return shift

    def _by_period(self, rows: NDArray[np.intp], shift: NDArray[np.int64]) -> NDArray[np.int64]:
        """In a voice: one pitch period, if there is one and it leads no further than asked."""
        begin = self._play[rows] - FRAME_TICKS - np.where(shift < 0, LONGEST_PERIOD, 0)
        sound = self._ring.read(rows, (begin * self._per_tick)[:, None] + self._seen)
        period = periods_ahead(thin(sound, self._per_tick))
        return np.where(shift < 0, -period, np.where(period <= shift, period, 0))

    def _splice(
        self,
        rows: NDArray[np.intp],
        frames: NDArray[np.int16],
        at: NDArray[np.intp],
        shift: NDArray[np.int64],
    ) -> None:
        """Lead the frames just taken over to where playing goes on, if everything up to there has come."""
        play = self._play[rows]
        whole = (shift != 0) & self._ring.holds(rows, play, play + np.maximum(shift, 0))
        rows, at, shift, play = rows[whole], at[whole], shift[whole], play[whole]
        goal = play + shift
        places = ((goal - FRAME_TICKS) * self._per_tick)[:, None] + self._frame
        frames[at] = blend(frames[at], self._ring.read(rows, places), self._per_tick)
        # What is left out is free again; what is heard once more waits once more.
        self._ring.mark(rows, np.minimum(play, goal), np.maximum(play, goal), shift < 0)
        self._play[rows] = goal
        self._heard[rows] = np.maximum(self._heard[rows], goal)
