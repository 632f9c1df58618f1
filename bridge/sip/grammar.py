"""The values inside SIP headers: URIs, addresses, Via, CSeq (RFC 3261 §25), scanned in linear time.

Every value keeps the text it was read from, because RFC 3261 wants most of them
echoed or reused byte by byte.
"""

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from urllib.parse import unquote

from bridge.errors import RemoteProtocolError
from bridge.hosts import address_of, bracketed, same_host
from bridge.sip.flow import TRANSPORTS, Address, connection_of, is_reliable, transport_of

__all__ = [
    "DEFAULT_PORT",
    "DEFAULT_PORTS",
    "CSeq",
    "NameAddr",
    "Parameters",
    "Uri",
    "Via",
    "split_list",
]

DEFAULT_PORT = 5060
DEFAULT_PORTS = {"UDP": DEFAULT_PORT, "TCP": DEFAULT_PORT, "TLS": 5061, "WS": 80, "WSS": 443}
"""By transport (RFC 3261 §19.1.2, RFC 7118 §5)."""

Parameters = tuple[tuple[str, str | None], ...]
"""Names as written, values as written (quotes kept), in order."""

_TOKEN = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+")
_COOKIE = "z9hG4bK"
_PLAIN = re.compile(r"[!-;=?-~]+")
"""ASCII that can be seen, without angle brackets."""
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+\-.]*")
# No alternatives share a first character: a hostile value cannot make it backtrack.
_HOST_PORT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-._]+)(?:[ ]*:[ ]*([0-9]{1,5}))?")
_VIA = re.compile(r"SIP[ ]*/[ ]*([0-9]+\.[0-9]+)[ ]*/[ ]*([A-Za-z0-9\-.!%*_+`'~]+)[ ]+", re.IGNORECASE)
_MARKS = re.compile(r'["<>\\,;]')
_CSEQ = re.compile(r"([0-9]{1,32})[ ]+([A-Za-z0-9\-.!%*_+`'~]+)")


def split_list(value: str, separator: str = ",") -> list[str]:
    """Cut a header value at separators that stand outside quotes and angle brackets.

    Raises:
        RemoteProtocolError: If a quote or bracket is left open.
    """
    if '"' not in value and "<" not in value:
        return [part.strip() for part in value.split(separator)]
    parts: list[str] = []
    start = unescaped = 0
    is_quoted = is_bracketed = False
    for mark in _MARKS.finditer(value):
        at, char = mark.start(), mark[0]
        if is_quoted:
            if char == "\\" and at >= unescaped:
                unescaped = at + 2
            elif char == '"' and at >= unescaped:
                is_quoted = False
        elif char == '"':
            is_quoted = True
        elif char == "<":
            is_bracketed = True
        elif char == ">":
            is_bracketed = False
        elif char == separator and not is_bracketed:
            parts.append(value[start:at].strip())
            start = at + 1
    if is_quoted or is_bracketed:
        raise RemoteProtocolError(f"unbalanced quotes or brackets: {value!r}", rule="RFC 3261 §25.1")
    parts.append(value[start:].strip())
    return parts


def _parameters(text: str) -> Parameters:
    """Read ``;a=b;c``; an empty text has none."""
    text = text.strip()
    if not text:
        return ()
    first, *rest = split_list(text, ";")
    if first:
        raise RemoteProtocolError(f"parameters must start with a semicolon: {text!r}", rule="RFC 3261 §25.1")
    found: list[tuple[str, str | None]] = []
    for part in rest:
        name, equals, value = part.partition("=")
        if not name.strip():
            raise RemoteProtocolError(f"a parameter without a name: {text!r}", rule="RFC 3261 §25.1")
        found.append((name.strip(), value.strip() if equals else None))
    return tuple(found)


def _find(parameters: Parameters, name: str) -> str | None:
    """Value of the first parameter of that name; the empty string when it has none."""
    for key, value in parameters:
        if key == name or key.lower() == name:
            return value or ""
    return None


