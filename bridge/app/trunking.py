"""The trunks of a running bridge: registered, limited, and dialled through."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Protocol

from bridge.aio.following import follow
from bridge.aio.names import Found
from bridge.aio.registrar import Registrar
from bridge.aio.sip import CallRefused, Identity, IncomingCall, SipEndpoint
from bridge.aio.tasks import Tasks
from bridge.call.outside import Way
from bridge.call.routes import Route
from bridge.call.trace import CallTrace
from bridge.errors import RemoteProtocolError, SetupError
from bridge.hosts import bracketed, spot
from bridge.ports import Clock, IdSource
from bridge.sip.grammar import NameAddr
from bridge.sip.locating import Wanted
from bridge.sip.registration import Account, Failed, Registered
from bridge.sip.trunks import Dialled, Trunk, Trunks

__all__ = ["Dialler", "TrunkOffice"]

_log = logging.getLogger(__name__)


class Dialler(Protocol):
    """Who places a call and serves it; `bridge.call.exchange.Exchange` in life."""

    async def dial(
        self,
        endpoint: SipEndpoint,
        uri: str,
        route: Route,
        *,
        targets: tuple[tuple[str, int], ...],
        identity: Identity,
        timeout_s: float | None,
        trace: CallTrace | None,
    ) -> CallTrace: ...


class TrunkOffice:
    """Stands between the SIP endpoint and the exchange, for calls of trunks.

    Args:
        trunks: The trunks, and whom each may call.
        accounts: Registrations to keep, by the names of their trunks.
        serve: Who serves an incoming call.
        clock: For limits and refreshes.
        dice: For registrations.
    """

    def __init__(
        self,
        trunks: Sequence[Trunk],
        accounts: Sequence[Account],
        serve: Callable[[IncomingCall], Awaitable[None]],
        *,
        clock: Clock,
        dice: IdSource,
    ) -> None:
        self.book: Trunks = Trunks(tuple(trunks))
        self.registrars: dict[str, Registrar] = {}
        self._trunks = tuple(trunks)
        self._accounts = tuple(accounts)
        self._serve = serve
        self._clock = clock
        self._dice = dice
        self._tasks = Tasks("trunks")

    def open(self, endpoint: SipEndpoint) -> None:
        """Register, and learn where each trunk's calls come from."""
        for account in self._accounts:
            registrar = Registrar(
                account,
                endpoint,
                clock=self._clock,
                dice=self._dice,
                located=self.book.located,
            )
            self.registrars[account.name] = registrar
            registrar.start()
        for trunk in self._trunks:
            if trunk.name not in self.registrars:
                self._follow(trunk, endpoint)

    def drain(self) -> None:
        """Take the registrations back: no new calls."""
        for registrar in self.registrars.values():
            registrar.stop()

    async def close(self) -> None:
        """Wait a moment for the registrars' answers; before the endpoint closes."""
        await asyncio.gather(*(registrar.close() for registrar in self.registrars.values()))
        await self._tasks.close()

    async def settled(self, *, within_s: float) -> None:
        """Wait until every registrar has answered or failed once, but not longer."""
        waits = [self._tasks.start(each.settled.wait(), name="settled") for each in self.registrars.values()]
        if waits:
            await asyncio.wait(waits, timeout=within_s)

    def lines(self) -> list[str]:
        """One sentence about each trunk, for whoever starts the bridge."""
        return [f"trunk {trunk.name}: {self._state_of(trunk)}" for trunk in self._trunks]

    async def answer(self, incoming: IncomingCall) -> None:
        """Serve a call, unless its trunk has too many."""
        name = self.book.of_caller(incoming.source[0], incoming.to_user)
        if name is None:
            await self._serve(incoming)
            return
        if (cause := self.book.take(name, now_ns=self._clock.now_ns())) is not None:
            _log.warning("trunk %s: call refused, over its limit of %s", name, cause)
            incoming.reject(503)
            return
        try:
            await self._serve(incoming)
        finally:
            self.book.leave(name)

    async def dial(
        self,
        exchange: Dialler,
        endpoint: SipEndpoint,
        dialled: Dialled,
        route: Route,
        *,
        caller: str = "",
        headers: tuple[tuple[str, str], ...] = (),
        timeout_s: float | None = None,
        trace: CallTrace | None = None,
    ) -> CallTrace:
        """Call a number that the dial plan admits.

        Args:
            exchange: Who serves the call.
            endpoint: Where it goes out.
            dialled: What the dial plan said.
            route: Who talks to them.
            caller: User part of our From; empty is the trunk's own.
            headers: Further headers of the INVITE.
            timeout_s: How long it may ring; None is as configured.
            trace: Its record, if that was begun already.

        Raises:
            CallRefused: If the trunk's limit is reached, with 503, or the other side declines.
            SetupError: If the trunk has no address, or nobody answers.
        """
        async with self.way(endpoint, dialled, caller=caller, headers=headers) as way:
            return await exchange.dial(
                endpoint,
                dialled.uri,
                route,
                targets=way.targets,
                identity=way.identity,
                timeout_s=timeout_s,
                trace=trace,
            )

    @asynccontextmanager
    async def way(
        self,
        endpoint: SipEndpoint,
        dialled: Dialled,
        *,
        caller: str = "",
        headers: tuple[tuple[str, str], ...] = (),
    ) -> AsyncIterator[Way]:
        """Hold one of the trunk's lines for a call; what it raises is said at `dial`."""
        trunk = dialled.trunk
        with self._line(dialled):
            targets, routes = await self._way(trunk, endpoint)
            endpoint.trust(f"{trunk.name}, called", (ip for ip, _ in targets), trunk.credentials)
            identity = Identity(
                caller or trunk.from_user,
                trunk.from_domain or trunk.domain,
                trunk.credentials,
                (*routes, *trunk.headers, *headers),
            )
            yield Way(endpoint, dialled.uri, targets, identity)

    @contextmanager
    def _line(self, dialled: Dialled) -> Iterator[None]:
        trunk = dialled.trunk
        if (cause := self.book.take(trunk.name, now_ns=self._clock.now_ns())) is not None:
            limits = {
                "concurrency": f"{trunk.max_calls} calls at a time",
                "rate": f"{trunk.max_calls_per_s} new calls a second",
            }
            reason = f"trunk {trunk.name} carries {limits[cause]}"
            raise CallRefused(dialled.uri, reason, status=503)
        try:
            yield
        finally:
            self.book.leave(trunk.name)

    async def _way(
        self, trunk: Trunk, endpoint: SipEndpoint
    ) -> tuple[tuple[tuple[str, int], ...], tuple[tuple[str, str], ...]]:
        """Where an INVITE goes, in the order to try it in, and the route it must carry (RFC 3608)."""
        known: tuple[tuple[str, int], ...] = ()
        routes: tuple[tuple[str, str], ...] = ()
        wanted = Wanted(*trunk.server, trunk.transport)
        registrar = self.registrars.get(trunk.name)
        if registrar is not None and isinstance(registrar.last, Registered):
            routes = tuple(("Route", route) for route in registrar.last.service_route)
            known = () if routes else (registrar.last.destination,)
        if routes:
            try:
                first = NameAddr.parse(routes[0][1]).uri
            except RemoteProtocolError as error:
                raise SetupError(f"trunk {trunk.name} named a broken Service-Route: {error}") from None
            wanted = Wanted(first.host, first.port, trunk.transport)
        try:
            found = (await endpoint.locate(wanted)).targets
        except SetupError:
            if not known:
                raise
            found = ()
        # Whoever has our registration knows us best; its neighbours come after it.
        return known + tuple(target for target in found if target not in known), routes

    def _follow(self, trunk: Trunk, endpoint: SipEndpoint) -> None:
        """Learn where a trunk's calls come from, and keep up with it."""

        def found(found: Found) -> None:
            ips = tuple(dict.fromkeys(ip for ip, _ in found.targets))
            endpoint.trust(trunk.name, ips, trunk.credentials)
            self.book.located(trunk.name, ips)

        wanted = Wanted(*trunk.server, trunk.transport)
        following = follow(
            endpoint.locate,
            wanted,
            on_found=found,
            on_lost=lambda error: _log.warning("trunk %s: %s", trunk.name, error),
        )
        self._tasks.start(following, name=trunk.name)

    def _state_of(self, trunk: Trunk) -> str:
        host, port = trunk.server
        server = bracketed(host) if port is None else spot(host, port)
        registrar = self.registrars.get(trunk.name)
        match registrar and registrar.last:
            case Registered(expires_s=expires_s):
                return f"registered sip:{trunk.user}@{trunk.domain} at {server} for {expires_s} s"
            case Failed(reason=reason, retry_in_s=retry_in_s):
                return f"NOT registered at {server}: {reason}; next attempt in {retry_in_s} s"
            case _ if registrar is not None:
                return f"{server} has not answered yet"
        return f"calls go to {server}"
