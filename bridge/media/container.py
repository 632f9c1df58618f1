"""How sound is packed for the wire: the formats and rates that the documented service has."""

from collections.abc import Mapping
from typing import Protocol

from bridge.media.mp3 import Mp3Packer
from bridge.media.opus import OpusPacker
from bridge.media.wav import PcmPacker, wav_header

__all__ = ["RATES", "Packer", "packer"]

_ALL = (8000, 16000, 22050, 24000, 44100, 48000)
RATES: dict[str, tuple[int, ...]] = {
    "pcm": _ALL,
    "wav": _ALL,
    "mp3": _ALL,
    "opus": (8000, 16000, 24000, 48000),
}
"""Sampling frequencies in Hz, by format."""

_LONGEST_TAGS = 32768  # the comments of an Ogg stream are to fit on one page


class Packer(Protocol):
    """One stream of sound on its way into a format. A stream into which nothing is pushed has no bytes."""

    @property
    def late_samples(self) -> int:
        """How much later than pushed the next sound will be heard, by silence that `settle` put in.

        Zeros at the beginning of what is pushed after `settle` are dropped to bring it back to 0, so that
        between sentences with a pause it needs no thought.
        """
        ...

    def push(self, pcm: bytes) -> bytes:
        """Take s16le mono; give bytes for the wire, maybe none. The first that come carry the header."""
        ...

    def settle(self) -> bytes:
        """Give out all sound pushed so far, for a sentence is over; the stream goes on."""
        ...

    def finish(self) -> bytes:
        """Give the last bytes of the stream; nothing may be pushed afterwards."""
        ...


def packer(
    format: str, rate: int, *, bit_rate: int | None, tags: Mapping[str, str], serial: int = 0
) -> Packer:
    """Choose the packer.

    Args:
        format: ``pcm``, ``wav``, ``mp3`` or ``opus`` (in Ogg).
        rate: Sampling frequency in Hz, one of `RATES`.
        bit_rate: In kbps, 6 to 510, for mp3 and opus; None for the format's own.
        tags: Texts to put into the header of a format that has one; keys of four capitals or digits, which
            is what all formats have room for.
        serial: Of an Ogg stream; differs where streams are put one behind the other.

    Raises:
        ValueError: If there is no such format, rate, bit rate or key.
    """
    if rate not in RATES.get(format, ()):
        made = "; ".join(f"{name} at {', '.join(map(str, rates))} Hz" for name, rates in RATES.items())
        raise ValueError(f"no {format!r} at {rate} Hz; there is {made}")
    if bit_rate is not None and not 6 <= bit_rate <= 510:
        raise ValueError(f"bit_rate must be 6 to 510 kbps, not {bit_rate}")
    for key in tags:
        if len(key) != 4 or not (key.isascii() and key.isalnum() and key.isupper()):
            raise ValueError(f"a tag's key must be four capitals or digits, not {key!r}")
    if sum(len(value.encode()) for value in tags.values()) > _LONGEST_TAGS:
        raise ValueError(f"tags may have {_LONGEST_TAGS} bytes together")
    if format == "mp3":
        return Mp3Packer(rate, bit_rate=bit_rate, tags=tags)
    if format == "opus":
        return OpusPacker(rate, bit_rate=bit_rate, tags=tags, serial=serial)
    return PcmPacker(wav_header(rate, tags) if format == "wav" else b"")
