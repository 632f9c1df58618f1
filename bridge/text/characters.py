"""How CosyVoice counts characters, for its limits and for its bill.

A hanzi counts two, whatever language wrote it (kanji, hanja); everything else counts one,
kana and hangul included. Of SSML counts what its sentences are written with: tags, comments and what stands
between passages count nothing, an entity counts as the character that it is, CDATA as it stands.
"""

import re

from bridge.text.markup import is_ssml, written_text

__all__ = ["count_characters", "has_hanzi", "is_hanzi"]

# The documentation names no blocks: here all unified and compatibility ideographs are hanzi.
_HANZI = re.compile(
    "[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002a6df\U0002a700-\U0002ee5f"
    "\U0002f800-\U0002fa1f\U00030000-\U000323af]"
)


def count_characters(text: str, *, ssml: bool = False) -> int:
    """Count as the bill does.

    Args:
        text: As it came from the client.
        ssml: Whether SSML is enabled; text that is none is plain text all the same, and counts in full.
    """
    if ssml and is_ssml(text):
        text = written_text(text)
    return len(text) + sum(1 for _ in _HANZI.finditer(text))


def is_hanzi(character: str) -> bool:
    return _HANZI.fullmatch(character) is not None


def has_hanzi(text: str) -> bool:
    return _HANZI.search(text) is not None
