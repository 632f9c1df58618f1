"""SIP requests and responses as values (RFC 3261 §7)."""

import re

from bridge.errors import RemoteProtocolError
from bridge.sip.grammar import CSeq, NameAddr, Via, split_list

__all__ = ["REASONS", "Headers", "Message", "Request", "Response", "respond"]

REASONS: dict[int, str] = {
    100: "Trying",
    180: "Ringing",
    183: "Session Progress",
    200: "OK",
    202: "Accepted",
    300: "Multiple Choices",
    301: "Moved Permanently",
    302: "Moved Temporarily",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    408: "Request Timeout",
    413: "Request Entity Too Large",
    415: "Unsupported Media Type",
    416: "Unsupported URI Scheme",
    420: "Bad Extension",
    480: "Temporarily Unavailable",
    469: "Bad Info Package",
    481: "Call/Transaction Does Not Exist",
    482: "Loop Detected",
    486: "Busy Here",
    487: "Request Terminated",
    489: "Bad Event",
    488: "Not Acceptable Here",
    491: "Request Pending",
    500: "Server Internal Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    505: "Version Not Supported",
    513: "Message Too Large",
    603: "Decline",
}

_VISIBLE = re.compile(r"[!-~]+")

_COMPACT = {
    "b": "Referred-By",
    "c": "Content-Type",
    "e": "Content-Encoding",
    "f": "From",
    "i": "Call-ID",
    "k": "Supported",
    "l": "Content-Length",
    "m": "Contact",
    "o": "Event",
    "r": "Refer-To",
    "s": "Subject",
    "t": "To",
    "u": "Allow-Events",
    "v": "Via",
    "x": "Session-Expires",
}


class Headers:
    """Header fields in order; names compare without case and in their long form (§7.3.3)."""

    def __init__(self, fields: list[tuple[str, str]] | None = None) -> None:
        self._fields: list[tuple[str, str, str]] = []
        for name, value in fields or []:
            self.add(name, value)

    def add(self, name: str, value: str) -> None:
        """Append one field."""
        key = name.lower()
        if len(key) == 1 and key in _COMPACT:
            name = _COMPACT[key]
            key = name.lower()
        self._fields.append((key, name, value))

    def set(self, name: str, value: str) -> None:
        """Replace every field of that name by one, at the end."""
        self.remove(name)
        self.add(name, value)

    def remove(self, name: str) -> None:
        key = name.lower()
        self._fields = [field for field in self._fields if field[0] != key]

    def all(self, name: str) -> list[str]:
        """Every field of that name, one string each, in order."""
        key = name.lower()
        return [value for found, _, value in self._fields if found == key]

    def get(self, name: str) -> str | None:
        """Return the first field of that name."""
        key = name.lower()
        return next((value for found, _, value in self._fields if found == key), None)

    def listed(self, name: str) -> list[str]:
        """Every element of a comma-separated header, over all its fields (§7.3.1)."""
        return [part for value in self.all(name) for part in split_list(value) if part]

    def tags(self, name: str) -> frozenset[str]:
        """Option tags of Supported, Require, … in lower case; what is none is no tag that we know (§19.2)."""
        return frozenset(tag.strip().lower() for value in self.all(name) for tag in value.split(","))

    def without(self, *names: str) -> list[tuple[str, str]]:
        """Every field but those, in order."""
        keys = {name.lower() for name in names}
        return [(name, value) for key, name, value in self._fields if key not in keys]

    def __str__(self) -> str:
        return "".join(f"{name}: {value}\r\n" for _, name, value in self._fields)


class Message:
    """What requests and responses share.

    The fields that every element needs are read once, at construction.

    Raises:
        RemoteProtocolError: If one of them is absent, doubled or malformed.
    """

    def __init__(self, headers: Headers, body: bytes) -> None:
        self.headers: Headers = headers
        self.body: bytes = body
        self.hops: list[str] = headers.listed("Via")
        """Every Via, ours or the last sender's first."""
        if not self.hops:
            raise RemoteProtocolError("no Via", rule="RFC 3261 §8.1.1")
        self.via: Via = Via.parse(self.hops[0])
        self.from_: NameAddr = NameAddr.parse(_only(headers, "From"))
        self.to: NameAddr = NameAddr.parse(_only(headers, "To"))
        self.call_id: str = _only(headers, "Call-ID")
        if _VISIBLE.fullmatch(self.call_id) is None:
            raise RemoteProtocolError(f"not a Call-ID: {self.call_id!r}", rule="RFC 3261 §20.8")
        self.cseq: CSeq = CSeq.parse(_only(headers, "CSeq"))

    @property
    def contact(self) -> NameAddr | None:
        """The one contact that can become a dialog's remote target (§12.1.1).

        Raises:
            RemoteProtocolError: If it is malformed.
        """
        contacts = self.headers.listed("Contact")
        return NameAddr.parse(contacts[0]) if contacts and contacts[0] != "*" else None

    def _serialise(self, start_line: str) -> bytes:
        # Undecodable bytes of the peer went in as surrogates and go out as they came.
        head = f"{start_line}\r\n{self.headers}Content-Length: {len(self.body)}\r\n\r\n"
        return head.encode("utf-8", "surrogateescape") + self.body


