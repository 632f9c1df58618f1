"""What all open connections of SIP share: their numbers, their limits, and where a message finds its own."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from bridge.hosts import address_of, source_of
from bridge.sip.flow import Address

__all__ = ["Line", "LineLimits", "Lines", "Place", "place_of"]


@dataclass(frozen=True, slots=True)
class LineLimits:
    """How many connections there may be, and how long one may be idle."""

    most: int = 2048
    most_per_source: int = 64
    idle_s: float = 600.0
    """Without a byte; clients that want to stay send a keep-alive every minute or two (RFC 5626 §4.4.1)."""
    greeting_s: float = 10.0
    """From its begin to the first whole message, or from a message's begin to its end."""
    unsent_bytes: int = 262_144
    """A peer that does not read so much of ours is left."""


Place = tuple[str, int, str, str]


def place_of(target: Address) -> Place:
    """What connections to a target are known by: where it is, and the domain if TLS is to prove that."""
    host, port = target
    is_proven = target.transport == "TLS" and address_of(target.name) is None
    return host, port, target.transport, target.name.lower() if is_proven else ""


def _places_of(peer: Address) -> set[Place]:
    """Whoever asks for the address alone may have the connection of a domain."""
    return {place_of(peer), (*peer, peer.transport, "")}


class Line(ABC):
    """One open connection."""

    def __init__(self, peer: Address) -> None:
        self.peer: Address = peer
        """Its other end, with its number."""

    @abstractmethod
    def send(self, data: bytes) -> None:
        """Write one message; never waits."""

    @abstractmethod
    def close(self) -> None:
        """End it; whoever reads it reports it gone."""


class Lines:
    """Every open connection, whatever its transport.

    Args:
        limits: How many there may be.
        on_cut: Told the other end of each one that is gone.
    """

    def __init__(self, limits: LineLimits, *, on_cut: Callable[[Address], None]) -> None:
        self.limits: LineLimits = limits
        self.refused: int = 0
        """Connections beyond a limit."""
        self._on_cut = on_cut
        self._last = 0
        self._lines: dict[int, Line] = {}
        self._by_place: dict[Place, int] = {}
        self._sources: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._lines)

    def number(self) -> int:
        """A number that no connection had before."""
        self._last += 1
        return self._last

    def has_room(self, ip: str) -> bool:
        """Whether one more connection of this source may be taken."""
        has = (
            len(self._lines) < self.limits.most and self._sources[source_of(ip)] < self.limits.most_per_source
        )
        self.refused += not has
        return has

    def enter(self, line: Line) -> None:
        """Take up a connection; `leave` lets it go."""
        host, _ = line.peer
        self._lines[line.peer.connection] = line
        for place in _places_of(line.peer):
            self._by_place[place] = line.peer.connection
        self._sources[source_of(host)] += 1

    def leave(self, line: Line) -> None:
        """A connection is gone; harmless twice."""
        host, _ = line.peer
        if self._lines.pop(line.peer.connection, None) is None:
            return
        for place in _places_of(line.peer):
            if self._by_place.get(place) == line.peer.connection:
                del self._by_place[place]
        source = source_of(host)
        self._sources[source] -= 1
        if not self._sources[source]:
            del self._sources[source]
        self._on_cut(line.peer)

    def find(self, connection: int) -> Line | None:
        """The connection with this number, if it is open."""
        return self._lines.get(connection)

    def toward(self, target: Address) -> Line | None:
        """An open connection to this place, whoever opened it (RFC 5923).

        One over TLS to a domain must have been checked for that domain: an address may serve many.
        """
        return self._lines.get(self._by_place.get(place_of(target), 0))

    def close(self) -> None:
        """End every connection."""
        for line in list(self._lines.values()):
            line.close()
