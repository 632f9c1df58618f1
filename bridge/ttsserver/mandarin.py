"""Chinese text to the signs of the Chinese voice: words, their pinyin, their sounds.

Words are cut with rjieba and read with pypinyin (both MIT, loaded on first use). The signs are those the
network was trained with: IPA, with arrows for the tones behind the vowel.
"""

import functools
from collections.abc import Callable, Sequence

from bridge.text.characters import is_hanzi
from bridge.text.passage import Pronunciation, Spoken
from bridge.ttsserver.numerals import read_numbers
from bridge.ttsserver.timing import Heard, merged
from bridge.ttsserver.voice import UnspeakableError

__all__ = ["sounds_of", "syllable"]


_INITIALS = {
    "b": "p", "p": "pʰ", "m": "m", "f": "f", "d": "t", "t": "tʰ", "n": "n", "l": "l", "g": "k", "k": "kʰ",
    "h": "x", "j": "ʨ", "q": "ʨʰ", "x": "ɕ", "zh": "ꭧ", "ch": "ꭧʰ", "sh": "ʂ", "r": "ɻ", "z": "ʦ",
    "c": "ʦʰ", "s": "s", "": "",
}  # fmt: skip
# The zero stands where the tone is written.
_FINALS = {
    "a": "a0", "ai": "ai0", "an": "a0n", "ang": "a0ŋ", "ao": "au0", "e": "ɤ0", "ei": "ei0", "en": "ə0n",
    "eng": "ə0ŋ", "er": "ɚ0", "i": "i0", "ia": "ja0", "ian": "jɛ0n", "iang": "ja0ŋ", "iao": "jau0",
    "ie": "je0", "in": "i0n", "ing": "i0ŋ", "iong": "jʊ0ŋ", "iu": "jou0", "o": "wo0", "ong": "ʊ0ŋ",
    "ou": "ou0", "u": "u0", "ua": "wa0", "uai": "wai0", "uan": "wa0n", "uang": "wa0ŋ", "ui": "wei0",
    "un": "wə0n", "uo": "wo0", "ueng": "wə0ŋ", "v": "y0", "van": "ɥɛ0n", "ve": "ɥe0", "vn": "y0n",
    "ê": "ɛ0", "io": "jɔ0",
}  # fmt: skip
# Syllables that are spelt otherwise than they are built.
_WHOLE = {
    "m": "m0", "n": "n0", "ng": "ŋ0", "hm": "hm0", "hng": "hŋ0", "o": "ɔ0", "yo": "jɔ0",
    **{initial + "i": _INITIALS[initial] + "ɨ0" for initial in ("zh", "ch", "sh", "r", "z", "c", "s")},
}  # fmt: skip
_TONES = {"1": "→", "2": "↗", "3": "↓", "4": "↘", "5": "", "0": ""}

_PAUSES = str.maketrans({
    "，": ",", "、": ",", "。": ".", "．": ".", "！": "!", "：": ":", "；": ";", "？": "?", "…": "…",
    "—": "—", "–": "—", "《": "“", "》": "”", "「": "“", "」": "”", "『": "“", "』": "”", "【": "“",
    "】": "”", "（": "(", "）": ")", "\n": ",",
})  # fmt: skip
_MARKS = frozenset(';:,.!?—…"()“”')


def syllable(pinyin: str) -> str:
    """The signs of one syllable such as ``zhong1``; without a digit, or with 5, it has no tone.

    Raises:
        UnspeakableError: If that is no syllable of Mandarin.
    """
    spelt = pinyin.lower().replace("u:", "v").replace("ü", "v")
    tone = spelt[-1:] if spelt[-1:] in _TONES else ""
    spelt = spelt[: len(spelt) - len(tone)] if tone else spelt
    built = _WHOLE.get(spelt) or _built(spelt)
    if built is None:
        raise UnspeakableError(f"{pinyin[:20]!r} is no syllable in pinyin: write it like zhong1 wen2")
    return built.replace("0", _TONES[tone or "5"])


def sounds_of(text: str, given: Sequence[Pronunciation] = ()) -> tuple[str, list[Heard]]:
    """Read a Chinese text aloud, on paper.

    Args:
        text: Hanzi, digits, signs and punctuation; what is none of them is passed over.
        given: Pronunciations in the alphabet ``py``, in order, none overlapping.

    Returns:
        The signs, and which of them stand for which part of the text: one entry a character, one for a
        whole number.

    Raises:
        UnspeakableError: If a pronunciation is no pinyin, or does not fit its characters.
    """
    signs = _Signs()
    at = 0
    for stretch in given:
        _read(text, at, stretch.begin, signs)
        _read_given(text, stretch, signs)
        at = stretch.end
    _read(text, at, len(text), signs)
    return "".join(signs.pieces).strip(), signs.heard()


