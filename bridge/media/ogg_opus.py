"""Ogg Opus as it arrives, taken apart into packets and the sound that each decodes to (RFC 7845)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bridge.errors import RemoteProtocolError
from bridge.media.ogg import OggReader, OpusHead, Packet, parse_opus_head, parse_opus_tags
from bridge.media.opus_codec import CLOCK_HZ, OpusDecoder, packet_ticks

__all__ = ["OggOpusReader", "OpusSound"]


@dataclass(frozen=True, slots=True)
class OpusSound:
    """One packet and what it decodes to."""

    payload: bytes
    """The packet; empty where its sound is not what it decodes to, because the stream asks for a gain."""
    pcm: NDArray[np.int16]
    """Mono, at the rate that was asked for; the last one ends where the stream's sound ends."""
    skip: int = 0
    """Samples at its begin that are not to be heard: the pre-skip (§4.2); fewer than there are."""


class OggOpusReader:
    """Decodes one stream; packets that lie in the pre-skip as a whole are decoded and left out.

    Args:
        rate_hz: Of the sound given out: 8000, 16000, 24000 or 48000.

    Raises:
        SetupError: If there is no libopus.
    """

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._pages = OggReader()
        self._decoder = OpusDecoder(rate_hz)
        self._head: OpusHead | None = None
        self._has_tags = False
        self._skip = 0
        self._decoded_ticks = 0

    def push(self, data: bytes) -> list[OpusSound]:
        """Take any number of bytes; give the packets they complete.

        Raises:
            RemoteProtocolError: If it is no Ogg Opus; the reader is of no more use then.
        """
        sounds: list[OpusSound] = []
        for packet in self._pages.push(data):
            if self._head is None:
                self._head = parse_opus_head(packet.data)
                self._skip = self._head.pre_skip * self._rate_hz // CLOCK_HZ
            elif not self._has_tags:
                parse_opus_tags(packet.data)
                self._has_tags = True
            elif packet.data and (sound := self._decode(packet, self._head)) is not None:
                sounds.append(sound)
        return sounds

    def _decode(self, packet: Packet, head: OpusHead) -> OpusSound | None:
        try:
            ticks, pcm = packet_ticks(packet.data), self._decoder.decode(packet.data)
        except ValueError as error:
            raise RemoteProtocolError(f"a packet of {len(packet.data)} bytes is no Opus: {error}") from error
        self._decoded_ticks += ticks
        if packet.is_last and packet.granule is not None:
            beyond = max(0, self._decoded_ticks - packet.granule) * self._rate_hz // CLOCK_HZ
            pcm = pcm[: max(0, len(pcm) - beyond)]
        skip = min(self._skip, len(pcm))
        self._skip -= skip
        if skip == len(pcm):
            return None
        if head.gain_db:
            louder = pcm * np.float32(10 ** (head.gain_db / 20))
            return OpusSound(b"", np.rint(louder).clip(-32768, 32767).astype(np.int16), skip)
        return OpusSound(packet.data, pcm, skip)
