"""The pool of connections that the benches drive, by one name."""

from bridge.aio.cosyvoice import CosyVoice as SpeechPool
from bridge.aio.cosyvoice import TtsSettings

__all__ = ["SpeechPool", "TtsSettings"]
