"""How CosyVoice counts characters, for its limits and for its bill.

A hanzi counts two, whatever language wrote it (kanji, hanja); everything else counts one,
kana and hangul included; SSML tags count nothing. An entity counts as the one character that it is: ``&lt;``
is what SSML demands for a ``<`` that is spoken.
"""

import re

from bridge.text.markup import is_ssml

__all__ = ["count_characters", "is_hanzi"]

# The documentation names no blocks: here all unified and compatibility ideographs are hanzi.
_HANZI = re.compile(
    "[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002a6df\U0002a700-\U0002ee5f"
    "\U0002f800-\U0002fa1f\U00030000-\U000323af]"
)
_TAG = re.compile(r"<!--(?:[^<>-]|-(?!->))*+-->|<(?:[^<>\"']|\"[^\"<]*+\"|'[^'<]*+')*+>")
_ENTITY = re.compile(r"&(?:lt|gt|amp|quot|apos|#[0-9]{1,7}|#x[0-9A-Fa-f]{1,6});")


def count_characters(text: str, *, ssml: bool = False) -> int:
    """Count as the bill does.

    Args:
        text: As it came from the client.
        ssml: Whether SSML is enabled; text that is none is plain text all the same, and counts in full.
    """
    if ssml and is_ssml(text):
        text = _ENTITY.sub("?", _TAG.sub("", text))
    return len(text) + sum(1 for _ in _HANZI.finditer(text))


def is_hanzi(character: str) -> bool:
    return _HANZI.fullmatch(character) is not None
