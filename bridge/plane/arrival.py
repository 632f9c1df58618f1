"""The jitter ring: samples wait at the place their RTP timestamp gives them until their time has come.

Addressed in slots of 10 ms, so that any ptime fits. A row plays one frame of two slots with every packet that
we send. Its delay starts at 40 ms, grows at once when packets come late, and shrinks slot by slot in silence.
"""

import numpy as np
from numpy.typing import NDArray

from bridge.plane.columns import FRAME_SAMPLES, Columns
from bridge.plane.conceal import HISTORY_SLOTS, SLOT_SAMPLES, Concealer
from bridge.plane.masks import everywhere, somewhere
from bridge.plane.spec import PlaneSettings

__all__ = ["ArrivalRing"]

_SLOTS = 64
_SLOT_MASK = _SLOTS - 1
_RING_SAMPLES = _SLOTS * SLOT_SAMPLES
_REACH_SLOTS = 36
"""A packet that begins further ahead than this, or behind, belongs to another time line."""
_DRY_SLOTS = 6
"""A ring empty for so long plays silence: the next packet may take its full delay again for nothing."""
_SLOT_MS = 10
_TICKS_PER_MS = 8
_REVIEW_POPS = 50
"""A second without need of the present delay lets one slot go."""
_FRAME_SLOTS = FRAME_SAMPLES // SLOT_SAMPLES
_AHEAD = np.arange(_FRAME_SLOTS)
_BEHIND = np.arange(-HISTORY_SLOTS, 0)


