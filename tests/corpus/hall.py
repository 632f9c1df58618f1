"""Many calls in one plane, in simulated time: callers send tracks, and lines may return our voice."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bridge.engine.verdict import Judge, Network, Verdict
from bridge.plane.columns import FRAME_SAMPLES, PLAY_SAMPLES, Columns
from bridge.plane.events import Flushed, PlaneEvent
from bridge.plane.g711 import decode_ulaw, encode_ulaw
from bridge.plane.packets import HEADER_BYTES, Arrivals
from bridge.plane.plane import Plane
from bridge.plane.ring import PlayoutWriter
from bridge.plane.spec import PlaneSettings, RowSpec
from bridge.rtp.header import RtpPacket, build
from tests.corpus.noises import Signal

__all__ = ["Hall", "Line"]

_TICK_NS = 4_000_000
_TICK_SAMPLES = 32
_NS_PER_SAMPLE = 125_000
_PIPE_TICKS = 1
_POLL_TICKS = 2
_PEER = 0x7F00_0001 << 16
_PATH = 64


@dataclass(frozen=True, slots=True)
class Line:
    """How a line returns our voice."""

    delay_samples: int
    path: Signal
    """Impulse response, 64 samples, the loss in it."""


class Hall:
    """Calls that all last as long as their tracks.

    Args:
        tracks: What each caller sends, ``[n, samples]`` over full scale 1.
        lines: What each line returns; None is silence.
        bot: What we say, over and over, each row from another place on.
        settings: Of the plane.
        network: Judges voices; None leaves that to the gate.
        seed: Of the phases.
    """

    def __init__(
        self,
        tracks: NDArray[np.float32],
        lines: Sequence[Line | None],
        bot: NDArray[np.int16],
        *,
        settings: PlaneSettings,
        network: Network | None,
        seed: int,
    ) -> None:
        n: int = len(tracks)
        self._samples: int = tracks.shape[1]
        dice = np.random.default_rng(seed)
        self._n = n
        self._tracks = tracks
        self._lines = [(row, line) for row, line in enumerate(lines) if line is not None]
        self._bot = np.concatenate((bot, bot))
        self._bot_at: NDArray[np.int64] = dice.integers(0, len(bot), size=n)
        self._bot_samples = len(bot)
        self.columns = Columns(bytearray(Columns.size_bytes(n)), n)
        self.plane = Plane(self.columns, settings)
        for row in range(n):
            self.plane.open(row, _spec(row), now_ns=0)
            self.plane.due_ns[row] = int(dice.integers(0, 5)) * _TICK_NS
        self._writers = [PlayoutWriter(self.columns, row, 1) for row in range(n)]
        self._epochs = [0] * n
        self._phase: NDArray[np.int64] = dice.integers(0, FRAME_SAMPLES, size=n)
        self.sent: NDArray[np.float32] = np.zeros((n, self._samples + 2 * FRAME_SAMPLES), np.float32)
        """What each row was sent, by the sample it was sent at; empty if no line returns anything."""
        self._judge = Judge(self.columns, network) if network is not None else None
        self._network = network
        self._posted: list[tuple[int, Verdict]] = []
        self.events: list[PlaneEvent] = []
        self.judge_cpu_ns = 0
        self.plane_cpu_ns = 0
        self.verdicts = 0

    def run(self) -> list[PlaneEvent]:
        """Let time pass until the tracks are over; return what happened."""
        arrivals = Arrivals(self._n)
        for row in range(self._n):
            arrivals.add(
                build(RtpPacket(0, 0, 0, row, bytes(FRAME_SAMPLES))), row=row, source=_PEER | 10000 + row
            )
        headers = arrivals.headers.copy()
        for tick in range(1, self._samples // _TICK_SAMPLES):
            now_ns, at = tick * _TICK_NS, tick * _TICK_SAMPLES
            if tick % 50 == 1:
                self._speak()
            self._receive(arrivals, headers, at, now_ns)
            self._answer(tick, now_ns)
            begin_ns = time.thread_time_ns()
            due = np.flatnonzero(self.plane.due_ns <= now_ns)
            departures = self.plane.build(due, now_ns=now_ns)
            self.plane_cpu_ns += time.thread_time_ns() - begin_ns
            if self._lines and len(departures):
                codes = departures.packets[: len(departures), HEADER_BYTES : HEADER_BYTES + FRAME_SAMPLES]
                self.sent[due[:, None], at + np.arange(FRAME_SAMPLES)] = decode_ulaw(codes) / np.float32(
                    32768
                )
            self._note(self.plane.drain())
            if self._judge is not None and tick % _POLL_TICKS == 0:
                self._judge_now(tick)
        return self.events

    def _speak(self) -> None:
        for row, writer in enumerate(self._writers):
            epoch = self._epochs[row]
            writer.open_utterance(epoch)
            free = min(writer.free(), PLAY_SAMPLES, self._bot_samples)
            begin = int(self._bot_at[row])
            written = writer.write(self._bot[begin : begin + free], epoch=epoch)
            self._bot_at[row] = (begin + written) % self._bot_samples

    def _receive(
        self,
        arrivals: Arrivals,
        headers: NDArray[np.void],
        at: int,
        now_ns: int,
    ) -> None:
        """Let the packets arrive whose last sample was spoken since the last tick."""
        past = (at - self._phase) // FRAME_SAMPLES
        rows = np.flatnonzero((past > (at - _TICK_SAMPLES - self._phase) // FRAME_SAMPLES) & (past > 0))
        if not len(rows):
            return
        ends = self._phase[rows] + past[rows] * FRAME_SAMPLES
        spoken = self._tracks[rows[:, None], ends[:, None] + np.arange(-FRAME_SAMPLES, 0)]
        place = {int(row): k for k, row in enumerate(rows)}
        for row, line in self._lines:
            if (k := place.get(row)) is not None:
                begin = int(ends[k]) - FRAME_SAMPLES - line.delay_samples - _PATH + 1
                if begin >= 0:
                    ours = self.sent[row, begin : begin + FRAME_SAMPLES + _PATH - 1]
                    spoken[k] += np.convolve(ours, line.path, mode="valid")
        codes = encode_ulaw(np.rint(spoken * 32768).clip(-32768, 32767).astype(np.int16))
        count = len(rows)
        arrivals.rows[:count] = rows
        arrivals.sources[:count] = _PEER | 10000 + rows
        arrivals.headers[:count] = headers[rows]
        arrivals.headers["sequence"][:count] = past[rows] & 0xFFFF
        arrivals.headers["timestamp"][:count] = past[rows] * FRAME_SAMPLES
        arrivals.packets[:count, 12 : 12 + FRAME_SAMPLES] = codes
        arrivals.count = count
        begin_ns = time.thread_time_ns()
        self.plane.receive(arrivals, now_ns=now_ns)
        self.plane_cpu_ns += time.thread_time_ns() - begin_ns

    def _judge_now(self, tick: int) -> None:
        assert self._judge is not None
        begin_ns = time.thread_time_ns()
        verdicts = self._judge.step()
        took_ns = time.thread_time_ns() - begin_ns
        self.judge_cpu_ns += took_ns
        self.verdicts += len(verdicts)
        # What the network took, rounded up, and the way through the pipe.
        ready = tick + -(-took_ns // _TICK_NS) + _PIPE_TICKS
        self._posted += [(int(ready), verdict) for verdict in verdicts]

    def _answer(self, tick: int, now_ns: int) -> None:
        due = [verdict for ready, verdict in self._posted if ready <= tick]
        self._posted = [(ready, verdict) for ready, verdict in self._posted if ready > tick]
        for told in due:
            self.plane.verdict(
                told.row, epoch=told.epoch, is_speech=told.is_speech, question=told.question, now_ns=now_ns
            )

    def _note(self, events: list[PlaneEvent]) -> None:
        self.events += events
        for event in events:
            if isinstance(event, Flushed):
                self._epochs[event.row] = event.epoch


def _spec(row: int) -> RowSpec:
    return RowSpec(
        generation=1,
        ssrc=row,
        sequence=0,
        timestamp=0,
        codec=0,
        payload_type=0,
        dtmf_payload_type=-1,
        remote_key=_PEER | 10000 + row,
        latch_ip=0,
        sending=True,
        receiving=True,
        interruptible=3,
    )
