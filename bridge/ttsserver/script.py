"""Which script a text is written in, and whether a Latin voice can read it."""

import unicodedata

from bridge.ttsserver.voice import UnspeakableError

__all__ = ["foreign_script", "is_speakable", "plain", "require_latin"]

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
    for character in text:
        if ord(character) < 128 or unicodedata.category(character)[0] != "L":
            continue
        words = unicodedata.name(character, "UNNAMED").replace("-", " ").split()
        script = words[1] if words[0] == "HALFWIDTH" else words[0]
        if script not in _NEUTRAL:
            return _SCRIPT_NAMES.get(script, script.capitalize())
    return None


def require_latin(text: str) -> None:
    """Refuse what an English voice would pass over in silence.

    Raises:
        UnspeakableError: If `text` holds letters of another script.
    """
    script = foreign_script(text)
    if script is not None:
        raise UnspeakableError(
            f"the embedded voice speaks English only and the text holds {script} letters: "
            "write it in Latin letters, or set tts.url and tts.api_key to a service that speaks the language"
        )


def _plain_character(character: str) -> str:
    code = ord(character)
    if code < 128:
        return character
    if 0xFF01 <= code <= 0xFF5E:
        return chr(code - 0xFEE0)
    digit = unicodedata.decimal(character, None)
    return character if digit is None else str(digit)
