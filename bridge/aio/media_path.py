"""The way that media takes before and beside RTP: checks of ICE, and the handshake that makes the keys.

Before the media process carries a call, nobody else reads its port, so this does; afterwards the process
hands on what is no RTP (`bridge.engine.aside`). Either way answers leave from the call's own port.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable

from bridge.aio.dtls import Association, Certificate, is_dtls
from bridge.errors import NegotiationError, RemoteProtocolError
from bridge.rtp.ice import IceLite
from bridge.rtp.srtp import SrtpKeys
from bridge.rtp.stun import is_stun
from bridge.sip.stream import Negotiated

__all__ = ["MediaPath"]

_READS = 32
"""Datagrams taken from a port in one turn of the loop."""
_READ_BYTES = 2048

_log = logging.getLogger(__name__)

_Place = tuple[str, int]


class MediaPath:
    """One call's way; `agree` after each offer and answer, `close` at the end.

    Args:
        sock: The call's RTP port.
        certificate: Who we are; None where no handshake will be agreed on.
        latch_ip: The peer is behind NAT at this address: its handshake may come from any port of it.
    """

    def __init__(self, sock: socket.socket, certificate: Certificate | None, *, latch_ip: str | None) -> None:
        self._loop = asyncio.get_running_loop()
        self.ready: asyncio.Future[None] = self._loop.create_future()
        """Done when media may flow; a `NegotiationError` if it never may."""
        self.keys: SrtpKeys | None = None
        """Of the last handshake."""
        self.on_change: Callable[[], None] | None = None
        """Called when keys or address have changed since `ready`."""
        self.on_end: Callable[[str], None] | None = None
        """Called when the peer ended its end of the association, or failed in a new one; with the reason."""
        self._sock = sock
        self._is_listening = False
        self._certificate = certificate
        self._latch_ip = latch_ip
        self._signalled: _Place | None = None
        self._proven: _Place | None = None
        """Where the peer has shown to be."""
        self._ice: IceLite | None = None
        self._association: Association | None = None
        self._has_begun = False
        self._timer: asyncio.TimerHandle | None = None

    @property
    def has_ice(self) -> bool:
        """Whether the peer checks our address, and alone says where it is."""
        return self._ice is not None and not self._ice.terms.is_peer_lite

    @property
    def remote(self) -> _Place | None:
        """Where our media goes; None while that is not known."""
        return self._proven or self._signalled

    def agree(self, agreed: Negotiated) -> None:
        """Take what the descriptions have come to."""
        if agreed.remote != self._signalled:
            self._signalled, self._proven = agreed.remote, self._proven if self.has_ice else None
        if agreed.ice is None:
            self._ice = None
        elif self._ice is None or self._ice.terms != agreed.ice:
            self._ice = IceLite(agreed.ice)
        if agreed.dtls is not None and self._certificate is not None:
            if self._association is None or self._association.terms != agreed.dtls:
                self._association, self._has_begun = Association(self._certificate, agreed.dtls), False
            self._begin()
        self._settle()

    def listen(self) -> None:
        """Read the port, until `hand_over`."""
        self._is_listening = True
        self._loop.add_reader(self._sock.fileno(), self._read)

    def hand_over(self) -> None:
        """Leave the port to the media process; what it hands on is to come to `take`."""
        if self._is_listening:
            self._is_listening = False
            self._loop.remove_reader(self._sock.fileno())

    def take(self, data: bytes, source: _Place) -> None:
        """Take one datagram that is no RTP."""
        if is_stun(data):
            self._check(data, source)
        elif is_dtls(data) and self._association is not None and self._is_believed(source):
            self._hear(self._association, data, source)

    def close(self) -> None:
        """Say goodbye and stop; the port is the caller's to close. Safe twice."""
        self.hand_over()
        self._disarm()
        if self._association is not None:
            self._association.close()
            self._flush(self._association)
            self._association = None
        self.on_change = self.on_end = None
        if not self.ready.done():
            self.ready.cancel()

    def _read(self) -> None:
        for _ in range(_READS):
            try:
                data, source = self._sock.recvfrom(_READ_BYTES)
            except BlockingIOError:
                return
            except OSError:
                continue  # An ICMP message about an earlier packet (RFC 1122 §4.1.3.3).
            self.take(data, source[:2])
            if not self._is_listening:
                return

    def _check(self, data: bytes, source: _Place) -> None:
        if self._ice is None:
            return
        answer = self._ice.answer(data, source)
        if answer:
            self._send(answer, source)
        if self.has_ice and self._ice.nominated not in (None, self._proven):
            self._proven = self._ice.nominated
            self._begin()
            self._settle(is_news=True)

    def _is_believed(self, source: _Place) -> bool:
        """Whether a handshake may come from there; whose it is says its certificate."""
        if self.has_ice:
            return self._ice is not None and self._ice.knows(source)
        hosts = [place[0] for place in (self._signalled, self._proven) if place is not None]
        return source[0] in (*hosts, self._latch_ip)

    def _hear(self, association: Association, data: bytes, source: _Place) -> None:
        before = association.keys
        try:
            association.receive(data)
        except RemoteProtocolError as error:
            self._flush(association, source)
            self._fail(str(error))
            return
        self._flush(association, source)
        if association.keys is not None and association.keys is not before:
            self.keys = association.keys
            if not self.has_ice:
                self._proven = source  # Whoever holds the key is the peer, wherever it said to be.
            elif self._ice is not None and self._ice.nominated is not None:
                # Some nominate two pairs, which RFC 8445 §8.1.1 forbids: they use the one of the handshake.
                self._ice.nominated = self._proven = source
            self._settle(is_news=True)
        elif association.is_closed and self.on_end is not None:
            self.on_end("peer closed its media")

    def _begin(self) -> None:
        """Send the first word of a handshake, once it is ours to say and there is somebody to hear it."""
        association = self._association
        if association is None or self._has_begun or not association.terms.is_client:
            return
        if self.has_ice and self._proven is None:
            return  # Nothing is sent where nobody has asked for it (RFC 8445 §12.1).
        if self.remote is not None:
            self._has_begun = True
            association.begin()
            self._flush(association)

    def _settle(self, *, is_news: bool = False) -> None:
        """Tell whoever waits, or whoever already sends."""
        if self.ready.done():
            if is_news and self.on_change is not None:
                self.on_change()
        elif (self._association is None or self.keys is not None) and self.remote is not None:
            self.ready.set_result(None)

    def _fail(self, reason: str) -> None:
        _log.info("media is not secured: %s", reason)
        self._disarm()
        self._association = None
        if not self.ready.done():
            self.ready.set_exception(NegotiationError(reason))
        elif self.on_end is not None:
            self.on_end("media not secured")

    def _flush(self, association: Association, destination: _Place | None = None) -> None:
        place = destination or self.remote
        for datagram in association.drain():
            if place is not None:
                self._send(datagram, place)
        self._disarm()
        if (timeout_s := association.timeout_s) is not None:
            self._timer = self._loop.call_later(timeout_s, self._repeat, association, place)

    def _repeat(self, association: Association, place: _Place | None) -> None:
        try:
            association.handle_timeout()
        except RemoteProtocolError as error:
            self._fail(str(error))
            return
        self._flush(association, place)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _send(self, data: bytes, place: _Place) -> None:
        with contextlib.suppress(OSError):  # It is lost then, and will be said again.
            self._sock.sendto(data, place)
