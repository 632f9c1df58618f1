"""Messages as a telephone would write them, each part replaceable."""

from bridge.sip import wire
from bridge.sip.message import Request, Response, respond

PHONE = ("192.0.2.2", 5060)
BRIDGE_IP = "192.0.2.9"

OFFER = (
    b"v=0\r\no=lena 1 1 IN IP4 192.0.2.2\r\ns=-\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\n"
    b"m=audio 49170 RTP/AVP 8 0 101\r\na=rtpmap:101 telephone-event/8000\r\n"
)


def raw(
    method: str,
    *,
    uri: str = "sip:bot@192.0.2.9",
    branch: str = "z9hG4bK1",
    via: str = "SIP/2.0/UDP 192.0.2.2:5060",
    call_id: str = "call-1",
    number: int = 1,
    from_tag: str = "phone",
    to_tag: str = "",
    contact: str | None = "<sip:lena@192.0.2.2:5060>",
    extra: tuple[str, ...] = (),
    body: bytes = b"",
) -> bytes:
    lines = [
        f"{method} {uri} SIP/2.0",
        f"Via: {via};branch={branch}",
        "Max-Forwards: 70",
        f"From: Lena <sip:lena@192.0.2.2>;tag={from_tag}",
        "To: <sip:bot@192.0.2.9>" + (f";tag={to_tag}" if to_tag else ""),
        f"Call-ID: {call_id}",
        f"CSeq: {number} {method}",
        *([f"Contact: {contact}"] if contact else []),
        *extra,
        *(["Content-Type: application/sdp"] if body else []),
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def request(method: str = "OPTIONS", **parts: object) -> Request:
    parsed = wire.parse(raw(method, **parts))  # type: ignore[arg-type]
    assert isinstance(parsed, Request)
    return parsed


def reply(
    asked: Request | bytes,
    status: int,
    *,
    to_tag: str = "bot",
    contact: str = "<sip:bot@192.0.2.9:5070>",
    extra: tuple[tuple[str, str], ...] = (),
    body: bytes = b"",
) -> Response:
    parsed = wire.parse(asked) if isinstance(asked, bytes) else asked
    assert isinstance(parsed, Request)
    fields = [("Contact", contact)] if contact else []
    if body:
        fields.append(("Content-Type", "application/sdp"))
    return respond(parsed, status, source=PHONE, to_tag=to_tag, extra=[*fields, *extra], body=body)


def parsed_request(data: bytes) -> Request:
    parsed = wire.parse(data)
    assert isinstance(parsed, Request)
    return parsed


def parsed_response(data: bytes) -> Response:
    parsed = wire.parse(data)
    assert isinstance(parsed, Response)
    return parsed
