"""Which of our requests are too long for UDP and go over TCP instead (RFC 3261 §18.1.1)."""

from collections import OrderedDict
from dataclasses import replace

from bridge.sip.flow import Address, transport_of
from bridge.sip.message import Headers, Request

__all__ = ["MAX_UDP_BYTES", "Congestion", "carried_by"]

MAX_UDP_BYTES = 1300
"""Longest request over UDP where the path's MTU is not known."""

_REFUSED_NS = 600_000_000_000
_MOST_REMEMBERED = 256


def carried_by(request: Request, transport: str) -> Request:
    """The request with a Via that says by what it travels; itself if it says so already."""
    if request.via.transport == transport:
        return request
    via = str(replace(request.via, transport=transport))
    headers = Headers([("Via", via), *request.headers.without("Via")])
    return Request(request.method, request.uri, headers, request.body)


class Congestion:
    """Chooses TCP for long requests, and remembers where that was refused.

    Args:
        max_udp_bytes: Longest request over UDP; None sets no bound.
    """

    def __init__(self, max_udp_bytes: int | None) -> None:
        self._max_udp_bytes = max_udp_bytes
        self._refused: OrderedDict[tuple[str, int], int] = OrderedDict()

    def way(self, request: Request, destination: tuple[str, int], *, now_ns: int) -> tuple[str, int]:
        """Where to send a request: to its destination, or there over TCP."""
        if self._max_udp_bytes is None or transport_of(destination) != "UDP":
            return destination
        host, port = destination
        if now_ns < self._refused.get((host, port), 0) or len(bytes(request)) <= self._max_udp_bytes:
            return destination
        if not isinstance(destination, Address):
            return Address(host, port, "TCP")
        return Address(host, port, "TCP", name=destination.name, has_port=destination.has_port)

    def refused(self, destination: tuple[str, int], *, now_ns: int) -> None:
        """Take note that nobody listens on TCP there: long requests go over UDP for a while, as they must."""
        host, port = destination
        self._refused.pop((host, port), None)
        self._refused[host, port] = now_ns + _REFUSED_NS
        if len(self._refused) > _MOST_REMEMBERED:
            self._refused.popitem(last=False)
