"""Keys in a session description: the crypto attribute, and who may choose what (RFC 4568, RFC 7714 §14).

The description carries the keys in the clear, so they are worth what the signalling is worth: over TLS
nobody on the way can read them.
"""

import base64
import binascii
import re
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

from bridge.errors import NegotiationError
from bridge.ports import IdSource
from bridge.rtp.srtp import CLEAR, SUITES, SrtpKeys
from bridge.sip.sdp import Media

__all__ = ["PLAIN", "SECURE", "CryptoLine", "MediaCrypto", "SrtpPolicy"]

SrtpPolicy = Literal["off", "preferred", "required"]
"""off: no encryption. preferred: what the peer offers, encrypted if it offers both. required: no other."""

PLAIN, SECURE = "RTP/AVP", "RTP/SAVP"
_PLAIN, _SECURE = (PLAIN, "RTP/AVPF"), (SECURE, "RTP/SAVPF")
"""With early feedback, which nobody has to give (RFC 4585 §3, RFC 5124 §3.3)."""
LEAST_LIFETIME = 1 << 20
"""Packets that a key must be good for: six hours. We never change a key for its age."""

_ATTRIBUTE = re.compile(r"([0-9]{1,9})[ \t]+([A-Za-z0-9_]+)[ \t]+([^ \t]+)((?:[ \t]+[!-~]+)*)")
"""Tag, suite, key parameters, session parameters (§9.2)."""
_KEY = re.compile(r"inline:([A-Za-z0-9+/]+={0,2})(?:\|(2\^)?([0-9]{1,20}))?")
"""Key with salt, and perhaps a lifetime; a master key identifier is not taken (see `CryptoLine.parse`)."""
_HARMLESS = re.compile(r"(?i:WSH=[0-9]{1,6}|KDR=0|-.*)")
"""Session parameters that change nothing: the window is a hint (§6.3.7), a key is derived once anyway, and
what begins with ``-`` may be ignored (§6.3.8)."""


@dataclass(frozen=True, slots=True)
class CryptoLine:
    """One ``a=crypto``; its secret is no part of its representation."""

    tag: int
    """Names it among its fellows (§9.1)."""
    suite: str
    """A name of `bridge.rtp.srtp.SUITES`."""
    secret: bytes = field(repr=False)
    """Master key and master salt."""

    @classmethod
    def parse(cls, value: str) -> "CryptoLine":
        """Read the value of an attribute; never repeats it in an error, for it holds a key.

        Raises:
            NegotiationError: If it is malformed, or asks for what we do not do: another suite, several keys,
                a master key identifier, a short lifetime, a session parameter that weakens or changes SRTP.
        """
        match = _ATTRIBUTE.fullmatch(value.strip())
        if match is None:
            raise NegotiationError("a crypto attribute is malformed (RFC 4568 §9.1)")
        tag, name, parameters, session = int(match[1]), match[2], match[3], match[4].split()
        suite = SUITES.get(name.upper())
        if suite is None:
            raise NegotiationError(f"crypto {tag}: no suite {name[:40]}")
        if any(_HARMLESS.fullmatch(each) is None for each in session):
            raise NegotiationError(f"crypto {tag}: session parameters that we do not take")
        # An identifier would travel in every packet (RFC 3711 §3.1), and is of use to several keys only.
        key = _KEY.fullmatch(parameters)
        if key is None:
            raise NegotiationError(f"crypto {tag}: not one inline key without an identifier")
        if key[3] is not None and (int(key[3]) < 20 if key[2] else int(key[3]) < LEAST_LIFETIME):
            raise NegotiationError(f"crypto {tag}: a key of less than {LEAST_LIFETIME} packets")
        return cls(tag, suite.name, _decode(key[1], tag, suite.secret_bytes))

    @property
    def value(self) -> str:
        """What stands behind ``a=crypto:``."""
        return f"{self.tag} {self.suite} inline:{base64.b64encode(self.secret).decode()}"


