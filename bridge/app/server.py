"""The whole bridge: this process signals and decides, two children carry sound and make speech."""

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import cast

from pydantic import SecretStr

from bridge.aio.cosyvoice import CosyVoice, TtsSettings
from bridge.aio.http import HttpServer, HttpSettings
from bridge.aio.sip import SipEndpoint, SipSettings
from bridge.aio.tasks import Tasks
from bridge.app.config import Config, embedded_url, load
from bridge.app.log import configure
from bridge.app.meter import Meter
from bridge.app.metrics import Metrics
from bridge.app.voice_process import VoiceProcess
from bridge.app.web import routes as web_routes
from bridge.call.agent import Agent
from bridge.call.exchange import Exchange
from bridge.call.routes import Route
from bridge.call.session import CallSettings
from bridge.clock import SystemClock
from bridge.dice import SystemDice
from bridge.engine.supervisor import MediaEngine, MediaSettings
from bridge.errors import EngineError, SetupError, SynthesisError
from bridge.ports import Voice
from bridge.speech.budget import Budget
from bridge.ttsserver.server import TtsServerSettings

__all__ = ["Bridge", "call", "open_bridge", "run", "serve", "serve_agent"]

_log = logging.getLogger(__name__)


class Bridge:
    """A running bridge; get one from `open_bridge`.

    Attributes:
        config: What it was started with, ports filled in.
        exchange: Its calls.
        endpoint: Its phone line.
        http: Its page and API.
        voice_url: Where the speech of calls comes from.
        self_user: Number that only we know, answered with the embedded voice; None without one.
    """

    def __init__(
        self,
        config: Config,
        exchange: Exchange,
        endpoint: SipEndpoint,
        http: HttpServer,
        *,
        voice_url: str,
        self_user: str | None,
    ) -> None:
        self.config: Config = config
        self.voice_url: str = voice_url
        self.self_user: str | None = self_user
        self.exchange: Exchange = exchange
        self.endpoint: SipEndpoint = endpoint
        self.http: HttpServer = http
        self.is_draining: bool = False

    async def drain(self, patience_s: float, *, hurry: asyncio.Event) -> None:
        """Take no new calls, let running ones finish for a while, then end them."""
        self.is_draining = True
        self.endpoint.drain()
        if len(self.exchange):
            _log.info("draining: %d calls may finish within %g s", len(self.exchange), patience_s)
        async with Tasks("drain") as tasks:
            ends = {
                tasks.start(self.exchange.empty(), name="empty"),
                tasks.start(hurry.wait(), name="hurry"),
            }
            await asyncio.wait(ends, timeout=patience_s, return_when=asyncio.FIRST_COMPLETED)
        self.exchange.end_all("bridge stopped")
        await self.exchange.empty()


def run(config: Config) -> int:
    """Serve until a signal; returns the exit code."""
    return asyncio.run(serve(config))


def serve_agent(agent: Agent, *, file: Path | None = None, sets: Sequence[str] = ()) -> int:
    """Answer every call with `agent` until a signal; the shortest way from a coroutine to a phone.

    Args:
        agent: The coroutine function that serves a call.
        file: Settings file; None reads ``./bridge.toml`` if it is there.
        sets: Single settings, ``section.key=value``; the environment counts as well.

    Raises:
        ConfigError: If a setting is wrong.
        SetupError: If a port is taken or a child does not come up.
    """
    config = load(file, sets=sets)
    configure(config.log.level, config.log.format)
    return asyncio.run(serve(config, agent=agent))


def call(config: Config, uri: str) -> int:
    """Place one call, let the first route's agent speak, print how it ended."""
    return asyncio.run(_call(config, uri))


async def serve(config: Config, *, agent: Agent | None = None) -> int:
    """Bring everything up, call ourselves once, and answer calls until SIGTERM or Ctrl-C.

    Args:
        config: Settings, checked.
        agent: Answers every call instead of the configured routes.

    Raises:
        SetupError: If a port is taken or a child does not come up.
        EngineError: If the media process does not come up.
    """
    stop, hurry = asyncio.Event(), asyncio.Event()

    def on_signal() -> None:
        (hurry if stop.is_set() else stop).set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    async with open_bridge(config, agent=agent) as bridge, Tasks("serve") as tasks:
        tasks.start(_announce(bridge), name="announce")
        await stop.wait()
        await bridge.drain(config.call.drain_s, hurry=hurry)
    return 0


