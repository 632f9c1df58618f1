"""ICE in a session description, as its lite end says it (RFC 8839, RFC 8445 §2.5)."""

import ipaddress
import re
from typing import Literal

from bridge.ports import IdSource
from bridge.rtp.ice import IceTerms
from bridge.sip.sdp import Attributes, Media

__all__ = ["IceParty", "IcePolicy", "attributes_of"]

IcePolicy = Literal["off", "auto", "always"]
"""off: never. auto: for callers who need it, and where our address is public. always: in our offers too."""

_UFRAG = re.compile(r"[A-Za-z0-9+/]{4,256}")
_PWD = re.compile(r"[A-Za-z0-9+/]{22,256}")
_HOST_PRIORITY = (126 << 24) + (65535 << 8) + 255
"""Of the only address that we have: type host, component 1 (RFC 8445 §5.1.2.1)."""


class IceParty:
    """Our end of a call's ICE: one candidate, whose name and secret last until the peer restarts.

    Args:
        policy: Whom we do it with.
        ids: Where names and secrets come from.
    """

    def __init__(self, policy: IcePolicy, ids: IdSource) -> None:
        self._policy = policy
        self._ids = ids
        self._ours = self._fresh()
        self._peer: tuple[str, str] | None = None

    def takes(self, media: Media, *, ip: str, is_dtls: bool) -> bool:
        """Whether a stream that the peer offers will be answered with ICE.

        Reports must share its port: a candidate less than the peer has components ends its ICE.

        Args:
            media: The stream, with what its session says of it.
            ip: Our address there.
            is_dtls: Keys are made on the media's way: such peers hardly ever do without ICE.
        """
        return _credentials(media) is not None and self._wants(media, ip, is_dtls=is_dtls)

    def answer(self, media: Media, *, ip: str, is_dtls: bool) -> IceTerms | None:
        """Terms for a stream, None where it goes without; arguments as of `takes`."""
        peer = _credentials(media)
        if peer is None or not self._wants(media, ip, is_dtls=is_dtls):
            return None
        if self._peer is not None and self._peer != peer:
            self._ours = self._fresh()  # They restart, so we do (RFC 8839 §4.4.1.1.1).
        return self._agree(media, peer)

    def offer(self) -> IceTerms | None:
        """Terms of an offer of ours; the peer's half is not known yet."""
        # Within a call that has it, it stays (RFC 8839 §4.4.1.2).
        return IceTerms(*self._ours) if self._policy == "always" or self._peer is not None else None

    def accept(self, media: Media) -> IceTerms | None:
        """Terms of the answer to an offer that had some; None where the peer goes without."""
        peer = _credentials(media)
        return None if peer is None else self._agree(media, peer)

    def _agree(self, media: Media, peer: tuple[str, str]) -> IceTerms:
        self._peer = peer
        return IceTerms(*self._ours, peer[0], is_peer_lite=media.attribute("ice-lite") is not None)

    def _wants(self, media: Media, ip: str, *, is_dtls: bool) -> bool:
        if self._policy == "off" or not media.wants_mux:
            return False
        return self._policy == "always" or is_dtls or ipaddress.ip_address(ip).is_global

    def _fresh(self) -> tuple[str, str]:
        return self._ids.token(4), self._ids.token(16)


def attributes_of(terms: IceTerms, ip: str, port: int) -> Attributes:
    """The lines of a stream at this address of ours; its session says ``ice-lite`` as well."""
    candidate = f"1 1 UDP {_HOST_PRIORITY} {ip} {port} typ host"
    return (
        ("ice-ufrag", terms.ufrag),
        ("ice-pwd", terms.password),
        ("ice-options", "ice2"),
        ("candidate", candidate),
        ("end-of-candidates", None),
    )


def _credentials(media: Media) -> tuple[str, str] | None:
    """Name and secret of the peer, if it has both."""
    ufrag, password = media.attribute("ice-ufrag") or "", media.attribute("ice-pwd") or ""
    return (ufrag, password) if _UFRAG.fullmatch(ufrag) and _PWD.fullmatch(password) else None
