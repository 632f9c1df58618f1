"""From what calls report to what Prometheus is told."""

from collections.abc import Mapping

from bridge.app.metrics import Metrics
from bridge.call.settings import CallObserver
from bridge.call.trace import CallTrace

__all__ = ["Meter", "Observers"]


class Meter:
    """Counts calls into `Metrics`; the observer of `bridge.call.exchange.Exchange`."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def call_started(self, trace: CallTrace) -> None:
        self._metrics.call_started(trace.direction)

    def call_ended(self, trace: CallTrace) -> None:
        answered_ns = trace.answered_ns or 0
        self._metrics.call_ended(
            trace.reason, duration_s=((trace.ended_ns or answered_ns) - answered_ns) / 1e9
        )
        self._metrics.leg_closed(trace.id, trace.media)
        if trace.first_audio_ns is not None:
            # Who is heard before the answer need not be waited for after it.
            self._metrics.first_audio(max(0, trace.first_audio_ns - answered_ns) / 1e9)
        for _ in range(trace.false_alarms):
            self._metrics.interruption("speech", flushed=False)
        for record in trace.barge_ins:
            self._metrics.interruption(record.cause, flushed=True)
        for utterance in trace.utterances:
            if utterance.first_text_ns is not None and utterance.first_audio_ns is not None:
                self._metrics.tts_first_audio((utterance.first_audio_ns - utterance.first_text_ns) / 1e9)
            if utterance.failure:
                self._metrics.tts_failed(utterance.failure)

    def barge_in(self, stages_ms: Mapping[str, float], breached: list[str]) -> None:
        for name, took_ms in stages_ms.items():
            self._metrics.stage(name, took_ms / 1e3)
        for name in breached:
            self._metrics.over_budget(name)


class Observers:
    """Tells several observers the same."""

    def __init__(self, *observers: CallObserver) -> None:
        self._observers = observers

    def call_started(self, trace: CallTrace) -> None:
        for each in self._observers:
            each.call_started(trace)

    def call_ended(self, trace: CallTrace) -> None:
        for each in self._observers:
            each.call_ended(trace)

    def barge_in(self, stages_ms: Mapping[str, float], breached: list[str]) -> None:
        for each in self._observers:
            each.barge_in(stages_ms, breached)
