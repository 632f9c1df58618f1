"""One voice for every language: cuts a text where the script changes, and asks who can read each part.

Latin letters go to the English voice, Chinese and Japanese ones to theirs, the rest to espeak-ng, as does a
text in Latin letters whose language hint says French. Digits and punctuation go with their neighbours.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bridge.media.resample import Resampler
from bridge.ports import WordTime
from bridge.text.passage import Pronunciation
from bridge.ttsserver.casting import Cast
from bridge.ttsserver.espeak import LANGUAGES
from bridge.ttsserver.numerals import UNITS
from bridge.ttsserver.script import is_speakable, script_of
from bridge.ttsserver.voice import Delivery, Engine, Rendered, Timbre, UnspeakableError

__all__ = ["Ensemble", "Polyglot", "Run", "runs_of"]

_RATE = 24000
"""Of a text in several languages, in Hz."""

# Which language a script is read as where the hint names none that is written with it.
_SCRIPT_LANGUAGE = {
    "Cyrillic": "ru", "Korean": "ko", "Thai": "th", "Arabic": "ar", "Hebrew": "he", "Greek": "el",
    "Devanagari": "hi", "Bengali": "bn", "Tamil": "ta", "Telugu": "te", "Kannada": "kn", "Malayalam": "ml",
    "Gujarati": "gu", "Gurmukhi": "pa", "Sinhala": "si", "Georgian": "ka", "Armenian": "hy", "Myanmar": "my",
    "Ethiopic": "am",
}  # fmt: skip
_OTHERS_OF_SCRIPT = {"Cyrillic": ("uk", "bg"), "Arabic": ("fa", "ur")}
_NOT_LATIN = frozenset(_SCRIPT_LANGUAGE.values()) | {"uk", "bg", "fa", "ur"}
# Written alike and read well enough: nobody here speaks Filipino.
_STAND_INS = {"fil": "id", "tl": "id"}
_OWN = ("en", "zh", "ja", "")
# Digits, and the signs that are read with them.
_READ_SIGNS = frozenset("%&@$€£¥￥+=#°℃‰")
_UNIT = re.compile(
    r"\s?(" + "|".join(re.escape(unit) for unit in sorted(UNITS, key=len, reverse=True)) + ")(?![A-Za-z])"
)
_STOPS = frozenset(".!?。！？…")
_PAUSES = frozenset(",;:，；：、")
_STOP_MS, _PAUSE_MS = 220, 90
"""Silence after a part that ends with such a mark, beside the edges of the parts."""


class Ensemble(Protocol):
    """Who speaks which language; each is loaded when it is first asked for."""

    def english(self) -> Engine: ...

    def mandarin(self, style: str) -> Engine: ...

    def japanese(self, style: str) -> Engine: ...

    def other(self, *, is_female: bool) -> Engine: ...


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch of text that one voice reads."""

    begin: int
    end: int
    language: str


class Polyglot:
    """Speaks any text with the voices of one cast; may be called from several threads at once."""

    def __init__(self, cast: Cast, ensemble: Ensemble) -> None:
        self._cast = cast
        self._ensemble = ensemble

    def check(self, text: str) -> None:
        """Make sure that nothing of `text` would be left out, whatever the language hint.

        Raises:
            UnspeakableError: If there is no voice for one of its scripts.
        """
        for run in runs_of(text):
            if run.language not in ("en", "zh"):
                self._engine(run.language).check(text[run.begin : run.end])

    def breath(self, text: str) -> tuple[int, int]:
        """Characters that are best spoken at one go: few where the Chinese voice has to speak."""
        slow = next((run.language for run in runs_of(text) if run.language in ("zh", "ja")), "en")
        return self._engine(slow).breath(text)

    def render(self, text: str, delivery: Delivery) -> Rendered:
        """Speak `text`, each part in its language.

        Raises:
            UnspeakableError: If there is no voice for a part of it; nothing is ever left out in silence.
        """
        if not is_speakable(text):
            return Rendered(np.zeros(0, np.int16), _RATE)
        runs = runs_of(text, delivery.language, delivery.pronunciations)
        parts = [(run, self._render(text, run, delivery)) for run in runs]
        if len(parts) == 1:
            return parts[0][1]
        return _joined(text, parts, delivery.rate * delivery.style.rate)

    def _render(self, text: str, run: Run, delivery: Delivery) -> Rendered:
        part = text[run.begin : run.end]
        given = tuple(
            replace(stretch, begin=stretch.begin - run.begin, end=stretch.end - run.begin)
            for stretch in delivery.pronunciations
            if run.begin <= stretch.begin < run.end
        )
        rendered = self._engine(run.language).render(
            part,
            replace(
                delivery,
                timbre=self._timbre(run.language) * delivery.timbre,
                language=run.language,
                pronunciations=given,
            ),
        )
        if not len(rendered.samples) and any(map(str.isalnum, part)):
            raise UnspeakableError(f"no voice here can read {part.strip()[:20]!r}")
        if run.begin == 0:
            return rendered
        return replace(rendered, words=tuple(_moved(word, run.begin, 0) for word in rendered.words))

    def _engine(self, language: str) -> Engine:
        match language:
            case "en":
                return self._ensemble.english()
            case "zh":
                return self._ensemble.mandarin(self._cast.mandarin)
            case "ja":
                return self._ensemble.japanese(self._cast.japanese)
            case _:
                return self._ensemble.other(is_female=self._cast.is_female)

    def _timbre(self, language: str) -> Timbre:
        match language:
            case "en":
                return self._cast.english
            case "zh" | "ja":
                return self._cast.eastern
            case _:
                return self._cast.other


