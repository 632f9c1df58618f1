"""What this bridge counts, for Prometheus: numbers in by plain methods, text out by `scrape`."""

import math
from collections.abc import Callable, Mapping
from functools import partial

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

__all__ = ["CONTENT_TYPE", "STAGES", "Metrics"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

STAGES = ("mute", "verdict", "flush", "flush_to_cancel", "spare_ready", "next_audio")
"""Stages of an interruption, in the order of DESIGN.md section 4; `flush_to_cancel` is t5 − t4."""

_BUCKETS_S = (
    0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.075, 0.1, 0.15, 0.25, 0.35, 0.5, 1, 2.5, 5,
)  # fmt: skip
_SILENCE = "silence_"
_RTCP = "rtcp_"
_SPECIAL = {
    "tx_keys": "keys",
    "bed_packets": "bed",
    "tx_passed": "passed",
    "tx_comfort": "comfort",
    "tx_srtp_failed": "srtp_failed",
}
_TICKS_HZ = 8000
_MOS = (1, 1.5, 2, 2.5, 3, 3.25, 3.5, 3.75, 4, 4.1, 4.2, 4.3, 4.4)
_SHARES = (0, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5)
_DIRECTIONS = ("in", "out")
_MOST_REASONS = 40

# A second series beside every counter, which OpenMetrics wants and nobody here reads.
disable_created_metrics()  # type: ignore[no-untyped-call]
_OTHER = "other"


class Metrics:
    """All series of one bridge, in a registry of their own.

    Counters of the media process and of SIP arrive as running totals; what is exported are sums over all
    calls, which go on when a call has ended.
    """

    def __init__(self) -> None:
        self.registry: CollectorRegistry = CollectorRegistry(auto_describe=True)
        self._calls = _CallSeries(self.registry)
        self._media = _MediaSeries(self.registry)
        self._quality = _QualitySeries(self.registry)
        self._services = _ServiceSeries(self.registry)
        self._trunks = _TrunkSeries(self.registry)
        self._refreshers: list[Callable[[], None]] = []

    def refresh_with(self, refresher: Callable[[], None]) -> None:
        """Call `refresher` before each scrape, to hand over gauges and running totals."""
        self._refreshers.append(refresher)

    def scrape(self) -> bytes:
        """Bring everything up to date and print it in Prometheus' text format."""
        for refresher in self._refreshers:
            refresher()
        return generate_latest(self.registry)

    def call_started(self, direction: str = "in") -> None:
        self._calls.started.labels(direction).inc()
        self._calls.active.inc()

    def call_ended(self, reason: str, *, duration_s: float = 0.0) -> None:
        """Account for the end of a call that `call_started` counted."""
        self._calls.active.dec()
        self._calls.ended.labels(self._calls.bounded(reason)).inc()
        self._calls.duration.observe(duration_s)

    def first_audio(self, seconds: float) -> None:
        """From the answer to the bot's first audible packet."""
        self._calls.first_audio.observe(seconds)

    def stage(self, name: str, seconds: float) -> None:
        """Account for one stage of an interruption.

        Args:
            name: One of `STAGES`, or a name of ``[bargein.budget_ms]``: ``cancel`` is ``flush_to_cancel``.
            seconds: How long it took.
        """
        self._calls.stage.labels("flush_to_cancel" if name == "cancel" else name).observe(seconds)

    def over_budget(self, stage: str) -> None:
        self._calls.breaches.labels(stage).inc()

    def interruption(self, cause: str, *, flushed: bool) -> None:
        """Account for one duck: `cause` is speech, dtmf or command; not flushed means played on."""
        self._calls.interruptions.labels(cause, "flushed" if flushed else "resumed").inc()

    def leg(self, leg: str, counters: Mapping[str, float]) -> None:
        """Take over a leg's running totals, as `LegStatus.snapshot()` names them.

        Args:
            leg: Identifies the leg as long as it lives; see `leg_closed`.
            counters: ``rx_…``, ``tx_…``, ``rtcp_…``, ``silence_…``, ``mos_…`` and ``ducked_samples``; others
                are ignored.
        """
        self._media.leg(leg, counters)
        self._quality.leg(leg, counters)

    def leg_closed(self, leg: str, counters: Mapping[str, float]) -> None:
        """Like `leg`, for the last time: how the whole call sounded is kept."""
        self._media.leg(leg, counters)
        self._media.totals.pop(leg, None)
        self._quality.leg_closed(leg, counters)

    def engine_died(self) -> None:
        self._media.engine_deaths.inc()

    def sip(self, counters: Mapping[str, int]) -> None:
        """Take over the running totals of `SipEndpoint.counters`."""
        for name, total in counters.items():
            grown = total - self._services.sip_totals.get(name, 0)
            self._services.sip_totals[name] = total
            if grown > 0:
                self._services.sip.labels(name).inc(grown)

    def trunk_states(self, registered: Mapping[str, bool], calls: Mapping[str, int]) -> None:
        """Show which trunks know where we are, and how many calls each carries; by its name."""
        for name, is_registered in registered.items():
            self._trunks.registered.labels(name).set(is_registered)
        for name, count in calls.items():
            self._trunks.calls.labels(name).set(count)

    def trunk_failures(
        self,
        registrations: Mapping[str, int],
        refused: Mapping[tuple[str, str], int],
        not_dialled: Mapping[str, int],
    ) -> None:
        """Take over running totals.

        Args:
            registrations: Attempts that came to nothing, by trunk.
            refused: Calls over a limit, by trunk and limit.
            not_dialled: Numbers that no trunk may call, by cause.
        """
        series = self._trunks
        for name, total in registrations.items():
            series.grow(series.failures.labels(name), ("registration", name), total)
        for (name, limit), total in refused.items():
            series.grow(series.refused.labels(name, limit), (limit, name), total)
        for cause, total in not_dialled.items():
            series.grow(series.not_dialled.labels(cause), ("dial", cause), total)

    def records(self, counters: Mapping[str, int]) -> None:
        """Take over the running totals of `bridge.call.archive.Archive.counters`."""
        for outcome, total in counters.items():
            grown = total - self._services.record_totals.get(outcome, 0)
            self._services.record_totals[outcome] = total
            self._services.records.labels(outcome).inc(max(0, grown))

    def tts_connections(self, states: Mapping[str, int]) -> None:
        """Show how many connections to the voice there are in each state: idle, speaking, opening."""
        for state, count in states.items():
            self._services.tts_connections.labels(state).set(count)

    def tts_happened(self, counters: Mapping[str, int]) -> None:
        """Take over the running totals of `CosyVoicePool.counters`."""
        for name, total in counters.items():
            grown = total - self._services.tts_totals.get(name, 0)
            self._services.tts_totals[name] = total
            self._services.tts_pool.labels(name).inc(max(0, grown))

    def tts_first_audio(self, seconds: float) -> None:
        """From an utterance's first text to its first packet."""
        self._services.tts_first_audio.observe(seconds)

    def tts_failed(self, code: str) -> None:
        """Account for a SynthesisError by its code."""
        self._services.tts_failures.labels(self._calls.bounded(code)).inc()


class _CallSeries:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.active = Gauge("cosybridge_calls_active", "Calls up now", registry=registry)
        self.started = Counter("cosybridge_calls_started", "Calls begun", ["direction"], registry=registry)
        self.ended = Counter(
            "cosybridge_calls_ended", "Calls over, by the reason", ["reason"], registry=registry
        )
        self.duration = Histogram(
            "cosybridge_call_duration_seconds",
            "From the answer to the end",
            buckets=(1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600),
            registry=registry,
        )
        self.first_audio = Histogram(
            "cosybridge_first_audio_seconds",
            "From the answer to the first audible packet",
            buckets=_BUCKETS_S,
            registry=registry,
        )
        self.stage = Histogram(
            "cosybridge_bargein_stage_seconds",
            "Stages of an interruption, DESIGN.md section 4",
            ["stage"],
            buckets=_BUCKETS_S,
            registry=registry,
        )
        self.breaches = Counter(
            "cosybridge_bargein_over_budget", "Stages over budget", ["stage"], registry=registry
        )
        self.interruptions = Counter(
            "cosybridge_bargein_ducks", "Times the voice was muted", ["cause", "outcome"], registry=registry
        )
        for stage in STAGES:
            self.stage.labels(stage)
        self._reasons: set[str] = set()

    def bounded(self, value: str) -> str:
        """Keep a label that peers can influence from making series without end."""
        if value not in self._reasons and len(self._reasons) >= _MOST_REASONS:
            return _OTHER
        self._reasons.add(value)
        return value


class _MediaSeries:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.received = Counter(
            "cosybridge_rtp_received_packets",
            "RTP packets in, by what became of them",
            ["kind"],
            registry=registry,
        )
        self.sent = Counter("cosybridge_rtp_sent_packets", "RTP packets out", registry=registry)
        self.late = Counter(
            "cosybridge_rtp_sent_late_packets", "Packets sent over 20 ms late", registry=registry
        )
        self.silence = Counter(
            "cosybridge_silent_frames", "Silent frames sent, by the cause", ["cause"], registry=registry
        )
        self.rtcp = Counter(
            "cosybridge_rtcp_packets", "RTCP packets, by what became of them", ["kind"], registry=registry
        )
        self.special = Counter(
            "cosybridge_rtp_sent_special_packets",
            "RTP packets out that are no coded speech, or were coded elsewhere; packets lost to SRTP",
            ["kind"],
            registry=registry,
        )
        self.ducked = Counter("cosybridge_ducked_samples", "Samples of time spent muted", registry=registry)
        self.engine_deaths = Counter(
            "cosybridge_engine_deaths", "Media processes that died", registry=registry
        )
        self.totals: dict[str, dict[str, float]] = {}

    def leg(self, leg: str, counters: Mapping[str, float]) -> None:
        before = self.totals.setdefault(leg, {})
        for name, total in counters.items():
            series = self._series(name)
            # A leg's totals never start again: it ends with its media process. But a packet that was
            # counted as lost and comes late after all takes one off `rx_lost`; a counter cannot follow.
            grown = total - before.get(name, 0)
            if series is not None and grown > 0:
                before[name] = total
                series.inc(grown)

    def _series(self, counter: str) -> Counter | None:
        if counter.startswith("rx_"):
            return self.received.labels(counter.removeprefix("rx_"))
        if counter.startswith(_RTCP):
            return self.rtcp.labels(counter.removeprefix(_RTCP))
        if counter.startswith(_SILENCE):
            return self.silence.labels(counter.removeprefix(_SILENCE))
        if (kind := _SPECIAL.get(counter)) is not None:
            return self.special.labels(kind)
        return {"tx_packets": self.sent, "tx_late": self.late, "ducked_samples": self.ducked}.get(counter)


class _QualitySeries:
    """How calls sound: the worst of those running now, and every call once it is over.

    A direction is seen from the bridge: ``in`` is what we hear, ``out`` what the caller hears.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._now: dict[str, Mapping[str, float]] = {}
        worst = Gauge(
            "cosybridge_mos_worst",
            "Lowest present mean opinion score of the running calls; NaN without a call",
            ["direction"],
            registry=registry,
        )
        for direction in _DIRECTIONS:
            worst.labels(direction).set_function(partial(self._worst, f"mos_{direction}"))
        self._mos = Histogram(
            "cosybridge_call_mos",
            "Lowest mean opinion score of each call",
            ["direction"],
            buckets=_MOS,
            registry=registry,
        )
        self._loss = Histogram(
            "cosybridge_call_loss_ratio",
            "Part of each call's packets that the network lost",
            ["direction"],
            buckets=_SHARES,
            registry=registry,
        )
        self._jitter = Histogram(
            "cosybridge_call_jitter_seconds",
            "Interarrival jitter at the end of each call (RFC 3550)",
            ["direction"],
            buckets=_BUCKETS_S,
            registry=registry,
        )
        for direction in _DIRECTIONS:
            self._mos.labels(direction)
            self._loss.labels(direction)
            self._jitter.labels(direction)
        self._round_trip = Histogram(
            "cosybridge_call_round_trip_seconds",
            "Last round trip that each call's RTCP told",
            buckets=_BUCKETS_S,
            registry=registry,
        )

    def leg(self, leg: str, counters: Mapping[str, float]) -> None:
        self._now[leg] = counters

    def leg_closed(self, leg: str, counters: Mapping[str, float]) -> None:
        self._now.pop(leg, None)
        for direction in _DIRECTIONS:
            if lowest := counters.get(f"mos_{direction}_lowest", 0):
                self._mos.labels(direction).observe(lowest)
        if received := counters.get("rx_packets", 0):
            lost = counters.get("rx_lost", 0)
            self._loss.labels("in").observe(lost / (lost + received))
            self._jitter.labels("in").observe(counters.get("jitter_ticks", 0) / _TICKS_HZ)
        # Before its first report a caller has said nothing about what it lost.
        if (sent := counters.get("tx_packets", 0)) and counters.get("mos_out", 0):
            self._jitter.labels("out").observe(counters.get("jitter_out_ticks", 0) / _TICKS_HZ)
            self._loss.labels("out").observe(min(max(counters.get("lost_out", 0), 0) / sent, 1))
        if trip_ms := counters.get("round_trip_ms", 0):
            self._round_trip.observe(trip_ms / 1e3)

    def _worst(self, name: str) -> float:
        return min((mos for leg in list(self._now.values()) if (mos := leg.get(name, 0))), default=math.nan)


class _TrunkSeries:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.registered = Gauge(
            "cosybridge_trunk_registered",
            "Whether the trunk knows where we are",
            ["trunk"],
            registry=registry,
        )
        self.failures = Counter(
            "cosybridge_trunk_registration_failures",
            "Registrations that were refused or not answered",
            ["trunk"],
            registry=registry,
        )
        self.calls = Gauge("cosybridge_trunk_calls", "Calls of the trunk now", ["trunk"], registry=registry)
        self.refused = Counter(
            "cosybridge_trunk_refused",
            "Calls over a limit of the trunk",
            ["trunk", "limit"],
            registry=registry,
        )
        self.not_dialled = Counter(
            "cosybridge_dials_refused",
            "Numbers that no trunk may call, by cause",
            ["cause"],
            registry=registry,
        )
        self._totals: dict[tuple[str, str], int] = {}

    def grow(self, series: Counter, name: tuple[str, str], total: int) -> None:
        """Bring a counter up to a running total."""
        series.inc(total - self._totals.get(name, 0))
        self._totals[name] = total


class _ServiceSeries:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.sip = Counter(
            "cosybridge_sip", "SIP messages and decisions, by kind", ["kind"], registry=registry
        )
        self.sip_totals: dict[str, int] = {}
        self.records = Counter(
            "cosybridge_records",
            "Records of calls and recordings, by what became of them",
            ["outcome"],
            registry=registry,
        )
        self.record_totals: dict[str, int] = {}
        self.tts_connections = Gauge(
            "cosybridge_tts_connections", "Connections to the voice, by state", ["state"], registry=registry
        )
        self.tts_failures = Counter(
            "cosybridge_tts_failures", "Utterances that failed, by code", ["code"], registry=registry
        )
        self.tts_pool = Counter(
            "cosybridge_tts_pool",
            "What happened to the connections to the voice, by kind",
            ["kind"],
            registry=registry,
        )
        self.tts_totals: dict[str, int] = {}
        self.tts_first_audio = Histogram(
            "cosybridge_tts_first_audio_seconds",
            "From an utterance's first text to its first packet",
            buckets=_BUCKETS_S,
            registry=registry,
        )
