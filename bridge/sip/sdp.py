"""Session descriptions as values (RFC 8866). What offer and answer make of them is `offer`'s business."""

import re
from dataclasses import dataclass, field
from functools import lru_cache

from bridge.errors import RemoteProtocolError

__all__ = ["DIRECTIONS", "Media", "Origin", "RtpMap", "SessionDescription"]

DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")

_INHERITED = ("fingerprint", "setup", "tls-id", "ice-ufrag", "ice-pwd", "ice-lite", "ice-options")
"""What may stand at the session in place of every stream (RFC 8122 §5, RFC 4145 §4, RFC 8839 §5)."""
MAX_LINES = 512
"""More than any honest phone writes; a line costs time on the call loop."""

MAX_STREAMS = 64
"""Each is asked for all that it could be."""

Attributes = tuple[tuple[str, str | None], ...]

_HOLDS_KEY = re.compile(rb"^(?:a=crypto|k=)", re.IGNORECASE | re.MULTILINE)
_MEDIA = re.compile(r"([!-~]+) ([0-9]{1,5})(?:/([0-9]{1,3}))? ([!-~]+) ([!-~]+(?: [!-~]+)*)")
_CONNECTION = re.compile(r"IN (IP4|IP6) ([^ /]+)(?:/[0-9/]+)?")
_ORIGIN = re.compile(r"([^ ]+) ([0-9]{1,20}) ([0-9]{1,20}) IN (?:IP4|IP6) ([^ ]+)")
_RTPMAP = re.compile(r"([0-9]{1,3}) ([^ /]+)/([0-9]{1,9})(?:/([0-9]{1,3}))?")


@dataclass(frozen=True, slots=True)
class Origin:
    """Who describes this session, and which version of it (§5.2)."""

    username: str
    session_id: int
    version: int
    address: str


_UNREADABLE = Origin("-", 0, 0, "0.0.0.0")


@dataclass(frozen=True, slots=True)
class RtpMap:
    """What a payload type means (§6.6)."""

    encoding: str
    """As written; compare without case."""
    clock_rate: int
    """Ticks of the RTP timestamp per second."""
    channels: int = 1


@dataclass(frozen=True, slots=True)
class Media:
    """One stream (§5.14)."""

    kind: str
    """``audio``, ``video``, …"""
    port: int
    """RTP port; 0 refuses the stream or withdraws it."""
    protocol: str
    formats: tuple[str, ...]
    """Payload types for RTP, best first."""
    connection: str | None = None
    """Address of this stream; None takes the session's."""
    attributes: Attributes = ()
    bandwidths: tuple[str, ...] = ()
    """What ours says of bandwidth, ``RS:0``; the peer's is not read."""

    @property
    def wants_mux(self) -> bool:
        """Whether reports shall share the port of RTP, if the other side can (RFC 5761 §5.1.1)."""
        return self.attribute("rtcp-mux") is not None or self.insists_on_mux

    @property
    def insists_on_mux(self) -> bool:
        """Whether it is to be refused else (RFC 8858 §4.3); some leave out that this means to want it."""
        return self.attribute("rtcp-mux-only") is not None

    def attribute(self, name: str) -> str | None:
        """Value of the first attribute of that name, ``""`` when it has none."""
        return next((value or "" for key, value in self.attributes if key == name), None)

    def rtp_maps(self) -> dict[int, RtpMap]:
        """Payload types that this stream explains; what cannot be read is left out."""
        maps: dict[int, RtpMap] = {}
        for name, value in self.attributes:
            match = _RTPMAP.fullmatch(value or "") if name == "rtpmap" else None
            if match is not None and int(match[1]) < 128:
                maps[int(match[1])] = RtpMap(match[2], int(match[3]), int(match[4] or 1))
        return maps