class ArrivalRing:
    """Received samples of every row, ``[n, 64 slots, 80]``."""

    def __init__(self, columns: Columns, settings: PlaneSettings) -> None:
        n = columns.capacity
        self._columns = columns
        self._start_slots = settings.depth_start_ms // _SLOT_MS
        self._min_slots = settings.depth_min_ms // _SLOT_MS
        self._max_slots = settings.depth_max_ms // _SLOT_MS
        self._samples = np.zeros((n, _SLOTS, SLOT_SAMPLES), np.int16)
        self._filled = np.zeros((n, _SLOTS), np.bool_)
        self._started = np.zeros(n, np.bool_)
        self._timestamp = np.zeros(n, np.int64)
        self._tick = np.zeros(n, np.int64)
        self._play = np.zeros(n, np.int64)
        self._newest = np.zeros(n, np.int64)
        self._least = np.zeros(n, np.int64)
        self._pops = np.zeros(n, np.int64)
        self._hushed = np.zeros(n, np.bool_)
        self._concealer = Concealer(n)

    def restart(self, row: int) -> None:
        """Forget everything; the next packet sets the time line."""
        self._samples[row] = 0
        self._filled[row] = False
        self._started[row] = False
        self._hushed[row] = False
        self._play[row] = self._newest[row] = 0
        self._columns.depth_samples[row] = 0
        self._concealer.silence(np.array([row]))

    def hush(self, rows: NDArray[np.intp]) -> None:
        """The sender said that it is quiet, or sends events instead: what is missing now is not lost."""
        self._hushed[rows] = True

    def target_slots(self, rows: NDArray[np.intp]) -> NDArray[np.int64]:
        """Delay that the present jitter asks for: one frame and three times the estimate."""
        jitter_ms = self._columns.jitter_ticks[rows] / _TICKS_PER_MS
        slots = np.ceil((2 * _SLOT_MS + 3 * jitter_ms) / _SLOT_MS).astype(np.int64)
        return np.clip(slots, self._min_slots, self._max_slots)

    def place(self, rows: NDArray[np.intp], timestamps: NDArray[np.int64], pcm: NDArray[np.int16]) -> None:
        """Put one packet of each of these distinct rows, ``[k, L]`` samples, where it belongs."""
        count = -(-pcm.shape[1] // SLOT_SAMPLES)
        step = (timestamps - self._timestamp[rows] + 0x8000_0000 & 0xFFFF_FFFF) - 0x8000_0000
        ticks = self._tick[rows] + step
        self._timestamp[rows] = timestamps
        self._tick[rows] = ticks
        self._hushed[rows] = False
        slots = ticks // SLOT_SAMPLES
        ahead = slots - self._play[rows]
        dry = self._play[rows] - self._newest[rows]
        anew = ~self._started[rows] | (np.abs(ahead) > _REACH_SLOTS) | ((ahead < 0) & (dry >= _DRY_SLOTS))
        if somewhere(anew):
            # A time line begins on the border of a slot.
            ticks = np.where(anew, slots * SLOT_SAMPLES, ticks)
            self._tick[rows] = ticks
            self._start(rows[anew], slots[anew])
            ahead = slots - self._play[rows]
        late = ahead < 0
        if somewhere(late):
            self._delay(rows[late], ahead[late])
        self._newest[rows] = np.maximum(self._newest[rows], slots + count)
        if pcm.shape[1] % SLOT_SAMPLES:
            self._store_exactly(rows, ticks, pcm)
        else:
            self._store(rows, slots, pcm.reshape(len(rows), count, SLOT_SAMPLES))

    def pop(self, rows: NDArray[np.intp], quiet: NDArray[np.bool_]) -> NDArray[np.int16]:
        """Take the next frame of each row, ``[k, 160]``: silence before the first packet, concealed if lost.

        Args:
            rows: Distinct rows whose slot has come.
            quiet: Where nobody speaks: there the delay may shrink.
        """
        self._review(rows, quiet)
        slots = self._play[rows][:, None] + _AHEAD
        where = slots & _SLOT_MASK
        row_of = rows[:, None]
        frames = self._samples[row_of, where]
        filled = self._filled[row_of, where]
        self._filled[row_of, where] = False
        started = self._started[rows]
        self._play[rows] += np.where(started, _FRAME_SLOTS, 0)
        waiting = np.maximum(self._newest[rows] - self._play[rows], 0) * SLOT_SAMPLES
        self._columns.depth_samples[rows] = waiting.astype(np.uint64)
        if not (everywhere(filled) and not np.count_nonzero(self._concealer.run[rows])):
            self._mend(rows, frames, filled, slots)
        joined: NDArray[np.int16] = frames.reshape(len(rows), FRAME_SAMPLES)
        return joined

    def _start(self, rows: NDArray[np.intp], slots: NDArray[np.int64]) -> None:
        delay = np.where(self._started[rows], self.target_slots(rows), self._start_slots)
        self._filled[rows] = False
        self._play[rows] = slots - delay
        self._newest[rows] = slots
        self._least[rows] = _SLOTS
        self._pops[rows] = 0
        self._started[rows] = True

    def _delay(self, rows: NDArray[np.intp], ahead: NDArray[np.int64]) -> None:
        """Late packets pull the whole row back, as far as the longest delay allows."""
        room = self._max_slots - (self._newest[rows] - self._play[rows])
        self._play[rows] -= np.minimum(-ahead, np.maximum(room, 0))
        self._least[rows] = _SLOTS
        self._pops[rows] = 0

    def _store(self, rows: NDArray[np.intp], slots: NDArray[np.int64], frames: NDArray[np.int16]) -> None:
        targets = slots[:, None] + np.arange(frames.shape[1])
        due = targets >= self._play[rows][:, None]
        row_of = rows[:, None]
        if everywhere(due):
            self._samples[row_of, targets & _SLOT_MASK] = frames
            self._filled[row_of, targets & _SLOT_MASK] = True
            return
        self._columns.rx_late[rows[~due.any(axis=1)]] += np.uint64(1)
        row_of = np.broadcast_to(row_of, targets.shape)[due]
        self._samples[row_of, targets[due] & _SLOT_MASK] = frames[due]
        self._filled[row_of, targets[due] & _SLOT_MASK] = True

    def _store_exactly(
        self, rows: NDArray[np.intp], ticks: NDArray[np.int64], pcm: NDArray[np.int16]
    ) -> None:
        """Packets that are no whole number of slots, such as a ptime of 15 ms: sample by sample."""
        length = pcm.shape[1]
        for row, tick, samples in zip(rows.tolist(), ticks.tolist(), pcm, strict=True):
            skip = max(0, int(self._play[row]) * SLOT_SAMPLES - tick)
            if skip >= length:
                self._columns.rx_late[row] += np.uint64(1)
                continue
            touched = (
                np.arange((tick + skip) // SLOT_SAMPLES, -(-(tick + length) // SLOT_SAMPLES)) & _SLOT_MASK
            )
            # A slot that is touched first may still hold what was played long ago.
            self._samples[row, touched[~self._filled[row, touched]]] = 0
            ring = self._samples[row].reshape(_RING_SAMPLES)
            ring[np.arange(tick + skip, tick + length) % _RING_SAMPLES] = samples[skip:]
            self._filled[row, touched] = True

    def _review(self, rows: NDArray[np.intp], quiet: NDArray[np.bool_]) -> None:
        """Give back a slot of delay that was not needed for a second, where nobody hears it go."""
        self._least[rows] = np.minimum(self._least[rows], self._newest[rows] - self._play[rows])
        self._pops[rows] += 1
        due = quiet & (self._pops[rows] >= _REVIEW_POPS) & self._started[rows]
        if not somewhere(due):
            return
        rows = rows[due]
        spare = rows[self._least[rows] - _FRAME_SLOTS > self.target_slots(rows)]
        self._filled[spare, self._play[spare] & _SLOT_MASK] = False
        self._play[spare] += 1
        self._least[rows] = _SLOTS
        self._pops[rows] = 0

    def _mend(
        self,
        rows: NDArray[np.intp],
        frames: NDArray[np.int16],
        filled: NDArray[np.bool_],
        slots: NDArray[np.int64],
    ) -> None:
        """Fill what is missing and lead back into what is not; what was made is kept as history."""
        for at in range(_FRAME_SLOTS):
            gone = (~filled[:, at]).nonzero()[0]
            back = (filled[:, at] & (self._concealer.run[rows] > 0)).nonzero()[0]
            if len(back):
                merged = frames[back, at]
                self._concealer.merge(rows[back], merged)
                frames[back, at] = merged
                self._samples[rows[back], slots[back, at] & _SLOT_MASK] = merged
            if len(gone):
                frames[gone, at] = self._conceal(rows[gone], slots[gone, at])

    def _conceal(self, rows: NDArray[np.intp], slots: NDArray[np.int64]) -> NDArray[np.int16]:
        """Make up the slot of each row, ``[k, 80]``: silence once the sender is quiet or long gone."""
        made = np.zeros((len(rows), SLOT_SAMPLES), np.int16)
        self._concealer.silence(rows[self._hushed[rows]])
        sounding = self._concealer.sounds(rows)
        if somewhere(sounding):
            lost, at = rows[sounding], slots[sounding]
            fresh = self._concealer.needs_history(lost)
            before = (at[fresh][:, None] + _BEHIND) & _SLOT_MASK
            history = self._samples[lost[fresh][:, None], before]
            self._concealer.remember(lost[fresh], history.reshape(-1, HISTORY_SLOTS * SLOT_SAMPLES))
            made[sounding] = self._concealer.fill(lost)
            self._columns.rx_concealed[lost] += np.uint64(1)
        self._samples[rows, slots & _SLOT_MASK] = made
        return made
