"""Synthesizers as the tests of this room want them."""

from typing import Any

from bridge.tts_v2.formats import AudioFormat
from bridge.tts_v2.synthesizer import SpeechSynthesizer

FORMAT = AudioFormat.PCM_8000HZ_MONO_16BIT


def synthesizer(url: str, callback: Any = None, **arguments: Any) -> SpeechSynthesizer:
    given = {"model": "cosyvoice-v3-flash", "voice": "tone", "format": FORMAT} | arguments
    return SpeechSynthesizer(url=url, callback=callback, **given)
