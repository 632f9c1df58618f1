"""What a description tells at a glance, before anything is negotiated: where the peer is."""

import ipaddress

from bridge.errors import RemoteProtocolError
from bridge.hosts import address_of, is_v6
from bridge.sip.sdp import SessionDescription

__all__ = ["is_behind_nat", "media_address"]


def media_address(sdp: bytes) -> tuple[str, int] | None:
    """Where the first stream of sound is; None if no address is named, or nothing can be read."""
    try:
        theirs = SessionDescription.parse(sdp)
        audio = next(media for media in theirs.media if media.kind == "audio" and media.port)
    except (StopIteration, RemoteProtocolError):
        return None
    address = address_of(theirs.address_of(audio) or "")
    return None if address in (None, "0.0.0.0", "::") else (address, audio.port)


def is_behind_nat(sdp: bytes, *, source_ip: str) -> bool:
    """Whether the description names an address that says nothing where its packets come from.

    A private one behind a public one, or the sender's own loopback, which is not ours. An address of the
    other family says nothing about it.
    """
    try:
        theirs = SessionDescription.parse(sdp)
    except RemoteProtocolError:
        return False
    named = next((found for media in theirs.media if (found := theirs.address_of(media))), None)
    address, seen = address_of(named or ""), address_of(source_ip)
    if address is None or seen is None or is_v6(address) is not is_v6(seen):
        return False
    place, source = ipaddress.ip_address(address), ipaddress.ip_address(seen)
    if place.is_loopback:
        return not source.is_loopback
    return place.is_private and int(place) != 0 and not source.is_private