class _Signs:
    """What was read so far; words stand apart by a blank, as the network learned them."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self._length = 0
        self._found: list[Heard] = []
        self._is_open = False

    def word(self, syllables: Sequence[tuple[str, int, int]]) -> None:
        """Add a word: for each syllable its signs and its stretch of text."""
        if self._is_open:
            self._add(" ")
        for sounds, begin, end in syllables:
            first = self._length
            self._add(sounds)
            self._found.append(Heard(begin, end, first, self._length))
        self._is_open = True

    def mark(self, sign: str) -> None:
        if self.pieces and self.pieces[-1] != sign + " ":
            self._add(sign + " ")
        self._is_open = False

    def heard(self) -> list[Heard]:
        """One entry for each stretch of text: the syllables of a number belong together."""
        return merged(self._found)

    def _add(self, signs: str) -> None:
        self.pieces.append(signs)
        self._length += len(signs)


def _read(text: str, begin: int, end: int, signs: _Signs) -> None:
    reading = read_numbers(text[begin:end])
    run = 0
    written = reading.text.replace("〇", "零")
    while run < len(written):
        stop = run
        while stop < len(written) and is_hanzi(written[stop]):
            stop += 1
        if stop > run:
            _read_words(reading, run, stop, begin, signs)
            run = stop
        else:
            mark = written[run].translate(_PAUSES)
            if mark in _MARKS:
                signs.mark(mark)
            run += 1


def _read_words(reading: Spoken, begin: int, end: int, offset: int, signs: _Signs) -> None:
    segment, spell = _readers()
    at = begin
    for word in segment(reading.text[begin:end].replace("〇", "零")):
        signs.word(
            [
                (syllable(pinyin), reading.begins[place] + offset, reading.ends[place] + offset)
                for place, pinyin in enumerate(spell(word), at)
            ]
        )
        at += len(word)


def _read_given(text: str, stretch: Pronunciation, signs: _Signs) -> None:
    if stretch.alphabet != "py":
        raise UnspeakableError(
            f"Chinese words take pronunciations in the alphabet py, not {stretch.alphabet[:20]!r}"
        )
    written = [n for n in range(stretch.begin, stretch.end) if is_hanzi(text[n])]
    spelt = stretch.sounds.split()
    if not spelt or len(spelt) != (len(written) or len(spelt)):
        raise UnspeakableError(
            f"the pronunciation {stretch.sounds[:40]!r} has {len(spelt)} syllables "
            f"for {len(written)} characters: write one for each, with blanks between"
        )
    if written:
        signs.word([(syllable(pinyin), n, n + 1) for pinyin, n in zip(spelt, written, strict=True)])
    else:
        signs.word([(syllable(pinyin), stretch.begin, stretch.end) for pinyin in spelt])


def _built(spelt: str) -> str | None:
    """Put initial and final together, after undoing the spelling rules for y, w and ü."""
    spelt = _unruled(spelt)
    for size in (2, 1, 0):
        initial, final = spelt[:size], spelt[size:]
        if initial in ("j", "q", "x") and final.startswith("u"):
            final = "v" + final[1:]
        elif final == "ue":  # nüe and lüe, as they are typed
            final = "ve"
        if initial in _INITIALS and final in _FINALS:
            return _INITIALS[initial] + _FINALS[final]
    return None


def _unruled(spelt: str) -> str:
    if spelt.startswith("yu"):
        return "v" + spelt[2:]
    if spelt.startswith("y"):
        rest = spelt[1:]
        return {"ou": "iu"}.get(rest, rest if rest.startswith("i") else "i" + rest)
    if spelt.startswith("w"):
        rest = spelt[1:]
        return {"ei": "ui", "en": "un", "eng": "ueng", "u": "u"}.get(rest, "u" + rest)
    return spelt


@functools.cache
def _readers() -> tuple[Callable[[str], list[str]], Callable[[str], list[str]]]:
    """What cuts a text into words, and what spells a word in pinyin, a syllable a character."""
    import rjieba
    from pypinyin import Style, lazy_pinyin

    def spell(word: str) -> list[str]:
        return lazy_pinyin(word, style=Style.TONE3, neutral_tone_with_five=True, errors=_refuse)

    return rjieba.cut, spell


def _refuse(characters: str) -> str:
    raise UnspeakableError(f"the Chinese voice does not know the sound of {characters[:20]!r}")