class MediaCrypto:
    """Our end's keys over a call, and what is answered to the peer's.

    Our key is kept for as long as its suite is agreed on: a later offer or answer that agrees on the same
    changes nothing, and no rollover counter has to be agreed on anew (§7.1.4).

    Args:
        policy: What is offered and taken.
        ids: Where keys come from; nobody can guess them.
    """

    def __init__(self, policy: SrtpPolicy = "off", ids: IdSource | None = None) -> None:
        if policy != "off" and ids is None:
            raise ValueError("keys need a source of random numbers")
        self._policy = policy
        self._ids = ids
        self._secrets: dict[str, bytes] = {}
        self._offered: tuple[CryptoLine, ...] = ()
        self._agreed = ""

    def takes(self, media: Media) -> bool:
        """Whether a stream that the peer offers is secured in a way that we take."""
        if media.protocol in _PLAIN:
            # A crypto attribute without the secure profile is against RFC 4568 §4, and means nothing.
            return self._policy != "required"
        return media.protocol in _SECURE and self._policy != "off" and _first(media) is not None

    def answer(self, media: Media) -> tuple[SrtpKeys, tuple[CryptoLine, ...]]:
        """Keys for a stream that is taken, and the lines of its answer: same tag, our own key (§5.1.2)."""
        line = _first(media) if media.protocol in _SECURE else None
        if line is None:
            self._agree("")
            return CLEAR, ()
        ours = CryptoLine(line.tag, line.suite, self._secret(line.suite))
        self._agree(line.suite)
        return _keys(ours, line), (ours,)

    def offer(self) -> tuple[CryptoLine, ...]:
        """Lines of an offer of ours: within a call what has been agreed, else all that we have.

        Only where encryption is required: a peer that cannot do it refuses the secure profile as a whole.
        """
        if self._policy == "required" or self._agreed:
            suites = [self._agreed] if self._agreed else list(SUITES)
            self._offered = tuple(
                CryptoLine(tag, suite, self._secret(suite)) for tag, suite in enumerate(suites, start=1)
            )
        else:
            self._offered = ()
        return self._offered

    def accept(self, media: Media) -> SrtpKeys:
        """Keys for the stream of the answer to our last offer (§5.1.3).

        Raises:
            NegotiationError: If it is not what we offered.
        """
        if media.protocol not in (_SECURE if self._offered else _PLAIN):
            raise NegotiationError(
                f"the answer has the profile {media.protocol[:20]}, which we did not offer"
            )
        if not self._offered:
            self._agree("")
            return CLEAR
        values = [value for name, value in media.attributes if name == "crypto"]
        if len(values) != 1:
            raise NegotiationError(f"the answer has {len(values)} crypto attributes instead of one")
        line = CryptoLine.parse(values[0] or "")
        ours = next((each for each in self._offered if each.tag == line.tag), None)
        if ours is None or ours.suite != line.suite:
            raise NegotiationError(f"crypto {line.tag} {line.suite} of the answer is none that we offered")
        if ours.secret == line.secret:
            raise NegotiationError("the answer returns our own key as the peer's")
        self._agree(line.suite)
        return _keys(ours, line)

    def _agree(self, suite: str) -> None:
        # A key that is left is never come back to: nobody would know which of its indices were used.
        self._agreed = suite
        self._secrets = {name: secret for name, secret in self._secrets.items() if name == suite}

    def _secret(self, suite: str) -> bytes:
        if suite not in self._secrets and self._ids is not None:
            self._secrets[suite] = bytes.fromhex(self._ids.token(SUITES[suite].secret_bytes))
        return self._secrets[suite]


def _first(media: Media) -> CryptoLine | None:
    """The peer's best line that we take."""
    for name, value in media.attributes:
        if name == "crypto":
            with suppress(NegotiationError):
                return CryptoLine.parse(value or "")
    return None


def _keys(ours: CryptoLine, theirs: CryptoLine) -> SrtpKeys:
    return SrtpKeys(ours.suite, tx=ours.secret.hex(), rx=theirs.secret.hex())


def _decode(text: str, tag: int, need: int) -> bytes:
    # Some leave out the padding, which base64 does not need.
    padded = text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4)
    try:
        secret = base64.b64decode(padded, validate=True)
    except binascii.Error:
        secret = b""
    if len(secret) != need:
        raise NegotiationError(f"crypto {tag}: not {need} bytes of key and salt")
    return secret
