"""The SIP endpoint as one machine: datagrams and commands in, datagrams and events out (RFC 3261 §8)."""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeGuard

from bridge.errors import RemoteProtocolError
from bridge.hosts import same_host
from bridge.ports import IdSource
from bridge.sip import events, wire
from bridge.sip.callee import CalleeSession
from bridge.sip.caller import CallerSession, UnwantedAnswers
from bridge.sip.challenger import DEFAULT_ALGORITHMS, Challenger, Verdict
from bridge.sip.dialog import LocalPlace
from bridge.sip.digest import Algorithm, Credentials, DigestClient
from bridge.sip.events import Arrived, Command, Datagram, Output, Replied
from bridge.sip.failover import FAILOVER_NS
from bridge.sip.flow import port_of, transport_of
from bridge.sip.glance import is_behind_nat
from bridge.sip.grammar import Uri
from bridge.sip.guard import Guard
from bridge.sip.identity import cause_of, presented
from bridge.sip.layer import Outcome, Send, TransactionLayer
from bridge.sip.message import Request, Response, respond
from bridge.sip.methods import (
    ALLOW,
    SDP_TYPE,
    WITHIN_CALLS,
    Refusal,
    refusal_of_new,
    refusal_of_outsider,
)
from bridge.sip.refer_events import ReferralCommand
from bridge.sip.reliable import must_be_reliable
from bridge.sip.roster import Roster
from bridge.sip.session import Session
from bridge.sip.session_timer import DEFAULT_SESSION_TIMER, SessionTimer, SessionTimerSettings
from bridge.sip.surroundings import Surroundings
from bridge.sip.texting import refusal_of_text
from bridge.sip.timers import DEFAULT_TIMERS, Timers

__all__ = ["Agent", "AgentSettings"]


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """What the agent allows."""

    port: int = 5060
    """Where we listen; named in Contact and Via."""
    ports: Mapping[str, int] = field(default_factory=dict)
    """The same by transport, for `bridge.sip.flow.port_of`; what is not there takes `port`."""
    allow: tuple[str, ...] = ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
    """Networks whose requests are served; others are dropped and counted."""
    user_agent: str = "cosybridge"
    max_requests_per_s: int = 200
    """Datagrams of one source, answers and ACKs included; more are dropped and counted."""
    max_calls_per_source: int = 256
    max_calls: int = 1024
    """More are answered 503."""
    spare_transactions: int = 4096
    """With more than these, beside four for each call, requests outside calls are answered without state:
    forged sources are as many as their sender likes, and each transaction is kept for 32 s."""
    realm: str = "cosybridge"
    """What our challenges name."""
    accounts: tuple[Credentials, ...] = ()
    """Who may call from anywhere, with a digest; without any, nobody outside `allow` is asked."""
    algorithms: tuple[Algorithm, ...] = DEFAULT_ALGORITHMS
    """What they may answer with, best first."""
    timer: SessionTimerSettings = DEFAULT_SESSION_TIMER
    """How often calls are refreshed."""
    failover_ns: int = FAILOVER_NS
    """How long a server may say nothing to an INVITE of ours while there is another one."""
    max_udp_bytes: int | None = None
    """Longest request of ours that goes over UDP, if there is TCP as well; None sets no bound."""


