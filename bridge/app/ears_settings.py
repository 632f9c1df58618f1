"""The settings of what callers say in words: `[ears]`."""

from typing import Literal

from pydantic import Field

from bridge.app.section import Section
from bridge.app.values import MaybeSecret, TtsUrl

__all__ = ["EarsSection"]


class EarsSection(Section):
    """Who writes down what callers say."""

    enabled: bool = False
    """Whether anybody does. Callers must be told where the law says so."""
    url: TtsUrl = ""
    """``embedded``, ``cloud`` or a ws:// address; empty is the service that speaks."""
    api_key: MaybeSecret = None
    """Its key; tts.api_key where this is empty and the service is the same, or the cloud's as well."""
    model: str = Field(default="paraformer-realtime-v2", min_length=1, max_length=80)
    """Model that understands; the embedded service has its own."""
    language: str = Field(default="en", max_length=16, pattern=r"^[A-Za-z-]*$")
    """Language that callers speak; empty lets the service find it out."""
    sample_rate_hz: Literal[8000, 16000] = 16000
    """What is sent; 8000 only for models that want it, ``paraformer-realtime-8k-v2``."""
    max_at_once: int = Field(default=16, ge=1, le=10_000)
    """Utterances heard at a time; the words of more are lost, and counted."""
