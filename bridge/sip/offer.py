"""Offer and answer for one G.711 stream: codec, security, keys, RTCP (RFC 3264, 3605, 4568, 4733, 5761)."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from bridge.errors import NegotiationError, RemoteProtocolError
from bridge.rtp.srtp import CLEAR, SrtpKeys
from bridge.sip.crypto import PLAIN, SECURE, CryptoLine, MediaCrypto
from bridge.sip.sdp import Media, Origin, RtpMap, SessionDescription

__all__ = ["LocalMedia", "Negotiated", "Negotiator", "accept", "answer", "is_behind_nat", "make_offer"]

_CODECS = {"PCMU": 0, "PCMA": 1}
_NAMES = ("PCMU", "PCMA")
_STATIC = {0: RtpMap("PCMU", 8000), 8: RtpMap("PCMA", 8000)}
"""Payload types that need no rtpmap (RFC 3551 §6)."""
_EVENTS = RtpMap("telephone-event", 8000)
_OFFERED_DTMF = 101
_ALL_KEYS = 0xFFFF
_EVENT_LIST = re.compile(r" *[0-9]{1,3}(?:-[0-9]{1,3})?(?: *, *[0-9]{1,3}(?:-[0-9]{1,3})?)* *")
_DIRECTIONS = {
    (True, True): "sendrecv",
    (True, False): "sendonly",
    (False, True): "recvonly",
    (False, False): "inactive",
}
"""By whether we send, and whether we receive."""
_RTCP = re.compile(r"([0-9]{1,5})(?: IN IP4 ([^ ]+))?")
"""Value of ``a=rtcp`` (RFC 3605 §2.1)."""
_RTCP_TYPES = range(64, 96)
"""Payload types that cannot be told from RTCP on a shared port (RFC 5761 §4)."""
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
    rtcp: tuple[str, int] | None = None
    """Where the peer wants RTCP on a port of its own; None where it says nowhere that can be reached."""
    rtcp_mux: bool = False
    """RTCP shares the port of RTP, both ways."""
    dtmf_offered: int = -1
    """Number under which we offered telephone events, where the peer answered with another: each side sends
    under the other's number (RFC 3264 §6.1), and some peers under their own."""
    dtmf_events: int = 0xFFFF
    """Keys that the peer takes as events, a bit each: others are not sent as such (RFC 4733 §2.4.1)."""
    srtp: SrtpKeys = CLEAR
    """How it is encrypted, if it is."""


def answer(offer: bytes, local: LocalMedia) -> tuple[bytes, Negotiated]:
    """Answer with the first stream and the first codec that we can carry; refuse the others.

    One codec only: a peer may switch between all that an answer lists, from one packet to the next.

    Raises:
        RemoteProtocolError: If the offer is not SDP.
        NegotiationError: If it has nothing for us: answer 488.
    """
    description, chosen = _answer(SessionDescription.parse(offer), local, MediaCrypto())
    return bytes(description), chosen


def make_offer(local: LocalMedia, *, direction: str = "sendrecv") -> bytes:
    """Offer PCMU, PCMA and telephone events, as the first word of a call."""
    return bytes(_describe(local, (_offered(local, _numbering(None, {}), direction=direction),)))


