"""Cuts a text that is longer than a message or a task may be, where it hurts least."""

import re
from collections.abc import Iterator

from bridge.text.characters import count_characters

__all__ = ["cut_text", "take_text"]

_SENTENCE_END = re.compile(r"[。！？；…\n]|[.!?][ \t]")
_BLANK = re.compile(r"[ \t，、,]")


def cut_text(text: str, most: int) -> Iterator[str]:
    """Yield pieces of at most `most` counted characters, at least 2; joined they are the text."""
    begin = 0
    while begin < len(text):
        # A window, not the rest: cutting costs what the text is long, however many pieces there are.
        piece = take_text(text[begin : begin + most], most, is_rest=begin + most >= len(text))
        yield piece
        begin += len(piece)


def take_text(text: str, most: int, *, is_rest: bool = True) -> str:
    """The longest beginning of at most `most` counted characters, at least 2, that ends where one may pause.

    Args:
        text: Where it is taken from; looked at no further than `most` characters.
        most: A hanzi counts two (`bridge.text.characters`).
        is_rest: Whether nothing follows `text`, so that its own end is a good place.
    """
    end = min(len(text), most)
    # Each character too many is one or two counts too many: this halves the excess at least.
    while (excess := count_characters(text[:end]) - most) > 0:
        end -= (excess + 1) // 2
    if end == len(text) and is_rest:
        return text
    for border in (_SENTENCE_END, _BLANK):
        found = [mark.end() for mark in border.finditer(text, end // 2, end)]
        if found:
            return text[: found[-1]]
    return text[:end]
