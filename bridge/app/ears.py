"""Who understands callers: made of the settings, counted for Prometheus, asked by the doctor."""

import logging
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack

from prometheus_client.core import CounterMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from bridge.aio.cosyvoice_ears import CosyVoiceEars, EarsSettings
from bridge.app.config import Config, embedded_url
from bridge.app.metrics import Metrics
from bridge.clock import SystemClock
from bridge.cosyvoice.endpoints import WORKSPACE_HEADER, is_cloud
from bridge.dice import SystemDice
from bridge.ttsserver.whisper import EXTRA, is_installed

__all__ = ["EarsMeter", "ears_settings", "is_embedded", "open_ears"]

_log = logging.getLogger(__name__)


def is_embedded(config: Config) -> bool:
    """Whether our own service is the one that understands."""
    return config.ears.url == embedded_url(config.tts_server.listen)


def ears_settings(config: Config, *, embedded: str = "") -> EarsSettings:
    """What the recogniser's client is told.

    Args:
        config: Settings, resolved.
        embedded: Where the embedded service really listens; empty is where the settings say.
    """
    section, workspace = config.ears, config.tts.workspace
    return EarsSettings(
        url=embedded if embedded and is_embedded(config) else section.url,
        api_key=section.api_key.get_secret_value() if section.api_key is not None else "",
        model=section.model,
        language=section.language,
        rate_hz=section.sample_rate_hz,
        max_at_once=section.max_at_once,
        headers={WORKSPACE_HEADER: workspace} if workspace and is_cloud(section.url) else {},
    )


async def open_ears(
    config: Config, metrics: Metrics, stack: AsyncExitStack, *, embedded: str = ""
) -> CosyVoiceEars | None:
    """Start the client of whoever understands callers; None if nobody is to."""
    if not config.ears.enabled:
        return None
    if is_embedded(config) and not is_installed():
        _log.error("ears: speech recognition is not installed, so callers are not understood: %s", EXTRA)
    ears = CosyVoiceEars(ears_settings(config, embedded=embedded), clock=SystemClock(), dice=SystemDice())
    stack.push_async_callback(ears.close)
    await ears.start()
    EarsMeter(metrics, ears.outcomes)
    return ears


class EarsMeter(Collector):
    """Shows what became of callers' utterances.

    Args:
        metrics: Where it is shown.
        outcomes: Running totals by outcome.
    """

    def __init__(self, metrics: Metrics, outcomes: Mapping[str, int]) -> None:
        self._outcomes = outcomes
        metrics.registry.register(self)

    def collect(self) -> Iterable[Metric]:
        series = CounterMetricFamily(
            "cosybridge_ears_utterances",
            "What callers said, by what became of it; dropped: more at once than ears.max_at_once",
            labels=["outcome"],
        )
        for outcome, total in self._outcomes.items():
            series.add_metric([outcome], total)
        yield series
