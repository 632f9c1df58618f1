"""Sound under speech: music on hold, the air of a room, or what is heard while we think.

A bed is a loop that all rows share. Each row plays it from a place of its own, at one level while nothing is
said and at another under speech, and moves between levels without a click. It is no speech: positions and
what counts as silence stay what they are.
"""

import numpy as np
from numpy.typing import NDArray

from bridge.plane.columns import Columns
from bridge.plane.floor import DUCKED, IDLE
from bridge.plane.masks import somewhere

__all__ = [
    "LOUDEST_DB",
    "MOST_BEDS",
    "MOST_SECONDS",
    "SHELF_SAMPLES",
    "SILENT_DB",
    "Beds",
    "loop_of",
    "silent_shelf",
]

MOST_BEDS = 16
"""Beds that a process can hold at a time."""
MOST_SECONDS = 60
SHELF_SAMPLES = MOST_SECONDS * 48_000
"""Room for one bed, whatever its rate."""
SILENT_DB = -100
"""A level at which nothing of a bed is left."""
LOUDEST_DB = 20

_RISE_FRAMES = 4
"""A bed comes in over four packets and goes out over one."""
_CUT_PART = 4
"""Where keys of ours begin, what is left of it ends within a quarter of a packet."""
_SEAM_MS = (20, 60)
"""Shortest and longest crossfade of a loop's ends."""
_SEAM_STEPS = 40


def silent_shelf() -> NDArray[np.int16]:
    """Room for all beds, ``[MOST_BEDS, samples]``: memory that nobody has touched costs nothing."""
    return np.zeros((MOST_BEDS, SHELF_SAMPLES), np.int16)


