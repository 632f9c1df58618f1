"""Bytes to SIP messages: normalise, then judge what may be answered (RFC 3261 §7, RFC 4475)."""

import re

from bridge.errors import RemoteProtocolError
from bridge.sip.grammar import Uri, Via
from bridge.sip.message import REASONS, Headers, Request, Response

__all__ = ["MAX_FIELDS", "MAX_HEAD_BYTES", "BadRequestError", "parse"]

MAX_HEAD_BYTES = 16384
"""Start line and headers together; the longest honest ones have a few kilobytes."""
MAX_FIELDS = 128

_FOLD = re.compile(rb"\r\n[ \t]+")
_TOKEN = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+")
_VERSION = re.compile(r"SIP/[0-9]+\.[0-9]+", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SPACES = re.compile(r"[ \t]+")


class BadRequestError(RemoteProtocolError):
    """A request that cannot be served, but safely answered.

    Attributes:
        status: What to answer.
        via: Its top Via, which says where; None if it cannot be read.
        hops: The other Vias as written, or all of them.
        headers: The fields that an answer mirrors.
    """

    def __init__(self, message: str, *, status: int, headers: Headers) -> None:
        super().__init__(message)
        self.status: int = status
        self.headers: Headers = headers
        self.via: Via | None = None
        self.hops: list[str] = headers.all("Via")
        try:
            first, *others = headers.listed("Via")
            self.via, self.hops = Via.parse(first), others
        except (RemoteProtocolError, ValueError):
            pass

    def reply_address(self, source: tuple[str, int]) -> tuple[str, int]:
        """Where the answer goes: back, whatever else cannot be read."""
        return source if self.via is None else self.via.reply_address(source)

    def answer(self, *, source: tuple[str, int], to_tag: str) -> bytes:
        """Build the answer without any state, of what the request has."""
        lines = [f"SIP/2.0 {self.status} {REASONS[self.status]}"]
        lines += [] if self.via is None else [f"Via: {self.via.seen_from(source)}"]
        lines += [f"Via: {hop}" for hop in self.hops]
        for name in ("From", "To", "Call-ID", "CSeq"):
            if (value := self.headers.get(name)) is None:
                continue
            # Raw text may be too broken to read a tag from; a second one does no harm there.
            tag = f";tag={to_tag}" if name == "To" and "tag=" not in value else ""
            lines.append(f"{name}: {value}{tag}")
        lines.append("Content-Length: 0")
        return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape")


def parse(data: bytes) -> Request | Response | None:
    """Read one datagram; None for a keep-alive of empty lines (RFC 5626 §3.5.1).

    Raises:
        BadRequestError: If it is a broken request that §8.2 and RFC 4475 let us answer.
        RemoteProtocolError: If it is anything else that is not a SIP message.
    """
    data = data.lstrip(b"\r\n")
    if not data.strip(b"\x00"):
        return None
    head, separator, body = data.partition(b"\r\n\r\n")
    if not separator:
        raise RemoteProtocolError("no empty line after the headers", rule="RFC 3261 §7")
    head_read = head[: MAX_HEAD_BYTES + 1]
    if b"\n " in head_read or b"\n\t" in head_read:
        head_read = _FOLD.sub(b" ", head_read)
    lines = head_read.decode("utf-8", "surrogateescape").split("\r\n")
    headers, fault = _fields(lines[1:])
    if len(head) > MAX_HEAD_BYTES:
        fault = 513, f"headers of {len(head)} bytes"
    if _CONTROL.search(lines[0]) is not None:
        raise RemoteProtocolError("control characters in the start line", rule="RFC 3261 §7")
    if lines[0][:4].upper() == "SIP/":
        return _response(lines[0], headers, body, fault)
    return _request(lines[0], headers, body, fault)


_Fault = tuple[int, str] | None
"""First thing found wrong: the status that says so, and what it is."""


def _fields(lines: list[str]) -> tuple[Headers, _Fault]:
    headers = Headers()
    fault: _Fault = None
    for line in lines[:MAX_FIELDS]:
        name, colon, value = line.partition(":")
        name = name.rstrip(" \t")
        if not colon or _TOKEN.fullmatch(name) is None or "\r" in value or "\n" in value:
            # No value may contain a break; any other character may hide in a quoted pair (§25.1).
            fault = fault or (400, f"not a header: {line[:80]!r}")
            continue
        if "  " in value or "\t" in value:
            value = _SPACES.sub(" ", value)
        headers.add(name, value.strip(" "))
    if len(lines) > MAX_FIELDS:
        fault = 513, f"{len(lines)} headers"
    return headers, fault


def _response(line: str, headers: Headers, body: bytes, fault: _Fault) -> Response:
    version, _, rest = line.partition(" ")
    code, _, reason = rest.partition(" ")
    if version.upper() != "SIP/2.0" or re.fullmatch(r"[1-6][0-9]{2}", code) is None:
        raise RemoteProtocolError(f"not a status line: {line[:80]!r}", rule="RFC 3261 §7.2")
    body, length_fault = _cut(headers, body)
    if (wrong := fault or length_fault) is not None:
        raise RemoteProtocolError(wrong[1], rule="RFC 4475 §3.1.2")
    # The words reach people's eyes: undecodable bytes must not travel on.
    readable = reason.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return Response(int(code), readable, headers, body)


def _request(line: str, headers: Headers, body: bytes, fault: _Fault) -> Request:
    method, uri, line_fault = _request_line(line)
    body, length_fault = _cut(headers, body)
    wrong = line_fault or fault or length_fault or _limits(headers)
    try:
        if wrong is None:
            return Request(method, uri, headers, body)
    except RemoteProtocolError as error:
        wrong = 400, str(error)
    # An ACK is never answered (§17.1.1.3), nor what does not even say which way it came.
    if method == "ACK" or headers.get("Via") is None:
        raise RemoteProtocolError(wrong[1], rule="RFC 3261 §8.1.1")
    raise BadRequestError(wrong[1], status=wrong[0], headers=headers)


def _request_line(line: str) -> tuple[str, str, _Fault]:
    parts = line.split(" ")
    if _TOKEN.fullmatch(parts[0]) is None or _VERSION.fullmatch(line.rstrip(" ").rpartition(" ")[2]) is None:
        raise RemoteProtocolError(f"not a request line: {line[:80]!r}", rule="RFC 3261 §7.1")
    if line.rstrip(" ").rpartition(" ")[2].upper() != "SIP/2.0":
        return parts[0], "", (505, f"not SIP/2.0: {line[:80]!r}")
    if len(parts) != 3:
        return parts[0], "", (400, f"stray spaces in the request line: {line[:80]!r}")
    try:
        uri = Uri.parse(parts[1])
    except RemoteProtocolError as error:
        return parts[0], "", (400, str(error))
    if uri.text != parts[1]:
        return parts[0], "", (400, f"headers in a Request-URI: {parts[1]!r}")
    return parts[0], parts[1], None


def _cut(headers: Headers, body: bytes) -> tuple[bytes, _Fault]:
    """Take what Content-Length says and forget the header: it is written anew on the way out."""
    lengths = headers.all("Content-Length")
    headers.remove("Content-Length")
    if not lengths:
        return body, None
    if len(lengths) > 1 or re.fullmatch(r"[0-9]{1,9}", lengths[0]) is None:
        return b"", (400, f"Content-Length {', '.join(lengths)!r}")
    length = int(lengths[0])
    if length > len(body):
        return b"", (400, f"Content-Length {length} with {len(body)} bytes of body")
    return body[:length], None


def _limits(headers: Headers) -> _Fault:
    hops = headers.all("Max-Forwards")
    if len(hops) > 1 or (hops and (re.fullmatch(r"[0-9]{1,8}", hops[0]) is None or int(hops[0]) > 255)):
        return 400, f"Max-Forwards {', '.join(hops)!r}"
    return None
