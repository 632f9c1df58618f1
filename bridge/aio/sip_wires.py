"""Every transport of a SIP endpoint behind one `send`: UDP, TCP, TLS and WebSocket."""

import asyncio
import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field

from bridge.aio.names import Names
from bridge.aio.sip_lines import LineLimits, Lines, Place, place_of
from bridge.aio.sip_lookups import Lookups
from bridge.aio.sip_route import Families
from bridge.aio.sip_streams import StreamServer, dial_stream
from bridge.aio.sip_websocket import WebSocketServer
from bridge.aio.sip_wire import SipWire
from bridge.aio.tasks import Tasks
from bridge.errors import SetupError
from bridge.hosts import address_of, is_v6, spot
from bridge.ports import Clock
from bridge.sip.flow import Address, connection_of, transport_of
from bridge.sip.layer import Send
from bridge.sip.locating import Wanted

__all__ = ["SipWires", "WireSettings"]

_MOST_DIALS = 32
"""Connections that are being made at a time."""
_MOST_WAITING = 64
"""Messages that wait for one of them."""
_ATTEMPTS = 8
_CONNECT_S = 5.0
_FALLBACK_S = 1.5
"""The same where a call waits for it that can go over UDP: firewalls say nothing. One SYN may be lost."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WireSettings:
    """Where we listen, and by what."""

    listen: tuple[str, int] = ("0.0.0.0", 5060)
    """Address and port, of UDP and, with `tcp`, of TCP; port 0 takes a free one."""
    listen_also: tuple[str, int] | None = None
    """The same of the other family of addresses."""
    advertised_ip: str | None = None
    advertised_ip6: str | None = None
    tcp: bool = True
    tls_listen: tuple[tuple[str, int], ...] = ()
    tls: ssl.SSLContext | None = None
    """Our certificate and key, for `tls_listen` and `wss`; asks for the caller's if it is to."""
    tls_client: ssl.SSLContext | None = None
    """What peers that we call are checked with, and our certificate for them; None is the system's."""
    ws_listen: tuple[tuple[str, int], ...] = ()
    """WebSocket (RFC 7118); secured if `tls` is there."""
    ws_origins: tuple[str, ...] = ()
    """Origins whose pages may open one."""
    limits: LineLimits = field(default_factory=LineLimits)


