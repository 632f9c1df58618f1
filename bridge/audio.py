"""The audio values that cross rooms."""

from dataclasses import dataclass

__all__ = ["OpusFormat", "PcmChunk", "PcmFormat"]


@dataclass(frozen=True, slots=True)
class PcmFormat:
    """How samples are to be read: always mono, signed 16-bit, little-endian."""

    rate: int
    """Sampling frequency in Hz: 8000, 16000, 24000 or 48000."""

    def samples(self, duration_ns: int) -> int:
        """Count the whole samples that fit into `duration_ns`."""
        return duration_ns * self.rate // 1_000_000_000

    def duration_ns(self, samples: int) -> int:
        """Time that `samples` take, in nanoseconds."""
        return samples * 1_000_000_000 // self.rate


@dataclass(frozen=True, slots=True)
class OpusFormat:
    """Sound as Ogg Opus, mono."""

    rate: int
    """Sampling frequency of what was packed, in Hz: 8000, 16000, 24000 or 48000."""


@dataclass(frozen=True, slots=True)
class PcmChunk:
    """A stretch of sound of any length, as a synthesizer delivers it."""

    data: bytes
    """PCM, ``2 * n`` bytes for ``n`` samples."""

    format: PcmFormat

    def __post_init__(self) -> None:
        if len(self.data) % 2:
            raise ValueError(f"odd PCM length: {len(self.data)} bytes")

    @property
    def samples(self) -> int:
        """Number of samples."""
        return len(self.data) // 2