@asynccontextmanager
async def open_bridge(config: Config, *, agent: Agent | None = None) -> AsyncIterator[Bridge]:
    """Start every part in the order of need and stop them in the reverse order."""
    clock, dice, metrics = SystemClock(), SystemDice(), Metrics()
    async with AsyncExitStack() as stack:
        voice, engine = await _start_children(config, stack, metrics)
        embedded = await _embedded_synthesizer(config, voice, stack)
        synthesizer = embedded
        if synthesizer is None or config.tts_kind != "embedded":
            synthesizer = await _synthesizer(config.tts.url, config.tts.api_key, config.tts.spares, stack)
        routes = _routes(config, agent)
        self_user = f"self-{dice.token(8)}"
        if embedded is not None:
            # The call to ourselves is answered by our own agent with our own voice: it never bills anybody.
            routes.insert(0, Route(to=self_user, synthesizer=embedded))
        exchange = Exchange(
            media=engine,
            synthesizer=synthesizer,
            routes=routes,
            settings=_call_settings(config),
            clock=clock,
            dice=dice,
            observer=Meter(metrics),
        )
        endpoint = await SipEndpoint.start(
            _sip_settings(config), clock=clock, dice=dice, on_call=exchange.answer
        )
        stack.push_async_callback(endpoint.close)

        def health() -> str:
            return "draining" if bridge.is_draining else "ok"

        def refresh() -> None:
            metrics.sip(endpoint.counters)
            metrics.tts_connections({"idle": synthesizer.idle, "busy": synthesizer.busy})
            with suppress(EngineError):  # between two lives of the media process
                metrics.engine(_health_of(engine))
            for call_id, counters in exchange.media().items():
                metrics.leg(call_id, counters)

        metrics.refresh_with(refresh)
        http = await HttpServer.start(
            HttpSettings(
                listen=config.http.listen,
                token=config.http.token.get_secret_value() if config.http.token else "",
                hosts=config.http.hosts,
            ),
            web_routes(exchange, metrics, health=health),
            dice=dice,
        )
        stack.push_async_callback(http.close)
        bridge = Bridge(
            config,
            exchange,
            endpoint,
            http,
            voice_url=embedded_url(voice.listen) if synthesizer is embedded and voice else config.tts.url,
            self_user=self_user if embedded is not None else None,
        )
        try:
            await synthesizer.ready()
        except SynthesisError as error:
            # The line stays up: the service may come back, and refusing calls is the agent's to decide.
            _log.error("no voice: %s", error)
        yield bridge


async def _start_children(
    config: Config, stack: AsyncExitStack, metrics: Metrics
) -> tuple[VoiceProcess | None, MediaEngine]:
    """Start both at once; if one fails, the other is on the stack already and ends with it."""
    voice, engine = await asyncio.gather(
        _start_voice(config, stack), _start_media(config, stack, metrics), return_exceptions=True
    )
    for outcome in (voice, engine):
        if isinstance(outcome, BaseException):
            raise outcome
    return cast("tuple[VoiceProcess | None, MediaEngine]", (voice, engine))


async def _embedded_synthesizer(
    config: Config, voice: VoiceProcess | None, stack: AsyncExitStack
) -> CosyVoice | None:
    """A client of the embedded service, whether or not it is the one that callers hear."""
    if voice is None:
        return None
    key = next(iter(config.tts_server.api_keys), None)
    return await _synthesizer(embedded_url(voice.listen), key, config.tts.spares, stack)


async def _synthesizer(url: str, key: SecretStr | None, spares: int, stack: AsyncExitStack) -> CosyVoice:
    settings = TtsSettings(url=url, api_key=key.get_secret_value() if key else "", spares=spares)
    synthesizer = CosyVoice(settings, clock=SystemClock(), dice=SystemDice())
    stack.push_async_callback(synthesizer.close)
    await synthesizer.start()
    return synthesizer


async def _start_voice(config: Config, stack: AsyncExitStack) -> VoiceProcess | None:
    if not config.tts_server.enabled:
        return None
    section = config.tts_server
    voice = await VoiceProcess.start(
        TtsServerSettings(
            listen=section.listen,
            api_keys=tuple(key.get_secret_value() for key in section.api_keys),
            faults=section.faults,
            threads=section.threads,
        )
    )
    stack.push_async_callback(voice.close)
    return voice


