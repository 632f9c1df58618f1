"""The voice gate: runs on arrival, before any buffer, and opens on the first clear sound of a voice.

Energy in sub-frames of 10 ms against a noise floor of each row's own. It knows how loud, not what: whether
it was speech is judged by how much of the time since the onset was voiced, and by others (`Plane.verdict`).
"""

import numpy as np
from numpy.typing import NDArray

from bridge.plane.bands import SUB_FRAME_SAMPLES, Bands
from bridge.plane.echo import EchoGate
from bridge.plane.masks import everywhere, somewhere
from bridge.plane.spec import PlaneSettings

__all__ = ["Gate", "Heard"]

_SUB_FRAME_NS = 10_000_000
_MS = 1_000_000

_START_DB = -65.0
_LOWEST_DB = -75.0
_HIGHEST_DB = -30.0
"""Bounds of the noise floor: a louder one would shut voices out."""
_FALL = 0.25
_RISE_DB = 0.1
"""Per sub-frame of 10 ms, while the gate is shut."""
_RELEARN_SUB_FRAMES = 100
"""Voices pause within a second; what never does is noise, and its least level is the new floor."""
_TURN = 6
"""Bits of a row's age in sub-frames that are 0 in every fourth packet of 20 ms."""
_PROOF = 50
"""Packets without a faint sound, while we sounded, after which a line is trusted not to return us."""
_NOBODY: NDArray[np.intp] = np.zeros(0, np.intp)
_NOTHING: NDArray[np.float32] = np.zeros((0, 2, 8), np.float32)
_FULL_SCALE_ENERGY = 32768.0**2
_EPSILON = 1e-10


class Heard:
    """What the gate found in one batch of packets of distinct rows; masks over the batch."""

    __slots__ = ("opened", "voiced")

    def __init__(self, opened: NDArray[np.bool_], voiced: NDArray[np.bool_]) -> None:
        self.opened: NDArray[np.bool_] = opened
        """Where the gate went from shut to open."""
        self.voiced: NDArray[np.bool_] = voiced
        """Where the packet holds a voice."""


