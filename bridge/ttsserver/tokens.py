"""Temporary keys of the embedded service: made with a permanent key, good for a handshake while they last."""

import hmac
from collections.abc import Sequence

from bridge.ports import Clock, IdSource

__all__ = ["LONGEST_S", "Keys"]

DEFAULT_S = 60
LONGEST_S = 1800
_PREFIX = "st-"
_MOST = 10_000
_S = 1_000_000_000


class Keys:
    """Who may connect.

    Args:
        permanent: Keys from the settings; without any, everybody may.
        clock: For the end of temporary ones.
        ids: Makes temporary ones.
    """

    def __init__(self, permanent: Sequence[str], *, clock: Clock, ids: IdSource) -> None:
        self._permanent = tuple(key.encode() for key in permanent)
        self._clock = clock
        self._ids = ids
        # In the order in which they were made, so that the oldest goes first.
        self._temporary: dict[bytes, int] = {}

    def opens(self, key: str) -> bool:
        """Whether `key` may open a connection now."""
        given = key.encode(errors="surrogateescape")
        if not self._permanent or self._is_permanent(given):
            return True
        ends_ns = self._temporary.get(given)
        return ends_ns is not None and self._clock.now_ns() < ends_ns

    def may_lend(self, key: str) -> bool:
        """Whether `key` may make temporary ones: a temporary key may not."""
        return not self._permanent or self._is_permanent(key.encode(errors="surrogateescape"))

    def lend(self, lasting_s: int) -> str:
        """Make a key that opens connections for `lasting_s`, 1 to `LONGEST_S`; running ones it never ends."""
        now_ns = self._clock.now_ns()
        self._temporary = {key: end for key, end in self._temporary.items() if end > now_ns}
        if len(self._temporary) >= _MOST:
            del self._temporary[next(iter(self._temporary))]
        token = _PREFIX + self._ids.token()
        self._temporary[token.encode()] = now_ns + lasting_s * _S
        return token

    def _is_permanent(self, given: bytes) -> bool:
        # Every key is compared, so that the time tells nothing about which one was nearly right.
        matches = [hmac.compare_digest(given, known) for known in self._permanent]
        return any(matches)