class SipWires:
    """All sockets of one endpoint; made by `bind`.

    Args:
        settings: What there is.
        receive: Called on the loop with each message and where it came from. Must not block.
        names: Knows where names lead.
        clock: For the age of addresses.
        on_unsent: Told `Send.key` of a request that could not be sent, and why.
        on_cut: Told the other end of a connection that is gone.
    """

    def __init__(
        self,
        settings: WireSettings,
        receive: Callable[[bytes, tuple[str, int]], None],
        *,
        names: Names,
        clock: Clock,
        on_unsent: Callable[[str, str], None],
        on_cut: Callable[[Address], None],
    ) -> None:
        self.ports: dict[str, int] = {}
        """Where we listen, by transport; see `bridge.sip.flow.port_of`."""
        self._settings = settings
        self._receive = receive
        self._on_unsent = on_unsent
        self._lines = Lines(settings.limits, on_cut=on_cut)
        self._dials = Tasks("sip connections")
        self._names = names
        self._tls_client = settings.tls_client
        self._lookups = Lookups(self._located, clock=clock, deliver=self.send, fail=self._fail)
        self._waiting: dict[Place, list[Send]] = {}
        self._unsent = 0
        self._udp = SipWire(receive, clock)
        self._servers: list[StreamServer | WebSocketServer] = []

    @classmethod
    async def bind(
        cls,
        settings: WireSettings,
        receive: Callable[[bytes, tuple[str, int]], None],
        *,
        names: Names,
        clock: Clock,
        on_unsent: Callable[[str, str], None],
        on_cut: Callable[[Address], None],
    ) -> "SipWires":
        """Bind every socket.

        Raises:
            SetupError: If one of the ports cannot be had.
        """
        made = cls(settings, receive, names=names, clock=clock, on_unsent=on_unsent, on_cut=on_cut)
        try:
            await made._bind_both(settings.listen)
            if settings.listen_also is not None:
                await made._bind_both(settings.listen_also)
            await made._bind_others()
        except BaseException:
            await made.close()
            raise
        return made

    async def _bind_both(self, listen: tuple[str, int]) -> None:
        """UDP and TCP have one number; where any will do, one is looked for that is free for both."""
        settings = self._settings
        ours = settings.advertised_ip6 if is_v6(listen[0]) else settings.advertised_ip
        for attempt in range(_ATTEMPTS):
            port = await self._udp.add(listen, advertised_ip=ours)
            try:
                if settings.tcp:
                    await self._serve_stream((listen[0], port))
            except SetupError:
                self._udp.drop(listen[0])
                if listen[1] or attempt == _ATTEMPTS - 1:
                    raise
            else:
                self._note("UDP", (listen[0], port))
                return

    def _note(self, transport: str, listen: tuple[str, int]) -> None:
        self.ports.setdefault(transport, listen[1])
        if is_v6(listen[0]):
            self.ports[f"{transport}6"] = listen[1]

    async def _bind_others(self) -> None:
        settings = self._settings
        if settings.tls is not None:
            for listen in settings.tls_listen:
                await self._serve_stream(listen, tls=settings.tls)
        for listen in settings.ws_listen:
            server = await WebSocketServer.start(
                listen,
                lines=self._lines,
                receive=self._receive,
                tls=settings.tls,
                origins=settings.ws_origins,
            )
            self._servers.append(server)
            self._note("WS" if settings.tls is None else "WSS", server.listen)

    async def _serve_stream(self, listen: tuple[str, int], *, tls: ssl.SSLContext | None = None) -> None:
        setting = "sip.listen" if tls is None else "sip.tls_listen"
        server = await StreamServer.start(
            listen, lines=self._lines, receive=self._receive, tls=tls, setting=setting
        )
        self._servers.append(server)
        self._note("TCP" if tls is None else "TLS", server.listen)

    @property
    def listen(self) -> tuple[str, int]:
        """Address that UDP is bound to; the first of them."""
        return self._udp.listen

    @property
    def families(self) -> Families:
        """Families of addresses that peers can have."""
        return self._udp.families

    @property
    def is_closed(self) -> bool:
        return self._udp.is_closed

    @property
    def counters(self) -> dict[str, int]:
        """Connections, open and refused, and what could not be sent."""
        return {
            "send_errors": self._udp.send_errors + self._unsent,
            "connections": len(self._lines),
            "connections_refused": self._lines.refused,
        }

    def local_ip(self, peer_ip: str) -> str:
        """Our address as a peer sees it."""
        return self._udp.local_ip(peer_ip)

    def send(self, send: Send) -> None:
        """Send one message, on an open connection or on one that is made in the background.

        A host name is looked up first, in the background, too.
        """
        transport = transport_of(send.destination)
        host, port = send.destination
        if (line := self._lines.find(connection_of(send.destination))) is not None:
            line.send(send.data)
            return
        if (address := address_of(host)) is None:
            self._lookups.send(send)
            return
        if transport == "UDP":
            if not self._udp.send(send.data, (address, port)) and send.key:
                self._on_unsent(send.key, f"nothing can be sent to {spot(address, port)}")
            return
        name = send.destination.name if isinstance(send.destination, Address) else host
        target = Address(address, port, transport, name=name)
        place = place_of(target)
        if (line := self._lines.toward(target)) is not None:
            line.send(send.data)
        elif (waiting := self._waiting.get(place)) is not None and len(waiting) < _MOST_WAITING:
            waiting.append(send)
        elif waiting is None and len(self._waiting) < _MOST_DIALS and transport in ("TCP", "TLS"):
            self._waiting[place] = [send]
            within_s = _FALLBACK_S if send.has_fallback else _CONNECT_S
            self._dials.start(self._dial(target, within_s=within_s), name=f"{host}:{port}")
        else:
            self._fail([send], SetupError(f"no {transport} connection to {host}:{port}"))

    async def close(self) -> None:
        """Abandon connections in the making, end the others, free the ports."""
        self._lines.close()
        await self._lookups.close()
        await self._dials.close()
        for server in self._servers:
            await server.close()
        self._udp.close()

    async def _client_tls(self) -> ssl.SSLContext:
        if self._tls_client is None:
            # The system's authorities are many files.
            self._tls_client = await asyncio.to_thread(ssl.create_default_context)
        # Whose certificate names its domain by a SIP URI would not pass (RFC 5922 §7).
        self._tls_client.check_hostname = False
        return self._tls_client

    async def _located(self, wanted: Wanted) -> Address:
        return (await self._names.locate(wanted, families=self.families)).targets[0]

    async def _dial(self, target: Address, *, within_s: float) -> None:
        place = place_of(target)
        try:
            line = await dial_stream(
                target,
                tls=await self._client_tls() if target.transport == "TLS" else None,
                within_s=within_s,
                lines=self._lines,
                receive=self._receive,
                tasks=self._dials,
            )
        except SetupError as error:
            # What comes after this goes to the next server of its name.
            self._names.failed(target)
            self._lookups.forget(target)
            self._fail(self._waiting.pop(place), error)
            return
        for send in self._waiting.pop(place):
            line.send(send.data)

    def _fail(self, sends: list[Send], error: SetupError) -> None:
        _log.warning("not sent: %s", error)
        self._unsent += len(sends)
        for send in sends:
            if send.key:
                self._on_unsent(send.key, str(error))
