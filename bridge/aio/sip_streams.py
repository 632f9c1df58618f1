"""SIP over TCP and TLS: connections taken and made, messages cut out of their streams."""

import asyncio
import logging
import ssl
from collections.abc import Callable
from typing import cast

from bridge.aio.ports_taken import port_taken
from bridge.aio.sip_lines import Line, Lines
from bridge.aio.tasks import Tasks
from bridge.errors import RemoteProtocolError, SetupError
from bridge.hosts import spot
from bridge.sip.certificate import identities_of, vouches_for
from bridge.sip.flow import Address
from bridge.sip.framing import PING, PONG, StreamFramer

__all__ = ["StreamServer", "dial_stream"]

_BUFFER_BYTES = 65_536
_READ_BYTES = 2048
"""What one connection may have us do in a turn of the loop: hundreds of messages that are none, at worst."""

Receive = Callable[[bytes, Address], None]
"""Gets each message and the other end of its connection."""

_log = logging.getLogger(__name__)


class _StreamLine(Line):
    """One TCP or TLS connection."""

    def __init__(self, peer: Address, writer: asyncio.StreamWriter, *, unsent_bytes: int) -> None:
        super().__init__(peer)
        self._writer = writer
        self._unsent_bytes = unsent_bytes

    def send(self, data: bytes) -> None:
        """Write one message; a peer that does not read is left."""
        if self._writer.is_closing():
            return
        if self._writer.transport.get_write_buffer_size() > self._unsent_bytes:
            _log.info("a SIP connection is closed: its peer does not read")
            self._writer.transport.abort()
            return
        self._writer.write(data)

    def close(self) -> None:
        self._writer.close()


async def _carry(
    line: _StreamLine, reader: asyncio.StreamReader, lines: Lines, receive: Receive, *, was_called: bool
) -> None:
    """Read one connection, entered already, until it ends, breaks a rule, or is silent for too long."""
    framer, limits, loop = StreamFramer(), lines.limits, asyncio.get_running_loop()
    until_s = loop.time() + (limits.greeting_s if was_called else limits.idle_s)
    try:
        while True:
            async with asyncio.timeout_at(until_s):
                data = await reader.read(_READ_BYTES)
            if not data:
                return
            was_between = framer.is_between
            messages = framer.feed(data)
            for message in messages:
                if message != PING:
                    receive(message, line.peer)
            if PING in messages:
                line.send(PONG)  # one is enough to say that the connection lives
            # A message that comes in drops may not take longer than one that does not come at all.
            if framer.is_between:
                until_s = loop.time() + limits.idle_s
            elif was_between or messages:
                until_s = loop.time() + limits.greeting_s
            # What waits in the buffer would be read without a turn of the loop.
            await asyncio.sleep(0)
    except (TimeoutError, OSError, RemoteProtocolError) as error:
        # Whoever sends what cannot be cut into messages, or nothing at all, has had its chance.
        _log.debug("a SIP connection ended: %s", error)
    finally:
        line.close()
        lines.leave(line)


