"""Offer and answer for one stream of speech: codec, security, keys (RFC 3264, 3605, 4568, 4733, 5761)."""

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from bridge.errors import NegotiationError
from bridge.rtp.srtp import CLEAR, SrtpKeys
from bridge.sip.codecs import (
    ALL_KEYS,
    CODECS,
    COMFORT_NOISE,
    DEFAULT_CODECS,
    NAMES,
    Codec,
    attributes_of,
    codec_of,
    comfort_of,
    events_of,
    explained,
    is_same,
    keys_of,
    numbering,
    opus_rate_hz,
    opus_wishes,
    packet_ms,
    usual_ms,
    wanted,
)
from bridge.sip.crypto import PLAIN, SECURE, CryptoLine, MediaCrypto
from bridge.sip.sdp import Media, Origin, RtpMap, SessionDescription

__all__ = ["LocalMedia", "Negotiated", "Negotiator", "accept", "answer", "make_offer"]

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
_TAKING_TURNS = (0, 1)
"""PCMU and PCMA: the media row can change between them at any packet."""
_EXPECTED_LOSS_PERCENT = 10
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
    comfort_noise: bool = False
    """Whether we speak of comfort noise beside G.711 (RFC 3389)."""

    def quiet(self, agreed: "Negotiated") -> "Negotiated":
        """The same without comfort noise, where we do not speak of it."""
        return agreed if self.comfort_noise else replace(agreed, comfort_payload_type=-1)


@dataclass(frozen=True, slots=True)
class Negotiated:
    """What both sides agreed on, as the media row needs it."""

    codec: int
    """`bridge.sip.codecs.Codec.number`: 0 PCMU, 1 PCMA, …"""
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
    rate_hz: int = 8000
    """Audio rate of the row."""
    ptime_ms: int = 20
    """Length of the packets that we send."""
    opus_bitrate: int = 0
    """Most bits a second that the peer takes; 0 = it does not say."""
    opus_fec: bool = False
    """The peer can make use of in-band FEC."""
    opus_dtx: bool = False
    """The peer prefers nothing to be sent in silence."""
    opus_max_rate_hz: int = 0
    """Highest sampling frequency that the peer plays; 0 = any."""
    opus_loss_percent: int = 0
    """Loss that in-band FEC is to prepare for."""
    comfort_payload_type: int = -1
    """Under which number each side may say how its silence sounds; -1 = it sends its silence (RFC 3389)."""
    srtp: SrtpKeys = CLEAR
    """How it is encrypted, if it is."""


def answer(
    offer: bytes, local: LocalMedia, *, codecs: Iterable[str] = DEFAULT_CODECS
) -> tuple[bytes, Negotiated]:
    """Answer with the first stream and the first codec of it that is among `codecs`; refuse the others.

    One codec only: a peer may switch between all that an answer lists, from one packet to the next.

    Raises:
        RemoteProtocolError: If the offer is not SDP.
        NegotiationError: If it has nothing for us: answer 488.
    """
    theirs = SessionDescription.parse(offer)
    description, chosen = _answer(theirs, local, wanted(codecs), None, MediaCrypto())
    return bytes(description), chosen


def make_offer(
    local: LocalMedia, *, direction: str = "sendrecv", codecs: Iterable[str] = DEFAULT_CODECS
) -> bytes:
    """Offer `codecs`, best first, and telephone events, as the first word of a call."""
    numbers = numbering(wanted(codecs), {}, {}, comfort_noise=local.comfort_noise)
    return bytes(_describe(local, (_offered(local, numbers, direction=direction),)))


