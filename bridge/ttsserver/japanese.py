"""Japanese text to the signs of the Japanese voice.

Kana are read as they are written. Kanji need a dictionary: the optional extra with pyopenjtalk-plus (MIT and
BSD), which also knows that は is said わ as a particle. Without it a text with kanji is refused.
"""

import functools
import unicodedata
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

from bridge.text.characters import is_hanzi
from bridge.text.passage import Pronunciation
from bridge.ttsserver.timing import Heard, merged
from bridge.ttsserver.voice import UnspeakableError

__all__ = ["EXTRA", "japanese_sounds", "require_readable"]

EXTRA = "pip install pyopenjtalk-plus==0.4.1.post10 sudachipy"
"""What installs the dictionary."""

_ROWS = {
    "アイウエオ": "a i ɯ e o", "カキクケコ": "ka kʲi kɯ ke ko", "ガギグゲゴ": "ɡa ɡʲi ɡɯ ɡe ɡo",
    "サシスセソ": "sa ɕi sɨ se so", "ザジズゼゾ": "ʣa ʥi zɨ ʣe ʣo", "タチツテト": "ta ʨi ʦɨ te to",
    "ダヂヅデド": "da ʥi zɨ de do", "ナニヌネノ": "na ɲi nɯ ne no", "ハヒフヘホ": "ha çi ɸɯ he ho",
    "バビブベボ": "ba bʲi bɯ be bo", "パピプペポ": "pa pʲi pɯ pe po", "マミムメモ": "ma mʲi mɯ me mo",
    "ヤユヨ": "ja jɯ jo", "ラリルレロ": "ɾa ɾʲi ɾɯ ɾe ɾo", "ワヰヱヲ": "βa i e o", "ヴヵヶ": "vɯ ka ke",
    "ァィゥェォ": "a i ɯ e o", "ャュョヮ": "ja jɯ jo βa",
}  # fmt: skip
_KANA = {kana: sign for row, signs in _ROWS.items() for kana, sign in zip(row, signs.split(), strict=True)}
_SMALL = {"ャ": "a", "ュ": "ɯ", "ョ": "o", "ァ": "a", "ィ": "i", "ゥ": "ɯ", "ェ": "e", "ォ": "o", "ヮ": "a"}
_BEFORE_SMALL = {"ウ": "β", "イ": "j"}
_DIGITS = ("ゼロ", "イチ", "ニ", "サン", "ヨン", "ゴ", "ロク", "ナナ", "ハチ", "キュー")
_MARKS = dict(
    zip("。、？！「」『』：；，．（）〜～…", ".,?!“”“”:;,.()——…", strict=True),
    **{mark: mark for mark in ".,?!:;"},
)
# Said otherwise than written, and everybody writes them in kana.
_GREETINGS = {"コンニチハ": "コンニチワ", "コンバンハ": "コンバンワ"}

Word = tuple[str, int, int, bool]
"""Katakana as it is said, its stretch of text, and whether it belongs to the word before it."""


def has_dictionary() -> bool:
    """Whether the extra is installed; loads nothing."""
    return find_spec("pyopenjtalk") is not None


def require_readable(text: str, *, has_dictionary: Callable[[], bool] = has_dictionary) -> None:
    """Make sure that every character can be read; loads nothing.

    Raises:
        UnspeakableError: If there are kanji and no dictionary.
    """
    if any(map(is_hanzi, text)) and not has_dictionary():
        raise UnspeakableError(f"Japanese with kanji needs a dictionary: write kana, or run: {EXTRA}")


def japanese_sounds(
    text: str, given: Sequence[Pronunciation] = (), *, has_dictionary: Callable[[], bool] = has_dictionary
) -> tuple[str, list[Heard]]:
    """Read a Japanese text aloud, on paper: the signs, and which of them stand for which part of the text.

    Raises:
        UnspeakableError: If there are kanji and no dictionary, or pronunciations: they have no alphabet.
    """
    if given:
        raise UnspeakableError(
            f"Japanese takes no pronunciations, such as {given[0].sounds[:20]!r}: write kana"
        )
    require_readable(text, has_dictionary=has_dictionary)
    words = _dictionary_words(text) if has_dictionary() else _kana_words(text)
    signs = ""
    heard: list[Heard] = []
    for said, begin, end, is_joined in words:
        mark = _MARKS.get(said)
        if mark:
            signs = signs.rstrip() + mark + " "
            continue
        sounds = _signs(said)
        if not sounds:
            continue
        if signs and not is_joined and not signs.endswith(" "):
            signs += " "
        heard.append(Heard(begin, end, len(signs), len(signs) + len(sounds)))
        signs += sounds
    return signs.rstrip(), merged(heard)


