"""What the caller truly heard of an utterance that was cut."""

from collections.abc import Sequence
from dataclasses import dataclass

from bridge.ports import WordTime

__all__ = ["Heard", "heard"]

_WEIGHT_PER_S = 14.0
"""Speech without any measure at all: about 14 letters, or 7 hanzi, a second."""

_FIRST_WIDE = 0x2E80
"""From CJK radicals on, a character is a syllable or more and needs no blank around it."""


@dataclass(frozen=True, slots=True)
class Heard:
    """An utterance cut in two; ``heard + unheard`` is always the whole text."""

    heard: str
    unheard: str
    estimated: bool
    """Whether the cut was guessed by characters, for want of word times."""


def heard(
    text: str,
    words: Sequence[WordTime],
    *,
    played_ms: int,
    finished: bool,
    total_ms: int | None,
) -> Heard:
    """Tell what was heard.

    A word was heard when its end was played. The marks behind it belong to it; the blank too.

    Args:
        text: The whole text of the utterance.
        words: Word times known so far, in order; the service sends them sentence by sentence.
        played_ms: How much of the utterance's sound the caller got.
        finished: Whether that was all of it.
        total_ms: How long the whole sound is, where it is known; makes the estimate better.
    """
    if finished:
        return Heard(text, "", estimated=False)
    cut, since_ms = 0, 0
    for position, word in enumerate(words):
        if word.end_ms > played_ms:
            return _cut(text, cut, estimated=False)
        following = words[position + 1].begin_index if position + 1 < len(words) else len(text)
        cut = max(cut, _behind_marks(text, word.end_index, following))
        since_ms = word.end_ms
    if not _is_spoken(text[cut:]):
        # Every word there is was heard; only the silence behind the last one was cut.
        return _cut(text, len(text), estimated=False)
    return _cut(text, _estimate(text, cut, since_ms, played_ms, total_ms), estimated=True)


def _estimate(text: str, cut: int, since_ms: int, played_ms: int, total_ms: int | None) -> int:
    """Guess the cut in what has no word times, whole words only."""
    rest = text[cut:]
    left_ms = played_ms - since_ms
    if left_ms <= 0:
        return cut
    weight = _weigh(rest)
    if total_ms is not None and total_ms > since_ms:
        spoken = weight * min(1.0, left_ms / (total_ms - since_ms))
    elif since_ms > 0 and _is_spoken(text[:cut]):
        # This voice's own pace so far is the best measure of what follows.
        spoken = _weigh(text[:cut]) * left_ms / since_ms
    else:
        spoken = _WEIGHT_PER_S * left_ms / 1000
    if spoken >= weight:
        return len(text)
    reached, index = cut, 0
    while spoken >= _weigh(rest[index]):
        spoken -= _weigh(rest[index])
        if _ends_word(rest, index):
            reached = cut + index + 1
        index += 1
    return _behind_marks(text, reached, len(text)) if reached > cut else cut


def _ends_word(text: str, index: int) -> bool:
    if ord(text[index]) >= _FIRST_WIDE or text[index].isspace():
        return True
    following = text[index + 1] if index + 1 < len(text) else " "
    return following.isspace() or ord(following) >= _FIRST_WIDE


def _behind_marks(text: str, index: int, limit: int) -> int:
    """Move over the marks that close a word, and the blank behind them."""
    end = min(max(index, 0), len(text))
    limit = min(max(limit, end), len(text))
    while end < limit and not text[end].isalnum() and not text[end].isspace():
        end += 1
    while end < limit and text[end].isspace():
        end += 1
    return end


def _cut(text: str, index: int, *, estimated: bool) -> Heard:
    return Heard(text[:index], text[index:], estimated)


def _weigh(text: str) -> int:
    return sum(2 if ord(character) >= _FIRST_WIDE else 1 for character in text)


def _is_spoken(text: str) -> bool:
    return any(character.isalnum() for character in text)