def accept(
    answered: bytes,
    *,
    direction: str = "sendrecv",
    index: int = 0,
    codecs: Iterable[str] = DEFAULT_CODECS,
    crypto: MediaCrypto | None = None,
    comfort_noise: bool = False,
) -> Negotiated:
    """Read the peer's answer to an offer of ours.

    Args:
        answered: The answer.
        direction: What our offer said.
        index: Which of its streams was the audio.
        codecs: What it offered.
        crypto: What the offer's keys were made with, if it had any.
        comfort_noise: Whether it offered that.

    Raises:
        RemoteProtocolError: If it is not SDP.
        NegotiationError: If the peer refused the stream or chose what we did not offer.
    """
    crypto = crypto or MediaCrypto()
    agreed = _accept(answered, wanted(codecs), None, crypto, direction=direction, index=index)
    return agreed if comfort_noise else replace(agreed, comfort_payload_type=-1)


class Negotiator:
    """Our end of a call's descriptions: keeps the session id, the streams and their numbers (RFC 3264 §8).

    A call keeps the codec that it began with: its media row was made for that. PCMU and PCMA may take turns.

    Args:
        ip: Address that the peer can send media to.
        port: RTP port.
        session_id: Random; at most 63 bits.
        codecs: Names of what we speak, best first.
        crypto: Who makes and takes keys; None encrypts nothing.
        comfort_noise: Whether silence beside G.711 may be said instead of sent.
    """

    def __init__(
        self,
        *,
        ip: str,
        port: int,
        session_id: int,
        codecs: Sequence[str] = DEFAULT_CODECS,
        crypto: MediaCrypto | None = None,
        comfort_noise: bool = False,
    ) -> None:
        self._crypto = crypto or MediaCrypto()
        self._local = LocalMedia(ip, port, session_id, version=0, comfort_noise=comfort_noise)
        self._codecs = wanted(codecs)
        self._last = b""
        self._direction = "sendrecv"
        self._is_holding = False
        self._offered_events: dict[int, int] = {}
        """Number under which we offered telephone events, by their clock."""
        self._streams: tuple[Media, ...] = (Media("audio", 0, "RTP/AVP", ("0",)),)
        """Those that the call has by now: a later offer may close one, and never drops one."""
        self._index = 0
        """Which of them is the audio."""
        self._known: dict[int, RtpMap] = {}
        """What the peer has called each payload type; no number changes its meaning within a call."""
        self.negotiated: Negotiated | None = None

    def hold(self, is_holding: bool) -> None:
        """Let our descriptions say that we want to hear nothing, or that we do again (RFC 3264 §8.4)."""
        self._is_holding = is_holding

    def offer(self) -> bytes:
        """Describe ourselves first; `accept` takes the answer."""
        direction = self._direction = "sendonly" if self._is_holding else "sendrecv"
        numbers = numbering(
            self._carried(),
            self._known,
            _in_use(self.negotiated),
            comfort_noise=self._local.comfort_noise,
        )
        self._offered_events = {
            found.clock_rate: number for number, found in numbers.items() if _is_events(found)
        }
        lines = self._crypto.offer()
        audio = _offered(self._local, numbers, direction=direction, agreed=self.negotiated, lines=lines)
        streams = (*self._streams[: self._index], audio, *self._streams[self._index + 1 :])
        return self._say(_describe(self._local, streams))

    def accept(self, answered: bytes) -> Negotiated:
        """Take the answer to the last `offer`; raises as the function `accept` does."""
        agreed = _accept(
            answered,
            self._carried(),
            self.negotiated,
            self._crypto,
            direction=self._direction,
            index=self._index,
        )
        agreed = self._local.quiet(agreed)
        offered = self._offered_events.get(CODECS[NAMES[agreed.codec]].rtp.clock_rate, -1)
        has_two = agreed.dtmf_payload_type not in (-1, offered)
        self.negotiated = replace(agreed, dtmf_offered=offered) if has_two else agreed
        self._learn(SessionDescription.parse(answered))
        return self.negotiated

    def answer(self, offer: bytes) -> bytes:
        """Answer the first or a later offer; raises as the function `answer` does, nothing changed."""
        theirs = SessionDescription.parse(offer)
        description, self.negotiated = _answer(
            theirs,
            self._local,
            self._carried(),
            self.negotiated,
            self._crypto,
            is_holding=self._is_holding,
        )
        self._streams = description.media
        self._index = next(index for index, media in enumerate(self._streams) if media.port)
        self._learn(theirs)
        return self._say(description)

    def _carried(self) -> tuple[Codec, ...]:
        """What the call may speak from here on."""
        now = self.negotiated
        if now is None:
            return self._codecs
        if now.codec in _TAKING_TURNS:
            return tuple(codec for codec in self._codecs if codec.number in _TAKING_TURNS)
        return (CODECS[NAMES[now.codec]],)

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
    theirs: SessionDescription,
    local: LocalMedia,
    codecs: tuple[Codec, ...],
    now: Negotiated | None,
    crypto: MediaCrypto,
    *,
    is_holding: bool = False,
) -> tuple[SessionDescription, Negotiated]:
    found = {index: _choose(theirs, media, codecs, now, crypto) for index, media in enumerate(theirs.media)}
    usable = {index: agreed for index, agreed in found.items() if agreed is not None}
    if not usable:
        names = " or ".join(codec.name for codec in codecs)
        raise NegotiationError(f"the offer has no audio with {names} and our security to one IPv4 address")
    # Some offer the same twice: first the secure profile, or last.
    best = min(usable, key=lambda index: (theirs.media[index].protocol != SECURE, index))
    keys, lines = crypto.answer(theirs.media[best])
    chosen = local.quiet(replace(usable[best], srtp=keys))
    if is_holding:
        chosen = replace(chosen, receiving=False)
    # A refused stream keeps its place and its format list (RFC 3264 §6).
    ours = [Media(media.kind, 0, media.protocol, media.formats) for media in theirs.media]
    ours[best] = _answered(theirs.media[best], chosen, local, lines)
    return _describe(local, tuple(ours), timing=theirs.timing), chosen


