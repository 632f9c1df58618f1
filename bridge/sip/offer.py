"""Offer and answer for one G.711 stream with telephone events (RFC 3264, RFC 4733 §2.4)."""

import ipaddress
from dataclasses import dataclass, replace

from bridge.errors import NegotiationError, RemoteProtocolError
from bridge.sip.sdp import Media, Origin, RtpMap, SessionDescription

__all__ = ["LocalMedia", "Negotiated", "Negotiator", "accept", "answer", "is_behind_nat", "make_offer"]

_CODECS = {"PCMU": 0, "PCMA": 1}
_NAMES = ("PCMU", "PCMA")
_STATIC = {0: RtpMap("PCMU", 8000), 8: RtpMap("PCMA", 8000)}
"""Payload types that need no rtpmap (RFC 3551 §6)."""
_OFFERED_DTMF = 101
_MIRROR = {"sendrecv": "sendrecv", "sendonly": "recvonly", "recvonly": "sendonly", "inactive": "inactive"}


@dataclass(frozen=True, slots=True)
class LocalMedia:
    """What our side of a description says."""

    ip: str
    port: int
    session_id: int
    """Random, the same for the whole call (RFC 8866 §5.2)."""
    version: int = 1
    """Grows with every description of the call that differs from the one before."""


@dataclass(frozen=True, slots=True)
class Negotiated:
    """What both sides agreed on, as the media row needs it."""

    codec: int
    """0 PCMU, 1 PCMA."""
    payload_type: int
    dtmf_payload_type: int
    """-1 when the peer takes no telephone events."""
    remote: tuple[str, int] | None
    """Where the peer wants its media; None while it wants none (c=0.0.0.0)."""
    sending: bool
    """Whether we may send."""
    receiving: bool
    held: bool
    """The peer put us on hold: it wants no media from us."""


def answer(offer: bytes, local: LocalMedia) -> tuple[bytes, Negotiated]:
    """Answer with the first stream and the first codec that we can carry; refuse the others.

    One codec only: a peer may switch between all that an answer lists, from one packet to the next.

    Raises:
        RemoteProtocolError: If the offer is not SDP.
        NegotiationError: If it has nothing for us: answer 488.
    """
    theirs = SessionDescription.parse(offer)
    chosen: Negotiated | None = None
    ours: list[Media] = []
    for media in theirs.media:
        found = _choose(theirs, media) if chosen is None else None
        if found is None:
            # A refused stream keeps its place and its format list (RFC 3264 §6).
            ours.append(Media(media.kind, 0, media.protocol, media.formats))
        else:
            chosen = found
            ours.append(_answered(theirs, media, chosen, local))
    if chosen is None:
        raise NegotiationError("the offer has no RTP/AVP audio with PCMU or PCMA")
    return bytes(_describe(local, tuple(ours), timing=theirs.timing)), chosen


def make_offer(local: LocalMedia, *, direction: str = "sendrecv") -> bytes:
    """Offer PCMU, PCMA and telephone events."""
    formats = ("0", "8", str(_OFFERED_DTMF))
    attributes: tuple[tuple[str, str | None], ...] = (
        ("rtpmap", "0 PCMU/8000"),
        ("rtpmap", "8 PCMA/8000"),
        ("rtpmap", f"{_OFFERED_DTMF} telephone-event/8000"),
        ("fmtp", f"{_OFFERED_DTMF} 0-15"),
        ("ptime", "20"),
        (direction, None),
    )
    return bytes(_describe(local, (Media("audio", local.port, "RTP/AVP", formats, None, attributes),)))


def accept(answered: bytes, *, direction: str = "sendrecv") -> Negotiated:
    """Read the peer's answer to `make_offer`.

    Args:
        answered: The answer.
        direction: What our offer said.

    Raises:
        RemoteProtocolError: If it is not SDP.
        NegotiationError: If the peer refused the stream or chose what we did not offer.
    """
    theirs = SessionDescription.parse(answered)
    chosen = _choose(theirs, theirs.media[0]) if theirs.media else None
    if chosen is None:
        raise NegotiationError("the answer refuses the audio that we offered")
    return replace(
        chosen,
        sending=chosen.sending and direction in ("sendrecv", "sendonly"),
        receiving=chosen.receiving and direction in ("sendrecv", "recvonly"),
    )


def is_behind_nat(sdp: bytes, *, source_ip: str) -> bool:
    """Whether the description names a private address while its packets come from a public one."""
    try:
        theirs = SessionDescription.parse(sdp)
        address = next((found for media in theirs.media if (found := theirs.address_of(media))), None)
        place = ipaddress.IPv4Address(address or "")
    except (ValueError, RemoteProtocolError):
        return False
    return place.is_private and int(place) != 0 and not ipaddress.IPv4Address(source_ip).is_private


