"""Keys in the body of an INFO, as telephones have sent them since before RFC 6086 gave INFO its packages."""

import re
from dataclasses import dataclass

from bridge.errors import RemoteProtocolError
from bridge.rtp.dtmf import DIGITS
from bridge.sip.message import Request
from bridge.sip.methods import Refusal

__all__ = ["KEY_TYPES", "Key", "key_of", "refusal_of_info"]

_RELAY = "application/dtmf-relay"
_BARE = "application/dtmf"
KEY_TYPES = f"{_RELAY}, {_BARE}"

_DEFAULT_MS = 160
"""How long a key was held whose sender does not say: what most of them write."""
_LONGEST_MS = 60_000
_MOST_BYTES = 256
"""No key takes more words."""
_NUMBERED = {str(event): digit for event, digit in enumerate(DIGITS)}
"""Some write the event's code of RFC 4733, such as 10 for the star."""
_FLASH = frozenset(("16", "!", "FLASH"))
_LINE = re.compile(r"(?i)\s*(signal|duration)\s*=\s*(\S+)\s*")


@dataclass(frozen=True, slots=True)
class Key:
    """What an INFO says was pressed."""

    digit: str
    """One of ``0123456789*#ABCD``; empty for a flash of the hook."""
    duration_ms: int


def refusal_of_info(request: Request) -> Refusal | None:
    """469 for a package, since we have none; 415 for a body that we do not know (RFC 6086 §4.2.2)."""
    if request.headers.get("Info-Package") is not None:
        return 469, [("Recv-Info", "")]
    encoding = (request.headers.get("Content-Encoding") or "identity").strip().lower()
    if request.body and (_type_of(request) not in (_RELAY, _BARE) or encoding != "identity"):
        return 415, [("Accept", KEY_TYPES), ("Accept-Encoding", "identity")]
    return None


def key_of(request: Request) -> Key | None:
    """The key that an INFO is about, if it is about one.

    Raises:
        RemoteProtocolError: If its body says nothing that could be a key.
    """
    if not request.body:
        return None
    if len(request.body) > _MOST_BYTES:
        raise RemoteProtocolError(f"{len(request.body)} bytes for one key")
    text = request.body.decode("utf-8", "replace")
    told = {found[1].lower(): found[2] for line in text.splitlines() if (found := _LINE.fullmatch(line))}
    # `application/dtmf` is the bare key, though some write the lines of the other type under its name.
    signal = told.get("signal") or (text.strip() if _type_of(request) == _BARE else "")
    return Key(_digit(signal), _duration_ms(told.get("duration", "")))


def _type_of(request: Request) -> str:
    return (request.headers.get("Content-Type") or "").partition(";")[0].strip().lower()


def _digit(signal: str) -> str:
    signal = signal.upper()
    if signal in _FLASH:
        return ""
    digit = _NUMBERED.get(signal, signal)
    if len(digit) != 1 or digit not in DIGITS:
        raise RemoteProtocolError(f"{signal[:20]!r} is no key")
    return digit


def _duration_ms(text: str) -> int:
    if not text:
        return _DEFAULT_MS
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= _LONGEST_MS):
        raise RemoteProtocolError(f"a key cannot be held for {text[:20]!r} ms")
    return int(text)
