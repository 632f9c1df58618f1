"""What the WebSockets of the API share: how one is opened, what its client may say, how it is given up."""

import json
from contextlib import suppress

from aiohttp import web

from bridge.app.api.problem import Problem

__all__ = ["GOODBYE_S", "give_up", "parsed", "printed", "socket_for"]

GOODBYE_S = 1.0
"""How long a client may take to answer our goodbye."""
_HEARTBEAT_S = 20.0
_LARGEST_MESSAGE_BYTES = 1024


def socket_for(request: web.Request, *, clients: int, most_clients: int, what: str) -> web.WebSocketResponse:
    """Make the socket for a client that asks for one; it is still to be prepared.

    Args:
        request: What the client asks with.
        clients: How many there are.
        most_clients: How many there may be.
        what: What is told on it, in the plural.

    Raises:
        Problem: If there are too many, or this is no WebSocket.
    """
    if clients >= most_clients:
        raise Problem(
            503,
            f"{most_clients} {what} are open",
            fix="raise api.event_clients, or close one",
            headers={"Retry-After": "5"},
        )
    socket = web.WebSocketResponse(heartbeat=_HEARTBEAT_S, max_msg_size=_LARGEST_MESSAGE_BYTES)
    if not socket.can_prepare(request).ok:
        raise Problem(426, f"{what} are told over a WebSocket", headers={"Upgrade": "websocket"})
    return socket


def parsed(text: str) -> object:
    """What a client said, as JSON; None if it is none."""
    with suppress(ValueError, RecursionError):
        return json.loads(text)
    return None


def give_up(request: web.Request) -> None:
    """Cut the line to a client that does not read: its buffers are full, no close frame would get through."""
    if request.transport is not None:
        request.transport.abort()


def printed(value: object) -> str:
    """JSON as it goes over the wire: without spaces, and words as they are written."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
