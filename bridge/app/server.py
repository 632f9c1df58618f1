"""The whole bridge: this process signals and decides, two children carry sound and make speech."""

import asyncio
import gc
import logging
import signal
import sys
from argparse import ArgumentParser
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import cast

from pydantic import SecretStr

from bridge.aio.cosyvoice_pool import CosyVoicePool
from bridge.aio.ports_taken import Wanted, refuse_taken
from bridge.aio.sip import SipEndpoint
from bridge.aio.tasks import Tasks
from bridge.app.admission import Admission
from bridge.app.api.switchboard import Switchboard
from bridge.app.api.totals import Figures, Totals
from bridge.app.assembly import (
    accounts,
    archive,
    call_settings,
    locator,
    media_settings,
    route_table,
    sip_settings,
    trunks,
    tts_settings,
    voice_settings,
)
from bridge.app.config import Config, embedded_url, load
from bridge.app.dial import admit, admit_number, is_number
from bridge.app.doors import open_doors
from bridge.app.ears import open_ears
from bridge.app.engine_metrics import EngineMeter, health_of
from bridge.app.log import configure
from bridge.app.meter import Meter, Observers
from bridge.app.metrics import Metrics
from bridge.app.otel import CallTracer
from bridge.app.place import route_address
from bridge.app.task_meter import TaskMeter
from bridge.app.trunking import TrunkOffice
from bridge.app.voice_process import VoiceProcess
from bridge.app.webrtc import BrowserDesk
from bridge.call.agent import Agent
from bridge.call.archive_sqlite import SqliteArchive
from bridge.call.exchange import Exchange
from bridge.call.routes import Route
from bridge.call.settings import CallObserver
from bridge.clock import SystemClock, unix_offset_ns
from bridge.dice import SystemDice
from bridge.engine.supervisor import MediaEngine
from bridge.errors import SetupError, SynthesisError
from bridge.hosts import is_v6, spot
from bridge.sip.trunks import Trunks

__all__ = ["Bridge", "call", "dial", "open_bridge", "run", "serve", "serve_agent"]

_REGISTERING_S = 5.0
"""How long the ready line waits for registrars; they are asked again in any case."""

_log = logging.getLogger(__name__)


class Bridge:
    """A running bridge; get one from `open_bridge`."""

    def __init__(
        self,
        config: Config,
        exchange: Exchange,
        endpoint: SipEndpoint,
        office: TrunkOffice,
        switchboard: Switchboard,
        *,
        self_user: str | None,
        room: int,
    ) -> None:
        self.config: Config = config
        self.exchange: Exchange = exchange
        self.endpoint: SipEndpoint = endpoint
        self.office: TrunkOffice = office
        self.self_user: str | None = self_user
        """Number that only we know, answered with the embedded voice; None without one."""
        self.room: int = room
        """How many G.711 calls fit."""
        self.voice_url: str = config.tts.url
        """Where the speech of calls comes from."""
        self.page_url: str = ""
        """The page for a person, token included: not for a log."""
        self.is_draining: bool = False
        self.desk: BrowserDesk | None = None
        """Where calls of browsers come in."""
        self.switchboard: Switchboard = switchboard
        """Places calls for the API."""

    async def drain(self, patience_s: float, *, hurry: asyncio.Event) -> None:
        """Take no new calls, let running ones finish for a while, then end them."""
        self.is_draining = True
        if self.desk is not None:
            self.desk.is_draining = True
        self.office.drain()
        self.switchboard.give_up("bridge stopped")
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


def serve_agent(agent: Agent, *, arguments: Sequence[str] | None = None) -> int:
    """Answer every call with `agent` until a signal; the shortest way from a coroutine to a phone.

    The command line takes ``--config FILE`` and ``--set section.key=value`` as `cosybridge serve` does.

    Args:
        agent: The coroutine function that serves a call.
        arguments: Words of the command line; None reads this process's own.

    Raises:
        ConfigError: If a setting is wrong.
        SetupError: If a port is taken or a child does not come up.
    """
    config = _asked_for("Answer phone calls with this agent until Ctrl-C.", arguments)
    return asyncio.run(serve(config, agent=agent))


