"""How the sound is packed, and how words are corrected before they are spoken."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, unique

__all__ = ["AudioFormat", "HotFix"]


@unique
class AudioFormat(Enum):
    """Container, rate in Hz, channels, bits per sample or kbit/s: the SDK's 30 members, slips included."""

    DEFAULT = ("Default", 0, "0", 0)
    """The service's own choice: mp3 at 22050 Hz."""

    WAV_8000HZ_MONO_16BIT = ("wav", 8000, "mono", 0)
    WAV_16000HZ_MONO_16BIT = ("wav", 16000, "mono", 16)
    WAV_22050HZ_MONO_16BIT = ("wav", 22050, "mono", 16)
    WAV_24000HZ_MONO_16BIT = ("wav", 24000, "mono", 16)
    WAV_44100HZ_MONO_16BIT = ("wav", 44100, "mono", 16)
    WAV_48000HZ_MONO_16BIT = ("wav", 48000, "mono", 16)

    MP3_8000HZ_MONO_128KBPS = ("mp3", 8000, "mono", 128)
    MP3_16000HZ_MONO_128KBPS = ("mp3", 16000, "mono", 128)
    MP3_22050HZ_MONO_256KBPS = ("mp3", 22050, "mono", 256)
    MP3_24000HZ_MONO_256KBPS = ("mp3", 24000, "mono", 256)
    MP3_44100HZ_MONO_256KBPS = ("mp3", 44100, "mono", 256)
    MP3_48000HZ_MONO_256KBPS = ("mp3", 48000, "mono", 256)

    PCM_8000HZ_MONO_16BIT = ("pcm", 8000, "mono", 16)
    PCM_16000HZ_MONO_16BIT = ("pcm", 16000, "mono", 16)
    PCM_22050HZ_MONO_16BIT = ("pcm", 22050, "mono", 16)
    PCM_24000HZ_MONO_16BIT = ("pcm", 24000, "mono", 16)
    PCM_44100HZ_MONO_16BIT = ("pcm", 44100, "mono", 16)
    PCM_48000HZ_MONO_16BIT = ("pcm", 48000, "mono", 16)

    OGG_OPUS_8KHZ_MONO_32KBPS = ("opus", 8000, "mono", 32)
    OGG_OPUS_8KHZ_MONO_16KBPS = ("opus", 8000, "mono", 16)
    OGG_OPUS_16KHZ_MONO_16KBPS = ("opus", 16000, "mono", 16)
    OGG_OPUS_16KHZ_MONO_32KBPS = ("opus", 16000, "mono", 32)
    OGG_OPUS_16KHZ_MONO_64KBPS = ("opus", 16000, "mono", 64)
    OGG_OPUS_24KHZ_MONO_16KBPS = ("opus", 24000, "mono", 16)
    OGG_OPUS_24KHZ_MONO_32KBPS = ("opus", 24000, "mono", 32)
    OGG_OPUS_24KHZ_MONO_64KBPS = ("opus", 24000, "mono", 64)
    OGG_OPUS_48KHZ_MONO_16KBPS = ("opus", 48000, "mono", 16)
    OGG_OPUS_48KHZ_MONO_32KBPS = ("opus", 48000, "mono", 32)
    OGG_OPUS_48KHZ_MONO_64KBPS = ("opus", 48000, "mono", 64)

    def __init__(self, format: str, sample_rate: int, channels: str, bit_rate: int) -> None:
        self.format: str = format
        self.sample_rate: int = sample_rate
        self.channels: str = channels
        self.bit_rate: int = bit_rate

    def __str__(self) -> str:
        return (
            f"{self.format.upper()} with {self.sample_rate}Hz sample rate, "
            f"{self.channels} channel, {self.bit_rate}"
        )


@dataclass
class HotFix:
    """Corrections of single words."""

    pronunciation: Sequence[Mapping[str, str]] | None = None
    """E.g. ``[{"草地": "cao3 di4"}]``."""
    replace: Sequence[Mapping[str, str]] | None = None
    """E.g. ``[{"草地": "草弟"}]``; done before the synthesis."""

    def to_dict(self) -> dict[str, Sequence[Mapping[str, str]]]:
        """As it travels, without what is not set."""
        given = {"pronunciation": self.pronunciation, "replace": self.replace}
        return {key: value for key, value in given.items() if value is not None}
