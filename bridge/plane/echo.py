"""The echo gate: is what comes back only our own voice, returned by the line?

Asked only about packets that the voice gate would listen to, and only while we sound or did a moment ago. A
packet and the one before it are compared with everything we sent within 450 ms, by the correlation of their
waveforms after a first difference, which keeps the pitch that all voices share from passing for likeness.
Most of an echo is explained by one delay; of a caller's voice, over an echo or without one, little is.
"""

import numpy as np
from numpy.typing import NDArray

from bridge.plane.columns import Columns
from bridge.plane.masks import somewhere
from bridge.plane.shape import FRAME_TICKS, thin

__all__ = ["EchoGate"]

_MS = 1_000_000
_REACH_SAMPLES = 3600
"""Longest delay looked for: 400 ms, a frame of ours that is under way, and a packet's own wait."""
_HEARD_SAMPLES = 480
_BEFORE_SAMPLES = _HEARD_SAMPLES - FRAME_TICKS
_HALF_SAMPLES = _BEFORE_SAMPLES // 2
_SENT_SAMPLES = _REACH_SAMPLES + _HEARD_SAMPLES
_FFT = 4096
_AFTER_NS = 460 * _MS
"""So long after our last sound an echo of it may still come."""
_LIKE = 0.62
"""Correlation that makes it an echo, whatever its delay …"""
_LIKE_KNOWN = 0.40
"""… and at the delay at which the line is known to return us: chance does not meet that one."""
_VOTE = 0.45
"""Correlation from which a delay counts as seen. So many times make it known:"""
_KNOWN_VOTES = 3
_MOST_VOTES = 8
_SAME_SAMPLES = 24
_CLICK_SHARE = 0.3
"""A packet with so much of its energy in one sample is a click, and clicks are all alike."""
_SPARED_DB = 2.0
"""The packet after a proven echo is believed unless it is louder by this."""
_DOUBTFUL_DB = 3.0
"""A first packet that is not like us is doubted there, unless it is louder than the echoes by this."""
_RECENT_NS = 1000 * _MS
_PAUSE_NS = 60 * _MS
_TIRED = 8
"""After so many packets that were no echo, only every fourth is asked about."""
_MOST = 16
"""Packets asked about in one tick: 1.3 ms. What is beyond is believed, and may duck for nothing."""
_QUIET_ENERGY = 16.0**2
"""A sent sample weaker than this on average is no sound that could come back."""


