"""How a stream is secured: not at all, by keys in the description, or by a handshake on its own way."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Literal

from bridge.errors import NegotiationError
from bridge.rtp.srtp import CLEAR, SrtpKeys
from bridge.sip.crypto import MediaCrypto, SrtpPolicy
from bridge.sip.dtls import DtlsParty, DtlsTerms
from bridge.sip.sdp import Attributes, Media

__all__ = ["CLEAR_PROFILES", "KeyMethod", "MediaSecurity", "Secured"]

KeyMethod = Literal["sdes", "dtls"]
"""sdes: keys in the description (RFC 4568). dtls: keys by a handshake (RFC 5763)."""

CLEAR_PROFILES = ("RTP/AVP", "RTP/AVPF")
_SECURE_PROFILES = ("RTP/SAVP", "RTP/SAVPF")
_DTLS_PROFILES = ("UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF")


class _Method(Enum):
    CLEAR = auto()
    SDES = auto()
    DTLS = auto()


_PROFILES = {
    _Method.CLEAR: CLEAR_PROFILES,
    _Method.SDES: _SECURE_PROFILES,
    # The first browsers wrote their handshakes under RTP/SAVPF (RFC 8829 §5.1.2).
    _Method.DTLS: (*_DTLS_PROFILES, *_SECURE_PROFILES),
}


@dataclass(frozen=True, slots=True)
class Secured:
    """What a description says of a stream's security, and what both come to."""

    profile: str = CLEAR_PROFILES[0]
    attributes: Attributes = ()
    """Lines of our description."""
    srtp: SrtpKeys = CLEAR
    """Keys that the descriptions hold."""
    dtls: DtlsTerms | None = None
    """The association that makes the keys; before that nothing is sent."""


class MediaSecurity:
    """Who makes and takes keys over a call.

    A call that has begun with a handshake keeps to it, and one that has not does not come to it later:
    a later offer that says otherwise is refused, and the call goes on as it was.

    Args:
        policy: What is offered and taken; ``off`` secures nothing.
        crypto: For keys in the description; None takes none.
        dtls: For keys by handshake; None takes none.
        first: What an offer of ours has, if it has any.
    """

    def __init__(
        self,
        policy: SrtpPolicy = "off",
        *,
        crypto: MediaCrypto | None = None,
        dtls: DtlsParty | None = None,
        first: KeyMethod = "sdes",
    ) -> None:
        self._policy = policy
        self._crypto = crypto
        self._dtls = dtls
        self._is_dtls_first = first == "dtls"
        self._now: _Method | None = None
        self._profile = ""
        """What the call's stream has by now: a later offer of ours says the same."""
        self._offered = _Method.CLEAR

    def takes(self, media: Media) -> bool:
        """Whether a stream that the peer offers is secured in a way that we take."""
        return self._method(media) is not None

    def is_dtls(self, media: Media) -> bool:
        """Whether its keys would be made by a handshake."""
        return self._method(media) is _Method.DTLS

    def answer(self, media: Media) -> Secured:
        """Answer a stream that is taken, in its own profile (RFC 3264 §6)."""
        self._now, self._profile = self._method(media), media.protocol
        if self._now is _Method.DTLS and self._dtls is not None:
            terms, attributes = self._dtls.answer(media)
            return Secured(media.protocol, attributes, dtls=terms)
        keys, lines = self._crypto.answer(media) if self._crypto is not None else (CLEAR, ())
        return Secured(media.protocol, tuple(("crypto", line.value) for line in lines), keys)

    def offer(self) -> Secured:
        """Secure an offer of ours: within a call what was agreed on, else where that is required."""
        self._offered = self._now or _Method.CLEAR
        if self._now is None and self._policy == "required":
            by_handshake = self._dtls is not None and (self._is_dtls_first or self._crypto is None)
            self._offered = _Method.DTLS if by_handshake else _Method.SDES
        if self._offered is _Method.DTLS and self._dtls is not None:
            return Secured(self._profile or _DTLS_PROFILES[0], self._dtls.offer())
        lines = self._crypto.offer() if self._crypto is not None else ()
        profile = _SECURE_PROFILES[0] if lines else CLEAR_PROFILES[0]
        return Secured(self._profile or profile, tuple(("crypto", line.value) for line in lines))

    def accept(self, media: Media) -> Secured:
        """Read the answer to our last offer.

        Raises:
            NegotiationError: If it is not what we offered.
        """
        if media.protocol not in _PROFILES[self._offered]:
            raise NegotiationError(
                f"the answer has the profile {media.protocol[:20]}, which we did not offer"
            )
        self._now, self._profile = self._offered, media.protocol
        if self._offered is _Method.DTLS and self._dtls is not None:
            return Secured(media.protocol, dtls=self._dtls.accept(media))
        keys = self._crypto.accept(media) if self._crypto is not None else CLEAR
        return Secured(media.protocol, srtp=keys)

    def _method(self, media: Media) -> _Method | None:
        method = self._wanted(media)
        if self._now is not None and (self._now is _Method.DTLS) is not (method is _Method.DTLS):
            return None
        return method

    def _wanted(self, media: Media) -> _Method | None:
        if media.protocol in CLEAR_PROFILES:
            # Attributes without the secure profile are against RFC 4568 §4, and mean nothing.
            return _Method.CLEAR if self._policy != "required" else None
        if self._policy == "off" or media.protocol not in _PROFILES[_Method.DTLS]:
            return None
        has_keys = media.protocol in _SECURE_PROFILES and self._crypto is not None
        if has_keys and self._crypto is not None and self._crypto.takes(media):
            return _Method.SDES
        return _Method.DTLS if self._dtls is not None and self._dtls.takes(media) else None
