"""Makes the coder and decoder of a row that cannot work on columns."""

from collections.abc import Callable
from typing import Protocol

from bridge.media.g722 import G722Decoder, G722Encoder
from bridge.media.l16 import L16Decoder, L16Encoder
from bridge.media.opus_codec import OpusEncoder
from bridge.media.opus_receiver import OpusReceiver
from bridge.plane.codec import G722, L16_8K, L16_16K, L16_48K, OPUS, RowDecoder, RowEncoder

__all__ = ["OPUS_BIT_RATES", "OPUS_FEC_BIT_RATE", "CodecSpec", "make_codec"]

OPUS_BIT_RATES = {8000: 16000, 16000: 24000, 24000: 28000, 48000: 40000}
"""What we send where nobody asked for less, by the row's rate: voices need no more."""
OPUS_FEC_BIT_RATE = 8000
"""What in-band FEC costs on top: with less, the coder leaves it out or makes the voice itself coarse."""
_COMPLEXITY = 5
"""PESQ at 16 kHz and 32 kbit/s with FEC, 10 % lost: 3.4 for 120 µs a frame; 8 gives 3.5 for 165."""


class CodecSpec(Protocol):
    """What is read of a `RowSpec`."""

    @property
    def codec(self) -> int: ...
    @property
    def rate_hz(self) -> int: ...
    @property
    def opus_bitrate(self) -> int:
        """Most bits a second; 0 = as we like."""

    @property
    def opus_fec(self) -> bool: ...
    @property
    def opus_dtx(self) -> bool: ...
    @property
    def opus_max_rate_hz(self) -> int:
        """Highest sampling frequency that the peer plays; 0 = any."""

    @property
    def opus_loss_percent(self) -> int: ...


def make_codec(spec: CodecSpec) -> tuple[RowDecoder, RowEncoder]:
    """Fresh ones for one leg.

    Raises:
        SetupError: If it is Opus, and there is no libopus.
        ValueError: If the row's codec works on columns (PCMU, PCMA), or libopus refuses a value.
    """
    maker = _MAKERS.get(spec.codec)
    if maker is None:
        raise ValueError(f"codec {spec.codec} is not made row by row")
    return maker(spec)


def _opus(spec: CodecSpec) -> tuple[RowDecoder, RowEncoder]:
    bit_rate = OPUS_BIT_RATES[spec.rate_hz] + OPUS_FEC_BIT_RATE * spec.opus_fec
    encoder = OpusEncoder(
        spec.rate_hz,
        bit_rate=min(spec.opus_bitrate or bit_rate, bit_rate),
        is_fec=spec.opus_fec,
        loss_percent=spec.opus_loss_percent,
        is_dtx=spec.opus_dtx,
        max_rate_hz=spec.opus_max_rate_hz or spec.rate_hz,
        complexity=_COMPLEXITY,
    )
    return OpusReceiver(spec.rate_hz), encoder


def _g722(spec: CodecSpec) -> tuple[RowDecoder, RowEncoder]:
    return G722Decoder(), G722Encoder()


def _l16(spec: CodecSpec) -> tuple[RowDecoder, RowEncoder]:
    return L16Decoder(), L16Encoder()


_MAKERS: dict[int, Callable[[CodecSpec], tuple[RowDecoder, RowEncoder]]] = {
    G722: _g722,
    L16_8K: _l16,
    L16_16K: _l16,
    L16_48K: _l16,
    OPUS: _opus,
}
