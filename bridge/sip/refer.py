"""What REFER and its NOTIFYs say (RFC 3515, RFC 4488), the place of another call included (RFC 3891)."""

import re
from dataclasses import dataclass

from bridge.errors import RemoteProtocolError
from bridge.sip.grammar import NameAddr, Uri
from bridge.sip.message import REASONS, Headers, Request
from bridge.sip.replaces import Replaces

__all__ = [
    "FRAGMENT_TYPE",
    "NO_SUBSCRIPTION",
    "Progress",
    "Referral",
    "fragment",
    "progress_of",
    "refer_to",
    "referral_of",
]

FRAGMENT_TYPE = "message/sipfrag;version=2.0"
NO_SUBSCRIPTION = "norefersub"
"""Option tag: nobody wants to be told what became of it (RFC 4488 §4)."""

_LONGEST = 2048
_STATUS_LINE = re.compile(r"SIP/2\.0 +([1-6][0-9]{2})(?: +([^\r\n]*))?(?:\r?\n|$)")
_DEFAULT_S = 60


@dataclass(frozen=True, slots=True)
class Referral:
    """Whom a REFER asks us to call."""

    target: Uri
    replaces: Replaces | None
    """The call there that ours is to take the place of."""
    referred_by: str
    """Who says so, as the header has it (RFC 3892); empty if nobody."""
    is_silent: bool
    """The sender does not want to know what comes of it."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What a NOTIFY says of the call that we asked for."""

    status: int
    """Of the last response to its INVITE; 0 where the NOTIFY says nothing of it."""
    reason: str
    is_over: bool
    """Nothing more will come."""
    expires_s: int
    """How long the subscription lasts."""


def refer_to(uri: str, replaces: Replaces | None) -> str:
    """Write the header value that sends a peer to `uri`."""
    return f"<{uri}>" if replaces is None else f"<{uri}?Replaces={replaces.escaped}>"


def referral_of(request: Request) -> Referral:
    """Read a REFER.

    Raises:
        RemoteProtocolError: If it names nobody, or more than one (§2.4.1).
    """
    headers = request.headers
    values = headers.all("Refer-To")
    if len(values) != 1 or len(values[0]) > _LONGEST:
        raise RemoteProtocolError(f"{len(values)} Refer-To instead of one", rule="RFC 3515 §2.4.1")
    address = NameAddr.parse(values[0])
    wanted = (headers.get("Refer-Sub") or "true").partition(";")[0].strip().lower()
    by = headers.get("Referred-By") or ""
    knows = headers.tags("Supported") | headers.tags("Require")
    return Referral(
        target=address.uri,
        replaces=_replaces_in(values[0]),
        referred_by=by if len(by) <= _LONGEST else "",
        is_silent=wanted == "false" and NO_SUBSCRIPTION in knows,
    )


def _replaces_in(value: str) -> Replaces | None:
    """Header fields stand behind the question mark of the URI; all but this one are none of our business."""
    uri = value[value.find("<") + 1 : value.rfind(">")] if "<" in value else value
    _, _, address = uri.rpartition("@")
    for field in address.partition("?")[2].split("&"):
        name, _, text = field.partition("=")
        if name.strip().lower() == "replaces":
            return Replaces.unescaped(text)
    return None


def fragment(status: int, reason: str = "") -> bytes:
    """The body of a NOTIFY: the first line of a response (RFC 3420)."""
    return f"SIP/2.0 {status} {reason or REASONS.get(status, 'Unknown')}\r\n".encode()


def progress_of(notify: Request) -> Progress:
    """Read a NOTIFY about a call that we asked for.

    Raises:
        RemoteProtocolError: If it does not say how its subscription is (RFC 6665 §4.1.3).
    """
    state, expires_s = _subscription_of(notify.headers)
    found = _STATUS_LINE.match(notify.body[:_LONGEST].decode("utf-8", "replace").lstrip("\r\n"))
    status = int(found[1]) if found is not None else 0
    reason = (found[2] or "").strip() if found is not None else ""
    return Progress(status, reason, state == "terminated" or status >= 200, expires_s)


def _subscription_of(headers: Headers) -> tuple[str, int]:
    value = headers.get("Subscription-State") or ""
    state, *parameters = (part.strip() for part in value.split(";"))
    if state.lower() not in ("active", "pending", "terminated"):
        raise RemoteProtocolError(f"a subscription that is {state[:20]!r}", rule="RFC 6665 §4.1.3")
    named = (part.partition("=") for part in parameters)
    expires = next((value.strip() for name, _, value in named if name.strip().lower() == "expires"), "")
    is_number = expires.isascii() and expires.isdigit() and len(expires) < 10
    return state.lower(), int(expires) if is_number else _DEFAULT_S
