"""Where calls arrive and where they are placed: it finds a route, a row and a codec for each."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypedDict

from bridge.aio.sip import ANONYMOUS, CallRefused, Identity, SipEndpoint
from bridge.call.bus import Bus
from bridge.call.caller import Caller, Dialogue
from bridge.call.ledger import Ledger
from bridge.call.routes import Route, choose
from bridge.call.session import CallObserver, CallSettings, Session
from bridge.call.trace import CallTrace
from bridge.engine.supervisor import MediaLeg
from bridge.errors import EngineError, LocalProtocolError, NegotiationError, RemoteProtocolError, SetupError
from bridge.ports import Clock, IdSource, Synthesizer
from bridge.rtp.srtp import SrtpKeys
from bridge.sip.codecs import CODECS, NAMES
from bridge.sip.crypto import MediaCrypto
from bridge.sip.glance import is_behind_nat, media_address
from bridge.sip.offer import Negotiated, Negotiator

__all__ = ["Exchange", "Media"]

_log = logging.getLogger(__name__)


class Media(Protocol):
    """Where rows come from; `bridge.engine.supervisor.MediaEngine` in life."""

    def reserve(self, *, remote: tuple[str, int] | None = None, latch_ip: str | None = None) -> MediaLeg: ...
    def refit(self, leg: MediaLeg, rate_hz: int) -> None: ...


class _Terms(TypedDict):
    codec: int
    payload_type: int
    dtmf_payload_type: int
    dtmf_offered: int
    dtmf_events: int
    remote: tuple[str, int] | None
    latch_ip: str | None
    sending: bool
    receiving: bool
    interruptible: int
    sensitivity: int
    rtcp: tuple[str, int] | None
    rtcp_mux: bool
    ptime_ms: int
    opus_bitrate: int
    opus_fec: bool
    opus_dtx: bool
    opus_max_rate_hz: int
    opus_loss_percent: int
    comfort_payload_type: int
    srtp: SrtpKeys


@dataclass(frozen=True, slots=True)
class _Line:
    """One call's media before it is served."""

    leg: MediaLeg
    negotiator: Negotiator
    latch_ip: str | None

    @property
    def agreed(self) -> Negotiated:
        """What the descriptions so far come to."""
        if self.negotiator.negotiated is None:
            raise LocalProtocolError("media opened before anything was negotiated")
        return self.negotiator.negotiated

    def terms(self, session: Session) -> "_Terms":
        """What the media process is told after each offer and answer."""
        agreed = self.agreed
        session.hold(agreed.held or not agreed.receiving)
        return _Terms(
            codec=agreed.codec,
            payload_type=agreed.payload_type,
            dtmf_payload_type=agreed.dtmf_payload_type,
            dtmf_offered=agreed.dtmf_offered,
            dtmf_events=agreed.dtmf_events,
            remote=agreed.remote,
            latch_ip=self.latch_ip,
            sending=agreed.sending,
            receiving=agreed.receiving,
            interruptible=session.speaker.interruptible,
            sensitivity=session.speaker.sensitivity,
            rtcp=agreed.rtcp,
            rtcp_mux=agreed.rtcp_mux,
            ptime_ms=agreed.ptime_ms,
            opus_bitrate=agreed.opus_bitrate,
            opus_fec=agreed.opus_fec,
            opus_dtx=agreed.opus_dtx,
            opus_max_rate_hz=agreed.opus_max_rate_hz,
            opus_loss_percent=agreed.opus_loss_percent,
            comfort_payload_type=agreed.comfort_payload_type,
            srtp=agreed.srtp,
        )


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
        self.ledger: Ledger = Ledger(clock=clock, dice=dice, bus=self.bus, keeps_text=settings.keeps_text)
        """The records of all calls."""

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

    def end_all(self, reason: str) -> None:
        """Let every running call end."""
        for session in self.ledger.sessions():
            session.end(reason)

    async def answer(self, incoming: Caller) -> None:
        """Serve one incoming call from its INVITE to its end."""
        route = choose(self._routes, incoming.to_user)
        if route is None:
            incoming.reject(404)
            return
        latch_ip = incoming.source[0] if _is_behind_nat(incoming) else None
        try:
            leg = self._media.reserve(remote=media_address(incoming.sdp), latch_ip=latch_ip)
        except EngineError as error:
            _log.warning("call refused: %s", error)
            incoming.reject(503)
            return
        try:
            await self._answer_on(incoming, route, leg, latch_ip=latch_ip)
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
        destination: tuple[str, int] | None = None,
        identity: Identity = ANONYMOUS,
        timeout_s: float = 32.0,
        trace: CallTrace | None = None,
    ) -> CallTrace:
        """Place a call, serve it with the route's agent, return its record.

        Args:
            endpoint: Where it goes out.
            uri: Whom to call.
            route: Who talks to them.
            destination: Where that is, if it is known already; see `SipEndpoint.call`.
            identity: As whom.
            timeout_s: How long it may ring.
            trace: Its record, if that was begun already.

        Raises:
            EngineError: If no row is free.
            NegotiationError: If the other side declines, or answers with what we cannot carry.
            SetupError: If nobody answers.
        """
        if trace is None:
            trace = self.ledger.begin("outbound", to=uri, caller=identity.user, give_up=_cancels_this())
        reason = "given up"
        try:
            await self._dial_on(
                trace,
                endpoint,
                uri,
                route,
                destination=destination,
                identity=identity,
                timeout_s=timeout_s,
            )
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
        self,
        trace: CallTrace,
        endpoint: SipEndpoint,
        uri: str,
        route: Route,
        *,
        destination: tuple[str, int] | None,
        identity: Identity,
        timeout_s: float,
    ) -> None:
        leg = self._media.reserve()
        try:
            local_ip = endpoint.local_ip(uri if destination is None else destination[0])
            line = self._line(leg, local_ip, latch_ip=None)
            sip = await endpoint.call(
                uri,
                sdp=line.negotiator.offer(),
                destination=destination,
                from_user=identity.user,
                from_domain=identity.domain,
                credentials=identity.credentials,
                headers=identity.headers,
                timeout_s=timeout_s,
                on_progress=partial(self.ledger.progressed, trace),
            )
            async with _ending(sip):
                line.negotiator.accept(sip.remote_sdp)
                self._media.refit(leg, line.agreed.rate_hz)
                trace.sip_call_id = sip.call_id
                session = self._session(trace, line, route, to_user=uri, remote_uri=uri)
                self._open(line, session)
                await self._serve(session, sip, line)
        finally:
            leg.close()

    async def _answer_on(
        self, incoming: Caller, route: Route, leg: MediaLeg, *, latch_ip: str | None
    ) -> None:
        if not incoming.sdp:
            await self._answer_late(incoming, route, self._line(leg, incoming.local_ip, latch_ip=latch_ip))
            return
        line, sdp = self._agree(incoming, leg, latch_ip=latch_ip)
        session = self._answering(incoming, route, line)
        try:
            self._open(line, session)
            # The voice gets ready while it rings: the first word costs no handshake.
            session.speaker.bind()
            incoming.ring()
            self.bus.tell(session.trace.id, "call.ringing", {"status": 180})
            sip = await incoming.answer(sdp)
            async with _ending(sip):
                await self._serve(session, sip, line)
        finally:
            self.ledger.forsake(session.trace, "caller gave up")
            await session.speaker.close()

    async def _answer_late(self, incoming: Caller, route: Route, line: _Line) -> None:
        """Serve a caller who leaves the offer to us: what is spoken is known with the ACK."""
        incoming.ring()
        sip = await incoming.answer(line.negotiator.offer())
        async with _ending(sip):
            line.negotiator.accept(await sip.answered_sdp())
            self._media.refit(line.leg, line.agreed.rate_hz)
            session = self._answering(incoming, route, line)
            try:
                self._open(line, session)
                await self._serve(session, sip, line)
            finally:
                self.ledger.forsake(session.trace, "failed")

    def _agree(self, incoming: Caller, leg: MediaLeg, *, latch_ip: str | None) -> tuple[_Line, bytes]:
        """Answer the caller's offer, with a narrow codec where no row is free for a wide one."""
        line = self._line(leg, incoming.local_ip, latch_ip=latch_ip)
        sdp = line.negotiator.answer(incoming.sdp)
        try:
            self._media.refit(leg, line.agreed.rate_hz)
        except EngineError as error:
            _log.warning("a call goes on with a narrow codec, if it can: %s", error)
            narrow = [name for name in self._settings.codecs if CODECS[name].rate_hz == leg.rate_hz]
            line = self._line(leg, incoming.local_ip, latch_ip=latch_ip, codecs=narrow)
            try:
                sdp = line.negotiator.answer(incoming.sdp)
            except NegotiationError:
                raise error from None
        return line, sdp

    def _answering(self, incoming: Caller, route: Route, line: _Line) -> Session:
        trace = self.ledger.begin(
            "inbound",
            to=incoming.to_user,
            caller=incoming.from_uri,
            sip_call_id=incoming.call_id,
            give_up=lambda: incoming.reject(603),
        )
        return self._session(trace, line, route, to_user=incoming.to_user, remote_uri=incoming.from_uri)

    def _line(
        self, leg: MediaLeg, local_ip: str, *, latch_ip: str | None, codecs: Sequence[str] | None = None
    ) -> _Line:
        ip = self._settings.advertised_ip or local_ip
        negotiator = Negotiator(
            ip=ip,
            port=leg.local_port,
            session_id=self._dice.number(62),
            codecs=self._settings.codecs if codecs is None else codecs,
            crypto=MediaCrypto(self._settings.srtp, self._dice),
            comfort_noise=self._settings.comfort_noise,
        )
        return _Line(leg, negotiator, latch_ip)

    def _session(
        self, trace: CallTrace, line: _Line, route: Route, *, to_user: str, remote_uri: str
    ) -> Session:
        trace.codec, trace.rate_hz = NAMES[line.agreed.codec], line.leg.rate_hz
        return Session(
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

    def _open(self, line: _Line, session: Session) -> None:
        line.leg.open(deliver=session.deliver, **line.terms(session))

    async def _serve(self, session: Session, sip: Dialogue, line: _Line) -> None:
        def renegotiate(offer: bytes) -> bytes:
            if not offer:
                return line.negotiator.offer()
            sdp = line.negotiator.answer(offer)
            line.leg.update(**line.terms(session))
            return sdp

        def answered(sdp: bytes) -> None:
            line.negotiator.accept(sdp)
            line.leg.update(**line.terms(session))

        sip.on_reinvite, sip.on_answer, sip.on_key = renegotiate, answered, session.key
        self.ledger.stands(session)
        try:
            await session.serve(sip)
        finally:
            self.ledger.over(session)


def _cancels_this() -> Callable[[], object]:
    """What gives up a call that the present task is placing."""
    task = asyncio.current_task()
    return task.cancel if task is not None else lambda: None


def _is_behind_nat(incoming: Caller) -> bool:
    return incoming.nat or is_behind_nat(incoming.sdp, source_ip=incoming.source[0])
