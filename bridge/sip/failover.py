"""When a request goes to the next server, and how long the last one is left alone (RFC 3263 §4.3)."""

import re

from bridge.sip.message import Request, Response

__all__ = ["is_busy", "retry_after_s"]

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