@dataclass(frozen=True, slots=True)
class Uri:
    """Where a request goes. Schemes other than sip, sips and tel are kept, opaque."""

    text: str
    """As written, without the ``?headers`` part (§19.1.5 forbids using it here)."""
    scheme: str
    user: str
    """Unescaped user, or the number of a tel URI; empty if there is none."""
    host: str
    """Name or address without brackets; empty for opaque schemes."""
    port: int | None
    parameters: Parameters

    @classmethod
    def parse(cls, text: str) -> "Uri":
        """Read one URI.

        Raises:
            RemoteProtocolError: If it is not one, or a SIP URI without a host.
        """
        return _uri(text)

    @classmethod
    def _read(cls, text: str) -> "Uri":
        scheme, _, rest = text.partition(":")
        scheme = scheme.lower()
        if _PLAIN.fullmatch(text) is None or not rest or _SCHEME.fullmatch(scheme) is None:
            raise RemoteProtocolError(f"not a URI: {text!r}", rule="RFC 3261 §19.1")
        if scheme == "tel":
            number, semicolon, parameters = rest.partition(";")
            return cls(text, scheme, _unescape(number), "", None, _parameters(semicolon + parameters))
        if scheme not in ("sip", "sips"):
            return cls(text, scheme, "", "", None, ())
        # A user may contain "?" and ";", a host may not: look for the last "@" first.
        userinfo, at, address = rest.rpartition("@")
        address, mark, headers = address.partition("?")
        text = text.removesuffix(mark + headers)
        match = _HOST_PORT.match(address)
        if match is None or (at and not userinfo):
            raise RemoteProtocolError(f"a SIP URI without a host: {text!r}", rule="RFC 3261 §19.1.1")
        host, port = _host_port(match)
        host = address_of(host) or host  # One address has many spellings; `text` keeps this one.
        user = _unescape(userinfo.partition(":")[0])
        return cls(text, scheme, user, host, port, _parameters(address[match.end() :]))

    def parameter(self, name: str) -> str | None:
        return _find(self.parameters, name)

    @property
    def transport(self) -> str:
        """By what a request to this URI travels: as it says, TLS for sips, else UDP (RFC 3263 §4.1)."""
        said = (self.parameter("transport") or "").upper()
        if self.scheme == "sips":
            return {"WS": "WSS", "WSS": "WSS"}.get(said, "TLS")
        return said if said in TRANSPORTS else "UDP"

    @property
    def destination(self) -> Address:
        """Host and port that a request to this URI is sent to, without DNS (§18.1.1)."""
        transport = self.transport
        port = self.port or DEFAULT_PORTS[transport]
        return Address(self.host, port, transport, has_port=self.port is not None)


@lru_cache(maxsize=512)
def _uri(text: str) -> Uri:
    """Read it once: the addresses of a call come back in every message of it."""
    return Uri._read(text)


@dataclass(frozen=True, slots=True)
class NameAddr:
    """A URI with header parameters: From, To, Contact, Route (§20.10)."""

    uri: Uri
    parameters: Parameters

    @classmethod
    def parse(cls, text: str) -> "NameAddr":
        """Read one address, in brackets or bare.

        Raises:
            RemoteProtocolError: If the display name, the URI or a parameter is malformed.
        """
        opening = _find_bracket(text)
        if opening < 0:
            # Without brackets every parameter belongs to the header (§20).
            bare, semicolon, rest = text.partition(";")
            if "?" in bare or "," in bare:
                raise RemoteProtocolError(f"a URI that needs brackets: {text!r}", rule="RFC 3261 §20")
            return cls(Uri.parse(bare.strip()), _parameters(semicolon + rest))
        closing = text.find(">", opening)
        name = text[:opening].strip()
        is_name = name.startswith('"') or all(_TOKEN.fullmatch(word) for word in name.split())
        if closing < 0 or not is_name:
            raise RemoteProtocolError(f"not an address: {text!r}", rule="RFC 3261 §25.1")
        return cls(Uri.parse(text[opening + 1 : closing]), _parameters(text[closing + 1 :]))

    def parameter(self, name: str) -> str | None:
        return _find(self.parameters, name)

    @property
    def tag(self) -> str:
        """The dialog's tag at this end; empty while there is none."""
        return _find(self.parameters, "tag") or ""


