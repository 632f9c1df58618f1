"""Tokens that open one call from one page, for a minute: what a site gives to its visitors."""

import base64
import hashlib
import hmac
import json
from collections import OrderedDict

from bridge.errors import BridgeError
from bridge.ports import IdSource

__all__ = ["JoinRefused", "JoinTokens"]

_MOST_REMEMBERED = 16_384
"""Redeemed tokens; the oldest are over by then, or the limit of offers would have been passed long ago."""
_LONGEST = 1024


class JoinRefused(BridgeError):  # noqa: N818  an answer to whoever brings it
    """A token that opens nothing; the text says why."""


class JoinTokens:
    """Issues and redeems them; nothing is stored but which were used.

    Args:
        secret: What they are signed with; another one makes all of them worthless.
        ids: What tells two of them apart.
    """

    def __init__(self, secret: bytes, *, ids: IdSource) -> None:
        self._secret = secret
        self._ids = ids
        self._used: OrderedDict[str, int] = OrderedDict()

    def issue(self, to: str, *, lasts_s: int, now_ns: int) -> str:
        """Make a token that opens one call to this number.

        Args:
            to: User part of the number, as the route table has it.
            lasts_s: For how long.
            now_ns: The time.
        """
        claims = {"to": to, "until_ns": now_ns + lasts_s * 1_000_000_000, "id": self._ids.token(8)}
        body = base64.urlsafe_b64encode(json.dumps(claims, separators=(",", ":")).encode()).rstrip(b"=")
        return f"{body.decode()}.{self._signed(body)}"

    def redeem(self, token: str, *, now_ns: int) -> str:
        """Return the number that a token opens; it opens it once.

        Raises:
            JoinRefused: If it is not one of ours, too old, or used.
        """
        body, _, signature = token.partition(".")
        if len(token) > _LONGEST or not hmac.compare_digest(
            signature.encode("utf-8", "surrogateescape"),
            self._signed(body.encode("utf-8", "replace")).encode(),
        ):
            raise JoinRefused("this is no join token of this bridge")
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        if now_ns >= claims["until_ns"]:
            raise JoinRefused("the join token is too old; ask for a new one")
        self._forget(now_ns)
        if claims["id"] in self._used:
            raise JoinRefused("the join token was used already; ask for a new one")
        self._used[claims["id"]] = claims["until_ns"]
        return str(claims["to"])

    def _forget(self, now_ns: int) -> None:
        while self._used and (
            next(iter(self._used.values())) <= now_ns or len(self._used) >= _MOST_REMEMBERED
        ):
            self._used.popitem(last=False)

    def _signed(self, body: bytes) -> str:
        return hmac.new(self._secret, body, hashlib.sha256).hexdigest()