class Agent:
    """User agent server and client over one UDP socket.

    Args:
        settings: What it allows.
        ids: For tags, branches and call ids.
        timers: The base values, for tests that shorten them.
    """

    def __init__(self, settings: AgentSettings, *, ids: IdSource, timers: Timers = DEFAULT_TIMERS) -> None:
        self.is_draining: bool = False
        self.counters: Counter[str] = Counter()
        """Everything dropped or refused, by cause, and what went through."""
        self._settings = settings
        self._ids = ids
        self._guard = Guard(settings.allow, max_requests_per_s=settings.max_requests_per_s)
        self._layer = TransactionLayer(timers=timers, max_udp_bytes=settings.max_udp_bytes)
        self._roster = Roster()
        self._unwanted = UnwantedAnswers(self._layer, ids)
        self._secret = ids.token(16).encode()
        self._challenger: Challenger | None = None
        if settings.accounts:
            self._challenger = Challenger(
                realm=settings.realm,
                accounts=settings.accounts,
                secret=self._secret,
                algorithms=settings.algorithms,
            )
        self._trusted: dict[str, events.Trust] = {}
        self._asking: set[str] = set()
        self._outputs: list[Output] = []

    @property
    def state(self) -> str:
        return "draining" if self.is_draining else "serving"

    @property
    def calls(self) -> int:
        """Calls of which anything is left."""
        return len(self._roster)

    @property
    def transactions(self) -> int:
        """Requests, theirs and ours, of which anything is left."""
        return len(self._layer)

    @property
    def deadline_ns(self) -> int | None:
        """When to call `handle_timeout`; None while nothing is pending."""
        due = (self._roster.deadline_ns, self._layer.deadline_ns)
        return min((ns for ns in due if ns is not None), default=None)

    def receive(self, item: Datagram | Command, *, now_ns: int) -> None:
        """Advance on one datagram, which never raises, or on one command.

        A command to a call that has ended meanwhile is counted and ignored.

        Raises:
            LocalProtocolError: If a command is illegal in the state of its call.
        """
        if isinstance(item, Datagram):
            self._arrived(item, now_ns=now_ns)
        else:
            self._command(item, now_ns=now_ns)
        self._settle(now_ns=now_ns)

    def handle_timeout(self, *, now_ns: int) -> None:
        """Do what is due; harmless when early."""
        self._layer.handle_timeout(now_ns=now_ns)
        self._outputs += self._roster.handle_timeout(now_ns=now_ns)
        self._settle(now_ns=now_ns)

    def drain(self) -> list[Output]:
        """Outputs since the last call, in order."""
        outputs, self._outputs = self._outputs, []
        return outputs

    def _command(self, item: Command, *, now_ns: int) -> None:
        if isinstance(item, events.EndpointCommand):
            self._instructed(item, now_ns=now_ns)
            return
        if isinstance(item, events.Place):
            # Who is called by sips is told a sips Contact (§8.1.1.8), so that all that follows is TLS.
            scheme = "sips" if item.uri.lower().startswith("sips:") else "sip"
            around = self._around(item.local_ip, item.destination, scheme=scheme)
            others = [
                (each.destination, self._around(each.local_ip, each.destination, scheme=scheme).place)
                for each in item.others
            ]
            placed = CallerSession(item, around, others=others, now_ns=now_ns)
            self._roster.enter(placed, peer_ip=item.destination[0])
            self.counters["calls_placed"] += 1
        if isinstance(item, ReferralCommand):
            self._outputs += self._roster.refer(item, now_ns=now_ns)
            return
        session = self._roster.find(item.call)
        match item, session:
            case _, None:
                self.counters["late_commands"] += 1
            case events.Ring() | events.Progress(), CalleeSession():
                session.progress(item.sdp if isinstance(item, events.Progress) else b"", now_ns=now_ns)
            case events.Reoffer() | events.Offer(), Session():
                change = session.reoffer if isinstance(item, events.Reoffer) else session.offer
                change(item.ticket, item.sdp, now_ns=now_ns)
            case events.Answer(sdp=sdp, headers=headers), CalleeSession():
                session.answer(sdp, headers=headers, now_ns=now_ns)
            case events.Reject(status=status, reason=reason, headers=headers), CalleeSession():
                session.reject(status, reason=reason, headers=headers, now_ns=now_ns)
            case events.Hangup(reason=reason), Session():
                session.hang_up(reason, now_ns=now_ns)
            case events.AcceptOffer(ticket=ticket, sdp=sdp), Session():
                session.accept_offer(ticket, sdp, now_ns=now_ns)
            case events.RefuseOffer(ticket=ticket, status=status), Session():
                session.refuse_offer(ticket, status, now_ns=now_ns)
        self._outputs += self._roster.collect(item.call)

    def _instructed(self, item: events.EndpointCommand, *, now_ns: int) -> None:
        """Carry out a command that is about no call."""
        match item:
            case events.Drain():
                self.is_draining = True
            case events.Unsent(key=key, why=why):
                self._layer.unsent(key, why=why, now_ns=now_ns)
            case events.Cut(peer=peer):
                self._layer.cut(peer, now_ns=now_ns)
            case events.Ask(owner=owner, request=request, destination=destination):
                self._asking.add(owner)
                self._layer.request(request, destination=destination, owner=owner, now_ns=now_ns)
            case _:
                self._guard.trust(item.name, item.ips)
                self._trusted[item.name] = item

    def _arrived(self, item: Datagram, *, now_ns: int) -> None:
        ip = item.source[0]
        is_allowed = self._guard.allows(ip)
        # Whom we call may answer, and hang up, from wherever it is.
        has_call = self._roster.calls_with(ip) > 0
        if not is_allowed and not has_call and self._challenger is None:
            self.counters["strangers"] += 1
            return
        if not self._guard.admits(ip, has_call=has_call, now_ns=now_ns):
            self.counters["throttled"] += 1
            return
        try:
            message = wire.parse(item.data)
        except wire.BadRequestError as error:
            self.counters["malformed"] += 1
            if is_allowed:
                answer = error.answer(source=item.source, to_tag=self._tag_for(item.data))
                self._outputs.append(Send(answer, error.reply_address(item.source)))
            return
        except RemoteProtocolError:
            self.counters["malformed"] += 1
            return
        if message is None:
            self.counters["keepalives"] += 1
        elif self._layer.absorb(message, source=item.source, now_ns=now_ns):
            self.counters["absorbed"] += 1
        elif isinstance(message, Response) or not (is_allowed or self._concerns_us(message)):
            self.counters["strays"] += 1
        elif is_allowed or message.to.tag or self._proves_itself(message, item, now_ns=now_ns):
            self._requested(message, item, now_ns=now_ns)

    def _concerns_us(self, request: Request) -> bool:
        """Whether a request from outside the allowed networks is about a call, or may begin one."""
        if request.to.tag:
            return self._roster.find(request.to.tag) is not None
        if request.method == "CANCEL":
            return self._layer.cancelled(request) is not None
        return request.method == "INVITE" and self._challenger is not None

    def _proves_itself(self, request: Request, item: Datagram, *, now_ns: int) -> bool:
        """Whether a stranger's request shows that it may be served; if not, it is asked to (§22.1).

        The question leaves no state behind: sources are as many as their sender likes.
        """
        if self._challenger is None or request.method != "INVITE":
            return True
        ip = item.source[0]
        verdict, _ = self._challenger.judge(request, ip, now_ns=now_ns)
        self.counters[f"digest_{verdict.name.lower()}"] += 1
        if verdict in (Verdict.ADMITTED, Verdict.IGNORED):
            return verdict is Verdict.ADMITTED
        fields = self._challenger.challenge(ip, is_stale=verdict is Verdict.STALE, now_ns=now_ns)
        response = respond(request, 401, source=item.source, to_tag=self._tag_for(item.data), extra=fields)
        self._outputs.append(Send(bytes(response), request.via.reply_address(item.source)))
        return False

    def _requested(self, request: Request, item: Datagram, *, now_ns: int) -> None:
        """Serve a request that no transaction knows."""
        session = self._roster.find(request.to.tag)
        if request.method == "ACK":
            if session is None:
                self.counters["strays"] += 1
            else:
                session.receive(request, "", source=item.source, now_ns=now_ns)
                self._outputs += self._roster.collect(session.call)
            return
        if request.method == "CANCEL":
            # Never part of the dialog, though that of a re-INVITE names both tags (§9.1).
            self._cancelled(request, item, now_ns=now_ns)
        elif request.to.tag and session is not None:
            key = self._layer.open(request, source=item.source, owner=session.call, now_ns=now_ns)
            session.receive(request, key, source=item.source, now_ns=now_ns)
            self._outputs += self._roster.collect(session.call)
        elif (refusal := self._refusal(request, item)) is not None:
            self._answer(request, refusal, item, now_ns=now_ns)
        elif request.method == "INVITE":
            self._invited(request, item, now_ns=now_ns)
        elif request.method == "MESSAGE":
            self.counters["texts"] += 1
            self._answer(request, refusal_of_text(request) or (200, []), item, now_ns=now_ns)
        else:
            self._answer(request, (200, [("Allow", ALLOW), ("Accept", SDP_TYPE)]), item, now_ns=now_ns)

    def _refusal(self, request: Request, item: Datagram) -> Refusal | None:
        """Why a request outside any dialog is not served (§8.2, §12.2.2)."""
        if request.to.tag or request.method in WITHIN_CALLS:
            return 481, []
        if self._layer.is_merged(request):
            return 482, []
        refusal = refusal_of_new(request) or refusal_of_outsider(request)
        if refusal is None and request.method == "INVITE":
            refusal = SessionTimer(self._settings.timer).refusal(request)
        if refusal is not None:
            return refusal
        is_full = request.method == "INVITE" and (
            self._is_crowded
            or len(self._roster) >= self._settings.max_calls
            or self._roster.calls_of(item.source[0]) >= self._settings.max_calls_per_source
        )
        if is_full:
            self.counters["calls_over_limit"] += 1
        # 503 with a time makes a dispatcher look elsewhere meanwhile (§21.5.4).
        return (503, [("Retry-After", "10")]) if is_full or self.is_draining else None

    def _invited(self, request: Request, item: Datagram, *, now_ns: int) -> None:
        replaced, status = self._roster.replaced(request)
        if status:
            self._answer(request, (status, []), item, now_ns=now_ns)
            return
        call = self._ids.token(8)
        key = self._layer.open(request, source=item.source, owner=call, now_ns=now_ns)
        try:
            session = CalleeSession(
                call,
                request,
                key,
                self._around(item.local_ip, item.source),
                source=item.source,
                now_ns=now_ns,
            )
        except RemoteProtocolError:
            self.counters["malformed"] += 1
            refused = respond(request, 400, source=item.source, to_tag=call)
            self._layer.respond(key, refused, now_ns=now_ns)
            return
        self._roster.enter(session, peer_ip=item.source[0])
        session.digest = self._digest_for(item.source[0])
        self.counters["calls_received"] += 1
        uri = Uri.parse(request.uri)
        arrived = Arrived(
            call=call,
            call_id=request.call_id,
            from_uri=request.from_.uri.text,
            to_uri=request.uri,
            to_user=uri.user or request.to.uri.user,
            source=item.source,
            local_ip=item.local_ip,
            sdp=request.body,
            is_behind_nat=not same_host(request.via.host, item.source[0])
            or is_behind_nat(request.body, source_ip=item.source[0]),
            wants_early_offer=not request.body and must_be_reliable(request.headers),
            # Whoever proved an account may call; it may not speak for others.
            presented=presented(request, is_trusted=self._guard.allows(item.source[0])),
            replaces=replaced,
        )
        self._outputs.append(arrived)

    def _digest_for(self, ip: str) -> DigestClient | None:
        """What answers the challenges of the peer at this address, if it is one of ours."""
        known = (trust.credentials for trust in self._trusted.values() if ip in trust.ips)
        credentials = next((each for each in known if each is not None), None)
        return None if credentials is None else DigestClient(credentials, ids=self._ids)

    def _cancelled(self, cancel: Request, item: Datagram, *, now_ns: int) -> None:
        invite_key = self._layer.cancelled(cancel)
        if invite_key is None:
            self._answer(cancel, (481, []), item, now_ns=now_ns)
            return
        call = self._layer.owner_of(invite_key)
        self._answer(cancel, (200, []), item, to_tag=call, now_ns=now_ns)
        session = self._roster.find(call)
        if session is not None:
            session.refuse_offer(invite_key, 487, now_ns=now_ns)
            if isinstance(session, CalleeSession):
                session.cancel(cause=cause_of(cancel.headers), now_ns=now_ns)
            self._outputs += self._roster.collect(call)

    def _answer(
        self, request: Request, refusal: Refusal, item: Datagram, *, to_tag: str = "", now_ns: int
    ) -> None:
        """Answer a request that no session is to see."""
        status, extra = refusal
        if status >= 300:
            self.counters[f"refused_{status}"] += 1
        tag = to_tag or self._tag_for(item.data)
        response = respond(request, status, source=item.source, to_tag=tag, extra=extra)
        if self._is_crowded:
            self.counters["stateless"] += 1
            self._outputs.append(Send(bytes(response), request.via.reply_address(item.source)))
            return
        key = self._layer.open(request, source=item.source, now_ns=now_ns)
        self._layer.respond(key, response, now_ns=now_ns)

    @property
    def _is_crowded(self) -> bool:
        return len(self._layer) >= 4 * self._settings.max_calls + self._settings.spare_transactions

    def _tag_for(self, data: bytes) -> str:
        """Our tag in an answer without state: a repeated request gets the same one (§8.2.7)."""
        return hashlib.blake2s(data, key=self._secret, digest_size=8).hexdigest()

    def _around(self, local_ip: str, peer: tuple[str, int], *, scheme: str = "sip") -> Surroundings:
        transport = transport_of(peer)
        port = port_of(self._settings.ports, transport, local_ip, otherwise=self._settings.port)
        place = LocalPlace(local_ip, port, self._settings.user_agent, transport, scheme)
        return Surroundings(self._layer, self._ids, place, self._settings.timer, self._settings.failover_ns)

    def _settle(self, *, now_ns: int) -> None:
        """Carry what transactions say to the sessions, until nothing is left to say."""
        while outputs := self._layer.drain():
            for output in outputs:
                if isinstance(output, Send):
                    self._outputs.append(output)
                else:
                    self._conclude(output, now_ns=now_ns)

    def _conclude(self, outcome: Outcome, *, now_ns: int) -> None:
        session = self._roster.find(outcome.owner)
        message = outcome.message
        if outcome.owner in self._asking:
            response = message if isinstance(message, Response) else None
            self._outputs.append(Replied(outcome.owner, outcome.request, response, outcome.why))
            return
        dialog = None if session is None else session.dialog
        if _is_call_answered(message) and (
            session is None
            or session.has_left(outcome.key)
            or (dialog and dialog.remote_tag != message.to.tag)
        ):
            self._outputs += self._unwanted.decline(outcome, message, now_ns=now_ns)
        elif isinstance(message, Request) and session is not None:
            # Some phones send the ACK of a 2xx with the branch of the INVITE, as RFC 2543 had it.
            session.receive(message, "", source=("", 0), now_ns=now_ns)
        elif session is not None:
            session.conclude(outcome, now_ns=now_ns)
        self._outputs += self._roster.collect(outcome.owner)


def _is_call_answered(message: Request | Response | None) -> TypeGuard[Response]:
    return isinstance(message, Response) and message.cseq.method == "INVITE" and message.status // 100 == 2