async def _start_media(config: Config, stack: AsyncExitStack, metrics: Metrics) -> MediaEngine:
    section = config.media
    engine = await MediaEngine.start(
        MediaSettings(
            ports=section.ports,
            bind_ip=section.bind_ip,
            capacity=section.capacity,
            plain_sockets=section.plain_sockets,
            realtime=section.realtime,
        ),
        clock=SystemClock(),
        dice=SystemDice(),
        on_death=metrics.engine_died,
    )
    stack.push_async_callback(engine.close)
    return engine


def _health_of(engine: MediaEngine) -> dict[str, float]:
    gauges = engine.gauges
    return {
        "rows": gauges.rows,
        "cpu_seconds": gauges.cpu_ns / 1e9,
        "ticks": gauges.ticks,
        "stalls": gauges.stalls,
        "tick_lateness_p99_seconds": gauges.lateness_ns(0.99) / 1e9,
        "tick_lateness_max_seconds": gauges.lateness_max_ns / 1e9,
        "socket_errors": gauges.socket_errors,
        "events_dropped": gauges.events_dropped,
        "restarts": engine.restarts,
    }


def _routes(config: Config, agent: Agent | None) -> list[Route]:
    routes = [
        Route(
            to=row.to,
            agent=row.agent,
            voice=Voice(model=row.model, name=row.voice, language=row.language),
            greeting=row.greeting,
        )
        for row in config.routes
    ]
    if agent is not None:
        return [replace(routes[-1], to="*", agent=agent)]
    for route in routes:
        _ = route.run  # an agent that cannot be loaded stops the start, not the first call
    return routes


def _call_settings(config: Config) -> CallSettings:
    return CallSettings(
        inactivity_s=config.media.inactivity_s,
        max_duration_s=config.call.max_duration_s,
        advertised_ip=config.media.advertised_ip or config.sip.advertised_ip,
        recordings=Path(config.recording.folder) if config.recording.enabled else None,
        keeps_text=config.recording.transcripts,
        prompts=Path(config.prompts.folder),
        budget=Budget.from_ms(config.bargein.budget_ms.model_dump()),
    )


def _sip_settings(config: Config) -> SipSettings:
    section = config.sip
    return SipSettings(
        listen=section.listen,
        allow=section.allow,
        advertised_ip=section.advertised_ip,
        answer_after_ms=section.answer_after_ms,
        user_agent=section.user_agent,
        max_calls_per_source=section.max_calls,
        max_requests_per_s=section.max_requests_per_s,
        max_calls=config.media.capacity,
    )


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


async def _announce(bridge: Bridge) -> None:
    """Print where everything is, prove it by a call to ourselves, then say ready."""
    config = bridge.config
    host, port = bridge.endpoint.listen
    shown = _route_address() if host == "0.0.0.0" else host
    _say(f"cosybridge {version('cosybridge')}")
    _say(f"  page   {bridge.http.url}")
    _say(f"  voice  {config.tts_kind}: {bridge.voice_url}")
    if config.start.self_call and bridge.self_user is not None:
        await _self_call(bridge, bridge.self_user)
    _say(f"  phone  call sip:hello@{shown}:{port} from any SIP phone (UDP, G.711), and interrupt")
    _say("ready")


async def _self_call(bridge: Bridge, user: str) -> None:
    from bridge.load.self_call import self_call

    host, port = bridge.endpoint.listen
    target = ("127.0.0.1" if host == "0.0.0.0" else host, port)
    try:
        proof = await self_call(target, user=user)
    except SetupError as error:
        _say(f"  self-call failed: {error}")
        return
    _say(f"  self-call  {proof}")


def _route_address() -> str:
    """Address of this machine towards the world; no packet is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # TEST-NET-1 (RFC 5737): never anybody's
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


async def _call(config: Config, uri: str) -> int:
    async with open_bridge(config) as bridge:
        trace = await bridge.exchange.dial(bridge.endpoint, uri)
    spoken, cut = len(trace.utterances), len(trace.barge_ins)
    _say(f"call ended: {trace.reason}; {spoken} utterances, {cut} of them interrupted")
    return 0
