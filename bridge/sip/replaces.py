"""Which call a new one takes the place of (RFC 3891)."""

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

from bridge.errors import RemoteProtocolError
from bridge.sip.dialog import Dialog
from bridge.sip.grammar import split_list
from bridge.sip.message import Headers

__all__ = ["EXTENSION", "Replaces", "replaced_by"]

EXTENSION = "replaces"
"""Option tag in Supported and Require (§6.2)."""

_FLAGS = frozenset(["early-only"])
_CALL_ID = re.compile(r"[!#-+\--:=?-~]{1,256}")
"""Printable, without quotes, commas, semicolons and brackets."""
_TAG = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]{1,256}")


@dataclass(frozen=True, slots=True)
class Replaces:
    """A dialog as the one who is to give it up knows it."""

    call_id: str
    to_tag: str
    """The tag of whoever receives this."""
    from_tag: str
    """The tag of whoever it talks to now."""
    is_early_only: bool = False
    """Take the call's place only while nobody has answered it."""

    @classmethod
    def parse(cls, text: str) -> "Replaces":
        """Read one header value.

        Raises:
            RemoteProtocolError: If a part is missing, or comes twice.
        """
        call_id, *rest = split_list(text, ";")
        found: dict[str, str] = {}
        for part in rest:
            name, _, value = part.partition("=")
            name = name.strip().lower()
            if name in found:
                raise RemoteProtocolError(f"two {name} in {text!r}", rule="RFC 3891 §6.1")
            found[name] = value.strip()
        to_tag, from_tag = found.get("to-tag", ""), found.get("from-tag", "")
        # It may come out of a URI, whose escapes can hide a line break: it goes into a header of ours.
        if not (_CALL_ID.fullmatch(call_id) and _TAG.fullmatch(to_tag) and _TAG.fullmatch(from_tag)):
            raise RemoteProtocolError(f"no dialog is named by {text!r}", rule="RFC 3891 §6.1")
        return cls(call_id, to_tag, from_tag, not _FLAGS.isdisjoint(found))

    @classmethod
    def of(cls, dialog: Dialog) -> "Replaces":
        """Name a dialog of ours as its peer knows it."""
        return cls(dialog.call_id, dialog.remote_tag, dialog.local_tag)

    @classmethod
    def unescaped(cls, text: str) -> "Replaces":
        """Read it out of a URI.

        Raises:
            RemoteProtocolError: If it names no dialog.
        """
        return cls.parse(unquote(text))

    @property
    def escaped(self) -> str:
        """As a URI carries it after the question mark (RFC 3261 §19.1.2)."""
        return quote(str(self), safe="")

    def __str__(self) -> str:
        early = ";early-only" if self.is_early_only else ""
        return f"{self.call_id};to-tag={self.to_tag};from-tag={self.from_tag}{early}"


def replaced_by(headers: Headers) -> Replaces | None:
    """What an INVITE wants to replace, if anything.

    Raises:
        RemoteProtocolError: If it names no dialog, or two (§3).
    """
    values = headers.all("Replaces")
    if not values:
        return None
    if len(values) > 1 or headers.get("Join") is not None:
        raise RemoteProtocolError("one call cannot take two places", rule="RFC 3891 §3")
    return Replaces.parse(values[0])