class StreamServer:
    """A listening TCP or TLS socket; made by `start`."""

    def __init__(self, lines: Lines, receive: Receive, *, tls: ssl.SSLContext | None) -> None:
        self._lines = lines
        self._receive = receive
        self._tls = tls
        self._transport = "TCP" if tls is None else "TLS"
        self._tasks = Tasks(f"sip {self._transport.lower()}")
        self._server: asyncio.Server

    @classmethod
    async def start(
        cls,
        listen: tuple[str, int],
        *,
        lines: Lines,
        receive: Receive,
        tls: ssl.SSLContext | None = None,
        setting: str = "sip.listen",
    ) -> "StreamServer":
        """Listen.

        Args:
            listen: Address and port; port 0 takes a free one.
            lines: Who counts the connections.
            receive: Called on the loop with each message. Must not block.
            tls: Certificate and key; None speaks plain TCP.
            setting: Key that sets the address, for errors.

        Raises:
            SetupError: If the port cannot be had.
        """
        made = cls(lines, receive, tls=tls)
        try:
            made._server = await asyncio.start_server(made._called, *listen, limit=_BUFFER_BYTES, backlog=512)
        except OSError as error:
            raise port_taken(listen, "tcp", setting=setting, cause=error) from None
        return made

    @property
    def listen(self) -> tuple[str, int]:
        """Address that it is bound to."""
        host, port = self._server.sockets[0].getsockname()[:2]
        return str(host), int(port)

    async def close(self) -> None:
        """Free the port and end its connections."""
        self._server.close()
        await self._tasks.close()

    def _called(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, port = writer.get_extra_info("peername")[:2]
        if not self._lines.has_room(host):
            writer.transport.abort()
            return
        peer = Address(host, port, self._transport, self._lines.number())
        line = _StreamLine(peer, writer, unsent_bytes=self._lines.limits.unsent_bytes)
        self._lines.enter(line)
        self._tasks.start(self._serve(line, reader, writer), name=f"{host}:{port}")

    async def _serve(
        self, line: _StreamLine, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if self._tls is not None:
            # By hand: asyncio's own server writes a traceback into the log for whoever cannot do it.
            try:
                await writer.start_tls(self._tls, ssl_handshake_timeout=self._lines.limits.greeting_s)
            except (OSError, asyncio.CancelledError) as error:
                _log.debug("no TLS with %s: %s", line.peer[0], error)
                writer.transport.abort()
                self._lines.leave(line)
                return
        await _carry(line, reader, self._lines, self._receive, was_called=True)


async def dial_stream(
    target: Address,
    *,
    tls: ssl.SSLContext | None,
    within_s: float,
    lines: Lines,
    receive: Receive,
    tasks: Tasks,
) -> Line:
    """Open a connection to an address; whatever comes on it is received.

    Args:
        target: Where, by ``TCP`` or ``TLS``, and whom the certificate must name.
        tls: What the certificate is checked with; for ``TLS``. It leaves the check of names to us.
        within_s: How long it may take.
        lines: Who counts the connections.
        receive: Called on the loop with each message.
        tasks: Who owns its reader.

    Raises:
        SetupError: If nobody answers, or with a certificate that we do not trust.
    """
    (host, port), transport, server_name = target, target.transport, target.name
    secured = tls if transport == "TLS" else None
    try:
        async with asyncio.timeout(within_s):
            reader, writer = await asyncio.open_connection(
                host, port, ssl=secured, server_hostname=server_name if secured else None, limit=_BUFFER_BYTES
            )
    except ssl.SSLCertVerificationError as error:
        raise SetupError(
            f"the certificate of {server_name} at {host}:{port} is not trusted: {error.verify_message}"
            " (sip.tls_ca names the authorities that are)"
        ) from None
    except (OSError, TimeoutError) as error:
        raise SetupError(f"no {transport} connection to {host}:{port}: {error or 'no answer'}") from None
    if secured is not None and secured.verify_mode is not ssl.CERT_NONE:
        _check_names(writer, target)
    peer = Address(host, port, transport, lines.number(), target.name)
    line = _StreamLine(peer, writer, unsent_bytes=lines.limits.unsent_bytes)
    lines.enter(line)
    tasks.start(_carry(line, reader, lines, receive, was_called=False), name=f"to {host}:{port}")
    return line


def _check_names(writer: asyncio.StreamWriter, target: Address) -> None:
    """End a connection to somebody else than we were sent to (RFC 5922 §7)."""
    certificate = writer.get_extra_info("peercert") or {}
    names = cast("tuple[tuple[str, str], ...]", certificate.get("subjectAltName", ()))
    if vouches_for(names, target.name):
        return
    writer.transport.abort()
    others = ", ".join(identities_of(names)) or "nobody"
    raise SetupError(f"the certificate at {spot(*target)} is for {others}, not for {target.name}")