@dataclass(frozen=True, slots=True)
class SessionDescription:
    """A whole description; lines that a telephone call has no use for are dropped."""

    origin: Origin
    connection: str | None
    """Address of every stream that has none of its own."""
    media: tuple[Media, ...]
    attributes: Attributes = ()
    timing: str = "0 0"
    name: str = field(default="-")

    @classmethod
    def parse(cls, data: bytes) -> "SessionDescription":
        """Read one.

        Raises:
            RemoteProtocolError: If a line that matters is malformed, or v= or o= is missing.
        """
        # The cache outlives the call, and a key must not (RFC 4568 §7.1.2).
        return cls._read(data) if _HOLDS_KEY.search(data) else _parsed(data)

    @classmethod
    def _read(cls, data: bytes) -> "SessionDescription":
        lines = [line for line in data.decode("utf-8", "replace").replace("\r\n", "\n").split("\n") if line]
        if len(lines) > MAX_LINES:
            raise RemoteProtocolError(f"SDP of {len(lines)} lines", rule="RFC 8866 §5")
        if not lines or lines[0].rstrip() != "v=0":
            raise RemoteProtocolError("SDP does not start with v=0", rule="RFC 8866 §5.1")
        reader = _Reader()
        for line in lines[1:]:
            if line[1:2] != "=":
                shown = line[:80].partition("inline:")[0]  # What follows is a key (RFC 4568).
                raise RemoteProtocolError(f"not an SDP line: {shown!r}", rule="RFC 8866 §5")
            reader.read(line[0], line[2:].strip())
        if reader.origin is None:
            raise RemoteProtocolError("SDP without o=", rule="RFC 8866 §5.2")
        return cls(
            reader.origin,
            reader.connection,
            tuple(reader.media),
            tuple(reader.attributes),
            reader.timing,
            reader.name,
        )

    def __bytes__(self) -> bytes:
        origin = self.origin
        lines = [
            "v=0",
            f"o={origin.username} {origin.session_id} {origin.version} IN {_type_of(origin.address)}",
            f"s={self.name}",
        ]
        if self.connection is not None:
            lines.append(f"c=IN {_type_of(self.connection)}")
        lines.append(f"t={self.timing}")
        lines += [_attribute_line(name, value) for name, value in self.attributes]
        for media in self.media:
            lines.append(f"m={media.kind} {media.port} {media.protocol} {' '.join(media.formats)}")
            if media.connection is not None:
                lines.append(f"c=IN {_type_of(media.connection)}")
            lines += [f"b={bandwidth}" for bandwidth in media.bandwidths]
            lines += [_attribute_line(name, value) for name, value in media.attributes]
        return "".join(f"{line}\r\n" for line in lines).encode()

    def address_of(self, media: Media) -> str | None:
        return media.connection or self.connection

    def completed(self, media: Media) -> Media:
        """A stream with what its session says for all streams that do not say it themselves."""
        told = {name for name, _ in media.attributes}
        inherited = [each for each in self.attributes if each[0] in _INHERITED and each[0] not in told]
        return _replace(media, attributes=(*media.attributes, *inherited)) if inherited else media

    def direction_of(self, media: Media) -> str:
        """Direction seen from the describing side; the stream's own word goes first (§6.7)."""
        for attributes in (media.attributes, self.attributes):
            for name, _ in attributes:
                if name in DIRECTIONS:
                    return name
        return "sendrecv"


@lru_cache(maxsize=32)
def _parsed(data: bytes) -> SessionDescription:
    """Read it once: everybody who wants to know something of an offer asks for the whole within a moment."""
    return SessionDescription._read(data)


class _Reader:
    """Lines seen so far; what follows an m= line belongs to it."""

    def __init__(self) -> None:
        self.origin: Origin | None = None
        self.connection: str | None = None
        self.attributes: list[tuple[str, str | None]] = []
        self.media: list[Media] = []
        self.timing = "0 0"
        self.name = "-"

    def read(self, kind: str, value: str) -> None:
        match kind:
            case "o":
                self.origin = _origin(value)
            case "s":
                self.name = value or "-"
            case "t" if re.fullmatch(r"[0-9]{1,20} [0-9]{1,20}", value):
                self.timing = value
            case "c":
                self._connect(value)
            case "a":
                self._attribute(value)
            case "m" if len(self.media) == MAX_STREAMS:
                raise RemoteProtocolError(f"SDP of more than {MAX_STREAMS} streams", rule="RFC 8866 §5.14")
            case "m":
                self.media.append(_media(value))
            case _:
                pass  # i, u, e, p, b, r, z, k: nothing that a call needs.

    def _connect(self, value: str) -> None:
        match = _CONNECTION.fullmatch(value)
        if match is None:
            raise RemoteProtocolError(f"not an SDP connection: {value[:80]!r}", rule="RFC 8866 §5.7")
        if self.media:
            self.media[-1] = _replace(self.media[-1], connection=match[2])
        else:
            self.connection = match[2]

    def _attribute(self, value: str) -> None:
        name, colon, rest = value.partition(":")
        found = name.strip(), rest.strip() if colon else None
        if self.media:
            last = self.media[-1]
            self.media[-1] = _replace(last, attributes=(*last.attributes, found))
        else:
            self.attributes.append(found)


def _replace(media: Media, *, connection: str | None = None, attributes: Attributes | None = None) -> Media:
    return Media(
        media.kind,
        media.port,
        media.protocol,
        media.formats,
        connection or media.connection,
        media.attributes if attributes is None else attributes,
    )


def _origin(value: str) -> Origin:
    """Read it if it can be read: nothing in a call depends on it, so no call is lost by it."""
    match = _ORIGIN.fullmatch(value)
    return Origin(match[1], int(match[2]), int(match[3]), match[4]) if match is not None else _UNREADABLE


def _media(value: str) -> Media:
    match = _MEDIA.fullmatch(value)
    if match is None or int(match[2]) >= 1 << 16:
        raise RemoteProtocolError(f"not an SDP stream: {value[:80]!r}", rule="RFC 8866 §5.14")
    return Media(match[1], int(match[2]), match[4], tuple(match[5].split(" ")))


def _type_of(address: str) -> str:
    return f"IP6 {address}" if ":" in address else f"IP4 {address}"


def _attribute_line(name: str, value: str | None) -> str:
    return f"a={name}" if value is None else f"a={name}:{value}"