def accept(
    answered: bytes, *, direction: str = "sendrecv", index: int = 0, crypto: MediaCrypto | None = None
) -> Negotiated:
    """Read the peer's answer to an offer of ours.

    Args:
        answered: The answer.
        direction: What our offer said.
        index: Which of its streams was the audio.
        crypto: What the offer's keys were made with, if it had any.

    Raises:
        RemoteProtocolError: If it is not SDP.
        NegotiationError: If the peer refused the stream or chose what we did not offer.
    """
    theirs, crypto = SessionDescription.parse(answered), crypto or MediaCrypto()
    chosen = _choose(theirs, theirs.media[index], crypto) if index < len(theirs.media) else None
    if chosen is None:
        raise NegotiationError("the answer refuses the audio that we offered")
    return replace(
        chosen,
        srtp=crypto.accept(theirs.media[index]),
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
    """Our end of a call's descriptions: keeps the session id, the streams and their numbers (RFC 3264 §8).

    Args:
        ip: Address that the peer can send media to.
        port: RTP port.
        session_id: Random; at most 63 bits.
        crypto: Who makes and takes keys; None encrypts nothing.
    """

    def __init__(self, *, ip: str, port: int, session_id: int, crypto: MediaCrypto | None = None) -> None:
        self._crypto = crypto or MediaCrypto()
        self._local = LocalMedia(ip, port, session_id, version=0)
        self._last = b""
        self._direction = "sendrecv"
        self._offered_dtmf = -1
        self._streams: tuple[Media, ...] = (Media("audio", 0, "RTP/AVP", ("0",)),)
        """Those that the call has by now: a later offer may close one, and never drops one."""
        self._index = 0
        """Which of them is the audio."""
        self._known: dict[int, RtpMap] = {}
        """What the peer has called each payload type; no number changes its meaning within a call."""
        self.negotiated: Negotiated | None = None

    def offer(self, *, direction: str = "sendrecv") -> bytes:
        """Describe ourselves first; `accept` takes the answer."""
        self._direction = direction
        numbers = _numbering(self.negotiated, self._known)
        self._offered_dtmf = next((number for number, found in numbers.items() if found == _EVENTS), -1)
        audio = _offered(self._local, numbers, direction=direction, lines=self._crypto.offer())
        streams = (*self._streams[: self._index], audio, *self._streams[self._index + 1 :])
        return self._say(_describe(self._local, streams))

    def accept(self, answered: bytes) -> Negotiated:
        """Take the answer to the last `offer`; raises as the function `accept` does."""
        agreed = accept(answered, direction=self._direction, index=self._index, crypto=self._crypto)
        has_two = agreed.dtmf_payload_type not in (-1, self._offered_dtmf)
        self.negotiated = replace(agreed, dtmf_offered=self._offered_dtmf) if has_two else agreed
        self._learn(SessionDescription.parse(answered))
        return self.negotiated

    def answer(self, offer: bytes) -> bytes:
        """Answer the first or a later offer; raises as the function `answer` does, nothing changed."""
        theirs = SessionDescription.parse(offer)
        description, self.negotiated = _answer(theirs, self._local, self._crypto)
        self._streams = description.media
        self._index = next(index for index, media in enumerate(self._streams) if media.port)
        self._learn(theirs)
        return self._say(description)

    def _learn(self, theirs: SessionDescription) -> None:
        self._known |= theirs.media[self._index].rtp_maps()

    def _say(self, description: SessionDescription) -> bytes:
        """Write it down, under a new version if it differs from what was said last (§8)."""
        if bytes(description) != self._last:
            self._local = replace(self._local, version=self._local.version + 1)
            origin = replace(description.origin, version=self._local.version)
            self._last = bytes(replace(description, origin=origin))
        return self._last


def _answer(
    theirs: SessionDescription, local: LocalMedia, crypto: MediaCrypto
) -> tuple[SessionDescription, Negotiated]:
    found = {index: _choose(theirs, media, crypto) for index, media in enumerate(theirs.media)}
    usable = {index: agreed for index, agreed in found.items() if agreed is not None}
    if not usable:
        raise NegotiationError(
            "the offer has no audio with PCMU or PCMA and our security to one IPv4 address"
        )
    # Some offer the same twice: first the secure profile, or last.
    best = min(usable, key=lambda index: (theirs.media[index].protocol != SECURE, index))
    keys, lines = crypto.answer(theirs.media[best])
    chosen = replace(usable[best], srtp=keys)
    # A refused stream keeps its place and its format list (RFC 3264 §6).
    ours = [Media(media.kind, 0, media.protocol, media.formats) for media in theirs.media]
    ours[best] = _answered(theirs.media[best], chosen, local, lines)
    return _describe(local, tuple(ours), timing=theirs.timing), chosen


def _choose(theirs: SessionDescription, media: Media, crypto: MediaCrypto) -> Negotiated | None:
    """What this stream of the peer offers us, if anything."""
    if media.kind != "audio" or media.port == 0 or not crypto.takes(media):
        return None
    maps = {**_STATIC, **media.rtp_maps()}
    numbers = [int(text) for text in media.formats if text.isascii() and text.isdigit() and int(text) < 128]
    known = [(number, maps[number]) for number in numbers if number in maps]
    speech = [(number, _CODECS[found.encoding.upper()]) for number, found in known if _is_speech(found)]
    if not speech:
        return None
    address = theirs.address_of(media) or ""
    if not _is_reachable(address):
        return None
    events = [number for number, found in known if _is_events(found)]
    direction = _MIRROR[theirs.direction_of(media)]
    # RFC 2543 had no directions: the address 0.0.0.0 is how it says hold (RFC 3264 §8.4).
    is_mute = address == "0.0.0.0"
    remote = None if is_mute else (address, media.port)
    taken = (speech[0][0], *events[:1])
    sending = direction in ("sendrecv", "sendonly") and not is_mute
    return Negotiated(
        codec=speech[0][1],
        payload_type=speech[0][0],
        dtmf_payload_type=events[0] if events else -1,
        remote=remote,
        sending=sending,
        receiving=direction in ("sendrecv", "recvonly"),
        held=not sending,
        rtcp=_rtcp_address(media, remote),
        rtcp_mux=media.attribute("rtcp-mux") is not None and not any(n in _RTCP_TYPES for n in taken),
        dtmf_events=_keys_of(media, events[0]) if events else _ALL_KEYS,
    )


def _rtcp_address(media: Media, remote: tuple[str, int] | None) -> tuple[str, int] | None:
    """What ``a=rtcp`` names, else the port above RTP's (RFC 3605, RFC 3550 §11)."""
    if remote is None:
        return None
    host, port = remote[0], remote[1] + 1
    if (match := _RTCP.fullmatch(media.attribute("rtcp") or "")) is not None:
        host, port = match[2] or host, int(match[1])
    return (host, port) if 0 < port < 1 << 16 and host != "0.0.0.0" and _is_reachable(host) else None


def _is_speech(found: RtpMap) -> bool:
    return found.encoding.upper() in _CODECS and found.clock_rate == 8000 and found.channels == 1


def _is_events(found: RtpMap) -> bool:
    # Events count time with the clock of the speech beside them (RFC 4733 §2.1).
    return found.encoding.lower() == "telephone-event" and found.clock_rate == 8000


def _keys_of(media: Media, number: int) -> int:
    """Which of the events 0 to 15 a stream takes, as bits; all of them where it does not say so readably."""
    for name, value in media.attributes:
        told, _, events = (value or "").partition(" ")
        if name == "fmtp" and told == str(number) and _EVENT_LIST.fullmatch(events):
            spans = [span.partition("-") for span in events.replace(" ", "").split(",")]
            ranges = [range(int(first), int(last or first) + 1) for first, _, last in spans]
            return sum(1 << key for key in range(16) if any(key in span for span in ranges))
    return _ALL_KEYS


def _is_reachable(address: str) -> bool:
    """Whether it is the IPv4 address of one host, or 0.0.0.0, which says hold."""
    try:
        place = ipaddress.IPv4Address(address)
    except ValueError:
        return False
    # 0.x is this host, 240.0.0.0/4 holds the broadcast: nobody's media is to be aimed there.
    return address == "0.0.0.0" or not (place.is_multicast or place.is_reserved or place.packed[0] == 0)


def _answered(media: Media, chosen: Negotiated, local: LocalMedia, lines: tuple[CryptoLine, ...]) -> Media:
    """Our half of the stream: the offerer's numbers, in the offerer's order (RFC 3264 §6.1)."""
    taken = {chosen.payload_type, chosen.dtmf_payload_type}
    formats = dict.fromkeys(int(text) for text in media.formats if text.isdigit() and int(text) in taken)
    speech = RtpMap(_NAMES[chosen.codec], 8000)
    numbers = {number: speech if number == chosen.payload_type else _EVENTS for number in formats}
    direction = _DIRECTIONS[chosen.sending, chosen.receiving]
    return _offered(local, numbers, direction=direction, rtcp_mux=chosen.rtcp_mux, lines=lines)


def _numbering(agreed: Negotiated | None, known: Mapping[int, RtpMap]) -> dict[int, RtpMap]:
    """What to offer under which number: what was agreed first, then what has no number yet."""
    numbers: dict[int, RtpMap] = {}
    if agreed is not None:
        numbers[agreed.payload_type] = RtpMap(_NAMES[agreed.codec], 8000)
    for number, found in _STATIC.items():
        is_taken = not _is_same(known.get(number, found), found)
        if found not in numbers.values() and not is_taken:
            numbers[number] = found
    events = agreed.dtmf_payload_type if agreed is not None else -1
    if events < 0:
        wanted = (_OFFERED_DTMF, *range(127, 95, -1))
        free = (n for n in wanted if n not in numbers and (n not in known or _is_events(known[n])))
        events = next(free, -1)
    if events >= 0:
        numbers[events] = _EVENTS
    return numbers


def _is_same(one: RtpMap, other: RtpMap) -> bool:
    return replace(one, encoding=one.encoding.upper()) == other


def _offered(
    local: LocalMedia,
    numbers: Mapping[int, RtpMap],
    *,
    direction: str,
    rtcp_mux: bool = True,
    lines: tuple[CryptoLine, ...] = (),
) -> Media:
    attributes: list[tuple[str, str | None]] = []
    for number, found in numbers.items():
        attributes.append(("rtpmap", f"{number} {found.encoding}/{found.clock_rate}"))
        if found == _EVENTS:
            attributes.append(("fmtp", f"{number} 0-15"))
    attributes += [("ptime", "20"), (direction, None)]
    if rtcp_mux:
        attributes.append(("rtcp-mux", None))
    attributes += [("crypto", line.value) for line in lines]
    formats = tuple(str(number) for number in numbers)
    return Media("audio", local.port, SECURE if lines else PLAIN, formats, None, tuple(attributes))


def _describe(local: LocalMedia, media: tuple[Media, ...], *, timing: str = "0 0") -> SessionDescription:
    origin = Origin("-", local.session_id, local.version, local.ip)
    return SessionDescription(origin, local.ip, media, timing=timing)
