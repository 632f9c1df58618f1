"""Texts that phones send beside or within a call (RFC 3428)."""

from bridge.sip.message import Request
from bridge.sip.methods import Refusal

__all__ = ["LONGEST_BYTES", "TEXT_TYPE", "refusal_of_text", "text_of"]

TEXT_TYPE = "text/plain"
LONGEST_BYTES = 1300
"""What a MESSAGE outside a session may have at most, header fields included (§8); we take no more within."""


def refusal_of_text(message: Request) -> Refusal | None:
    """415 for what is no plain text that we can read, 413 for one that is too long."""
    headers = message.headers
    kind, _, parameters = (headers.get("Content-Type") or TEXT_TYPE).partition(";")
    encoding = (headers.get("Content-Encoding") or "identity").strip().lower()
    charset = parameters.lower().partition("charset=")[2].partition(";")[0].strip().strip('"')
    if (
        kind.strip().lower() != TEXT_TYPE
        or encoding != "identity"
        or charset not in ("", "utf-8", "us-ascii")
    ):
        return 415, [("Accept", TEXT_TYPE), ("Accept-Encoding", "identity")]
    return (413, []) if len(message.body) > LONGEST_BYTES else None


def text_of(message: Request) -> str:
    """The text of a MESSAGE that is not refused; what is no UTF-8 in it is replaced."""
    return message.body.decode("utf-8", "replace")
