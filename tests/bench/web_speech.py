"""What is said in `bench_webrtc`: one speech without pauses for everybody, a quiet room, an interruption."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bridge.load.clip import render_clip
from bridge.media.opus import OpusPacker
from bridge.media.opus_codec import OpusDecoder, OpusEncoder
from bridge.media.resample import Resampler
from bridge.ttsserver.hibari import HibariEngine
from bridge.ttsserver.voice import Delivery

__all__ = [
    "RATE_HZ",
    "TEXT",
    "Interruption",
    "dense",
    "interruption",
    "ogg",
    "packets",
    "quiet",
    "speech",
    "told",
]

RATE_HZ = 48_000
_FRAME = 960
_BIT_RATE = 32_000
_BAND_HZ = 24_000
"""What our answer asks for (maxplaybackrate); at full band these bits leave no room for error correction."""
_QUIET = 300.0
"""Root mean square below which 20 ms of a voice are a pause."""
_ONSET = 328
"""-40 dBFS, where the lab's clips begin."""
TEXT = (
    "The lighthouse keeper wrote a letter every single day. "
    "He described the weather, the ships that passed, and the birds that rested on his window. "
    "Nobody knew to whom he sent them. "
    "When he retired, a boat brought him all the answers."
)


@dataclass(frozen=True, slots=True)
class Interruption:
    """A caller's words as packets."""

    packets: list[bytes]
    onset: int
    """Number of the first packet with a sample of -40 dBFS in it."""


def speech(text: str = TEXT) -> NDArray[np.int16]:
    """Read `text` with the embedded voice, at 48 kHz."""
    rendered = HibariEngine().render(text, Delivery(with_words=False))
    resampler = Resampler(rendered.rate, RATE_HZ)
    pcm = np.frombuffer(resampler.push(rendered.samples.tobytes()) + resampler.flush(), "<i2")
    louder: NDArray[np.int16] = (pcm * (16_000 / np.abs(pcm.astype(np.int32)).max())).astype(np.int16)
    return louder


def dense(pcm: NDArray[np.int16]) -> NDArray[np.int16]:
    """Leave out every 20 ms of pause, so that whoever falls silent was made to."""
    frames = pcm[: len(pcm) // _FRAME * _FRAME].reshape(-1, _FRAME)
    levels = np.sqrt((frames.astype(np.float64) ** 2).mean(axis=1))
    spoken: NDArray[np.int16] = frames[levels >= _QUIET].ravel()
    return spoken


def ogg(pcm: NDArray[np.int16]) -> bytes:
    """As a voice service sends it."""
    packer = OpusPacker(RATE_HZ, bit_rate=_BIT_RATE // 1000, tags={})
    return packer.push(pcm.astype("<i2").tobytes()) + packer.finish()


def packets(pcm: NDArray[np.int16]) -> list[bytes]:
    """As a browser sends it: whole frames of 20 ms with error correction."""
    encoder = OpusEncoder(RATE_HZ, bit_rate=_BIT_RATE, is_fec=True, loss_percent=5, max_rate_hz=_BAND_HZ)
    return [encoder.encode(frame) for frame in pcm[: len(pcm) // _FRAME * _FRAME].reshape(-1, _FRAME)]


def told(packets: list[bytes]) -> NDArray[np.int16]:
    """What packets sound like that all come, over and over, at 48 kHz: coding is no fault of the network."""
    decoder = OpusDecoder(RATE_HZ)
    for packet in packets:
        decoder.decode(packet)
    sound: NDArray[np.int16] = np.concatenate([decoder.decode(packet) for packet in packets])
    return sound


def quiet() -> list[bytes]:
    """A second of a quiet room."""
    return packets(np.random.default_rng(2).normal(0, 12, RATE_HZ).astype(np.int16))


def interruption() -> Interruption:
    """The lab's interruption, in another voice than the speech's."""
    clip = render_clip()
    resampler = Resampler(8000, RATE_HZ)
    pcm = np.frombuffer(resampler.push(clip.pcm.tobytes()) + resampler.flush(), "<i2")
    first = int(np.argmax(np.abs(pcm.astype(np.int32)) >= _ONSET))
    return Interruption(packets(pcm), first // _FRAME)