@dataclass(frozen=True, slots=True)
class Via:
    """One hop that a request took (§20.42)."""

    transport: str
    host: str
    port: int | None
    parameters: Parameters
    version: str = "2.0"

    @classmethod
    def parse(cls, text: str) -> "Via":
        """Read one hop.

        Raises:
            RemoteProtocolError: If it is not one.
        """
        start = _VIA.match(text)
        place = _HOST_PORT.match(text, start.end()) if start is not None else None
        if start is None or place is None:
            raise RemoteProtocolError(f"not a Via: {text!r}", rule="RFC 3261 §20.42")
        host, port = _host_port(place)
        return cls(start[2].upper(), host, port, _parameters(text[place.end() :]), start[1])

    def __str__(self) -> str:
        host = bracketed(self.host)
        port = "" if self.port is None else f":{self.port}"
        tail = "".join(f";{name}" if value is None else f";{name}={value}" for name, value in self.parameters)
        return f"SIP/{self.version}/{self.transport} {host}{port}{tail}"

    def parameter(self, name: str) -> str | None:
        return _find(self.parameters, name)

    @property
    def branch(self) -> str:
        return _find(self.parameters, "branch") or ""

    @property
    def is_unique(self) -> bool:
        """Whether the branch alone tells transactions apart: RFC 3261 says so by a cookie (§8.1.1.7).

        The cookie alone tells nothing: such a branch is one of RFC 2543.
        """
        return self.branch.startswith(_COOKIE) and self.branch != _COOKIE

    def seen_from(self, source: tuple[str, int]) -> "Via":
        """Stamp where the request really came from (§18.2.1, RFC 3581 §4)."""
        wants_port = self.parameter("rport") is not None
        stamped: list[tuple[str, str | None]] = []
        for name, value in self.parameters:
            if name.lower() == "rport":
                stamped.append((name, str(source[1])))
            elif name.lower() != "received":
                stamped.append((name, value))
        if wants_port or not same_host(self.host, source[0]):
            stamped.append(("received", source[0]))
        return replace(self, parameters=tuple(stamped))

    def reply_address(self, source: tuple[str, int]) -> tuple[str, int]:
        """Where a response goes: only ever to the address the request came from.

        maddr (§18.2.2) is not honoured: it would let anyone aim our responses at a third party.
        """
        if is_reliable(source):
            # On the connection itself; if that is gone, on a new one to where the peer listens (§18.2.2).
            transport = transport_of(source)
            port = self.port or DEFAULT_PORTS[transport]
            return Address(source[0], port, transport, connection_of(source))
        if self.parameter("rport") is not None:
            return source
        return source[0], self.port or DEFAULT_PORT


@dataclass(frozen=True, slots=True)
class CSeq:
    """Order and method of a request within its dialog (§20.16)."""

    number: int
    method: str

    @classmethod
    def parse(cls, text: str) -> "CSeq":
        """Read it.

        Raises:
            RemoteProtocolError: If it is malformed or not below 2**31 (§8.1.1.5).
        """
        match = _CSEQ.fullmatch(text)
        if match is None or int(match[1]) >= 1 << 31:
            raise RemoteProtocolError(f"not a CSeq: {text!r}", rule="RFC 3261 §20.16")
        return cls(int(match[1]), match[2])

    def __str__(self) -> str:
        return f"{self.number} {self.method}"


def _unescape(user: str) -> str:
    """Undo %-escapes, unless that would put control characters into somebody's log."""
    plain = unquote(user)
    return plain if plain.isprintable() else user


def _host_port(match: re.Match[str]) -> tuple[str, int | None]:
    port = int(match[2]) if match[2] is not None else None
    if port is not None and not 0 < port < 1 << 16:
        raise RemoteProtocolError(f"not a port: {port}", rule="RFC 3261 §25.1")
    if match[1][0] == "[" and address_of(match[1]) is None:
        raise RemoteProtocolError(f"not an IPv6 address: {match[1]!r}", rule="RFC 3261 §25.1")
    return match[1].strip("[]"), port


def _find_bracket(text: str) -> int:
    """Index of the opening bracket, which may not stand inside a quoted display name."""
    start = 0
    if text.lstrip().startswith('"'):
        start = text.index('"') + 1
        while start < len(text) and text[start] != '"':
            start += 2 if text[start] == "\\" else 1
    return text.find("<", start)
