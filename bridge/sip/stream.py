"""One stream of speech: what of the peer's we can carry, and how we describe our half (RFC 3264, 8866)."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from bridge.hosts import address_of, is_v6
from bridge.rtp.ice import IceTerms
from bridge.rtp.srtp import CLEAR, SrtpKeys
from bridge.sip.codecs import (
    ALL_KEYS,
    CODECS,
    COMFORT_NOISE,
    NAMES,
    Codec,
    attributes_of,
    codec_of,
    comfort_of,
    events_of,
    explained,
    is_same,
    keys_of,
    opus_rate_hz,
    opus_wishes,
    packet_ms,
    usual_ms,
)
from bridge.sip.dtls import DtlsTerms
from bridge.sip.ice import attributes_of as ice_attributes
from bridge.sip.sdp import Attributes, Media, Origin, RtpMap, SessionDescription
from bridge.sip.security import Secured

__all__ = [
    "DIRECTIONS",
    "LocalMedia",
    "Negotiated",
    "answered",
    "choose",
    "describe",
    "in_use",
    "is_events",
    "of_session",
    "offered",
    "refused",
]

DIRECTIONS = {
    (True, True): "sendrecv",
    (True, False): "sendonly",
    (False, True): "recvonly",
    (False, False): "inactive",
}
"""By whether we send, and whether we receive."""
_NOBODY = ("0.0.0.0", "::")
"""Addresses that say that there is none."""
_RTCP = re.compile(r"([0-9]{1,5})(?: IN IP[46] ([^ ]+))?")
"""Value of ``a=rtcp`` (RFC 3605 §2.1)."""
_RTCP_TYPES = range(64, 96)
"""Payload types that cannot be told from RTCP on a shared port (RFC 5761 §4)."""
_EXPECTED_LOSS_PERCENT = 10
_IN_THE_CLEAR = Secured()
_NO_REPORTS = ("RS:0", "RR:0")
"""Says that there is no RTCP (RFC 3556 §2)."""
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
    source: str = ""
    """Our SSRC and its name, ``123 cname:abc``; some WebRTC peers hear nothing without (RFC 5576 §4.1)."""

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
    """How it is encrypted, if it is, by keys that the descriptions hold."""
    dtls: DtlsTerms | None = None
    """The association that makes the keys: nothing is sent before it has."""
    ice: IceTerms | None = None
    """The peer checks our address and nominates its own; `remote` is where it is found until then."""

    @property
    def has_reports(self) -> bool:
        """Whether there is RTCP: a port of its own would need a handshake and checks of its own.

        Ours has neither (RFC 5764 §5.1.2, RFC 8445 §5.1.1), so that nothing is sent to the peer's.
        """
        return self.rtcp_mux or (self.dtls is None and self.ice is None)


def choose(
    theirs: SessionDescription,
    media: Media,
    codecs: tuple[Codec, ...],
    now: Negotiated | None,
    *,
    local_ip: str,
    has_ice: bool = False,
) -> Negotiated | None:
    """What this stream of the peer offers us, if anything; how it is secured is another question.

    Args:
        theirs: The whole description.
        media: One of its streams.
        codecs: What we may speak.
        now: What the call speaks so far.
        local_ip: Our address: the peer's must be of its family.
        has_ice: Whether the stream will have ICE: then its address need not be one.
    """
    if media.kind != "audio" or media.port == 0:
        return None
    known = explained(media)
    speech = [(number, codec) for number, found in known if (codec := codec_of(found, codecs)) is not None]
    if not speech:
        return None
    named = theirs.address_of(media) or ""
    address = address_of(named) or named
    is_reachable = _is_reachable(address, local_ip)
    if not has_ice and not is_reachable:
        return None
    # The codec of the call stays where it can.
    number, codec = next((pair for pair in speech if now and pair[1].number == now.codec), speech[0])
    clock_events = events_of(codec.rtp.clock_rate)
    events = next((other for other, found in known if is_same(found, clock_events)), -1)
    is_muxed = media.wants_mux and not any(taken in _RTCP_TYPES for taken in (number, events))
    if media.insists_on_mux and not is_muxed:
        return None
    direction = _MIRROR[theirs.direction_of(media)]
    # RFC 2543 had no directions: the address 0.0.0.0 is how it says hold (RFC 3264 §8.4). With ICE it says
    # that the candidates are yet to come (RFC 8840 §4.1.1).
    is_mute = address in _NOBODY and not has_ice
    remote = (address, media.port) if is_reachable and address not in _NOBODY else None
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
        rtcp_mux=is_muxed,
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
        host, port = address_of(match[2] or host) or "", int(match[1])
    is_one = 0 < port < 1 << 16 and host not in _NOBODY and _is_reachable(host, remote[0])
    return (host, port) if is_one else None


def is_events(found: RtpMap) -> bool:
    return is_same(found, events_of(found.clock_rate))


def _is_reachable(address: str, local_ip: str) -> bool:
    """Whether it is the address of one host, of our family, or no address at all, which says hold."""
    try:
        place = ipaddress.ip_address(address)
    except ValueError:
        return False
    if is_v6(address) is not is_v6(local_ip) or place.is_multicast:
        return False
    if isinstance(place, ipaddress.IPv6Address):
        # Which link one of fe80::/10 is on, no description can say.
        return not place.is_link_local
    # 0.x is this host, 240.0.0.0/4 holds the broadcast: nobody's media is to be aimed there.
    return address in _NOBODY or not (place.is_reserved or place.packed[0] == 0)


def answered(media: Media, chosen: Negotiated, local: LocalMedia, secured: Secured) -> Media:
    """Our half of the stream: the offerer's numbers, in the offerer's order (RFC 3264 §6.1)."""
    used = in_use(chosen)
    numbers = {number: used[number] for number, _ in explained(media) if number in used}
    ours = offered(
        local,
        numbers,
        direction=DIRECTIONS[chosen.sending, chosen.receiving],
        rtcp_mux=chosen.rtcp_mux,
        agreed=chosen,
        secured=secured,
        ice=chosen.ice,
        name=media.attribute("mid"),
    )
    return ours if chosen.has_reports else replace(ours, bandwidths=_NO_REPORTS)


def refused(media: Media) -> Media:
    """A stream that we do not take: its place, formats and name stay (RFC 3264 §6, RFC 5888 §9.1)."""
    name = media.attribute("mid")
    attributes: Attributes = () if name is None else (("mid", name),)
    return Media(media.kind, 0, media.protocol, media.formats, attributes=attributes)


def in_use(agreed: Negotiated | None) -> dict[int, RtpMap]:
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


def offered(
    local: LocalMedia,
    numbers: Mapping[int, RtpMap],
    *,
    direction: str,
    rtcp_mux: bool = True,
    agreed: Negotiated | None = None,
    secured: Secured = _IN_THE_CLEAR,
    ice: IceTerms | None = None,
    name: str | None = None,
) -> Media:
    """Our half of a stream.

    Args:
        local: Where it is.
        numbers: What each payload type means, best first.
        direction: What we say of it.
        rtcp_mux: Whether reports share its port.
        agreed: What was agreed so far.
        secured: How it is secured.
        ice: Names and secrets of its checks, if it has any.
        name: Its mid (RFC 5888), if it has one.
    """
    rate_hz = CODECS["opus"].rate_hz if agreed is None else agreed.rate_hz
    attributes = list(attributes_of(numbers, opus_hz=rate_hz))
    ptime_ms = usual_ms(numbers) if agreed is None else agreed.ptime_ms
    attributes += [("ptime", str(ptime_ms)), (direction, None)]
    if rtcp_mux:
        attributes.append(("rtcp-mux", None))
    if name is not None:
        attributes.append(("mid", name))
    attributes += secured.attributes
    if ice is not None:
        attributes += ice_attributes(ice, local.ip, local.port)
        if local.source:
            attributes.append(("ssrc", local.source))
    formats = tuple(str(number) for number in numbers)
    return Media("audio", local.port, secured.profile, formats, None, tuple(attributes))


def describe(
    local: LocalMedia, media: tuple[Media, ...], *, attributes: Attributes = (), timing: str = "0 0"
) -> SessionDescription:
    """A whole description of ours."""
    origin = Origin("-", local.session_id, local.version, local.ip)
    return SessionDescription(origin, local.ip, media, attributes, timing=timing)


def of_session(theirs: Attributes, audio: Media) -> Attributes:
    """Lines of our session for this stream: its bundle has no other member (RFC 9143 §7.3), ICE is lite."""
    attributes: list[tuple[str, str | None]] = []
    name = audio.attribute("mid")
    groups = [(value or "").split() for key, value in theirs if key == "group"]
    if name is not None and any(group[:1] == ["BUNDLE"] and name in group[1:] for group in groups):
        attributes.append(("group", f"BUNDLE {name}"))
    if audio.attribute("ice-ufrag") is not None:
        attributes.append(("ice-lite", None))
    return tuple(attributes)
