"""The pool of connections that the benches drive, by one name."""

from bridge.aio.cosyvoice_pool import CosyVoicePool as SpeechPool
from bridge.aio.cosyvoice_pool import TtsSettings

__all__ = ["SpeechPool", "TtsSettings"]
