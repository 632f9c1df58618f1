"""Calls that are placed by order: who may be called, who speaks, and the task that carries each out."""

import asyncio
import logging
from dataclasses import replace
from typing import Protocol, TypeAlias

from bridge.aio.sip import ANONYMOUS, SipEndpoint
from bridge.aio.tasks import Tasks
from bridge.app.admission import Admission
from bridge.app.api.orders import PlaceCall
from bridge.app.api.problem import Problem
from bridge.app.config import Config
from bridge.app.dial import DialRefused
from bridge.app.trunking import TrunkOffice
from bridge.call.agent import Agent, Call
from bridge.call.exchange import Exchange
from bridge.call.routes import Route, choose
from bridge.call.trace import CallTrace
from bridge.errors import ConfigError, EngineError, NegotiationError, SetupError
from bridge.ports import Voice
from bridge.sip.flow import Address
from bridge.sip.trunks import Dialled

__all__ = ["Places", "Switchboard", "driven"]

_log = logging.getLogger(__name__)

Way: TypeAlias = Dialled | tuple[Address, ...]
"""By a trunk, or straight to addresses."""


class Places(Protocol):
    """Who places calls; `Switchboard` in life."""

    async def place(self, order: PlaceCall) -> CallTrace: ...


async def driven(call: Call) -> None:
    """Say the greeting, if there is one, and leave the rest to whoever steers the call by the API."""
    if call.greeting:
        await call.say(call.greeting)
    await asyncio.Event().wait()


class Switchboard:
    """Places calls for the API.

    Args:
        config: For what is admitted and which voice is the usual one.
        exchange: Who serves them.
        endpoint: Where they go out.
        office: The trunks.
        admission: Who knows whom calls may reach.
        routes: As they answer calls.
    """

    def __init__(
        self,
        config: Config,
        *,
        exchange: Exchange,
        endpoint: SipEndpoint,
        office: TrunkOffice,
        admission: Admission,
        routes: tuple[Route, ...],
    ) -> None:
        self._config = config
        self._exchange = exchange
        self._endpoint = endpoint
        self._office = office
        self._admission = admission
        self.routes: tuple[Route, ...] = routes
        """As they answer calls."""
        self._tasks = Tasks("placed calls")
        self._placing: dict[str, asyncio.Task[None]] = {}
        self.is_draining: bool = False

    async def place(self, order: PlaceCall) -> CallTrace:
        """Begin a call; its record is returned at once, and goes on by itself.

        Raises:
            Problem: If it may not be placed.
        """
        if self.is_draining:
            raise Problem(503, "the bridge is shutting down and takes no new calls")
        route = self._route(order)
        way = await self._way(order)
        if self.is_draining:
            raise Problem(503, "the bridge is shutting down and takes no new calls")

        def give_up() -> None:
            self._placing[trace.id].cancel()

        trace = self._exchange.ledger.begin(
            "outbound", to=order.to, caller=order.caller or "", give_up=give_up
        )
        task = self._tasks.start(self._run(order, way, route, trace), name=trace.id)
        self._placing[trace.id] = task

        def settle(_task: "asyncio.Task[None]") -> None:
            del self._placing[trace.id]
            # One that is cancelled before its first step never got as far as to close its record.
            self._exchange.ledger.forsake(trace, "given up")

        task.add_done_callback(settle)
        return trace

    def give_up(self, reason: str) -> None:
        """Take no more orders, and give up every call that does not stand yet."""
        self.is_draining = True
        for call_id in list(self._placing):
            if self._exchange.ledger.session(call_id) is None:
                self._exchange.ledger.hang_up(call_id, reason)

    async def close(self) -> None:
        """End every call that was placed, and wait for what serves it."""
        self.give_up("bridge stopped")
        await self._tasks.close()

    async def _run(self, order: PlaceCall, way: Way, route: Route, trace: CallTrace) -> None:
        headers = tuple(order.headers.items())
        try:
            if isinstance(way, Dialled):
                await self._office.dial(
                    self._exchange,
                    self._endpoint,
                    way,
                    route,
                    caller=order.caller or "",
                    headers=headers,
                    timeout_s=order.ring_timeout_s,
                    trace=trace,
                )
            else:
                identity = replace(ANONYMOUS, user=order.caller or ANONYMOUS.user, headers=headers)
                await self._exchange.dial(
                    self._endpoint,
                    order.to,
                    route,
                    targets=way,
                    identity=identity,
                    timeout_s=order.ring_timeout_s,
                    trace=trace,
                )
        except (NegotiationError, SetupError, EngineError):
            # Whom we called is nobody's business in a log; the call's record has the reason.
            _log.info("call %s: came to nothing: %s", trace.id, trace.reason or "refused by its trunk")
            self._exchange.ledger.forsake(trace, "refused by its trunk")

    async def _way(self, order: PlaceCall) -> Way:
        """Where the call goes, if it may go there at all."""
        trunk = order.trunk
        if trunk is not None and trunk not in [section.name for section in self._config.trunks]:
            raise Problem(
                422,
                f"there is no trunk {trunk}",
                fix="name one of [[trunks]]",
                fields={"trunk": "is not known"},
            )
        try:
            return await self._admission.find(order.to, trunk=trunk or "")
        except DialRefused as error:
            raise Problem(403, error.what, fix=error.fix) from None
        except ConfigError as error:
            raise Problem(
                422,
                str(error),
                fix="write a SIP address, or configure a trunk for numbers ([[trunks]])",
                fields={"to": "is no address"},
            ) from None
        except SetupError as error:
            raise Problem(422, str(error), fields={"to": "leads nowhere"}) from None

    def _route(self, order: PlaceCall) -> Route:
        tts = self._config.tts
        route = Route(agent=driven, voice=Voice(model=tts.model, name=tts.voice, language="en"))
        if order.route is not None:
            found = choose(self.routes, order.route)
            if found is None:
                raise Problem(
                    422,
                    f"no route answers {order.route}",
                    fix="add one to [[routes]]",
                    fields={"route": "is none"},
                )
            route = found
        elif order.agent is not None:
            route = replace(route, agent=self._agent(order.agent))
        voice = replace(
            route.voice,
            name=order.voice or route.voice.name,
            model=order.model or route.voice.model,
            language=route.voice.language if order.language is None else order.language,
        )
        greeting = route.greeting if order.greeting is None else order.greeting
        return replace(route, voice=voice, greeting=greeting)

    def _agent(self, name: str) -> "str | Agent":
        """Only what the settings name is loaded: an import path runs code."""
        named = {"default", *(section.agent for section in self._config.routes)}
        if name not in named:
            raise Problem(
                422,
                f"{name} is no agent of this bridge",
                fix=f'name it in [[routes]]: agent = "{name}"',
                fields={"agent": f"must be one of {', '.join(sorted(named))}"},
            )
        return name
