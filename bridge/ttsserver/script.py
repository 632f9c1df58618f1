"""Which script a text is written in, and whether a Latin voice can read it."""

import unicodedata

from bridge.ttsserver.voice import UnspeakableError

__all__ = ["foreign_script", "is_eastern", "is_speakable", "plain", "require_latin", "script_of"]

_SCRIPT_NAMES = {
    "CJK": "Chinese",
    "HIRAGANA": "Japanese",
    "KATAKANA": "Japanese",
    "HANGUL": "Korean",
    "BOPOMOFO": "Chinese",
    "IDEOGRAPHIC": "Chinese",
}
# Letters that are named after their use, not after a script, and that the voice reads or ignores.
_NEUTRAL = frozenset({
    "LATIN", "FULLWIDTH", "MICRO", "FEMININE", "MASCULINE", "MODIFIER", "KELVIN", "ANGSTROM", "SUPERSCRIPT",
    "SCRIPT", "DOUBLE", "MATHEMATICAL", "BLACK",
})  # fmt: skip
# One character for one, so that offsets in the result are offsets in the text. Square
# brackets would let a text set phonemes directly.
_PLAIN = str.maketrans({
    "，": ",", "。": ".", "！": "!", "？": "?", "；": ";", "：": ":", "、": ",", "（": "(", "）": ")",
    "“": '"', "”": '"', "‘": "'", "’": "'", "…": ".", "～": "~", "　": " ", "\u00a0": " ",
    "[": "(", "]": ")", "【": "(", "】": ")", "\n": " ", "\r": " ", "\t": " ",
})  # fmt: skip


def plain(text: str) -> str:
    """Write punctuation, digits and wide letters the ASCII way; the length stays the same."""
    text = text.translate(_PLAIN)
    return text if text.isascii() else "".join(map(_plain_character, text))


def is_speakable(text: str) -> bool:
    """Whether there is anything to pronounce: a letter, a digit or a sign that has a name."""
    return any(character.isalnum() or character in "%&@$€£+=#" for character in text)


def foreign_script(text: str) -> str | None:
    """Name the first script in `text` that is not Latin, as people call it; None if there is none."""
    if text.isascii():
        return None
    return next((script for script in map(script_of, text) if script not in ("", "Latin")), None)


def script_of(character: str) -> str:
    """Name the script of a letter, as people call it; empty for what belongs to none, such as a digit."""
    if "a" <= character <= "z" or "A" <= character <= "Z":
        return "Latin"
    if ord(character) < 128:
        return ""
    category = unicodedata.category(character)
    if category[0] == "M" and 0x900 <= ord(character) < 0x1200:
        category = "L"  # signs for vowels that stand beside their letter, in India and the south-east of Asia
    if category[0] != "L" and character != "〇":
        return ""
    words = unicodedata.name(character, "UNNAMED").replace("-", " ").split()
    script = words[1] if words[0] in ("HALFWIDTH", "COMBINING") and len(words) > 1 else words[0]
    return "Latin" if script in _NEUTRAL else _SCRIPT_NAMES.get(script, script.capitalize())


def is_eastern(text: str) -> bool:
    """Whether there is a Chinese or Japanese letter in it."""
    return not text.isascii() and any(script_of(character) in ("Chinese", "Japanese") for character in text)


def require_latin(text: str) -> None:
    """Refuse what an English voice would pass over in silence.

    Raises:
        UnspeakableError: If `text` holds letters of another script.
    """
    script = foreign_script(text)
    if script is not None:
        raise UnspeakableError(
            f"the English voice reads Latin letters only, and the text holds {script} ones"
        )


def _plain_character(character: str) -> str:
    code = ord(character)
    if code < 128:
        return character
    if 0xFF01 <= code <= 0xFF5E:
        return chr(code - 0xFEE0)
    digit = unicodedata.decimal(character, None)
    return character if digit is None else str(digit)
