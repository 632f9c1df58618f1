"""What a description tells at a glance, before anything is negotiated: where the peer is."""

import ipaddress

from bridge.errors import RemoteProtocolError
from bridge.sip.sdp import SessionDescription

__all__ = ["is_behind_nat", "media_address"]


def media_address(sdp: bytes) -> tuple[str, int] | None:
    """Where the first stream of sound is; None if no IPv4 address is named, or nothing can be read."""
    try:
        theirs = SessionDescription.parse(sdp)
        audio = next(media for media in theirs.media if media.kind == "audio" and media.port)
        address = str(ipaddress.IPv4Address(theirs.address_of(audio) or ""))
    except (ValueError, StopIteration, RemoteProtocolError):
        return None
    return (address, audio.port) if address != "0.0.0.0" else None


def is_behind_nat(sdp: bytes, *, source_ip: str) -> bool:
    """Whether the description names an address that says nothing where its packets come from.

    A private one behind a public one, or the sender's own loopback, which is not ours.
    """
    try:
        theirs = SessionDescription.parse(sdp)
        address = next((found for media in theirs.media if (found := theirs.address_of(media))), None)
        place = ipaddress.IPv4Address(address or "")
    except (ValueError, RemoteProtocolError):
        return False
    source = ipaddress.IPv4Address(source_ip)
    if place.is_loopback:
        return not source.is_loopback
    return place.is_private and int(place) != 0 and not source.is_private