def loop_of(sound: NDArray[np.int16], rate: int) -> NDArray[np.int16]:
    """Make of a sound a loop whose end leads into its begin; it is a little shorter than the sound.

    The ends are laid over each other where they are most alike, and as loud as both of them are: a tone goes
    on in step, and noise does not dip.

    Args:
        sound: Mono, ``[n]``; at least 40 ms of it, at most 60 s.
        rate: Its sampling frequency in Hz.

    Raises:
        ValueError: If it is too short or too long.
    """
    if not rate * 2 * _SEAM_MS[0] <= len(sound) * 1000 <= MOST_SECONDS * 1000 * rate:
        raise ValueError(f"a bed lasts 0.04 to {MOST_SECONDS} s, not {len(sound) / rate:.2f}")
    wave = sound.astype(np.float64)
    shortest, longest = (rate * ms // 1000 for ms in _SEAM_MS)
    longest = min(longest, len(wave) // 2)
    lengths = range(shortest, longest + 1, max(1, rate // 8000))
    alike = [_likeness(wave[:length], wave[-length:]) for length in lengths]
    best = int(np.argmax(alike))
    length, likeness = lengths[best], max(0.0, alike[best])
    share = (np.arange(length) + 0.5) / length
    level = np.sqrt((1 - share) ** 2 + share**2 + 2 * share * (1 - share) * likeness)
    loop = wave[:-length]
    loop[:length] = (wave[-length:] * (1 - share) + wave[:length] * share) / level
    return np.rint(loop).clip(-32768, 32767).astype(np.int16)


def _likeness(head: NDArray[np.float64], tail: NDArray[np.float64]) -> float:
    return float(head @ tail / np.sqrt((head @ head) * (tail @ tail) + 1.0))


class Beds:
    """The bed of every row.

    Args:
        columns: Shared columns.
        shelf: Where the loops lie, ``[MOST_BEDS, samples]``, written by the control process.
    """

    def __init__(self, columns: Columns, shelf: NDArray[np.int16]) -> None:
        n = columns.capacity
        self._shelf = shelf
        self._packets = columns.bed_packets
        self._floor = columns.floor_state
        self._on = np.zeros(n, np.bool_)
        self._bed = np.zeros(n, np.intp)
        self._samples = np.ones(n, np.int64)
        self._at = np.zeros(n, np.int64)
        self._alone = np.zeros(n, np.float32)
        self._under = np.zeros(n, np.float32)
        self._yields = np.zeros(n, np.bool_)
        self._gain = np.zeros(n, np.float32)
        self._ends = np.zeros(n, np.bool_)
        # It fell silent with our speech, and waits until the caller has finished.
        self._hushed = np.zeros(n, np.bool_)
        self._spoke = np.zeros(n, np.bool_)
        self._next: dict[int, tuple[int, int]] = {}
        self.count: int = 0
        """Rows that have a bed; without any, nothing else of this needs to be asked."""

    def lay(
        self, row: int, bed: int, *, samples: int, gain_db: int, under_speech_db: int, yields: bool
    ) -> None:
        """Let a row play a bed from its begin, or go on with the one that it has, at these levels.

        Args:
            row: The row.
            bed: Place on the shelf.
            samples: Length of the loop.
            gain_db: Level while nothing is said, -100 to 20 over what was recorded.
            under_speech_db: Level under our speech.
            yields: Whether it is silent as long as the caller's voice silences us.

        Raises:
            ValueError: If there is no such place, or it cannot be so long or so loud.
        """
        if not (0 <= bed < len(self._shelf) and 0 < samples <= self._shelf.shape[1]):
            raise ValueError(f"no bed {bed} of {samples} samples")
        for level in (gain_db, under_speech_db):
            if not SILENT_DB <= level <= LOUDEST_DB:
                raise ValueError(f"a bed's level must be {SILENT_DB} to {LOUDEST_DB} dB, not {level}")
        self._alone[row], self._under[row] = _linear(gain_db), _linear(under_speech_db)
        self._yields[row] = yields
        here = (bed, samples)
        self._next.pop(row, None)
        self._ends[row] = False
        if not self._on[row]:
            self._on[row] = True
            self.count += 1
            self._put(row, here)
        elif here != (self._bed[row], self._samples[row]):
            # One goes before the other comes.
            self._next[row] = here
            self._ends[row] = True

    def lift(self, row: int) -> None:
        """Let the row's bed fade out; harmless where there is none."""
        self._next.pop(row, None)
        self._ends[row] = True

    def close(self, row: int) -> None:
        """The leg is over, or a new one begins: no bed, at once."""
        self._next.pop(row, None)
        self.count -= int(self._on[row])
        self._on[row] = self._ends[row] = self._hushed[row] = self._spoke[row] = False
        self._gain[row] = 0

    def mix(
        self,
        rows: NDArray[np.intp],
        pcm: NDArray[np.int16],
        *,
        sends: NDArray[np.bool_],
        keys: NDArray[np.bool_] | None,
        caller_speaks: NDArray[np.bool_],
    ) -> NDArray[np.bool_]:
        """Put the next stretch of each row's bed under its frame, in place; return where one sounds.

        Args:
            rows: Distinct rows.
            pcm: Their frames, ``[k, samples]``.
            sends: Which of them send a packet.
            keys: Which of those press keys now; None where nobody does.
            caller_speaks: Where the voice gate is open.
        """
        sounds = np.zeros(len(rows), np.bool_)
        places = self._on[rows].nonzero()[0]
        if not len(places):
            return sounds
        mine = rows[places]
        pressing = np.zeros(len(mine), np.bool_) if keys is None else keys[places]
        cut = self._obey_the_floor(mine, caller_speaks[places]) | ~sends[places]
        before = np.where(cut, np.float32(0), self._gain[mine])
        after = np.where(cut | pressing, np.float32(0), self._level(mine, before))
        self._gain[mine] = after
        heard = (before > 0) | (after > 0)
        if somewhere(heard):
            steps = np.where(pressing, _CUT_PART, 1)[heard, None] * _steps(pcm.shape[1])
            change = (after - before)[heard, None]
            gain = before[heard, None] + change * np.minimum(steps, np.float32(1))
            self._add(mine[heard], pcm, places[heard], gain)
        for row in mine[self._ends[mine] & (after == 0)].tolist():
            self._end(row)
        sounds[places] = heard
        return sounds

    def _obey_the_floor(self, rows: NDArray[np.intp], caller_speaks: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Note where a caller's voice hushes the bed; true where it is to be silent at once."""
        floor = self._floor[rows]
        ducked, idle = floor == DUCKED, floor == IDLE
        taken = idle & caller_speaks & (self._hushed[rows] | self._spoke[rows])
        self._hushed[rows] = self._yields[rows] & (ducked | taken)
        self._spoke[rows] = ~idle
        silenced: NDArray[np.bool_] = self._yields[rows] & ducked
        return silenced

    def _level(self, rows: NDArray[np.intp], before: NDArray[np.float32]) -> NDArray[np.float32]:
        """Gain at the end of the next frame."""
        wanted = np.where(self._spoke[rows], self._under[rows], self._alone[rows])
        wanted = np.where(self._ends[rows] | self._hushed[rows], np.float32(0), wanted)
        risen = before + np.maximum(self._alone[rows], self._under[rows]) / np.float32(_RISE_FRAMES)
        level: NDArray[np.float32] = np.minimum(wanted, risen)
        return level

    def _add(
        self,
        rows: NDArray[np.intp],
        pcm: NDArray[np.int16],
        places: NDArray[np.intp],
        gain: NDArray[np.float32],
    ) -> None:
        length = pcm.shape[1]
        at = (self._at[rows][:, None] + np.arange(length)) % self._samples[rows][:, None]
        under = self._shelf[self._bed[rows][:, None], at] * gain
        pcm[places] = np.rint(pcm[places] + under).clip(-32768, 32767)
        self._at[rows] = (self._at[rows] + length) % self._samples[rows]
        self._packets[rows] += np.uint64(1)

    def _put(self, row: int, here: tuple[int, int]) -> None:
        self._bed[row], self._samples[row] = here
        self._at[row] = 0

    def _end(self, row: int) -> None:
        following = self._next.pop(row, None)
        if following is None:
            self.close(row)
        else:
            self._ends[row] = False
            self._put(row, following)


def _linear(level_db: int) -> float:
    return float(10 ** (level_db / 20)) if level_db > SILENT_DB else 0.0


def _steps(length: int) -> NDArray[np.float32]:
    """From almost none to all of a change, over a frame."""
    return np.arange(1, length + 1, dtype=np.float32) / np.float32(length)
