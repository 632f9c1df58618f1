"""Messages out of a byte stream: TCP and TLS have no borders but Content-Length (RFC 3261 §18.3)."""

import re

from bridge.errors import RemoteProtocolError
from bridge.sip.wire import MAX_HEAD_BYTES

__all__ = ["MAX_BODY_BYTES", "PING", "PONG", "StreamFramer"]

MAX_BODY_BYTES = 65_536
PING = b"\r\n\r\n"
"""A peer asks whether the connection lives (RFC 5626 §3.5.1)."""
PONG = b"\r\n"

_END = b"\r\n\r\n"
_LENGTH = re.compile(
    rb"(?:^|\r\n)(?:content-length|l)[ \t]*:[ \t]*(?:\r\n[ \t]+)?([0-9]{1,9})[ \t]*(?=\r\n|$)", re.IGNORECASE
)


class StreamFramer:
    """Cuts what arrives into messages, wherever the network has cut it."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._looked_to = 0
        """Up to here there is no end of a head."""

    @property
    def is_between(self) -> bool:
        """Whether no message has begun that is not complete."""
        return PING.startswith(self._held)

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes; return the messages that are complete now, and a `PING` for each keep-alive among them.

        Raises:
            RemoteProtocolError: If no border can be found any more: the connection is of no further use. What
                was complete before is lost with it.
        """
        self._held += data
        found: list[bytes] = []
        while (message := self._next()) is not None:
            found.append(message)
        return found

    def _next(self) -> bytes | None:
        """Take off one message, or one keep-alive."""
        if self._held.startswith(PING):
            del self._held[: len(PING)]
            return PING
        if PING.startswith(self._held):
            return None
        if self._held.startswith(PONG) and self._held[2:3] != b"\r":
            # The answer to a ping of ours, or a habit before a message.
            del self._held[: len(PONG)]
        if self._held.startswith(b"\r"):
            raise RemoteProtocolError("stray line ends between messages", rule="RFC 3261 §7.5")
        end = self._held.find(_END, self._looked_to)
        if end < 0:
            self._looked_to = max(0, len(self._held) - len(_END) + 1)
            if len(self._held) > MAX_HEAD_BYTES:
                raise RemoteProtocolError("headers without an end", rule="RFC 3261 §7.5")
            return None
        length = end + len(_END) + _body_length(bytes(self._held[:end]))
        if len(self._held) < length:
            return None
        message = bytes(self._held[:length])
        del self._held[:length]
        self._looked_to = 0
        return message


def _body_length(head: bytes) -> int:
    lengths = _LENGTH.findall(head)
    if len(lengths) != 1 or int(lengths[0]) > MAX_BODY_BYTES or len(head) > MAX_HEAD_BYTES:
        raise RemoteProtocolError("no usable Content-Length on a stream", rule="RFC 3261 §18.3")
    return int(lengths[0])