def dial(target: str, agent: Agent, *, arguments: Sequence[str] | None = None) -> int:
    """Call somebody, let `agent` talk to them, return when the call is over; 0 if it came about.

    Args:
        target: SIP address within sip.dial_allow, or a number that the dials of a trunk admit.
        agent: The coroutine function that talks.
        arguments: Words of a command line as `serve_agent` takes them; None reads this process's own.

    Raises:
        CallRefused: If they decline.
        ConfigError: If a setting is wrong, or the target may not be called.
        SetupError: If nobody answers, a port is taken or a child does not come up.
    """
    config = _asked_for("Call somebody and let this agent talk.", arguments)
    return asyncio.run(_call(config, target, agent=agent))


def _asked_for(description: str, arguments: Sequence[str] | None) -> Config:
    parser = ArgumentParser(description=description)
    parser.add_argument("-c", "--config", type=Path, metavar="FILE", help="settings file")
    parser.add_argument("-s", "--set", action="append", default=[], metavar="KEY=VALUE", help="one setting")
    given = parser.parse_args(arguments)
    config = load(given.config, sets=given.set)
    configure(config.log.level, config.log.format)
    return config


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
    starting = asyncio.current_task()

    def on_signal() -> None:
        if starting is not None:
            starting.cancel()
        (hurry if stop.is_set() else stop).set()

    _on_signals(on_signal)
    try:
        async with open_bridge(config, agent=agent) as bridge, Tasks("serve") as tasks:
            starting = None
            spare_the_collector()
            announcing = tasks.start(_announce(bridge), name="announce")
            await stop.wait()
            announcing.cancel()  # a call to ourselves is not worth waiting for
            await bridge.drain(config.call.drain_s, hurry=hurry)
    except asyncio.CancelledError:
        if not stop.is_set():
            raise
    return 0


def _on_signals(handler: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, handler)


def spare_the_collector() -> None:
    """Let the collector never again walk what is loaded: it would halt the loop for 70 ms, now and then."""
    gc.collect()
    gc.freeze()


@asynccontextmanager
async def open_bridge(
    config: Config, *, agent: Agent | None = None, registers: bool = True
) -> AsyncIterator[Bridge]:
    """Start every part in the order of need and stop them in the reverse order.

    Args:
        config: Settings, checked.
        agent: Answers every call instead of the configured routes.
        registers: Whether trunks are told where we are and records are kept; not by a command that takes no
            calls.
    """
    clock, dice, metrics, figures = SystemClock(), SystemDice(), Metrics(), Figures()
    _refuse_taken_ports(config)
    async with AsyncExitStack() as stack:
        voice, engine = await _start_children(config, stack, metrics)
        embedded, synthesizer = await _start_clients(config, voice, stack)
        where = "" if voice is None else embedded_url(voice.listen)
        ears = await open_ears(config, metrics, stack, embedded=where)
        routes = route_table(config, agent)
        self_user = None if embedded is None else f"self-{dice.token(8)}"
        if self_user is not None:
            # The call to ourselves is answered by our own agent with our own voice: it never bills anybody.
            routes.insert(0, Route(to=self_user, synthesizer=embedded))
        records = archive(config, clock) if registers else None
        if records is not None:
            stack.push_async_callback(records.close)
        exchange = Exchange(
            media=engine,
            synthesizer=synthesizer,
            routes=routes,
            settings=replace(call_settings(config), ears=ears),
            clock=clock,
            dice=dice,
            observer=_observers(config, metrics, figures, stack),
            archive=records,
        )
        await exchange.ledger.restore()
        await exchange.certify()
        office, endpoint = await _open_line(config, exchange, stack, registers=registers)
        switchboard = _open_switchboard(config, exchange, endpoint, office, stack, routes=tuple(routes))
        bridge = Bridge(
            config, exchange, endpoint, office, switchboard, self_user=self_user, room=engine.calls
        )
        if synthesizer is embedded and voice is not None:
            bridge.voice_url = embedded_url(voice.listen)
        _measure(metrics, bridge, synthesizer, engine, records)
        bridge.page_url, bridge.desk = await open_doors(
            config,
            exchange,
            switchboard,
            metrics=metrics,
            totals=Totals(exchange.ledger, figures, engine, synthesizer, clock=clock),
            stack=stack,
            health=lambda: "draining" if bridge.is_draining else "ok",
        )
        await _await_voice(synthesizer)
        office.open(endpoint)  # calls may come from now on
        yield bridge


