"""Who calls, and by what way, as the headers of an INVITE say; and the headers that are a user's own.

Nothing in here can refuse a call: what cannot be read is left out.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bridge.errors import LocalProtocolError, RemoteProtocolError
from bridge.sip.grammar import NameAddr, split_list
from bridge.sip.message import Headers, Request

__all__ = [
    "NOBODY",
    "Diversion",
    "Presented",
    "cause_of",
    "checked_headers",
    "custom_headers",
    "display_name",
    "fault_of_header",
    "presented",
]

_MOST = 32
"""Header fields of users in one message, ours or theirs; diversions and history as well."""
_LONGEST = 1024
_NAME = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]{1,80}")
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f]")
_HALF = re.compile("[\ud800-\udfff]")
_QUOTED_PAIR = re.compile(r"\\(.)")

_STRUCTURAL = frozenset(
    re.findall(
        r"\S+",
        """
        accept accept-encoding allow allow-events authentication-info authorization call-id contact
        content-disposition content-encoding content-language content-length content-type cseq date
        event expires from join max-forwards mime-version min-expires min-se path proxy-authenticate
        proxy-authorization proxy-require rack record-route recv-info refer-sub refer-to referred-by
        replaces require retry-after route rseq server service-route session-expires subscription-state
        supported timestamp to unsupported user-agent via warning www-authenticate
        a b c d e f i j k l m n o r t u v x y
        """,
    )
)
"""What makes a message go where it goes and mean what it means: never a user's to set.

The letters are short forms, which mean the same (RFC 3261 §7.3.3).
"""


@dataclass(frozen=True, slots=True)
class Diversion:
    """Somebody who sent the call on (RFC 5806)."""

    uri: str
    reason: str
    """``no-answer``, ``user-busy``, ``unconditional`` …; empty if it does not say."""


@dataclass(frozen=True, slots=True)
class Presented:
    """How a caller is presented to us."""

    name: str = ""
    """Display name in From."""
    asserted: tuple[str, ...] = ()
    """URIs in P-Asserted-Identity (RFC 3325 §9.1); empty unless whoever sent them is trusted."""
    asserted_name: str = ""
    """Display name beside the first of them."""
    diversions: tuple[Diversion, ...] = ()
    """Who sent the call on, the last one first."""
    history: tuple[str, ...] = ()
    """URIs that the call was aimed at, in order (RFC 7044)."""
    cause: str = ""
    """The Reason header (RFC 3326)."""
    headers: tuple[tuple[str, str], ...] = ()
    """Fields whose names begin with X-, in order."""


NOBODY = Presented()


def presented(invite: Request, *, is_trusted: bool) -> Presented:
    """Read who calls.

    Args:
        invite: Their INVITE.
        is_trusted: Whether its sender may assert identities: a trunk of ours, or a network we serve.
    """
    headers = invite.headers
    asserted = list(_addresses(headers, "P-Asserted-Identity")) if is_trusted else []
    return Presented(
        name=display_name(headers.get("From") or ""),
        asserted=tuple(address.uri.text for _, address in asserted),
        asserted_name=display_name(asserted[0][0]) if asserted else "",
        diversions=tuple(
            Diversion(address.uri.text, _readable((address.parameter("reason") or "").strip('"')))
            for _, address in _addresses(headers, "Diversion")
        ),
        history=tuple(address.uri.text for _, address in _addresses(headers, "History-Info")),
        cause=cause_of(headers),
        headers=custom_headers(headers),
    )


def custom_headers(headers: Headers) -> tuple[tuple[str, str], ...]:
    """The fields that are an application's own, whose names begin with X-."""
    own = [(name, value) for name, value in headers.without() if name.lower().startswith("x-")]
    return tuple((name, _readable(value)) for name, value in own[:_MOST] if len(value) <= _LONGEST)


def cause_of(headers: Headers) -> str:
    """Why a call is ended, or begun, as its sender puts it: ``SIP;cause=200;text="…"`` (RFC 3326)."""
    return _readable((headers.get("Reason") or "")[:_LONGEST])


def display_name(text: str) -> str:
    """The name before an address, without quotes; empty if there is none."""
    text = _readable(text.strip())
    if not text.startswith('"'):
        return " ".join(text.partition("<")[0].split()) if "<" in text else ""
    end = 1
    while end < len(text) and text[end] != '"':
        end += 2 if text[end] == "\\" else 1
    return _QUOTED_PAIR.sub(r"\1", text[1:end])[:_LONGEST]


def fault_of_header(name: str, value: str) -> str | None:
    """Why a user's header field cannot be sent; None if it can."""
    if _NAME.fullmatch(name) is None:
        return f"{name!r} is no name of a header"
    if name.lower() in _STRUCTURAL:
        return f"{name} is the bridge's own to set"
    if _CONTROL.search(value) is not None:
        return f"{name} has a line break or another control character"
    if _HALF.search(value) is not None:
        return f"{name} has half a character, which UTF-8 cannot say"
    if not value.strip() or len(value) > _LONGEST:
        return f"{name} must have 1 to {_LONGEST} characters"
    return None


def checked_headers(headers: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Header fields of a user, as they may be sent.

    Raises:
        LocalProtocolError: If one of them would change what the message is, or there are more than 32.
    """
    fields = tuple(headers)
    if len(fields) > _MOST:
        raise LocalProtocolError(f"{len(fields)} header fields are more than {_MOST}")
    for name, value in fields:
        if (fault := fault_of_header(name, value)) is not None:
            raise LocalProtocolError(fault, rule="RFC 3261 §7.3.1")
    return fields


def _readable(text: str) -> str:
    """Undecodable bytes of the peer travel as surrogates, which nobody can print."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _addresses(headers: Headers, name: str) -> Sequence[tuple[str, NameAddr]]:
    found: list[tuple[str, NameAddr]] = []
    for value in headers.all(name)[:_MOST]:
        try:
            found += [(text, NameAddr.parse(text)) for text in split_list(value)[:_MOST] if text]
        except RemoteProtocolError:
            continue
    return found[:_MOST]
