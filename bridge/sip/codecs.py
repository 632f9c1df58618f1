"""What we can carry as descriptions say it: names, clocks, lengths, wishes (RFC 3551, 4733, 7587)."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bridge.sip.sdp import Attributes, Media, RtpMap

__all__ = [
    "ALL_KEYS",
    "CODECS",
    "COMFORT_NOISE",
    "DEFAULT_CODECS",
    "EVENT_NUMBERS",
    "NAMES",
    "Codec",
    "OpusWishes",
    "attributes_of",
    "codec_of",
    "comfort_of",
    "events_of",
    "explained",
    "is_same",
    "keys_of",
    "numbering",
    "opus_rate_hz",
    "opus_wishes",
    "our_opus",
    "packet_ms",
    "usual_ms",
    "wanted",
]


@dataclass(frozen=True, slots=True)
class Codec:
    """One way to say sound in RTP."""

    number: int
    """What the media row calls it."""
    name: str
    """What the settings call it."""
    rtp: RtpMap
    rate_hz: int
    """Audio rate of its rows; for Opus the highest that we use: voices need no more."""
    ptimes_ms: tuple[int, ...]
    """Lengths of packet that we send, ascending: those that fit one datagram everywhere."""
    payload_type: int
    """Its own if it is static (RFC 3551 §6), else the one that we offer it under if we can."""

    @property
    def is_static(self) -> bool:
        return self.payload_type < 96


_PTIMES_MS = (10, 20, 30, 40, 60)
CODECS: Mapping[str, Codec] = {
    codec.name: codec
    for codec in (
        Codec(0, "PCMU", RtpMap("PCMU", 8000), 8000, _PTIMES_MS, 0),
        Codec(1, "PCMA", RtpMap("PCMA", 8000), 8000, _PTIMES_MS, 8),
        # 16,000 samples, and a clock of half of that: an error that nobody can take back (RFC 3551 §4.5.2).
        Codec(2, "G722", RtpMap("G722", 8000), 16000, _PTIMES_MS, 9),
        # The static numbers of L16, 10 and 11, mean 44,100 Hz.
        Codec(3, "L16/8000", RtpMap("L16", 8000), 8000, _PTIMES_MS, 116),
        Codec(4, "L16/16000", RtpMap("L16", 16000), 16000, (10, 20, 30, 40), 117),
        Codec(5, "L16/48000", RtpMap("L16", 48000), 48000, (10,), 118),
        Codec(6, "opus", RtpMap("opus", 48000, 2), 24000, (20,), 111),
    )
}
"""By name."""
NAMES = {codec.number: codec.name for codec in CODECS.values()}
"""By the number that the media row knows."""
DEFAULT_CODECS = ("opus", "G722", "PCMU", "PCMA")
"""What is offered, best first, and taken, where nothing else is configured."""
EVENT_NUMBERS = {8000: 101, 16000: 102, 48000: 110}
"""Payload types that we offer telephone events under, by their clock, if we can."""
ALL_KEYS = 0xFFFF
COMFORT_NOISE = RtpMap("CN", 8000)
"""How silence sounds (RFC 3389), said beside G.711."""

_COMFORT_NUMBER = 13
"""The static payload type of comfort noise at a clock of 8000 Hz (RFC 3389 §4): no other is understood."""
_STATIC = {codec.payload_type: codec.rtp for codec in CODECS.values() if codec.is_static}
_STATIC[_COMFORT_NUMBER] = COMFORT_NOISE
"""Payload types that need no rtpmap."""
_G711 = ("PCMU", "PCMA")
_EVENTS = "telephone-event"
_USUAL_PTIME_MS = 20
_RATES_HZ = (8000, 16000, 24000)
_NUMBER = re.compile(r"[0-9]{1,9}")
_EVENT_LIST = re.compile(r" *[0-9]{1,3}(?:-[0-9]{1,3})?(?: *, *[0-9]{1,3}(?:-[0-9]{1,3})?){0,255} *")
"""No more than there are events (RFC 4733 §7.2)."""


def wanted(names: Iterable[str]) -> tuple[Codec, ...]:
    """The codecs of these names.

    Raises:
        KeyError: If there is none of that name.
    """
    return tuple(CODECS[name] for name in names)


def codec_of(found: RtpMap, among: Iterable[Codec]) -> Codec | None:
    """Which of them an rtpmap means."""
    return next((codec for codec in among if is_same(codec.rtp, found)), None)


def is_same(one: RtpMap, other: RtpMap) -> bool:
    """Whether two rtpmaps mean the same: names are compared without case."""
    is_alike = (one.clock_rate, one.channels) == (other.clock_rate, other.channels)
    return is_alike and one.encoding.upper() == other.encoding.upper()


def explained(media: Media) -> list[tuple[int, RtpMap]]:
    """The payload types of a stream whose meaning is known, in its order."""
    maps = {**_STATIC, **media.rtp_maps()}
    # Some say a number twice, and who says it ten thousand times is not to cost us more.
    numbers = dict.fromkeys(int(text) for text in dict.fromkeys(media.formats) if _NUMBER.fullmatch(text))
    return [(number, maps[number]) for number in numbers if number in maps]


def events_of(clock_hz: int) -> RtpMap:
    """Telephone events beside speech of this clock, which they count as well (RFC 4733 §2.1)."""
    return RtpMap(_EVENTS, clock_hz)


def comfort_of(media: Media, codec: Codec) -> int:
    """Number under which a stream takes comfort noise beside this codec; -1 where it does not."""
    takes = any(
        number == _COMFORT_NUMBER and is_same(found, COMFORT_NOISE) for number, found in explained(media)
    )
    return _COMFORT_NUMBER if takes and codec.name in _G711 else -1


def keys_of(media: Media, number: int) -> int:
    """Which of the events 0 to 15 a stream takes, as bits; all of them where it does not say so readably."""
    events = _format_parameters(media, number)
    if not _EVENT_LIST.fullmatch(events):
        return ALL_KEYS
    spans = [span.partition("-") for span in events.replace(" ", "").split(",")]
    ranges = [range(int(first), int(last or first) + 1) for first, _, last in spans]
    return sum(1 << key for key in range(16) if any(key in span for span in ranges))


def packet_ms(media: Media, codec: Codec) -> int:
    """How long our packets shall be: what the peer prefers, as far as it and we can (RFC 8866 §6.4)."""
    longest_ms = _read(media.attribute("maxptime")) or codec.ptimes_ms[-1]
    return _fitting_ms(codec, min(_read(media.attribute("ptime")) or _USUAL_PTIME_MS, longest_ms))


def usual_ms(numbers: Mapping[int, RtpMap]) -> int:
    """The length of packets to offer: what suits every codec of the offer that can be suited."""
    offered = [codec for found in numbers.values() if (codec := codec_of(found, CODECS.values()))]
    return min((_fitting_ms(codec, _USUAL_PTIME_MS) for codec in offered), default=_USUAL_PTIME_MS)


def _fitting_ms(codec: Codec, preferred_ms: int) -> int:
    return max((ms for ms in codec.ptimes_ms if ms <= preferred_ms), default=codec.ptimes_ms[0])


@dataclass(frozen=True, slots=True)
class OpusWishes:
    """What a peer says of the Opus that it wants to get (RFC 7587 §6.1).

    Stereo and constant bit rate may be preferred and are never needed: a voice is sent as mono at the rate it
    takes. What the peer says of what it sends itself (``sprop-…``) changes nothing for a decoder.
    """

    max_rate_hz: int = 48000
    """maxplaybackrate: highest sampling frequency that it plays, 8000 to 48,000."""
    bit_rate: int = 0
    """maxaveragebitrate: at most so many bits a second, 6000 to 510,000; 0 = as we like."""
    is_fec: bool = False
    """useinbandfec: it can make use of it."""
    is_dtx: bool = False
    """usedtx: it prefers nothing to be sent in silence."""


def opus_wishes(media: Media, number: int) -> OpusWishes:
    """Read them; what cannot be read counts as not said."""
    told: dict[str, int] = {}
    for part in _format_parameters(media, number).split(";"):
        name, _, value = part.partition("=")
        if (read := _read(value.strip())) is not None:
            told[name.strip().lower()] = read
    bit_rate = told.get("maxaveragebitrate", 0)
    return OpusWishes(
        max_rate_hz=min(48000, max(8000, told.get("maxplaybackrate", 48000))),
        bit_rate=min(510_000, max(6000, bit_rate)) if bit_rate else 0,
        is_fec=told.get("useinbandfec") == 1,
        is_dtx=told.get("usedtx") == 1,
    )


def opus_rate_hz(max_rate_hz: int) -> int:
    """Rate of the row for a peer that plays up to this: the least that loses nothing, at most 24,000."""
    return next((rate for rate in _RATES_HZ if rate >= max_rate_hz), _RATES_HZ[-1])


def our_opus(rate_hz: int) -> str:
    """What we say of the Opus that we want to get, and of what we send: `rate_hz` is all a row plays."""
    return f"maxplaybackrate={rate_hz};sprop-maxcapturerate={rate_hz};useinbandfec=1"


def numbering(
    codecs: Iterable[Codec],
    known: Mapping[int, RtpMap],
    agreed: Mapping[int, RtpMap],
    *,
    comfort_noise: bool = False,
) -> dict[int, RtpMap]:
    """What to offer under which number: what was agreed first, then what has no number yet.

    Args:
        codecs: What to offer, best first.
        known: What the peer has called each number; none changes its meaning within a call (RFC 3264 §8.3.2).
        agreed: Numbers of speech, events and comfort noise that are in use.
        comfort_noise: Whether to offer it beside G.711.
    """
    beside = (_EVENTS, COMFORT_NOISE.encoding)
    numbers = {number: found for number, found in agreed.items() if found.encoding not in beside}
    for codec in codecs:
        if not any(is_same(codec.rtp, found) for found in numbers.values()):
            _add(numbers, codec.rtp, codec.payload_type, known)
    in_use = {found.clock_rate: number for number, found in agreed.items() if found.encoding == _EVENTS}
    for clock_hz in dict.fromkeys(found.clock_rate for found in numbers.values()):
        if clock_hz in in_use:
            numbers[in_use[clock_hz]] = events_of(clock_hz)
        else:
            _add(numbers, events_of(clock_hz), EVENT_NUMBERS[clock_hz], known)
    if comfort_noise and any(found.encoding in _G711 for found in numbers.values()):
        _add(numbers, COMFORT_NOISE, _COMFORT_NUMBER, known)
    return numbers


def _add(numbers: dict[int, RtpMap], found: RtpMap, preferred: int, known: Mapping[int, RtpMap]) -> None:
    """Give it its number, or where that is dynamic and taken another one; leave it out if all are taken."""
    for number in (preferred, *(range(127, 95, -1) if preferred >= 96 else ())):
        if number not in numbers and is_same(known.get(number, found), found):
            numbers[number] = found
            return


def attributes_of(numbers: Mapping[int, RtpMap], *, opus_hz: int) -> Attributes:
    """The lines that explain payload types."""
    lines: list[tuple[str, str | None]] = []
    for number, found in numbers.items():
        channels = f"/{found.channels}" if found.channels > 1 else ""
        lines.append(("rtpmap", f"{number} {found.encoding}/{found.clock_rate}{channels}"))
        if found.encoding == _EVENTS:
            lines.append(("fmtp", f"{number} 0-15"))
        elif found == CODECS["opus"].rtp:
            lines.append(("fmtp", f"{number} {our_opus(opus_hz)}"))
    return tuple(lines)


def _format_parameters(media: Media, number: int) -> str:
    for name, value in media.attributes:
        told, _, parameters = (value or "").partition(" ")
        if name == "fmtp" and told == str(number):
            return parameters
    return ""


def _read(text: str | None) -> int | None:
    return int(text) if text is not None and _NUMBER.fullmatch(text) else None