def _accept(
    answered: bytes,
    codecs: tuple[Codec, ...],
    now: Negotiated | None,
    crypto: MediaCrypto,
    *,
    direction: str,
    index: int,
) -> Negotiated:
    theirs = SessionDescription.parse(answered)
    has_audio = index < len(theirs.media)
    chosen = _choose(theirs, theirs.media[index], codecs, now, crypto) if has_audio else None
    if chosen is None:
        raise NegotiationError("the answer refuses the audio that we offered")
    return replace(
        chosen,
        srtp=crypto.accept(theirs.media[index]),
        sending=chosen.sending and direction in ("sendrecv", "sendonly"),
        receiving=chosen.receiving and direction in ("sendrecv", "recvonly"),
    )


def _choose(
    theirs: SessionDescription,
    media: Media,
    codecs: tuple[Codec, ...],
    now: Negotiated | None,
    crypto: MediaCrypto,
) -> Negotiated | None:
    """What this stream of the peer offers us, if anything."""
    if media.kind != "audio" or media.port == 0 or not crypto.takes(media):
        return None
    known = explained(media)
    speech = [(number, codec) for number, found in known if (codec := codec_of(found, codecs)) is not None]
    if not speech:
        return None
    address = theirs.address_of(media) or ""
    if not _is_reachable(address):
        return None
    # The codec of the call stays where it can.
    number, codec = next((pair for pair in speech if now and pair[1].number == now.codec), speech[0])
    clock_events = events_of(codec.rtp.clock_rate)
    events = next((other for other, found in known if is_same(found, clock_events)), -1)
    direction = _MIRROR[theirs.direction_of(media)]
    # RFC 2543 had no directions: the address 0.0.0.0 is how it says hold (RFC 3264 §8.4).
    is_mute = address == "0.0.0.0"
    remote = None if is_mute else (address, media.port)
    sending = direction in ("sendrecv", "sendonly") and not is_mute
    agreed = Negotiated(
        codec=codec.number,
        payload_type=number,
        dtmf_payload_type=events,
        remote=remote,
        sending=sending,
        receiving=direction in ("sendrecv", "recvonly"),
        held=not sending,
        rtcp=_rtcp_address(media, remote),
        rtcp_mux=media.attribute("rtcp-mux") is not None
        and not any(taken in _RTCP_TYPES for taken in (number, events)),
        dtmf_events=keys_of(media, events) if events >= 0 else ALL_KEYS,
        rate_hz=codec.rate_hz,
        ptime_ms=packet_ms(media, codec),
        comfort_payload_type=comfort_of(media, codec),
    )
    return _with_opus(agreed, media, now) if codec == CODECS["opus"] else agreed