class Negotiator:
    """Our end of a call's descriptions: keeps the session id, counts the versions (RFC 3264 §8).

    Args:
        ip: Address that the peer can send media to.
        port: RTP port.
        session_id: Random; at most 63 bits.
    """

    def __init__(self, *, ip: str, port: int, session_id: int) -> None:
        self._local = LocalMedia(ip, port, session_id, version=0)
        self._last = b""
        self._direction = "sendrecv"
        self.negotiated: Negotiated | None = None

    def offer(self, *, direction: str = "sendrecv") -> bytes:
        """Describe ourselves first; `accept` takes the answer."""
        self._direction = direction
        if make_offer(self._local, direction=direction) != self._last:
            self._local = replace(self._local, version=self._local.version + 1)
        self._last = make_offer(self._local, direction=direction)
        return self._last

    def accept(self, answered: bytes) -> Negotiated:
        """Take the answer to the last `offer`; raises as the function `accept` does."""
        self.negotiated = accept(answered, direction=self._direction)
        return self.negotiated

    def answer(self, offer: bytes) -> bytes:
        """Answer the first or a later offer; raises as the function `answer` does, nothing changed."""
        if answer(offer, self._local)[0] != self._last:
            self._local = replace(self._local, version=self._local.version + 1)
        self._last, self.negotiated = answer(offer, self._local)
        return self._last


def _choose(theirs: SessionDescription, media: Media) -> Negotiated | None:
    """What this stream of the peer offers us, if anything."""
    if media.kind != "audio" or media.port == 0 or media.protocol != "RTP/AVP":
        return None
    maps = {**_STATIC, **media.rtp_maps()}
    numbers = [int(text) for text in media.formats if text.isascii() and text.isdigit() and int(text) < 128]
    known = [(number, maps[number]) for number in numbers if number in maps]
    speech = [(number, _CODECS[found.encoding.upper()]) for number, found in known if _is_speech(found)]
    if not speech:
        return None
    events = [number for number, found in known if _is_events(found)]
    address = _ipv4(theirs.address_of(media))
    direction = _MIRROR[theirs.direction_of(media)]
    # RFC 2543 had no directions: the address 0.0.0.0 is how it says hold (RFC 3264 §8.4).
    is_mute = address == "0.0.0.0"
    sending = direction in ("sendrecv", "sendonly") and not is_mute
    return Negotiated(
        codec=speech[0][1],
        payload_type=speech[0][0],
        dtmf_payload_type=events[0] if events else -1,
        remote=None if is_mute else (address, media.port),
        sending=sending,
        receiving=direction in ("sendrecv", "recvonly"),
        held=not sending,
    )


def _is_speech(found: RtpMap) -> bool:
    return found.encoding.upper() in _CODECS and found.clock_rate == 8000 and found.channels == 1


def _is_events(found: RtpMap) -> bool:
    # Events count time with the clock of the speech beside them (RFC 4733 §2.1).
    return found.encoding.lower() == "telephone-event" and found.clock_rate == 8000


def _ipv4(address: str | None) -> str:
    try:
        return str(ipaddress.IPv4Address(address or ""))
    except ValueError:
        raise NegotiationError(f"media to {address!r}: only IPv4 addresses are carried") from None


def _answered(theirs: SessionDescription, media: Media, chosen: Negotiated, local: LocalMedia) -> Media:
    """Our half of the stream: the offerer's numbers, in the offerer's order (RFC 3264 §6.1)."""
    taken = {chosen.payload_type, chosen.dtmf_payload_type}
    formats = tuple(dict.fromkeys(text for text in media.formats if text.isdigit() and int(text) in taken))
    attributes: list[tuple[str, str | None]] = []
    for text in formats:
        if int(text) == chosen.payload_type:
            attributes.append(("rtpmap", f"{text} {_NAMES[chosen.codec]}/8000"))
        else:
            attributes += [("rtpmap", f"{text} telephone-event/8000"), ("fmtp", f"{text} 0-15")]
    direction = _MIRROR[theirs.direction_of(media)]
    if direction == "sendrecv" and chosen.held:
        direction = "recvonly"
    attributes += [("ptime", "20"), (direction, None)]
    return Media("audio", local.port, "RTP/AVP", formats, None, tuple(attributes))


def _describe(local: LocalMedia, media: tuple[Media, ...], *, timing: str = "0 0") -> SessionDescription:
    origin = Origin("-", local.session_id, local.version, local.ip)
    return SessionDescription(origin, local.ip, media, timing=timing)
