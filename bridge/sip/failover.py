"""When a request goes to the next server, and how long the last one is left alone (RFC 3263 §4.3)."""

import re
from collections.abc import Iterable

from bridge.sip.dialog import LocalPlace
from bridge.sip.message import Request, Response

__all__ = ["FAILOVER_NS", "Servers", "is_busy", "retry_after_s"]

FAILOVER_NS = 4_000_000_000
"""How long a server may say nothing while there is another one: four INVITEs get lost in that time."""

_LONGEST_S = 3600
_SECONDS = re.compile(r"[0-9]{1,9}")


def is_busy(message: Request | Response | None) -> bool:
    """Whether a server has no time for us, which says nothing about the next one (RFC 3261 §21.5.4)."""
    return isinstance(message, Response) and message.status == 503


def retry_after_s(response: Response) -> int:
    """How long a server wants to be left alone: at most an hour, 0 if it does not say."""
    # It may have a comment after it (RFC 3261 §20.33).
    match = _SECONDS.match(response.headers.get("Retry-After") or "")
    return 0 if match is None else min(int(match[0]), _LONGEST_S)


class Servers:
    """The servers that one INVITE may go to, one after the other.

    Args:
        others: Those after the first, and where each reaches us.
        patience_ns: How long one may say nothing while there is another.
    """

    def __init__(
        self, others: Iterable[tuple[tuple[str, int], LocalPlace]] = (), *, patience_ns: int = FAILOVER_NS
    ) -> None:
        self.deadline_ns: int | None = None
        """When the next one is asked; None while there is none, or one has spoken."""
        self.left: dict[str, bool] = {}
        """Transactions with servers that were left before they spoke, and whether they are taken back."""
        self._others = list(others)
        self._patience_ns = patience_ns

    def __bool__(self) -> bool:
        """Whether there is another one."""
        return bool(self._others)

    def asked(self, *, now_ns: int) -> None:
        """The INVITE is on its way to one of them."""
        self.deadline_ns = now_ns + self._patience_ns if self._others else None

    def heard(self) -> None:
        """It has said something: it has all the time that timer B gives it."""
        self.deadline_ns = None

    def take(self) -> tuple[tuple[str, int], LocalPlace]:
        """Go on to the next one."""
        return self._others.pop(0)