async def _await_voice(synthesizer: CosyVoicePool) -> None:
    try:
        await synthesizer.ready()
    except SynthesisError as error:
        # The line stays up: the service may come back, and refusing calls is the agent's to decide.
        _log.error("no voice: %s; tts.url says where it should be", error)


def _open_switchboard(
    config: Config,
    exchange: Exchange,
    endpoint: SipEndpoint,
    office: TrunkOffice,
    stack: AsyncExitStack,
    *,
    routes: tuple[Route, ...],
) -> Switchboard:
    """Let orders from outside reach the calls, and calls reach whoever the settings allow."""
    exchange.outside = admission = _outside(config, office, endpoint)
    stack.push_async_callback(exchange.close)
    switchboard = Switchboard(
        config,
        exchange=exchange,
        endpoint=endpoint,
        office=office,
        admission=admission,
        routes=routes,
    )
    stack.push_async_callback(switchboard.close)
    return switchboard


async def _open_line(
    config: Config, exchange: Exchange, stack: AsyncExitStack, *, registers: bool
) -> tuple[TrunkOffice, SipEndpoint]:
    """Listen for calls; what trunks bring passes their office."""
    clock, dice = SystemClock(), SystemDice()
    registered = accounts(config) if registers else ()
    office = TrunkOffice(trunks(config), registered, exchange.answer, clock=clock, dice=dice)
    endpoint = await SipEndpoint.start(sip_settings(config), clock=clock, dice=dice, on_call=office.answer)
    stack.push_async_callback(endpoint.close)
    stack.push_async_callback(office.close)
    return office, endpoint


def _observers(config: Config, metrics: Metrics, figures: Figures, stack: AsyncExitStack) -> CallObserver:
    meter, section = Meter(metrics), config.otel
    if not section.enabled:
        return Observers(meter, figures)
    tracer = CallTracer.start(section.endpoint, section.service, offset_ns=unix_offset_ns)
    stack.push_async_callback(tracer.close)
    return Observers(meter, figures, tracer)


def _outside(config: Config, office: TrunkOffice, endpoint: SipEndpoint) -> Admission:
    return Admission(config.sip, office, endpoint, trunks=trunks(config))


def _refuse_taken_ports(config: Config) -> None:
    wanted = [
        *(Wanted("sip.listen", listen, "udp") for listen in config.sip.listen),
        *(Wanted("sip.listen", listen, "tcp") for listen in config.sip.listen if config.sip.tcp),
        Wanted("http.listen", config.http.listen, "tcp"),
    ]
    if config.tts_server.enabled:
        wanted.append(Wanted("tts_server.listen", config.tts_server.listen, "tcp"))
    refuse_taken(wanted)


async def _start_children(
    config: Config, stack: AsyncExitStack, metrics: Metrics
) -> tuple[VoiceProcess | None, MediaEngine]:
    """Start both at once; if one fails, the other is on the stack already and ends with it."""

    async def start_voice() -> VoiceProcess | None:
        if not config.tts_server.enabled:
            return None
        voice = await VoiceProcess.start(voice_settings(config))
        stack.push_async_callback(voice.close)
        return voice

    async def start_media() -> MediaEngine:
        engine = await MediaEngine.start(
            media_settings(config), clock=SystemClock(), dice=SystemDice(), on_death=metrics.engine_died
        )
        stack.push_async_callback(engine.close)
        return engine

    voice, engine = await asyncio.gather(start_voice(), start_media(), return_exceptions=True)
    for outcome in (voice, engine):
        if isinstance(outcome, BaseException):
            raise outcome
    return cast("tuple[VoiceProcess | None, MediaEngine]", (voice, engine))


async def _start_clients(
    config: Config, voice: VoiceProcess | None, stack: AsyncExitStack
) -> tuple[CosyVoicePool | None, CosyVoicePool]:
    """A client of the embedded service, if there is one, and the client that callers hear; often the same."""

    async def start(url: str, key: SecretStr | None) -> CosyVoicePool:
        client = CosyVoicePool(tts_settings(config, url, key), clock=SystemClock(), dice=SystemDice())
        stack.push_async_callback(client.close)
        await client.start()
        return client

    embedded = None
    if voice is not None:
        embedded = await start(embedded_url(voice.listen), next(iter(config.tts_server.api_keys), None))
        if config.tts_kind == "embedded":
            return embedded, embedded
    return embedded, await start(config.tts.url, config.tts.api_key)


