"""Who may do what over HTTP: the token of whoever runs the bridge, and one that only looks."""

import hmac
from collections.abc import Iterable
from dataclasses import dataclass

from aiohttp import web

__all__ = ["FULL", "Access", "Keys", "access_of"]


@dataclass(frozen=True, slots=True)
class Access:
    """What a token opens, besides looking."""

    order: bool
    """Call, say, press, hang up."""
    recordings: bool
    transcripts: bool
    """What was said, written and pressed."""


_KEY = web.RequestKey("access", Access)
FULL = Access(order=True, recordings=True, transcripts=True)


class Keys:
    """The tokens that open the bridge.

    Args:
        token: Opens everything.
        read_token: Opens what only looks; empty is none.
        read_opens: ``recordings`` and ``transcripts``, as far as that opens them.
    """

    def __init__(self, token: str, read_token: str = "", read_opens: Iterable[str] = ()) -> None:
        self._token = token.encode()
        self._read_token = read_token.encode()
        opened = frozenset(read_opens)
        self._reader = Access(
            order=False, recordings="recordings" in opened, transcripts="transcripts" in opened
        )

    def access(self, presented: str) -> Access | None:
        """What a presented token opens, in a time that tells nothing about either; None for nothing."""
        # Bytes, because compare_digest refuses text beyond ASCII.
        given = presented.encode("utf-8", "surrogateescape")
        is_owner = hmac.compare_digest(given, self._token)
        is_reader = hmac.compare_digest(given, self._read_token) and bool(self._read_token)
        if is_owner:
            return FULL
        return self._reader if is_reader else None

    def is_owner(self, presented: str) -> bool:
        """Whether a presented token opens everything."""
        return self.access(presented) is FULL

    def only_looks(self, presented: str) -> bool:
        """Whether a presented token is the one that orders nothing."""
        return self.access(presented) is self._reader

    def opens(self, presented: str) -> bool:
        """Whether a presented token opens anything."""
        return self.access(presented) is not None

    def note(self, request: web.Request, presented: str) -> Access | None:
        """Like `access`, and lets `access_of` know for this request."""
        access = self.access(presented)
        if access is not None:
            request[_KEY] = access
        return access


def access_of(request: web.Request) -> Access:
    """What the token of a request that was let in opens."""
    return request[_KEY]