class Request(Message):
    """A request. Its URI is kept as text: the peer chose it, and wants it back unchanged."""

    def __init__(self, method: str, uri: str, headers: Headers, body: bytes = b"") -> None:
        super().__init__(headers, body)
        self.method: str = method
        self.uri: str = uri
        if self.cseq.method != method:
            raise RemoteProtocolError(
                f"a {method} whose CSeq says {self.cseq.method}", rule="RFC 3261 §8.1.1.5"
            )

    def __bytes__(self) -> bytes:
        return self._serialise(f"{self.method} {self.uri} SIP/2.0")

    def __repr__(self) -> str:
        return f"Request({self.method} {self.cseq.number} {self.call_id})"


class Response(Message):
    """A response."""

    def __init__(self, status: int, reason: str, headers: Headers, body: bytes = b"") -> None:
        super().__init__(headers, body)
        self.status: int = status
        self.reason: str = reason

    def __bytes__(self) -> bytes:
        return self._serialise(f"SIP/2.0 {self.status} {self.reason}")

    @classmethod
    def mirroring(
        cls,
        request: Request,
        status: int,
        reason: str,
        headers: Headers,
        body: bytes,
        *,
        via: Via,
        to: NameAddr,
    ) -> "Response":
        """Make an answer of `headers` without reading again what was read in its request."""
        made = cls.__new__(cls)
        made.status, made.reason, made.headers, made.body = status, reason, headers, body
        made.hops = [str(via), *request.hops[1:]]
        made.via, made.from_, made.to = via, request.from_, to
        made.call_id, made.cseq = request.call_id, request.cseq
        return made

    def __repr__(self) -> str:
        return f"Response({self.status} to {self.cseq} {self.call_id})"


def respond(
    request: Request,
    status: int,
    *,
    source: tuple[str, int],
    to_tag: str = "",
    reason: str | None = None,
    extra: list[tuple[str, str]] | None = None,
    body: bytes = b"",
) -> Response:
    """Build a response that mirrors `request` as §8.2.6 wants it.

    Args:
        request: What is answered.
        status: Three digits.
        source: Where the request came from, for the top Via.
        to_tag: Our tag, added when the request had none; never on a 100.
        reason: Words beside the status; None takes the usual ones.
        extra: Header fields of this response alone.
        body: Its content; `extra` then names the type.
    """
    headers = Headers()
    via, to = request.via.seen_from(source), request.to
    headers.add("Via", str(via))
    for hop in request.hops[1:]:
        headers.add("Via", hop)
    if status == 100:
        # What the sender measures the round trip with (§8.2.6.1).
        for stamp in request.headers.all("Timestamp"):
            headers.add("Timestamp", stamp)
    if 100 < status < 300:
        for route in request.headers.all("Record-Route"):
            headers.add("Record-Route", route)
    headers.add("From", _only(request.headers, "From"))
    text = _only(request.headers, "To")
    if to_tag and not to.tag:
        text, to = f"{text};tag={to_tag}", NameAddr(to.uri, (*to.parameters, ("tag", to_tag)))
    headers.add("To", text)
    headers.add("Call-ID", request.call_id)
    headers.add("CSeq", str(request.cseq))
    for name, value in extra or []:
        headers.add(name, value)
    words = reason or REASONS.get(status, "Unknown")
    return Response.mirroring(request, status, words, headers, body, via=via, to=to)


def _only(headers: Headers, name: str) -> str:
    values = headers.all(name)
    if len(values) != 1 or not values[0]:
        raise RemoteProtocolError(f"{len(values)} {name} headers instead of one", rule="RFC 3261 §8.1.1")
    return values[0]