def _signs(said: str) -> str:
    """The signs of one word in katakana."""
    said = _GREETINGS.get(said, said)
    signs: list[str] = []
    for index, kana in enumerate(said):
        if kana in _SMALL and index and said[index - 1] in _KANA and said[index - 1] not in _SMALL:
            before = _BEFORE_SMALL.get(said[index - 1]) or _KANA[said[index - 1]][:-1]
            signs[-1] = before + _SMALL[kana]
        elif kana == "ー":
            signs.append("ː")
        elif kana == "ッ":
            signs.append("ʔ")
        elif kana == "ン":
            signs.append(_nasal(_KANA.get(said[index + 1], "") if index + 1 < len(said) else ""))
        elif kana in _KANA:
            signs.append(_KANA[kana])
    return "".join(signs)


def _nasal(following: str) -> str:
    """ン is said where the mouth already is for the next sound."""
    first = following[:1]
    if first and first in "mpb":
        return "m"
    if first and first in "kɡ":
        return "ŋ"
    if first and first in "ɲʨʥ":
        return "ɲ"
    return "n" if first and first in "ntdɾzʣʦ" else "ɴ"


def _katakana(text: str) -> str:
    """Hiragana and half-width kana as katakana; offsets are kept by the caller."""
    return "".join(
        chr(ord(c) + 0x60) if "ぁ" <= c <= "ゖ" else c for c in unicodedata.normalize("NFKC", text)
    )


def _kana_words(text: str) -> list[Word]:
    """Without a dictionary: what stands between blanks and marks is one word, digits are read one by one."""
    words: list[Word] = []
    begin = 0
    for index in range(len(text) + 1):
        character = text[index] if index < len(text) else " "
        digit = unicodedata.decimal(character, None)
        if digit is None and character not in _MARKS and not character.isspace():
            continue
        if index > begin:
            words.append((_katakana(text[begin:index]), begin, index, False))
        if digit is not None:
            words.append((_DIGITS[digit], index, index + 1, False))
        elif character in _MARKS:
            words.append((character, index, index + 1, False))
        begin = index + 1
    return words


def _dictionary_words(text: str) -> list[Word]:
    words: list[Word] = []
    at = 0
    number_end = 0
    for node in _frontend()(text):
        written = unicodedata.normalize("NFKC", str(node["string"]))
        is_mark = node["pos"] == "記号"
        said = str(node["string"]) if is_mark else str(node["pron"]).replace("’", "").replace("'", "")
        found = _find(text, written, max(at, number_end))
        if found is not None:
            begin, at = found
            span = (begin, at)
        else:
            # The digits of a number come as words that are not in the text: all stand for the whole number.
            if at >= number_end:
                while at < len(text) and not text[at].isdigit():
                    at += 1
                number_end = at
                while number_end < len(text) and (text[number_end].isdigit() or text[number_end] in ",.，．"):
                    number_end += 1
            span = (at, max(number_end, at))
        words.append((said, *span, bool(node["chain_flag"] == 1)))
    return words


def _find(text: str, written: str, at: int) -> tuple[int, int] | None:
    """Where `written` stands, at `at` or after a few signs that are not read."""
    for begin in range(at, min(at + 4, len(text))):
        end = begin + len(written)
        if unicodedata.normalize("NFKC", text[begin:end]) == written:
            return begin, end
    return None


@functools.cache
def _frontend() -> Callable[[str], list[dict[str, Any]]]:
    import pyopenjtalk

    def read(text: str) -> list[dict[str, Any]]:
        return [dict(node) for node in pyopenjtalk.run_frontend(text, use_sudachi_kanji_yomi=False)]

    return read