def _with_opus(agreed: Negotiated, media: Media, now: Negotiated | None) -> Negotiated:
    wishes = opus_wishes(media, agreed.payload_type)
    return replace(
        agreed,
        # A row keeps the rate that it was made with.
        rate_hz=opus_rate_hz(wishes.max_rate_hz) if now is None else now.rate_hz,
        opus_bitrate=wishes.bit_rate,
        opus_fec=wishes.is_fec,
        opus_dtx=wishes.is_dtx,
        opus_max_rate_hz=wishes.max_rate_hz,
        opus_loss_percent=_EXPECTED_LOSS_PERCENT if wishes.is_fec else 0,
    )


def _rtcp_address(media: Media, remote: tuple[str, int] | None) -> tuple[str, int] | None:
    """What ``a=rtcp`` names, else the port above RTP's (RFC 3605, RFC 3550 §11)."""
    if remote is None:
        return None
    host, port = remote[0], remote[1] + 1
    if (match := _RTCP.fullmatch(media.attribute("rtcp") or "")) is not None:
        host, port = match[2] or host, int(match[1])
    return (host, port) if 0 < port < 1 << 16 and host != "0.0.0.0" and _is_reachable(host) else None


def _is_events(found: RtpMap) -> bool:
    return is_same(found, events_of(found.clock_rate))


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
    in_use = _in_use(chosen)
    formats = dict.fromkeys(int(text) for text in media.formats if text.isdigit() and int(text) in in_use)
    numbers = {number: in_use[number] for number in formats}
    direction = _DIRECTIONS[chosen.sending, chosen.receiving]
    return _offered(local, numbers, direction=direction, rtcp_mux=chosen.rtcp_mux, agreed=chosen, lines=lines)


def _in_use(agreed: Negotiated | None) -> dict[int, RtpMap]:
    """The payload types of what was agreed."""
    if agreed is None:
        return {}
    speech = CODECS[NAMES[agreed.codec]].rtp
    numbers = {agreed.payload_type: speech}
    if agreed.dtmf_payload_type >= 0:
        numbers[agreed.dtmf_payload_type] = events_of(speech.clock_rate)
    if agreed.comfort_payload_type >= 0:
        numbers[agreed.comfort_payload_type] = COMFORT_NOISE
    return numbers


def _offered(
    local: LocalMedia,
    numbers: Mapping[int, RtpMap],
    *,
    direction: str,
    rtcp_mux: bool = True,
    agreed: Negotiated | None = None,
    lines: tuple[CryptoLine, ...] = (),
) -> Media:
    rate_hz = CODECS["opus"].rate_hz if agreed is None else agreed.rate_hz
    attributes = list(attributes_of(numbers, opus_hz=rate_hz))
    ptime_ms = usual_ms(numbers) if agreed is None else agreed.ptime_ms
    attributes += [("ptime", str(ptime_ms)), (direction, None)]
    if rtcp_mux:
        attributes.append(("rtcp-mux", None))
    attributes += [("crypto", line.value) for line in lines]
    formats = tuple(str(number) for number in numbers)
    return Media("audio", local.port, SECURE if lines else PLAIN, formats, None, tuple(attributes))


def _describe(local: LocalMedia, media: tuple[Media, ...], *, timing: str = "0 0") -> SessionDescription:
    origin = Origin("-", local.session_id, local.version, local.ip)
    return SessionDescription(origin, local.ip, media, timing=timing)
