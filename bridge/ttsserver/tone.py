"""The voice for tests: one steady tone a word, by arithmetic alone, the same bytes on every machine."""

import numpy as np

from bridge.ports import WordTime
from bridge.ttsserver.timing import written_words
from bridge.ttsserver.voice import Delivery, Rendered

__all__ = ["RATE", "ToneEngine"]

RATE = 24000
"""Sampling frequency, in Hz."""

_LETTER_MS = 60
_GAP_MS = 40
_EDGE_MS = 30  # as much silence around it as around a trimmed voice
_FADE_MS = 5
_LEVEL = 0.25


class ToneEngine:
    """Speaks any script. A word lasts 60 ms a letter; its first letter decides its pitch."""

    def check(self, text: str) -> None:
        """Refuse nothing: a tone stands for any word."""

    def breath(self, text: str) -> tuple[int, int]:
        """Characters that are best spoken at one go, the first time and later."""
        return 72, 140

    def render(self, text: str, delivery: Delivery) -> Rendered:
        """Sound every word of `text` as a tone between 300 and 1500 Hz."""
        words = written_words(text)
        if not words:
            return Rendered(np.zeros(0, np.int16), RATE)
        rate = delivery.rate * delivery.style.rate
        pitch = delivery.pitch * delivery.style.pitch
        pieces = [_silence(_EDGE_MS)]
        times = []
        at_ms = _EDGE_MS
        for position, word in enumerate(words):
            if position:
                pieces.append(_silence(_GAP_MS))
                at_ms += _GAP_MS
            length_ms = round(_LETTER_MS * (word.end - word.begin) / rate)
            frequency = (300 + ord(word.text[0].casefold()[0]) * 37 % 1200) * pitch
            pieces.append(_tone(frequency, length_ms))
            times.append(WordTime(word.text, word.begin, word.end, at_ms, at_ms + length_ms))
            at_ms += length_ms
        pieces.append(_silence(_EDGE_MS))
        sound = np.concatenate(pieces) * min(_LEVEL * delivery.style.volume * delivery.volume / 50, 1.0)
        return Rendered(np.rint(sound * 32767).astype(np.int16), RATE, tuple(times))


def _silence(length_ms: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.zeros(length_ms * RATE // 1000)


def _tone(frequency: float, length_ms: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    count = length_ms * RATE // 1000
    wave = np.sin(2 * np.pi * frequency / RATE * np.arange(count))
    fade = np.minimum(np.arange(count), np.arange(count)[::-1]) / (_FADE_MS * RATE // 1000)
    return np.asarray(wave * np.minimum(fade, 1.0))
