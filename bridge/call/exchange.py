"""Where calls arrive and where they are placed: it finds a route, a row and a codec for each."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any

from bridge.aio.browser_call import BrowserCall
from bridge.aio.sip import ANONYMOUS, CallRefused, Identity, IncomingCall, SipCall, SipEndpoint
from bridge.aio.sip_transfer import Referral
from bridge.call.archive import Archive
from bridge.call.bus import Bus
from bridge.call.caller import Caller, Dialogue, is_hidden, route_for
from bridge.call.connection import Connection
from bridge.call.early import EarlySound
from bridge.call.ledger import Ledger
from bridge.call.line import Line, Media, expected, of_family
from bridge.call.lines import Lines
from bridge.call.outside import CLOSED, Outside, Way
from bridge.call.placing import Listener, reach
from bridge.call.routes import Route
from bridge.call.session import Session
from bridge.call.settings import CallObserver, CallSettings
from bridge.call.takeover import Seats
from bridge.call.trace import CallTrace
from bridge.call.transfer import Followers
from bridge.engine.supervisor import MediaLeg
from bridge.errors import EngineError, LocalProtocolError, NegotiationError, RemoteProtocolError, SetupError
from bridge.ports import Clock, IdSource, Synthesizer
from bridge.sip.codecs import NAMES
from bridge.sip.grammar import Uri
from bridge.sip.identity import Presented, checked_headers

__all__ = ["Exchange"]

_log = logging.getLogger(__name__)


@asynccontextmanager
async def _ending(sip: Dialogue) -> AsyncIterator[None]:
    """End a dialog whose media or agent fails: its peer would wait for ever."""
    try:
        yield
    except (NegotiationError, RemoteProtocolError):
        await sip.hangup("no usable answer")
        raise
    except BaseException:
        await sip.hangup("failed")
        raise


def _ignore(_status: int) -> None:
    """Nobody wants to know."""


class Exchange:
    """Serves incoming calls and dials outgoing ones.

    Args:
        media: Where a leg gets its row and port.
        synthesizer: Where speech comes from.
        routes: Tried in order.
        settings: What every call obeys.
        clock: For marks and deadlines.
        dice: For ids.
        observer: Who counts.
        archive: Where records of calls outlive us; None for nowhere.
    """

    def __init__(
        self,
        *,
        media: Media,
        synthesizer: Synthesizer,
        routes: Sequence[Route],
        settings: CallSettings,
        clock: Clock,
        dice: IdSource,
        observer: CallObserver,
        archive: Archive | None = None,
    ) -> None:
        self._media = media
        self._synthesizer = synthesizer
        self._routes = tuple(routes)
        self._settings = settings
        self._clock = clock
        self._dice = dice
        self._observer = observer
        self.bus: Bus = Bus(clock)
        """Tells what happens in all calls."""
        self.ledger: Ledger = Ledger(
            clock=clock,
            dice=dice,
            bus=self.bus,
            keeps_text=settings.keeps_text,
            archive=archive,
            keeps_numbers=settings.keeps_numbers,
        )
        """The records of all calls."""
        self.outside: Outside = CLOSED
        """Whom calls may be sent to; nobody until it is set."""
        self._lines = Lines(media, settings, dice)
        self._seats = Seats()
        self._followers = Followers(self._follow, clock)

    def __len__(self) -> int:
        return len(self.ledger)

    def calls(self) -> list[dict[str, Any]]:
        """Running calls, then ended ones, newest first."""
        return self.ledger.calls()

    def call(self, call_id: str) -> dict[str, Any] | None:
        """One call in full, by our id or by its SIP Call-ID."""
        return self.ledger.call(call_id)

    def media(self) -> dict[str, dict[str, float]]:
        """Counters of every running leg, by our call id."""
        return {session.trace.id: session.media() for session in self.ledger.sessions()}

    async def empty(self) -> None:
        """Return once no call is running."""
        await self.ledger.empty()

    async def close(self) -> None:
        """Give up calls that are being placed because a peer asked for them."""
        await self._followers.close()

    def end_all(self, reason: str) -> None:
        """Let every running call end."""
        for session in self.ledger.sessions():
            session.end(reason)

    async def answer(self, incoming: Caller) -> None:
        """Serve one incoming call from its INVITE to its end."""
        replaced = None
        if isinstance(incoming, IncomingCall) and incoming.replaces:
            if (seat := self._seats.wanted(incoming)) is None:
                incoming.reject(481)
                return
            if await self._seats.take_over(incoming, seat):
                return
            replaced = seat.session
        route = route_for(self._routes, incoming) if replaced is None else replaced.route
        if route is None:
            incoming.reject(404)
            return
        latch_ip = incoming.source[0] if is_hidden(incoming) else None
        try:
            remote, in_ipv6 = expected(incoming, self._settings)
            leg = self._media.reserve(remote=remote, latch_ip=latch_ip, in_ipv6=in_ipv6)
        except EngineError as error:
            _log.warning("call refused: %s", error)
            incoming.reject(503)
            return
        try:
            await self._lines.certify(is_browser=isinstance(incoming, BrowserCall))
            await self._answer_on(incoming, route, leg, latch_ip=latch_ip, replaced=replaced)
        except (NegotiationError, RemoteProtocolError) as error:
            _log.info("call refused: %s", error)
            # Harmless after our 200: then the call was ended by a BYE.
            incoming.reject(488)
        except EngineError as error:
            _log.warning("call refused: %s", error)
            incoming.reject(503)
        finally:
            leg.close()

    async def dial(
        self,
        endpoint: SipEndpoint,
        uri: str,
        route: Route,
        *,
        targets: tuple[tuple[str, int], ...] = (),
        identity: Identity = ANONYMOUS,
        timeout_s: float | None = None,
        trace: CallTrace | None = None,
        on_status: Callable[[int], None] = _ignore,
    ) -> CallTrace:
        """Place a call, serve it with the route's agent, return its record.

        Args:
            endpoint: Where it goes out.
            uri: Whom to call.
            route: Who talks to them.
            targets: Where that is, if it is known already; see `SipEndpoint.call`.
            identity: As whom.
            timeout_s: How long it may ring; None is as configured.
            trace: Its record, if that was begun already.
            on_status: Gets each status of the call from 101 to 199, and 200 when it stands.

        Raises:
            EngineError: If no row is free.
            NegotiationError: If the other side declines, or answers with what we cannot carry.
            SetupError: If nobody answers.
        """
        if trace is None:
            trace = self.ledger.begin("outbound", to=uri, caller=identity.user, give_up=_cancels_this())
        reason = "given up"
        try:
            identity = replace(identity, headers=identity.headers + checked_headers(route.headers))
            way = Way(endpoint, uri, targets, identity)
            timeout_s = self._settings.ring_timeout_s if timeout_s is None else timeout_s
            await self._dial_on(trace, way, route, timeout_s=timeout_s, on_status=on_status)
        except CallRefused as error:
            trace.status, reason = error.status, f"declined with {error.status}"
            raise
        except SetupError:
            reason = "no answer"
            raise
        except RemoteProtocolError as error:
            reason = "no usable answer"
            raise NegotiationError(f"{uri} answered with what is no description: {error}") from None
        except NegotiationError:
            reason = "no usable answer"
            raise
        except EngineError:
            reason = "no room"
            raise
        finally:
            self.ledger.forsake(trace, reason)
        return trace

    async def _dial_on(
        self, trace: CallTrace, way: Way, route: Route, *, timeout_s: float, on_status: Callable[[int], None]
    ) -> None:
        leg = self._media.reserve()
        line: Line | None = None
        early: EarlySound | None = None

        def offer(local_ip: str) -> bytes:
            nonlocal leg, line, early
            leg = of_family(local_ip, leg, self._media)
            line = self._lines.make(leg, local_ip, latch_ip=None)
            if route.early_media:
                early = self._early(trace, way, route, line)
            return line.negotiator.offer()

        def heard(sip: SipCall, tag: str, sdp: bytes) -> None:
            if early is not None:
                trace.sip_call_id = sip.call_id
                early.heard(sip, tag, sdp)

        await self._lines.certify()

        def progressed(status: int) -> None:
            self.ledger.progressed(trace, status)
            on_status(status)

        try:
            async with AsyncExitStack() as stack:
                sip = await reach(
                    way,
                    self.outside,
                    stack,
                    offer=offer,
                    timeout_s=timeout_s,
                    listener=Listener(progressed, heard, lambda: early is not None and early.is_heard),
                )
                async with _ending(sip):
                    if line is None:
                        raise LocalProtocolError("a call was answered without an offer")
                    if early is not None and early.is_heard:
                        on_status(200)
                        await early.settle(sip)
                        return
                    line.negotiator.accept(sip.remote_sdp)
                    self._media.refit(leg, line.agreed.rate_hz)
                    trace.sip_call_id = sip.call_id
                    session = self._placed(trace, line, way, route)
                    session.presented = Presented(headers=sip.headers)
                    line.prepare(session)
                    await line.stand(session, sip)
                    on_status(200)
                    await self._serve(session, sip, line)
        finally:
            if early is not None:
                await early.close("no answer")
            if line is not None:
                line.close()
            leg.close()

    def _placed(self, trace: CallTrace, line: Line, way: Way, route: Route) -> Session:
        return self._session(trace, line, route, to_user=_user(way.uri), remote_uri=way.uri)

    def _early(self, trace: CallTrace, way: Way, route: Route, line: Line) -> EarlySound:
        return EarlySound(
            line,
            fit=lambda rate_hz: self._media.refit(line.leg, rate_hz),
            begin=lambda: self._placed(trace, line, way, route),
            serve=lambda session, sip: self._serve(session, sip, line, is_answered=False),
        )

    async def _follow(self, way: Way, route: Route, on_status: Callable[[int], None]) -> None:
        """Place a call that a peer asked for."""
        await self.dial(
            way.endpoint,
            way.uri,
            route,
            targets=way.targets,
            identity=way.identity,
            on_status=on_status,
        )

    async def _answer_on(
        self,
        incoming: Caller,
        route: Route,
        leg: MediaLeg,
        *,
        latch_ip: str | None,
        replaced: Session | None,
    ) -> None:
        if isinstance(incoming, IncomingCall):
            incoming.answer_headers = route.headers
        if not incoming.sdp:
            line = self._lines.make(leg, incoming.local_ip, latch_ip=latch_ip)
            await self._answer_late(incoming, route, line, replaced=replaced)
            return
        line, sdp = self._lines.agree(incoming, leg, latch_ip=latch_ip)
        session = self._answering(incoming, route, line)
        try:
            line.prepare(session)
            # The voice gets ready while it rings: the first word costs no handshake.
            session.speaker.bind()
            if route.early_media and isinstance(incoming, IncomingCall) and replaced is None:
                await self._serve_early(incoming, session, line, sdp)
                return
            incoming.ring()
            self.bus.tell(session.trace.id, "call.ringing", {"status": 180})
            sip = await incoming.answer(sdp)
            _give_way(replaced)
            async with _ending(sip):
                await line.stand(session, sip)
                await self._serve(session, sip, line)
        finally:
            line.close()
            self.ledger.forsake(session.trace, "caller gave up")
            await session.speaker.close()

    async def _serve_early(self, incoming: IncomingCall, session: Session, line: Line, sdp: bytes) -> None:
        """Let the agent be heard by a caller whom it has not answered yet (RFC 3960 §3)."""
        sip = incoming.early(sdp)
        self.bus.tell(session.trace.id, "call.ringing", {"status": 183})

        async def answer() -> None:
            await incoming.answer(sdp)

        session.on_answer, session.on_reject = answer, incoming.reject
        await line.stand(session, sip)
        await self._serve(session, sip, line, is_answered=False)

    async def _answer_late(
        self, incoming: Caller, route: Route, line: Line, *, replaced: Session | None
    ) -> None:
        """Serve a caller who leaves the offer to us: what is spoken is known with the ACK."""
        offer = line.negotiator.offer()
        answered = b""
        if incoming.wants_early_offer:
            incoming.progress(offer)
            answered = await incoming.early_answer()
        incoming.ring()
        sip = await incoming.answer(offer)
        _give_way(replaced)
        async with _ending(sip):
            line.negotiator.accept(answered or await sip.answered_sdp())
            self._media.refit(line.leg, line.agreed.rate_hz)
            session = self._answering(incoming, route, line)
            try:
                line.prepare(session)
                await line.stand(session, sip)
                await self._serve(session, sip, line)
            finally:
                line.close()
                self.ledger.forsake(session.trace, "failed")

    def _answering(self, incoming: Caller, route: Route, line: Line) -> Session:
        trace = self.ledger.begin(
            "inbound",
            to=incoming.to_user,
            caller=incoming.from_uri,
            sip_call_id=incoming.call_id,
            give_up=lambda: incoming.reject(603),
        )
        session = self._session(trace, line, route, to_user=incoming.to_user, remote_uri=incoming.from_uri)
        if isinstance(incoming, IncomingCall):
            session.presented = incoming.presented
        elif isinstance(incoming, BrowserCall):
            trace.via = "browser"
            session.inactivity_s = incoming.inactivity_s
        return session

    async def certify(self) -> None:
        """Have the certificate that calls may need; see `Lines.certify`."""
        await self._lines.certify()

    def _session(
        self, trace: CallTrace, line: Line, route: Route, *, to_user: str, remote_uri: str
    ) -> Session:
        trace.codec, trace.rate_hz = NAMES[line.agreed.codec], line.leg.rate_hz
        session = Session(
            trace=trace,
            leg=line.leg,
            route=route,
            synthesizer=route.synthesizer or self._synthesizer,
            settings=self._settings,
            clock=self._clock,
            observer=self._observer,
            bus=self.bus,
            ids=self._dice,
            to_user=to_user,
            remote_uri=remote_uri,
        )
        session.outside = self.outside
        return session

    async def _serve(self, session: Session, sip: Dialogue, line: Line, *, is_answered: bool = True) -> None:
        def referred(session: Session, dialog: SipCall, referral: Referral) -> None:
            self._followers.referred(session, dialog, self.outside, referral)

        connection = Connection(session, line, on_referral=referred)
        connection.begin(sip, self._seats)
        self.ledger.stands(session)
        try:
            await session.serve(sip, is_answered=is_answered)
        finally:
            connection.part(self._seats)
            self.ledger.over(session)


def _give_way(replaced: Session | None) -> None:
    """End a call whose place another has taken."""
    if replaced is not None:
        replaced.end("replaced")


def _user(uri: str) -> str:
    """User part of a SIP URI, or the whole of it where it has none."""
    return Uri.parse(uri).user or uri


def _cancels_this() -> Callable[[], object]:
    """What gives up a call that the present task is placing."""
    task = asyncio.current_task()
    return task.cancel if task is not None else lambda: None
