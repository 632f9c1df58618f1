"""The echo gate: is what comes back only our own voice, returned by the line?

Asked only about packets that the voice gate would listen to, and only while we sound or did a moment ago. A
packet and the one before it are compared with everything we sent within 450 ms, by the correlation of their
waveforms after a first difference, which keeps the pitch that all voices share from passing for likeness.
Most of an echo is explained by one delay; of a caller's voice, over an echo or without one, little is.
"""

import numpy as np
from numpy.typing import NDArray

from bridge.plane.columns import CAPTURE_SAMPLES, FRAME_SAMPLES, Columns
from bridge.plane.masks import somewhere

__all__ = ["EchoGate"]

_MS = 1_000_000
_REACH_SAMPLES = 3680
"""Longest delay that is looked for: 400 ms, a frame of ours that is under way, and a packet's own wait."""
_HEARD_SAMPLES = 2 * FRAME_SAMPLES
_SENT_SAMPLES = _REACH_SAMPLES + _HEARD_SAMPLES
_FFT = 4096
_AFTER_NS = 460 * _MS
"""So long after our last sound an echo of it may still come."""
_LIKE = 0.60
"""Correlation that makes it an echo …"""
_LIKE_AGAIN = 0.42
"""… and at the delay of the packet before, which chance does not meet twice."""
_SAME_SAMPLES = 24
_CLICK_SHARE = 0.3
"""A packet with so much of its energy in one sample is a click."""
_SPARED_DB = 2.0
"""The packet after a proven echo is believed unless it is louder by this."""
_TIRED = 8
"""After so many packets that were no echo, only every fourth is asked about."""
_QUIET_ENERGY = 16.0**2
"""A sent sample weaker than this on average is no sound that could come back."""


class EchoGate:
    """What each row sent and heard of late."""

    def __init__(self, columns: Columns) -> None:
        n = columns.capacity
        self._sent = columns.capture[:, 1]
        self._write = columns.capture_write.view(np.int64)
        self._before = np.zeros((n, FRAME_SAMPLES), np.int16)
        self._sounded_ns = np.full(n, -_AFTER_NS, np.int64)
        self._lag = np.full(n, -_REACH_SAMPLES, np.int64)
        self._spared_db = np.full(n, -np.inf)
        self._strangers = np.zeros(n, np.int64)
        self.proven: NDArray[np.uint64] = np.zeros(n, np.uint64)
        """Packets that were found to be an echo."""

    def restart(self, row: int) -> None:
        """Another line, another echo."""
        self._before[row] = 0
        self._sounded_ns[row] = -_AFTER_NS
        self._lag[row] = -_REACH_SAMPLES
        self._spared_db[row] = -np.inf
        self._strangers[row] = 0
        self.proven[row] = 0

    def sound(self, rows: NDArray[np.intp], *, now_ns: int) -> None:
        """Samples of ours are being sent in these rows."""
        self._sounded_ns[rows] = now_ns

    def remember(self, rows: NDArray[np.intp], pcm: NDArray[np.int16]) -> None:
        """Keep the end of a packet of each of these distinct rows, to be compared together with the next."""
        if pcm.shape[1] >= FRAME_SAMPLES:
            self._before[rows] = pcm[:, -FRAME_SAMPLES:]
        else:
            kept = self._before[rows]
            self._before[rows] = np.concatenate((kept[:, pcm.shape[1] :], pcm), axis=1)

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
        concerned = now_ns - self._sounded_ns[rows] < _AFTER_NS
        if not somewhere(concerned):
            return echoes
        spared = concerned & (level_db <= self._spared_db[rows] + _SPARED_DB)
        self._spared_db[rows] = -np.inf
        echoes |= spared
        asked = concerned & ~spared
        tired = self._strangers[rows] >= _TIRED
        self._strangers[rows] = np.where(concerned, self._strangers[rows] + 1, 0)
        asked &= ~tired | (self._strangers[rows] % 4 == 0)
        if somewhere(asked):
            echoes[asked] = self._compare(rows[asked], pcm[asked])
            proven = rows[echoes & asked]
            self._spared_db[proven] = level_db[echoes & asked]
            self.proven[proven] += np.uint64(1)
        self._strangers[rows[echoes]] = 0
        return echoes

    def _compare(self, rows: NDArray[np.intp], pcm: NDArray[np.int16]) -> NDArray[np.bool_]:
        heard = np.concatenate((self._before[rows], pcm), axis=1)[:, -_HEARD_SAMPLES:]
        where = self._write[rows][:, None] + np.arange(-_SENT_SAMPLES, 0)
        sent = self._sent[rows[:, None], where % CAPTURE_SAMPLES].astype(np.float32)
        heard_edge = np.diff(heard.astype(np.float32), axis=1, prepend=np.float32(0))
        heard_edge[:, 0] = 0
        sent_edge = np.diff(sent, axis=1, prepend=np.float32(0))
        sent_edge[:, 0] = 0
        likeness = np.fft.irfft(np.fft.rfft(heard_edge, _FFT).conj() * np.fft.rfft(sent_edge, _FFT), _FFT)
        likeness = likeness[:, :_REACH_SAMPLES]
        total = np.cumsum(sent_edge.astype(np.float64) ** 2, axis=1)
        energy = total[:, _HEARD_SAMPLES:] - total[:, :-_HEARD_SAMPLES]
        own = np.einsum("ki,ki->k", heard_edge, heard_edge)[:, None]
        likeness = np.abs(likeness) / np.sqrt(np.maximum(energy, _HEARD_SAMPLES * _QUIET_ENERGY) * (own + 1))
        lag = likeness.argmax(axis=1)
        best = likeness[np.arange(len(rows)), lag]
        # A click is like any other click, wherever it comes from.
        share = (heard_edge**2).max(axis=1) / (own[:, 0] + 1)
        again = np.abs(lag - self._lag[rows]) <= _SAME_SAMPLES
        self._lag[rows] = lag
        is_echo: NDArray[np.bool_] = (best >= np.where(again, _LIKE_AGAIN, _LIKE)) & (share <= _CLICK_SHARE)
        return is_echo
