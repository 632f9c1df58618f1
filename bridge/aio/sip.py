"""SIP on an event loop: carries messages to the agent, and calls to whoever serves them."""

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bridge.aio.names import FAILED_S, Found, Names
from bridge.aio.pump import Pump
from bridge.aio.sip_call import CallRefused, IncomingCall, SipCall
from bridge.aio.sip_lines import LineLimits
from bridge.aio.sip_route import NOWHERE, Families, family_of
from bridge.aio.sip_wires import SipWires, WireSettings
from bridge.aio.tasks import Tasks
from bridge.errors import CallEnded, RemoteProtocolError, SetupError
from bridge.hosts import address_of
from bridge.ports import Clock, IdSource
from bridge.sip.agent import Agent, AgentSettings
from bridge.sip.congestion import MAX_UDP_BYTES
from bridge.sip.dialog import LocalPlace
from bridge.sip.digest import Algorithm, Credentials
from bridge.sip.events import (
    Arrived,
    Ask,
    Command,
    Cut,
    Datagram,
    Drain,
    Gone,
    Output,
    Place,
    Replied,
    Target,
    Trust,
    Unsent,
    Unserved,
)
from bridge.sip.flow import Address, port_of
from bridge.sip.grammar import Uri
from bridge.sip.layer import Send
from bridge.sip.locating import MOST_TARGETS, Wanted
from bridge.sip.session_timer import DEFAULT_SESSION_TIMER, SessionTimerSettings
from bridge.sip.timers import DEFAULT_TIMERS, Timers

