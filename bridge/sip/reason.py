"""Why a call ends, as the Reason header of a BYE or CANCEL says it (RFC 3326)."""

__all__ = ["reason_of"]

_FAILED = (41, "Temporary failure")
_EXPIRED = (102, "Recovery on timer expiry")
_CAUSES = {
    "failed": _FAILED,
    "bridge failed": _FAILED,
    "agent failed": _FAILED,
    "voice failed": _FAILED,
    "media failed": _FAILED,
    "shut down": _FAILED,
    "no media": _EXPIRED,
    "no ack": _EXPIRED,
    "session expired": _EXPIRED,
    "no prack": _EXPIRED,
    "the other side knows no such call": _EXPIRED,
    "no answer": (19, "No answer from user"),
    "no usable answer": (88, "Incompatible destination"),
    "no answer to our offer": (88, "Incompatible destination"),
}
"""Cause values of Q.850 by our own words for the end of a call.

Not ``SIP;cause=200``: in a CANCEL that means that somebody else has answered, and phones forget the call.
"""


def reason_of(reason: str) -> str:
    """The header's value; empty for a plain goodbye, as which an agent's own words go: they are private.

    A goodbye with cause 16, normal call clearing, is right, too, but some phones show any Reason as an error.
    """
    found = _CAUSES.get(reason)
    return "" if found is None else f'Q.850;cause={found[0]};text="{found[1]}"'
