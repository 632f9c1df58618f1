"""MP3 (ISO 11172-3 and 13818-3) from libmp3lame, frame by frame without a container, and its ID3v2.4 tag.

A decoder begins with 1105 samples of silence: LAME's delay of 576 and its own of 529. A sample can be decoded
once 1681 to 2257 samples after it have been pushed (2257 to 3409 from 32000 Hz), for frames are long, 576
samples (1152), and LAME looks one ahead. That is up to 282 ms at 8000 Hz, 141 at 16000, 102 at 22050, 94 at
24000, 77 at 44100 and 71 at 48000; `Mp3Packer.settle` brings it down to nothing.
"""

import struct
from collections.abc import Mapping

import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.codec.context import CodecContext

from bridge.errors import RemoteProtocolError
from bridge.media.framing import Framer, Samples

__all__ = ["DELAY_SAMPLES", "Mp3Packer", "id3_tag", "legal_bit_rate", "read_id3"]

DELAY_SAMPLES = 1105
"""Silence at the beginning of what a decoder makes of the stream."""

_MPEG_1 = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_MPEG_2 = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_MPEG_25 = (8, 16, 24, 32, 40, 48, 56, 64)
_LAME_GAINS = {192: 0.97, 224: 0.98, 256: 1.0, 320: 1.0}


class Mp3Packer:
    """A constant bit rate, each frame decodable without the one before it.

    Costs 3 ms of CPU for each second of sound at 8000 Hz, 6 at 24000, 11 at 48000.
    Comes out as loud as it went in.

    Args:
        rate: Sampling frequency in Hz: 8000, 16000, 22050, 24000, 44100 or 48000.
        bit_rate: In kbps, brought to the nearest legal one; None for what the SDK's names say (128 up to
            16000 Hz, 256 above) as far as MPEG allows it.
        tags: What to write in front; without any there is no ID3 tag.
    """

    def __init__(self, rate: int, *, bit_rate: int | None, tags: Mapping[str, str]) -> None:
        self._rate = rate
        kbps = legal_bit_rate(rate, bit_rate)
        self._encoder = _encoder(rate, kbps)
        # Measured: LAME turns the sound down, lest it clip. As floats it can go in so much louder.
        self._scale = np.float32(1 / 32768 / _LAME_GAINS.get(kbps, 0.95))
        self._framer = Framer(self._encoder.frame_size)
        self._header = id3_tag(tags) if tags else b""
        self._frames_out = 0

    @property
    def late_samples(self) -> int:
        """How much later than pushed the next sound will be heard, by silence that `settle` put in."""
        return self._framer.late_samples

    def push(self, pcm: bytes) -> bytes:
        """Take sound; give the frames that LAME has ready."""
        coded = b"".join(map(self._encode, self._framer.push(pcm)))
        if not self._framer.sound_end:
            return b""
        header, self._header = self._header, b""
        return header + coded

    def settle(self) -> bytes:
        """Push silence until all sound is out: four frames at most, taken back from zeros that follow."""
        coded = b""
        needed = self._framer.sound_end + DELAY_SAMPLES if self._framer.sound_end else 0
        while self._frames_out * self._framer.frame_samples < needed:
            coded += self._encode(self._framer.pad())
        return coded

    def finish(self) -> bytes:
        """Give out the rest; an MP3 stream just stops."""
        return self.settle()

    def _encode(self, samples: Samples) -> bytes:
        scaled = samples.reshape(1, -1) * self._scale
        frame = AudioFrame.from_ndarray(scaled, format="fltp", layout="mono")
        frame.sample_rate = self._rate
        packets = self._encoder.encode(frame)
        self._frames_out += len(packets)
        return b"".join(map(bytes, packets))


def legal_bit_rate(rate: int, wanted: int | None) -> int:
    """The bit rate in kbps that MPEG has for `rate` in Hz.

    MPEG-1 (from 32000 Hz) ends at 320 kbps, MPEG-2 (from 16000 Hz) at 160, MPEG-2.5 below at 64.

    Args:
        rate: Sampling frequency in Hz.
        wanted: The nearest to it is chosen, of two the higher; None for the named one or what is legal below.
    """
    legal = _MPEG_1 if rate >= 32000 else _MPEG_2 if rate >= 16000 else _MPEG_25
    if wanted is None:
        named = 128 if rate <= 16000 else 256
        return max(kbps for kbps in legal if kbps <= named)
    return min(legal, key=lambda kbps: (abs(kbps - wanted), -kbps))


def id3_tag(tags: Mapping[str, str]) -> bytes:
    """An ID3v2.4 tag with one TXXX frame a key, in UTF-8."""
    frames = b""
    for key, value in tags.items():
        body = b"\x03" + key.encode() + b"\0" + value.encode()
        frames += b"TXXX" + _syncsafe(len(body)) + b"\0\0" + body
    return b"ID3\x04\0\0" + _syncsafe(len(frames)) + frames


def read_id3(data: bytes) -> dict[str, str]:
    """TXXX frames in UTF-8 of the ID3v2.4 tag in front; nothing when there is no such tag.

    Raises:
        RemoteProtocolError: If the tag is cut off.
    """
    if data[:4] != b"ID3\x04":
        return {}
    size = _plain(data[6:10]) if len(data) >= 10 else 0
    if len(data) < 10 + size:
        raise RemoteProtocolError(
            f"an ID3 tag of {size} bytes in {len(data)} bytes of file", rule="ID3v2.4 §3.1"
        )
    tags: dict[str, str] = {}
    at, end = 10, 10 + size
    while at + 10 <= end and data[at]:
        name, length = data[at : at + 4], _plain(data[at + 4 : at + 8])
        body = data[at + 10 : min(end, at + 10 + length)]
        if name == b"TXXX" and body[:1] == b"\x03":
            key, _, value = body[1:].partition(b"\0")
            tags[key.decode(errors="replace")] = value.rstrip(b"\0").decode(errors="replace")
        at += 10 + length
    return tags


def _encoder(rate: int, kbps: int) -> AudioCodecContext:
    encoder: AudioCodecContext = CodecContext.create("libmp3lame", "w")
    encoder.sample_rate = rate
    encoder.layout = "mono"
    encoder.format = "fltp"
    encoder.bit_rate = kbps * 1000
    # With a reservoir a frame would begin inside those before it, and a stream could not be cut.
    encoder.options = {"reservoir": "0"}
    encoder.open()
    return encoder


def _syncsafe(size: int) -> bytes:
    return struct.pack(">BBBB", *(size >> shift & 0x7F for shift in (21, 14, 7, 0)))


def _plain(syncsafe: bytes) -> int:
    size = 0
    for byte in syncsafe:
        size = size << 7 | byte & 0x7F
    return size