__all__ = ["ANONYMOUS", "CallRefused", "Identity", "IncomingCall", "SipCall", "SipEndpoint", "SipSettings"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Identity:
    """As whom we call, and how we prove it."""

    user: str = "cosybridge"
    """User part of our From."""
    domain: str = ""
    """Its host part; empty is our address."""
    credentials: Credentials | None = None
    """What answers a 401 or 407."""
    headers: tuple[tuple[str, str], ...] = ()
    """Further header fields of the INVITE."""


ANONYMOUS = Identity()
"""Nobody in particular, who proves nothing."""


@dataclass(frozen=True, slots=True)
class SipSettings:
    """Where to listen, whom to serve, and how much."""

    listen: tuple[str, int] = ("0.0.0.0", 5060)
    """Address and port of UDP and, with `tcp`, of TCP; port 0 takes a free one."""
    listen_also: tuple[str, int] | None = None
    """The same of the other family of addresses, for IPv4 and IPv6 side by side."""
    tcp: bool = True
    tls_listen: tuple[tuple[str, int], ...] = ()
    """Where TLS is spoken, at most one of each family; needs `tls`."""
    tls: ssl.SSLContext | None = None
    """Our certificate and key."""
    tls_client: ssl.SSLContext | None = None
    """What the certificates of peers that we call are checked with; None trusts the system's authorities.

    Its own check of names is switched off: ours knows those of SIP (RFC 5922 §7).
    """
    ws_listen: tuple[tuple[str, int], ...] = ()
    """Where WebSockets are taken (RFC 7118), secured if `tls` is there."""
    ws_origins: tuple[str, ...] = ()
    """Origins whose pages may open one."""
    lines: LineLimits = field(default_factory=LineLimits)
    """How many connections there may be, and how idle."""
    dns_servers: tuple[tuple[str, int], ...] = ()
    """Whom to ask where names lead; empty asks as the system does."""
    failover_after_ms: int = 4000
    """How long a server may say nothing to a call of ours while there is another one."""
    max_udp_bytes: int = MAX_UDP_BYTES
    """Longest request of ours over UDP, if there is TCP; longer ones go over that (RFC 3261 §18.1.1)."""
    allow: tuple[str, ...] = ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
    """Networks whose requests are served; others are dropped and counted."""
    advertised_ip: str | None = None
    """IPv4 address in Via and Contact; None takes that of the route to each peer."""
    advertised_ip6: str | None = None
    """The same for IPv6."""
    answer_after_ms: int = 0
    """How long `IncomingCall.answer` lets it ring first."""
    user_agent: str = "cosybridge"
    max_requests_per_s: int = 200
    """Datagrams of one source, answers and ACKs included; more are dropped and counted.

    A call is three to five of them, without losses: 200 let a gateway begin some 40 calls a second.
    """
    max_calls_per_source: int = 256
    max_calls: int = 1024
    close_within_s: float = 1.0
    """How long `SipEndpoint.close` waits for peers to answer our BYEs."""
    realm: str = "cosybridge"
    """What our digest challenges name."""
    accounts: tuple[Credentials, ...] = ()
    """Who may call from outside `allow`, with a digest."""
    digests: tuple[str, ...] = ("SHA-256", "MD5")
    """Hashes that they may answer with, best first."""
    timers: Timers = DEFAULT_TIMERS
    session_timer: SessionTimerSettings = DEFAULT_SESSION_TIMER
    """How often calls are refreshed (RFC 4028)."""


class SipEndpoint:
    """Sockets that answer and place calls; made by `start`."""

    def __init__(
        self,
        settings: SipSettings,
        *,
        dice: IdSource,
        on_call: Callable[[IncomingCall], Awaitable[None]],
    ) -> None:
        self._settings = settings
        self._dice = dice
        self._on_call = on_call
        self._tasks = Tasks("sip")
        self._calls: dict[str, IncomingCall | SipCall] = {}
        self._askers: dict[str, Callable[[Replied], None]] = {}
        self._all_gone = asyncio.Event()
        self._failovers = 0
        self._names: Names
        self._wire: SipWires
        self._agent: Agent
        self._pump: Pump[Datagram | Command, Output]

    @classmethod
    async def start(
        cls,
        settings: SipSettings,
        *,
        clock: Clock,
        dice: IdSource,
        on_call: Callable[[IncomingCall], Awaitable[None]],
    ) -> "SipEndpoint":
        """Bind the sockets and begin to serve.

        Args:
            settings: Where and whom.
            clock: For timers.
            dice: For tags and branches.
            on_call: Runs as a task for each incoming call. If it returns without an answer
                the caller gets 480; if it fails, 500 or BYE.

        Raises:
            SetupError: If the port cannot be bound.
            ConfigError: If `allow` holds something that is no network.
        """
        endpoint = cls(settings, dice=dice, on_call=on_call)
        endpoint._names = Names(clock=clock, dice=dice, servers=settings.dns_servers)
        wire = await SipWires.bind(
            WireSettings(
                listen=settings.listen,
                listen_also=settings.listen_also,
                advertised_ip=settings.advertised_ip,
                advertised_ip6=settings.advertised_ip6,
                tcp=settings.tcp,
                tls_listen=settings.tls_listen,
                tls=settings.tls,
                tls_client=settings.tls_client,
                ws_listen=settings.ws_listen,
                ws_origins=settings.ws_origins,
                limits=settings.lines,
            ),
            endpoint._received,
            names=endpoint._names,
            clock=clock,
            on_unsent=lambda key, why: endpoint._feed(Unsent(key, why)),
            on_cut=lambda peer: endpoint._feed(Cut(peer)),
        )
        try:
            agent = Agent(_agent_settings(settings, wire.ports), ids=dice, timers=settings.timers)
        except BaseException:
            await wire.close()
            raise
        endpoint._wire = wire
        endpoint._agent = agent
        endpoint._pump = Pump(agent, clock=clock, deliver=endpoint._deliver)
        return endpoint

    @property
    def listen(self) -> tuple[str, int]:
        """Address the first socket is bound to."""
        return self._wire.listen

    @property
    def families(self) -> Families:
        """Families of addresses that peers can have."""
        return self._wire.families

    @property
    def counters(self) -> dict[str, int]:
        """Everything received, dropped and refused so far, by cause."""
        return {**self._agent.counters, **self._wire.counters, "failovers": self._failovers}

    @property
    def ports(self) -> dict[str, int]:
        """Where we listen, by transport."""
        return dict(self._wire.ports)

    @property
    def calls(self) -> int:
        """Calls of which anything is left, BYEs on their way included."""
        return self._agent.calls

    def local_ip(self, peer: str) -> str:
        """Our address as a peer sees it.

        Args:
            peer: An address, or a SIP URI whose host is one; a name counts as far away.
        """
        address = address_of(peer)
        if address is None and ":" in peer:
            address = address_of(Uri.parse(peer).host)
        return self._wire.local_ip(address or NOWHERE[family_of(self.listen[0])])

    async def locate(self, wanted: Wanted) -> Found:
        """Find where we can send to, in the order to try it in.

        Raises:
            SetupError: If that is nowhere.
        """
        return await self._names.locate(wanted, families=self.families)

    async def find(self, uri: str) -> tuple[Address, ...]:
        """Find where a SIP URI leads, in the order to try it in.

        Raises:
            SetupError: If that is nowhere, or `uri` is none.
        """
        return (await self.locate(Wanted.of(_parsed(uri)))).targets

    async def call(
        self,
        uri: str,
        *,
        sdp: bytes,
        from_user: str = "cosybridge",
        from_domain: str = "",
        credentials: Credentials | None = None,
        headers: tuple[tuple[str, str], ...] = (),
        timeout_s: float = 32.0,
        targets: Sequence[tuple[str, int]] = (),
        on_progress: Callable[[int], None] | None = None,
        on_early: Callable[[SipCall, str, bytes], None] | None = None,
    ) -> SipCall:
        """Call somebody; returns when 200 has come and ACK is sent. Cancelling it cancels the call.

        Args:
            uri: ``sip:user@host:port``; ``;transport=tcp`` or ``tls`` says by what, else UDP.
            sdp: Our offer.
            from_user: User part of our From.
            from_domain: Its host part; empty is our address.
            credentials: What answers a 401 or 407.
            headers: Further header fields of the INVITE.
            timeout_s: How long it may ring, at each server that is tried.
            targets: Addresses to send to, the next one if one does not serve us (RFC 3263 §4.3); of those
                that see us at another address than the first one none is tried, for `sdp` names that.
                None of them looks up the host of `uri`. Addresses that were checked belong here: a
                second look-up could be answered differently.
            on_progress: See `SipCall.on_progress`.
            on_early: See `SipCall.on_early`.

        Raises:
            CallRefused: If the callee or a proxy declines; a NegotiationError with the status.
            SetupError: If nobody answers, or `uri` leads nowhere.
        """
        first, *others = await self._targets(uri, targets)
        name, call_id = self._dice.token(8), self._dice.token(12)
        call = SipCall(name, self._feed, call_id=call_id, remote_uri=uri, remote_sdp=b"")
        call.on_progress, call.on_early = on_progress, on_early
        place = Place(
            name,
            call_id,
            uri,
            first.destination,
            first.local_ip,
            sdp,
            from_user,
            headers,
            from_domain,
            credentials,
            tuple(others),
        )
        self._calls[name] = call
        try:
            self._feed(place)
        except BaseException:
            del self._calls[name]
            raise
        await _answered(call, uri, timeout_s=timeout_s)
        return call

    async def _targets(self, uri: str, targets: Sequence[tuple[str, int]]) -> list[Target]:
        """Where a call goes, and where next."""
        wanted = _parsed(uri)
        reachable = [
            each if isinstance(each, Address) else Address(*each, wanted.transport, name=wanted.host)
            for each in targets or await self.find(uri)
            if family_of(each[0]) in self.families
        ]
        if not reachable:
            raise SetupError(f"{uri} is at {targets[0][0]}: sip.listen has no address of that family")
        is_private = all(each.transport in ("TLS", "WSS") for each in reachable)
        if uri.lower().startswith("sips:") and not is_private:
            # Never downgraded, whoever chose the way (RFC 3261 §26.4.4).
            raise SetupError(f"{uri} may go by TLS only")
        found = [Target(each, self._wire.local_ip(each[0])) for each in reachable[:MOST_TARGETS]]
        return [each for each in found if each.local_ip == found[0].local_ip]

    def place(self, peer_ip: str, transport: str = "UDP") -> LocalPlace:
        """Where this peer reaches us."""
        local_ip = self._wire.local_ip(peer_ip)
        port = port_of(self._wire.ports, transport, local_ip, otherwise=self.listen[1])
        return LocalPlace(local_ip, port, self._settings.user_agent, transport)

    def trust(self, name: str, ips: Iterable[str], credentials: Credentials | None = None) -> None:
        """Serve requests from these addresses as well; see `bridge.sip.events.Trust`."""
        self._feed(Trust(name, tuple(dict.fromkeys(ips)), credentials))

    def unserved(self, unserved: Unserved) -> None:
        """Try a place last for a while that has not served a request."""
        destination = unserved.destination
        target = destination if isinstance(destination, Address) else Address(*destination)
        self._names.failed(target, for_s=unserved.wait_s or FAILED_S)

    def ask(self, ask: Ask, answer: Callable[[Replied], None]) -> None:
        """Send a request that belongs to no call.

        Args:
            ask: What, where, and for whom.
            answer: Called on the loop with every response, or with None after 32 s without any.
        """
        self._askers[ask.owner] = answer
        self._feed(ask)

    def drain(self) -> None:
        """Take no new calls; running ones go on. OPTIONS is answered 503, so that proxies look elsewhere."""
        self._feed(Drain())

    async def close(self) -> None:
        """Hang up every call, wait a moment for the answers, free the port; safe twice."""
        if self._wire.is_closed:
            return
        self.drain()
        for call in list(self._calls.values()):
            if isinstance(call, SipCall):
                await call.hangup("shut down")
            else:
                call.reject(503)
        if self._agent.calls:
            self._all_gone.clear()
            try:
                async with asyncio.timeout(self._settings.close_within_s):
                    await self._all_gone.wait()
            except TimeoutError:
                _log.info("closed before every BYE was answered")
        await self._tasks.close()
        self._pump.close()
        await self._wire.close()

    def _received(self, data: bytes, source: tuple[str, int]) -> None:
        self._feed(Datagram(data, source, self._wire.local_ip(source[0])))

    def _feed(self, item: Datagram | Command) -> None:
        self._pump.feed(item)

    def _deliver(self, output: Output) -> None:
        if isinstance(output, Send):
            self._wire.send(output)
        elif isinstance(output, Arrived):
            incoming = IncomingCall(
                output,
                self._feed,
                adopt=self._calls.__setitem__,
                answer_after_s=self._settings.answer_after_ms / 1000,
            )
            self._calls[output.call] = incoming
            self._tasks.start(self._serve(incoming), name=f"call {output.call_id}")
        elif isinstance(output, Replied):
            self._askers[output.owner](output)
        elif isinstance(output, Unserved):
            self.unserved(output)
            self._failovers += output.following is not None
            if output.following is not None and isinstance(call := self._calls.get(output.owner), SipCall):
                call.on_moved()
        elif isinstance(output, Gone):
            self._calls.pop(output.call, None)
            if not self._agent.calls:
                self._all_gone.set()
        elif (call := self._calls.get(output.call)) is not None:
            call.deliver(output)

    async def _serve(self, incoming: IncomingCall) -> None:
        try:
            await self._on_call(incoming)
        except CallEnded:
            pass  # The caller gave up first: nothing is wrong.
        except BaseException:
            incoming.reject(500)
            if incoming.answered is not None:
                await incoming.answered.hangup("failed")
            raise
        incoming.reject(480)


def _agent_settings(settings: SipSettings, ports: Mapping[str, int]) -> AgentSettings:
    return AgentSettings(
        port=ports["UDP"],
        ports=ports,
        allow=settings.allow,
        user_agent=settings.user_agent,
        max_requests_per_s=settings.max_requests_per_s,
        max_calls_per_source=settings.max_calls_per_source,
        max_calls=settings.max_calls,
        realm=settings.realm,
        failover_ns=settings.failover_after_ms * 1_000_000,
        max_udp_bytes=settings.max_udp_bytes if settings.tcp else None,
        accounts=settings.accounts,
        timer=settings.session_timer,
        algorithms=tuple(Algorithm(name) for name in settings.digests),
    )


def _parsed(uri: str) -> Uri:
    try:
        return Uri.parse(uri)
    except RemoteProtocolError:
        raise SetupError(f"{uri} is not a SIP URI; write it like sip:user@192.0.2.7:5060") from None


async def _answered(call: SipCall, uri: str, *, timeout_s: float) -> None:
    """Wait until a call that we placed stands; `SipEndpoint.call` says what it raises."""
    try:
        async with asyncio.timeout(timeout_s) as limit:
            now_s = asyncio.get_running_loop().time
            call.on_moved = lambda: limit.reschedule(now_s() + timeout_s)
            await call.confirmed()
    except CallEnded as end:
        if call.status in (0, 408):
            raise SetupError(f"{uri} did not answer: {end.reason}") from None
        raise CallRefused(uri, end.reason, status=call.status, contacts=call.contacts) from None
    except TimeoutError:
        await call.hangup("no answer")
        raise SetupError(f"{uri} did not answer within {timeout_s:g} s") from None
    except BaseException:
        # Even if the 200 came in this very turn: nobody will ever hold this call.
        await call.hangup("no answer")
        raise