def _measure(
    metrics: Metrics,
    bridge: Bridge,
    synthesizer: CosyVoicePool,
    engine: MediaEngine,
    records: SqliteArchive | None,
) -> None:
    """Let everything that counts be asked before each scrape."""
    metrics.refresh_with(lambda: _refresh(metrics, bridge, synthesizer))
    EngineMeter(metrics, partial(health_of, engine))
    TaskMeter(metrics)
    if records is not None:
        metrics.refresh_with(lambda: metrics.records(records.counters))


def _refresh(metrics: Metrics, bridge: Bridge, synthesizer: CosyVoicePool) -> None:
    metrics.sip(bridge.endpoint.counters)
    book, registrars = bridge.office.book, bridge.office.registrars
    metrics.trunk_states({name: each.is_registered for name, each in registrars.items()}, book.calls())
    failures = {name: each.failures for name, each in registrars.items()}
    metrics.trunk_failures(failures, book.refused, book.counters)
    metrics.tts_happened(synthesizer.counters)
    metrics.tts_connections({"idle": synthesizer.idle, "busy": synthesizer.busy})
    for call_id, counters in bridge.exchange.media().items():
        metrics.leg(call_id, counters)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


async def _announce(bridge: Bridge) -> None:
    """Print where everything is, prove it by a call to ourselves, then say ready."""
    config = bridge.config
    host, port = bridge.endpoint.listen
    is_any = host in ("0.0.0.0", "::")
    shown = spot(route_address(in_ipv6=is_v6(host)) if is_any else host, port)
    _say(f"cosybridge {version('cosybridge')}")
    _say(f"  page   {bridge.page_url}")
    _say(f"  voice  {config.tts_kind}: {bridge.voice_url}")
    _say(f"  room   for {bridge.room} calls in G.711; more are refused with 503")
    if config.start.self_call and config.media.srtp == "required":
        _say("  self-call  left out: it would be in the clear, and media.srtp is required")
    elif config.start.self_call and bridge.self_user is not None:
        await _self_call(bridge, bridge.self_user)
    await bridge.office.settled(within_s=_REGISTERING_S)
    for line in bridge.office.lines():
        _say(f"  {line}")
    spoken = f"UDP; {', '.join(config.media.codecs)}"
    _say(f"  phone  call sip:hello@{shown} from any SIP phone ({spoken}), and interrupt")
    _say("ready")


async def _self_call(bridge: Bridge, user: str) -> None:
    from bridge.load.self_call import self_call

    host, port = bridge.endpoint.listen
    target = ({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port)
    try:
        proof = await self_call(target, user=user)
    except SetupError as error:
        _say(f"  self-call failed: {error}")
        return
    _say(f"  self-call  {proof}")


async def _call(config: Config, uri: str, *, agent: Agent | None = None) -> int:
    dialled = admit_number(uri, Trunks(trunks(config))) if config.trunks and is_number(uri) else None
    targets = () if dialled is not None else await admit(uri, config.sip, locator(config))
    route = route_table(config, agent)[0]
    async with open_bridge(config, registers=False) as bridge, Tasks("call") as tasks:
        exchange, endpoint = bridge.exchange, bridge.endpoint
        if dialled is not None:
            dialling = bridge.office.dial(exchange, endpoint, dialled, route)
        else:
            dialling = exchange.dial(endpoint, uri, route, targets=targets)
        calling = tasks.start(dialling, name=uri)

        def on_signal() -> None:
            if len(bridge.exchange):
                bridge.exchange.end_all("bridge stopped")
            else:
                calling.cancel()

        _on_signals(on_signal)
        _say(f"calling {uri} …")
        try:
            trace = await calling
        except asyncio.CancelledError:
            _say("call given up")
            return 1
    spoken, cut = len(trace.utterances), len(trace.barge_ins)
    _say(f"call ended: {trace.reason}; {spoken} utterances, {cut} of them interrupted")
    return 0
