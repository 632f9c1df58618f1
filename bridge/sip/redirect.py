"""Where else a callee can be reached, and in which order that is tried (RFC 3261 §8.1.3.4)."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from bridge.errors import RemoteProtocolError
from bridge.sip.grammar import DEFAULT_PORT, NameAddr, Uri
from bridge.sip.message import Response

__all__ = ["Contact", "Redirects", "contacts_of"]

_FOLLOWED = (300, 301, 302)
"""305 names a proxy, which is ours to choose, and 380 another service."""
_MOST = 16
_QUALITY = re.compile(r"0(\.[0-9]{1,3})?|1(\.0{1,3})?")


@dataclass(frozen=True, slots=True)
class Contact:
    """One place to try."""

    uri: str
    quality: float = 1.0
    """0 to 1: the higher one comes first."""


def contacts_of(response: Response) -> tuple[Contact, ...]:
    """Where a 3xx sends us; empty for any other response, and for what cannot be read."""
    if response.status not in _FOLLOWED:
        return ()
    try:
        found = [NameAddr.parse(text) for text in response.headers.listed("Contact")[:_MOST] if text != "*"]
    except RemoteProtocolError:
        return ()
    return tuple(
        Contact(each.uri.text, _quality(each.parameter("q")))
        for each in found
        # What has expired already is a place where the callee is not.
        if each.uri.scheme in ("sip", "tel") and each.parameter("expires") != "0"
    )


def _quality(text: str | None) -> float:
    """Of a missing or malformed q, RFC 3261 says nothing: such a contact is as good as any."""
    return float(text) if text is not None and _QUALITY.fullmatch(text) is not None else 1.0


class Redirects:
    """The places that are left to try for one call: each at most once, the best first.

    Args:
        first: The URI that was called.
        limit: How many further ones may be tried.
    """

    def __init__(self, first: str, *, limit: int) -> None:
        self._left = limit
        self._seen = {_place(first)}
        self._waiting: list[Contact] = []

    def add(self, contacts: Iterable[Contact]) -> None:
        """Take what a 3xx says; what was tried already is left out: such things go in circles."""
        for contact in contacts:
            place = _place(contact.uri)
            if place not in self._seen:
                self._seen.add(place)
                self._waiting.append(contact)
        self._waiting.sort(key=lambda contact: -contact.quality)

    def take(self) -> str | None:
        """The next URI to try, if any is left and may be."""
        if not self._waiting or self._left <= 0:
            return None
        self._left -= 1
        return self._waiting.pop(0).uri


def _place(text: str) -> tuple[str, str, str, int]:
    uri = Uri.parse(text)
    return uri.scheme, uri.user, uri.host.lower(), uri.port or DEFAULT_PORT