def runs_of(text: str, hint: str = "", given: Sequence[Pronunciation] = ()) -> list[Run]:
    """Cut `text` where the language changes; the runs in order are the whole text.

    Args:
        text: Any.
        hint: Language of Latin letters, and of Chinese ones that could be Japanese.
        given: Stretches whose pronunciation, pinyin or ARPABET, says who has to read them.

    Raises:
        UnspeakableError: If the hint, or a script, is one that nobody here reads.
    """
    hint = hint.lower().partition("-")[0]
    hint = _STAND_INS.get(hint, hint)
    if hint not in _OWN and hint not in LANGUAGES:
        raise UnspeakableError(f"no voice here speaks the language {hint[:20]!r}")
    scripts = [script_of(character) for character in text]
    is_japanese = hint == "ja" or (hint != "zh" and "Japanese" in scripts)
    languages = [_language(script, hint, is_japanese) for script in scripts]
    for stretch in given:
        reader = {"py": "zh", "cmu": "en"}.get(stretch.alphabet, "")
        languages[stretch.begin : stretch.end] = [reader] * (stretch.end - stretch.begin)
    eastern = next((language for language in languages if language in ("zh", "ja")), "")
    _claim_units(text, languages, eastern)
    _claim_digits(text, languages, eastern)
    alone = hint or "en"
    return _joined_runs(languages, alone)


def _language(script: str, hint: str, is_japanese: bool) -> str:
    if not script:
        return ""
    if script == "Latin":
        return "en" if hint in _OWN or hint in _NOT_LATIN else hint
    if script in ("Chinese", "Japanese"):
        return "ja" if is_japanese else "zh"
    if hint in _OTHERS_OF_SCRIPT.get(script, ()):
        return hint
    language = _SCRIPT_LANGUAGE.get(script)
    if language is None:
        raise UnspeakableError(f"no voice here reads {script} letters")
    return language


def _claim_units(text: str, languages: list[str], eastern: str) -> None:
    """In a Chinese text the units behind digits are read in Chinese: 5 km."""
    if eastern != "zh":
        return
    for index in range(1, len(text)):
        if languages[index] == "en" and languages[index - 1] != "en":
            before = index - 1 if text[index - 1] != " " else index - 2
            unit = _UNIT.match(text, index)
            if unit and before >= 0 and text[before].isdigit():
                languages[index : unit.end()] = ["zh"] * (unit.end() - index)


def _claim_digits(text: str, languages: list[str], eastern: str) -> None:
    """In a text with Chinese letters, digits are read in Chinese unless a Latin letter touches them: A4."""
    if not eastern:
        return
    index = 0
    while index < len(text):
        if languages[index] or not (text[index].isdigit() or text[index] in _READ_SIGNS):
            index += 1
            continue
        end = index
        while end < len(text) and not languages[end] and not text[end].isspace():
            end += 1
        while end > index and not (text[end - 1].isdigit() or text[end - 1] in _READ_SIGNS):
            end -= 1
        touching = (languages[index - 1] if index else "", languages[end] if end < len(text) else "")
        language = next((other for other in touching if other and other != eastern), eastern)
        languages[index:end] = [language] * (end - index)
        index = end


def _joined_runs(languages: Sequence[str], alone: str) -> list[Run]:
    """Let what has no language follow what stands before it, and what begins the text what comes next."""
    if not languages:
        return []
    current = next((language for language in languages if language), alone)
    runs: list[Run] = []
    begin = 0
    for index, language in enumerate(languages):
        if language and language != current:
            runs.append(Run(begin, index, current))
            begin, current = index, language
    return [*runs, Run(begin, len(languages), current)]


def _joined(text: str, parts: Sequence[tuple[Run, Rendered]], rate: float) -> Rendered:
    sounds: list[NDArray[np.int16]] = []
    words: list[WordTime] = []
    passed = 0
    for run, rendered in parts:
        words += [_moved(word, 0, passed * 1000 / _RATE) for word in rendered.words]
        sound = _resampled(rendered)
        last = text[run.begin : run.end].rstrip()[-1:]
        pause_ms = _STOP_MS if last in _STOPS else _PAUSE_MS if last in _PAUSES else 0
        if run is parts[-1][0] or not len(sound):
            pause_ms = 0
        pause = np.zeros(round(pause_ms * _RATE / 1000 / rate) if last else 0, np.int16)
        sounds += [sound, pause]
        passed += len(sound) + len(pause)
    return Rendered(np.concatenate(sounds), _RATE, tuple(words))


def _resampled(rendered: Rendered) -> NDArray[np.int16]:
    if rendered.rate == _RATE or not len(rendered.samples):
        return rendered.samples
    resampler = Resampler(rendered.rate, _RATE)
    pcm = resampler.push(rendered.samples.astype("<i2", copy=False).tobytes()) + resampler.flush()
    return np.frombuffer(pcm, "<i2").astype(np.int16, copy=False)


def _moved(word: WordTime, offset: int, ms: float) -> WordTime:
    return WordTime(
        word.text,
        word.begin_index + offset,
        word.end_index + offset,
        round(word.begin_ms + ms),
        round(word.end_ms + ms),
    )
