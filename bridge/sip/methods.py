"""Which requests this endpoint serves, and how it refuses the others (RFC 3261 §8.2)."""

from bridge.errors import RemoteProtocolError
from bridge.sip.grammar import Uri
from bridge.sip.message import Request

__all__ = [
    "ALLOW",
    "SDP_TYPE",
    "Refusal",
    "refusal_of_content",
    "refusal_of_extensions",
    "refusal_of_method",
    "refusal_of_new",
]

ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO"
SDP_TYPE = "application/sdp"

_KNOWN = frozenset(["REGISTER", "SUBSCRIBE", "NOTIFY", "REFER", "MESSAGE", "PRACK", "PUBLISH", "UPDATE"])

Refusal = tuple[int, list[tuple[str, str]]]
"""Status and the header fields that explain it."""


def refusal_of_method(request: Request) -> Refusal | None:
    """405 for what SIP knows and we do not serve, 501 for what nobody knows (§8.2.1)."""
    if request.method in ALLOW.split(", "):
        return None
    return (405 if request.method in _KNOWN else 501), [("Allow", ALLOW)]


def refusal_of_content(request: Request) -> Refusal | None:
    """415 for a body that is not plain SDP (§8.2.3)."""
    content_type = (request.headers.get("Content-Type") or "").partition(";")[0].strip().lower()
    encoding = (request.headers.get("Content-Encoding") or "identity").strip().lower()
    if not request.body or (content_type == SDP_TYPE and encoding == "identity"):
        return None
    return 415, [("Accept", SDP_TYPE), ("Accept-Encoding", "identity")]


def refusal_of_new(request: Request) -> Refusal | None:
    """What §8.2 checks in a request that starts something new, in its order."""
    if (refusal := refusal_of_method(request)) is not None:
        return refusal
    if Uri.parse(request.uri).scheme not in ("sip", "sips", "tel"):
        return 416, []
    return refusal_of_extensions(request) or refusal_of_content(request) or _refusal_of_answer(request)


def _refusal_of_answer(request: Request) -> Refusal | None:
    """406 for a caller who takes no description in our answer (§8.2.5, §20.1)."""
    if request.method != "INVITE" or request.headers.get("Accept") is None:
        return None
    try:
        ranges = request.headers.listed("Accept")
    except RemoteProtocolError:
        return 400, []
    types = {value.partition(";")[0].strip().lower() for value in ranges}
    return None if types & {SDP_TYPE, "application/*", "*/*"} else (406, [])


def refusal_of_extensions(request: Request) -> Refusal | None:
    """420 for any extension that must be understood: we have none yet (§8.2.2.3)."""
    try:
        required = request.headers.listed("Require")
    except RemoteProtocolError:
        return 400, []
    return (420, [("Unsupported", ", ".join(required))]) if required else None
