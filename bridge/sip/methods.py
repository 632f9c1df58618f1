"""Which requests this endpoint serves, and how it refuses the others (RFC 3261 §8.2)."""

from bridge.errors import RemoteProtocolError
from bridge.sip.grammar import Uri
from bridge.sip.message import Request

__all__ = [
    "ALLOW",
    "SDP_TYPE",
    "SUPPORTED",
    "WITHIN_CALLS",
    "Refusal",
    "refusal_of_content",
    "refusal_of_extensions",
    "refusal_of_method",
    "refusal_of_new",
    "refusal_of_outsider",
]

ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, PRACK, UPDATE, REFER, NOTIFY, MESSAGE"
SUPPORTED = ("100rel", "timer", "replaces", "norefersub")
"""Extensions that a request may require."""
SDP_TYPE = "application/sdp"
WITHIN_CALLS = frozenset(["BYE", "INFO", "NOTIFY", "PRACK", "UPDATE"])
"""Methods that mean nothing outside a call of ours."""

_KNOWN = frozenset(["REGISTER", "SUBSCRIBE", "NOTIFY", "REFER", "MESSAGE", "PRACK", "PUBLISH", "UPDATE"])

Refusal = tuple[int, list[tuple[str, str]]]
"""Status and the header fields that explain it."""


def refusal_of_method(request: Request) -> Refusal | None:
    """405 for what SIP knows and we do not serve, 501 for what nobody knows (§8.2.1)."""
    if request.method in ALLOW.split(", "):
        return None
    if request.method == "SUBSCRIBE":
        return 489, [("Allow-Events", "refer")]  # a subscription that only a REFER makes (RFC 6665 §4.2.1.1)
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
    refusal = refusal_of_extensions(request) or _refusal_of_answer(request)
    return refusal or (refusal_of_content(request) if request.method != "MESSAGE" else None)


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


def refusal_of_outsider(request: Request) -> Refusal | None:
    """Why a request of these methods is not served outside a call."""
    if request.method == "REFER":
        return 403, []  # a call out of nothing is nobody's to ask for
    if request.method != "INVITE" and request.headers.get("Replaces") is not None:
        return 400, []  # RFC 3891 §3
    return None


def refusal_of_extensions(request: Request) -> Refusal | None:
    """420 for an extension that must be understood, and is not (§8.2.2.3)."""
    try:
        required = request.headers.listed("Require")
    except RemoteProtocolError:
        return 400, []
    unknown = [tag for tag in required if tag.lower() not in SUPPORTED]
    return (420, [("Unsupported", ", ".join(unknown))]) if unknown else None
