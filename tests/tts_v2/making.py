"""Synthesizers as the tests of this room want them."""

from typing import Any, cast

from bridge.tts_v2.formats import AudioFormat
from bridge.tts_v2.synthesizer import SpeechSynthesizer

FORMAT = AudioFormat.PCM_8000HZ_MONO_16BIT


def synthesizer(url: str, callback: object = None, **arguments: object) -> SpeechSynthesizer:
    """Make one; `arguments` may be as wrong as a user's."""
    given = {"model": "cosyvoice-v3-flash", "voice": "tone", "format": FORMAT} | arguments
    return cast("SpeechSynthesizer", cast("Any", SpeechSynthesizer)(url=url, callback=callback, **given))