class Gate:
    """Noise floor, onset and evidence of every row.

    Args:
        capacity: Number of rows.
        settings: Thresholds.
        echo: Who knows our own voice when it comes back; None believes every sound.
    """

    def __init__(self, capacity: int, settings: PlaneSettings, echo: EchoGate | None = None) -> None:
        self._settings = settings
        self._echo = echo
        self._bands = Bands(capacity) if settings.band_evidence[0] else None
        self._asked_evidence = np.zeros(capacity, np.float32)
        self._still = np.zeros(capacity, np.int64)
        self._shift_db = np.zeros(capacity)
        self._stop_ns = settings.stop_after_ms * _MS
        self._memory = np.uint64((1 << settings.verdict_ms // 10) - 1)
        self._noise_db = np.zeros(capacity)
        self._peak_db = np.zeros(capacity)
        self._least_db = np.zeros(capacity)
        self._age = np.zeros(capacity, np.int64)
        self._open_age = np.zeros(capacity, np.int64)
        self._run = np.zeros(capacity, np.int64)
        self._run_ns = np.zeros(capacity, np.int64)
        self._history = np.zeros(capacity, np.uint64)
        self.open: NDArray[np.bool_] = np.zeros(capacity, np.bool_)
        self.onset_ns: NDArray[np.int64] = np.zeros(capacity, np.int64)
        """When the voice for which the gate opened began."""
        self.voiced_ns: NDArray[np.int64] = np.zeros(capacity, np.int64)
        """When the last voiced sub-frame ended."""
        self.quiet: NDArray[np.int64] = np.zeros(capacity, np.int64)
        """Sub-frames since the last voiced one."""
        self.loudest_db: NDArray[np.float64] = np.full(capacity, _LOWEST_DB)
        """Loudest sub-frame of the last packet."""

    def set_sensitivity(self, row: int, level: int) -> None:
        """Choose how much is asked of this row's sounds: 0 most, 2 least."""
        self._shift_db[row] = self._settings.threshold_shift_db[level]
        self._asked_evidence[row] = self._settings.band_evidence[level]

    def restart(self, row: int) -> None:
        """Forget the line: its noise has to be learnt anew."""
        self.loudest_db[row] = _LOWEST_DB
        self._noise_db[row] = _START_DB
        if self._bands is not None:
            self._bands.restart(row)
            self._still[row] = 0
        self._age[row] = self._run[row] = self._history[row] = self.quiet[row] = 0
        self.onset_ns[row] = self.voiced_ns[row] = 0
        self.open[row] = False

    def evidence(self, rows: NDArray[np.intp]) -> NDArray[np.uint8]:
        """Voiced sub-frames within the last `verdict_ms` and since the onset.

        A voice that stopped for 40 ms or more and came back counts for more: mouths close between
        syllables ("okay", "up to"). A slam only decays, and what comes back more than once is a rattle.
        """
        history = self._history[rows]
        bridged = history | history << np.uint64(1) | history << np.uint64(2) | history << np.uint64(3)
        bursts = np.bitwise_count(bridged & ~(bridged << np.uint64(1)))
        bonus = np.where(bursts == 2, np.uint8(self._settings.second_burst_evidence), np.uint8(0))
        counted: NDArray[np.uint8] = np.bitwise_count(history) + bonus
        return counted

    def forget_evidence(self, rows: NDArray[np.intp]) -> None:
        """From now on only what is heard from now on counts."""
        self._history[rows] = 0

    def hear(
        self,
        rows: NDArray[np.intp],
        pcm: NDArray[np.int16],
        *,
        now_ns: int,
        exposed: NDArray[np.bool_] | None = None,
        keen: NDArray[np.bool_] | None = None,
    ) -> Heard:
        """Listen to one packet of each of these distinct rows, ``[k, L]`` samples, as it arrives.

        Args:
            rows: Who sent them.
            pcm: The packets.
            now_ns: When they came.
            exposed: Where we sound and could be interrupted; None is nowhere.
            keen: Where the first faint sound may silence us, if the line has been still while we sounded.
        """
        blocks = self._blocks(pcm)
        levels = self._levels(blocks)
        learnt = self._age[rows] >= self._settings.warm_up
        self._age[rows] += levels.shape[1]
        opened = np.zeros(len(rows), np.bool_)
        voiced = np.zeros(len(rows), np.bool_)
        # Most of the time most callers listen: what is too faint for any voice takes the short way.
        loudest = levels.max(axis=1)
        self.loudest_db[rows] = loudest
        loud = self.open[rows] | (loudest - self._shift_db[rows] >= self._settings.soft_level_db)
        near, logs, faintly = self._strain(rows, blocks, exposed, keen)
        mine = self._disown(rows, pcm, levels, faintly, now_ns=now_ns)
        if self._bands is not None and len(near):
            # Our own voice does not teach what noise is.
            theirs = ~mine[near]
            self._bands.learn(rows[near[theirs]], logs[theirs])
        if somewhere(faintly):
            loud |= faintly.any(axis=1)
        if not everywhere(loud):
            faint = ~loud
            self._pass(rows[faint], levels[faint], learnt[faint])
        if somewhere(loud):
            opened[loud], voiced[loud] = self._listen(
                rows[loud], levels[loud], faintly[loud], learnt[loud], now_ns
            )
        return Heard(opened, voiced)

    def close_stale(self, rows: NDArray[np.intp], *, now_ns: int) -> NDArray[np.intp]:
        """Shut the gates of those rows that have been quiet long enough, and return them."""
        stale: NDArray[np.intp] = rows[self.open[rows] & (now_ns - self.voiced_ns[rows] >= self._stop_ns)]
        self.open[stale] = False
        self._history[stale] = 0
        return stale

    @staticmethod
    def _blocks(pcm: NDArray[np.int16]) -> NDArray[np.float32]:
        """Whole sub-frames, ``[k, s, 80]``; a shorter packet is one sub-frame."""
        size = min(SUB_FRAME_SAMPLES, pcm.shape[1])
        count = pcm.shape[1] // size
        return pcm[:, : count * size].reshape(len(pcm), count, size).astype(np.float32)

    @staticmethod
    def _levels(blocks: NDArray[np.float32]) -> NDArray[np.float64]:
        """Level of each sub-frame in dB over full scale."""
        energy = np.einsum("ksi,ksi->ks", blocks, blocks).astype(np.float64)
        size = blocks.shape[2]
        levels: NDArray[np.float64] = np.log10(energy / (size * _FULL_SCALE_ENERGY) + _EPSILON) * 10.0
        return levels

    def _strain(
        self,
        rows: NDArray[np.intp],
        blocks: NDArray[np.float32],
        exposed: NDArray[np.bool_] | None,
        keen: NDArray[np.bool_] | None,
    ) -> tuple[NDArray[np.intp], NDArray[np.float32], NDArray[np.bool_]]:
        """Listen closely where it matters; return where, the bands there, and the sub-frames that count."""
        faintly = np.zeros(blocks.shape[:2], np.bool_)
        if self._bands is None or exposed is None or keen is None or blocks.shape[2] != SUB_FRAME_SAMPLES:
            return _NOBODY, _NOTHING, faintly
        exposed = exposed & ~self.open[rows]
        # Elsewhere every fourth packet is enough to know the noise when we begin to speak.
        audible = self.loudest_db[rows] >= self._settings.faint_level_db
        near = np.flatnonzero(audible & (exposed | (self._age[rows] & _TURN == 0)))
        still = self._still[rows]
        self._still[rows] = still + exposed
        if not len(near):
            return near, _NOTHING, faintly
        logs = self._bands.of(blocks[near])
        stands_out = self._bands.evidence(rows[near], logs) >= self._asked_evidence[rows[near], None]
        # A line that returns us faintly sounds like faint voices: it has to prove that it does not.
        trusted = keen & exposed & (still >= _PROOF)
        faintly[near] = stands_out & trusted[near, None]
        restless = near[stands_out.any(axis=1) & (exposed & ~trusted)[near]]
        self._still[rows[restless]] = 0
        return near, logs, faintly

    def _disown(
        self,
        rows: NDArray[np.intp],
        pcm: NDArray[np.int16],
        levels: NDArray[np.float64],
        faintly: NDArray[np.bool_],
        *,
        now_ns: int,
    ) -> NDArray[np.bool_]:
        """Take our own voice for silence, which opens no gate and teaches no noise; return where."""
        mine = np.zeros(len(rows), np.bool_)
        if self._echo is None:
            return mine
        asked = self.loudest_db[rows] - self._shift_db[rows]
        over = asked - self._noise_db[rows] >= self._settings.soft_over_floor_db
        likely = np.flatnonzero((over & (asked >= self._settings.soft_level_db)) | faintly.any(axis=1))
        if len(likely):
            loudest = self.loudest_db[rows[likely]]
            found = likely[self._echo.returns(rows[likely], pcm[likely], loudest, now_ns=now_ns)]
            levels[found] = self._noise_db[rows[found], None]
            faintly[found] = False
            mine[found] = True
        self._echo.remember(rows, pcm)
        return mine

    def _pass(self, rows: NDArray[np.intp], levels: NDArray[np.float64], learnt: NDArray[np.bool_]) -> None:
        """Take packets of shut gates that hold no voice: only the noise floor learns."""
        noise = self._noise_db[rows]
        rise = np.where(learnt, _RISE_DB, np.inf)
        for level in levels.T:
            noise = noise + np.minimum(_FALL * (level - noise), rise)
        self._noise_db[rows] = np.minimum(np.maximum(noise, _LOWEST_DB), _HIGHEST_DB)
        self._run[rows] = 0
        self.quiet[rows] += levels.shape[1]

    def _listen(
        self,
        rows: NDArray[np.intp],
        levels: NDArray[np.float64],
        faintly: NDArray[np.bool_],
        learnt: NDArray[np.bool_],
        now_ns: int,
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Take packets that may hold a voice; return where a gate opened and where there is one."""
        opened = np.zeros(len(rows), np.bool_)
        heard = np.zeros(len(rows), np.bool_)
        count = levels.shape[1]
        for at in range(count):
            # The packet's last sample was spoken just before it was sent.
            begin_ns = now_ns - (count - at) * _SUB_FRAME_NS
            opens, voiced = self._advance(rows, levels[:, at], faintly[:, at], learnt, begin_ns)
            opened |= opens
            heard |= voiced
        return opened, heard

    def _advance(
        self,
        rows: NDArray[np.intp],
        level: NDArray[np.float64],
        faintly: NDArray[np.bool_],
        learnt: NDArray[np.bool_],
        begin_ns: int,
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Take one sub-frame of each row; return where the gate opened and where there is voice."""
        set_to = self._settings
        noise = self._noise_db[rows]
        was_open = self.open[rows]
        asked = level - self._shift_db[rows]
        over = asked - noise
        voiced = learnt & (over >= set_to.soft_over_floor_db) & (asked >= set_to.soft_level_db)
        clear = voiced & (over >= set_to.clear_over_floor_db) & (asked >= set_to.clear_level_db)
        run = np.where(voiced, self._run[rows] + 1, 0)
        run_ns = np.where(run <= 1, begin_ns, self._run_ns[rows])
        opens = ~was_open & (clear | (run >= set_to.soft_run) | (faintly & learnt))
        is_open = was_open | opens
        peak = np.where(opens, level, np.maximum(self._peak_db[rows], level))
        counts = voiced & (level >= peak - set_to.below_peak_db)
        history = np.where(opens, (np.uint64(1) << run.astype(np.uint64)) - np.uint64(1), self._history[rows])
        kept = (self._history[rows] << np.uint64(1) | counts) & self._memory
        history = np.where(opens, history & self._memory, np.where(is_open, kept, np.uint64(0)))
        self._learn(rows, level, learnt=learnt, is_open=is_open, opens=opens)
        self._run[rows] = run
        self._run_ns[rows] = run_ns
        self._peak_db[rows] = peak
        self._history[rows] = history
        self.open[rows] = is_open
        self.onset_ns[rows] = np.where(opens, run_ns, self.onset_ns[rows])
        # A sound that is only just heard opens the gate; it is no evidence of speech.
        self.voiced_ns[rows] = np.where(voiced | opens, begin_ns + _SUB_FRAME_NS, self.voiced_ns[rows])
        self.quiet[rows] = np.where(counts | opens, 0, self.quiet[rows] + 1)
        return opens, voiced | opens

    def _learn(
        self,
        rows: NDArray[np.intp],
        level: NDArray[np.float64],
        *,
        learnt: NDArray[np.bool_],
        is_open: NDArray[np.bool_],
        opens: NDArray[np.bool_],
    ) -> None:
        """Follow the noise floor: quickly down, slowly up, and while a voice is heard only at its pauses."""
        noise = self._noise_db[rows]
        least = np.where(opens, level, np.minimum(self._least_db[rows], level))
        open_age = np.where(is_open & ~opens, self._open_age[rows] + 1, 0)
        relearnt = open_age >= _RELEARN_SUB_FRAMES
        rise = np.where(learnt, np.where(is_open, 0.0, _RISE_DB), np.inf)
        follow = noise + np.minimum(_FALL * (level - noise), rise)
        noise = np.where(relearnt, np.maximum(least, noise), follow)
        self._noise_db[rows] = np.clip(noise, _LOWEST_DB, _HIGHEST_DB)
        self._least_db[rows] = np.where(relearnt, np.inf, least)
        self._open_age[rows] = np.where(relearnt, 0, open_age)