class EchoGate:
    """What each row sent and heard of late."""

    def __init__(self, columns: Columns) -> None:
        n = columns.capacity
        self._room = columns.shape.capture
        self._per_tick = columns.shape.per_tick
        self._reach = np.arange(-_SENT_SAMPLES * self._per_tick, 0)
        self._sent = columns.capture[:, 1]
        self._write = columns.capture_write.view(np.int64)
        # Of two halves, which take turns, the newer one: a packet of 20 ms is written once, and never moved.
        self._before = np.zeros((n, 2, _HALF_SAMPLES), np.int16)
        self._newer = np.zeros(n, np.intp)
        self._sounded_ns = np.full(n, -_AFTER_NS, np.int64)
        self._lag = np.zeros(n, np.int64)
        self._votes = np.zeros(n, np.int64)
        self._spared_db = np.full(n, -np.inf)
        self._proven_db = np.full(n, -np.inf)
        self._proven_ns = np.full(n, -_AFTER_NS, np.int64)
        self._strangers = np.zeros(n, np.int64)
        self._asked_ns = np.zeros(n, np.int64)
        self.proven: NDArray[np.uint64] = np.zeros(n, np.uint64)
        """Packets that were found to be an echo."""

    def restart(self, row: int) -> None:
        """Another line, another echo."""
        self._before[row] = 0
        self._sounded_ns[row] = -_AFTER_NS
        self._votes[row] = 0
        self._spared_db[row] = -np.inf
        self._proven_db[row] = -np.inf
        self._proven_ns[row] = -_AFTER_NS
        self._strangers[row] = 0
        self.proven[row] = 0

    def sound(self, rows: NDArray[np.intp], *, now_ns: int) -> None:
        """Samples of ours are being sent in these rows."""
        self._sounded_ns[rows] = now_ns

    def remember(self, rows: NDArray[np.intp], pcm: NDArray[np.int16]) -> None:
        """Keep the end of a packet of each of these distinct rows, to be compared together with the next."""
        if pcm.shape[1] == _HALF_SAMPLES:
            newer = self._newer[rows] ^ 1
            self._before[rows, newer] = pcm
            self._newer[rows] = newer
            return
        kept = np.concatenate((self._heard_before(rows), pcm), axis=1)[:, -_BEFORE_SAMPLES:]
        self._before[rows] = kept.reshape(len(rows), 2, _HALF_SAMPLES)
        self._newer[rows] = 1

    def _heard_before(self, rows: NDArray[np.intp]) -> NDArray[np.int16]:
        """The last `_BEFORE_SAMPLES` that were remembered of each row, the oldest first."""
        newer = self._newer[rows, None]
        halves = self._before[rows[:, None], np.concatenate((newer ^ 1, newer), axis=1)]
        before: NDArray[np.int16] = halves.reshape(len(rows), _BEFORE_SAMPLES)
        return before

    def returns(
        self, rows: NDArray[np.intp], pcm: NDArray[np.int16], level_db: NDArray[np.float64], *, now_ns: int
    ) -> NDArray[np.bool_]:
        """Where a packet holds our own voice and nothing else worth listening to; call before `remember`.

        Args:
            rows: Distinct rows whose packet is loud enough for a voice.
            pcm: The packets, ``[k, L]``.
            level_db: Their loudest sub-frames.
            now_ns: When they arrived.
        """
        echoes = np.zeros(len(rows), np.bool_)
        concerned = self.may_return(rows, now_ns=now_ns)
        if not somewhere(concerned):
            return echoes
        spared = concerned & (level_db <= self._spared_db[rows] + _SPARED_DB)
        self._spared_db[rows] = -np.inf
        asked = concerned & ~spared
        gap = now_ns - self._asked_ns[rows] > _PAUSE_NS
        strangers = np.where(gap, 0, self._strangers[rows])
        asked &= (strangers < _TIRED) | (strangers % 4 == 0)
        asked &= np.cumsum(asked) <= _MOST
        self._strangers[rows] = strangers + 1
        self._asked_ns[rows] = now_ns
        if somewhere(asked):
            echoes[asked] = self._compare(rows[asked], pcm[asked])
            self._prove(rows[echoes], level_db[echoes], now_ns)
        # On a line that returns us, one packet unlike us is more often a poor likeness than a voice.
        doubtful = asked & ~echoes & self.is_known(rows, now_ns=now_ns) & (strangers == 0)
        echoes |= spared | (doubtful & (level_db <= self._proven_db[rows] + _DOUBTFUL_DB))
        self._strangers[rows[spared | (asked & echoes & ~doubtful)]] = 0
        return echoes

    def may_return(self, rows: NDArray[np.intp], *, now_ns: int) -> NDArray[np.bool_]:
        """Where we sound or did so short a time ago that an echo may still come."""
        may: NDArray[np.bool_] = now_ns - self._sounded_ns[rows] < _AFTER_NS
        return may

    def is_known(self, rows: NDArray[np.intp], *, now_ns: int) -> NDArray[np.bool_]:
        """Where the line was heard to return us a moment ago."""
        known: NDArray[np.bool_] = (self._votes[rows] > 0) & (now_ns - self._proven_ns[rows] < _RECENT_NS)
        return known

    def _prove(self, rows: NDArray[np.intp], level_db: NDArray[np.float64], now_ns: int) -> None:
        self._spared_db[rows] = level_db
        faded = now_ns - self._proven_ns[rows] > _RECENT_NS
        self._proven_db[rows] = np.maximum(level_db, np.where(faded, -np.inf, self._proven_db[rows]))
        self._proven_ns[rows] = now_ns
        self.proven[rows] += np.uint64(1)

    def _compare(self, rows: NDArray[np.intp], pcm: NDArray[np.int16]) -> NDArray[np.bool_]:
        likeness, share = self._correlate(rows, pcm)
        every = np.arange(len(rows))
        lag = likeness.argmax(axis=1)
        best = likeness[every, lag]
        # The delay that the line is known for, as far as it is.
        near = np.abs(np.arange(_REACH_SAMPLES) - self._lag[rows][:, None]) <= _SAME_SAMPLES
        there = np.where(near, likeness, 0.0).max(axis=1)
        known = self._votes[rows] >= _KNOWN_VOTES
        is_echo: NDArray[np.bool_] = (best >= _LIKE) | (known & (there >= _LIKE_KNOWN))
        self._vote(rows, lag, best)
        return is_echo & (share <= _CLICK_SHARE)

    def _vote(self, rows: NDArray[np.intp], lag: NDArray[np.intp], best: NDArray[np.float64]) -> None:
        """Remember at which delay each line returns us."""
        seen = best >= _VOTE
        same = np.abs(lag - self._lag[rows]) <= _SAME_SAMPLES
        votes = self._votes[rows] + np.where(seen, np.where(same, 1, -1), 0)
        fresh = seen & (votes <= 0)
        self._lag[rows] = np.where(fresh, lag, self._lag[rows])
        self._votes[rows] = np.clip(np.where(fresh, 1, votes), 0, _MOST_VOTES)

    def _correlate(
        self, rows: NDArray[np.intp], pcm: NDArray[np.int16]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Likeness at every delay, ``[k, _REACH_SAMPLES]``, and the loudest sample's share of the energy."""
        heard = np.concatenate((self._heard_before(rows), pcm), axis=1)[:, -_HEARD_SAMPLES:]
        where = self._write[rows][:, None] + self._reach
        sent = thin(self._sent[rows[:, None], where % self._room], self._per_tick)
        heard_edge, sent_edge = _edges(heard), _edges(sent)
        product = np.fft.rfft(heard_edge, _FFT).conj() * np.fft.rfft(sent_edge, _FFT)
        likeness = np.abs(np.fft.irfft(product, _FFT)[:, :_REACH_SAMPLES])
        total = np.cumsum(sent_edge.astype(np.float64) ** 2, axis=1)
        energy = total[:, _HEARD_SAMPLES:] - total[:, :-_HEARD_SAMPLES]
        own = np.einsum("ki,ki->k", heard_edge, heard_edge) + np.float32(1)
        likeness /= np.sqrt(np.maximum(energy, _HEARD_SAMPLES * _QUIET_ENERGY) * own[:, None])
        return likeness, (heard_edge**2).max(axis=1) / own


def _edges(pcm: NDArray[np.int16]) -> NDArray[np.float32]:
    """First differences, as many as there are samples."""
    sound = pcm.astype(np.float32)
    edges = np.zeros_like(sound)
    np.subtract(sound[:, 1:], sound[:, :-1], out=edges[:, 1:])
    return edges
