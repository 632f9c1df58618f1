"""The totals of the desk: calls, percentiles, the load of each core, the connections to the voice."""

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from bridge.call.ledger import Ledger
from bridge.call.trace import CallTrace
from bridge.engine.shared import EngineGauges
from bridge.ports import Clock

__all__ = ["Engine", "Figures", "Totals", "Voice"]

_KEPT = 1000
_SHARES = (("p50", 0.5), ("p95", 0.95))
_LATE_SHARE = 0.99


class Engine(Protocol):
    """The media processes; `bridge.engine.supervisor.MediaEngine` in life."""

    @property
    def readings(self) -> Sequence[EngineGauges]: ...
    @property
    def pids(self) -> Sequence[int]: ...
    @property
    def restarts(self) -> int: ...
    @property
    def takeovers(self) -> int: ...
    @property
    def has_standby(self) -> bool: ...
    @property
    def calls(self) -> int: ...


class Voice(Protocol):
    """The connections to the voice; `bridge.aio.cosyvoice_pool.CosyVoicePool` in life."""

    @property
    def idle(self) -> int: ...
    @property
    def busy(self) -> int: ...
    @property
    def counters(self) -> Mapping[str, int]: ...


class Figures:
    """Remembers how long the last first sounds and stages took; an observer of calls."""

    def __init__(self) -> None:
        self.ended: int = 0
        """Calls that stood and are over."""
        self.failures: int = 0
        """Utterances for which the voice failed."""
        self._first_audio_ms: deque[float] = deque(maxlen=_KEPT)
        self._stages_ms: dict[str, deque[float]] = {}

    def call_started(self, trace: CallTrace) -> None:
        """Nothing is known of it yet."""

    def call_ended(self, trace: CallTrace) -> None:
        self.ended += 1
        self.failures += sum(bool(utterance.failure) for utterance in trace.utterances)
        if trace.first_audio_ns is not None and trace.answered_ns is not None:
            self._first_audio_ms.append((trace.first_audio_ns - trace.answered_ns) / 1e6)

    def barge_in(self, stages_ms: Mapping[str, float], breached: list[str]) -> None:
        for name, took_ms in stages_ms.items():
            self._stages_ms.setdefault(name, deque(maxlen=_KEPT)).append(took_ms)

    @property
    def first_audio_ms(self) -> dict[str, float | None]:
        """From the answer to the first sound."""
        return _percentiles(self._first_audio_ms)

    @property
    def stages_ms(self) -> dict[str, dict[str, float | None]]:
        """Of all interruptions, by stage."""
        return {name: _percentiles(values) for name, values in self._stages_ms.items()}


@dataclass(frozen=True, slots=True)
class _Reading:
    at_ns: int
    cpu_ns: tuple[int, ...]


class Totals:
    """Reads everything that is counted of the whole bridge.

    Args:
        ledger: The calls.
        figures: What they took.
        engine: The media processes.
        voice: The connections to the voice.
        clock: For the load.
    """

    def __init__(
        self, ledger: Ledger, figures: Figures, engine: Engine, voice: Voice, *, clock: Clock
    ) -> None:
        self._ledger = ledger
        self._figures = figures
        self._engine = engine
        self._voice = voice
        self._clock = clock
        self._before = _Reading(0, ())

    def read(self) -> dict[str, Any]:
        """How things stand now; the load is that since the reading before."""
        running, up = len(self._ledger.running()), len(self._ledger)
        voice, counters = self._voice, self._voice.counters
        return {
            "calls": {
                "up": up,
                "ringing": running - up,
                "ended": self._figures.ended,
                "room": self._engine.calls,
            },
            "first_audio_ms": self._figures.first_audio_ms,
            "stages_ms": self._figures.stages_ms,
            "engine": {
                "running": len(self._engine.pids),
                "restarts": self._engine.restarts,
                "takeovers": self._engine.takeovers,
                "has_standby": self._engine.has_standby,
                "processes": self._processes(),
            },
            "voice": {
                "idle": voice.idle,
                "busy": voice.busy,
                "warm_starts": counters["warm_starts"],
                "cold_starts": counters["cold_starts"],
                "failures": self._figures.failures,
            },
        }

    def _processes(self) -> list[dict[str, Any]]:
        readings, now_ns = self._engine.readings, self._clock.now_ns()
        before = self._before
        self._before = _Reading(now_ns, tuple(gauges.cpu_ns for gauges in readings))
        passed_ns = now_ns - before.at_ns
        return [
            {
                "place": place,
                "load": _load(gauges.cpu_ns, before.cpu_ns[place : place + 1], passed_ns),
                "legs": gauges.rows,
                "stalls": gauges.stalls,
                "late_p99_ms": round(gauges.lateness_ns(_LATE_SHARE) / 1e6, 2),
            }
            for place, gauges in enumerate(readings)
        ]


def _load(cpu_ns: int, before_ns: tuple[int, ...], passed_ns: int) -> float | None:
    """Part of a core that a process took; None before there are two readings."""
    if not before_ns or passed_ns <= 0:
        return None
    return round(max(0, cpu_ns - before_ns[0]) / passed_ns, 3)


def _percentiles(values: Iterable[float]) -> dict[str, float | None]:
    """Nearest rank; None of nothing."""
    ordered = sorted(values)
    told: dict[str, float | None] = {"count": len(ordered)}
    for name, share in _SHARES:
        rank = max(0, math.ceil(share * len(ordered)) - 1)
        told[name] = round(ordered[rank], 1) if ordered else None
    return told
