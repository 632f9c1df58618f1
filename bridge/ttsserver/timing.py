"""When each written word sounds, from the durations of the phonemes that were spoken for it."""

import difflib
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

__all__ = ["Heard", "PhonemeSpan", "Written", "align", "merged", "written_words"]

_WORD = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class Written:
    """A word as it stands in the text, without the punctuation around it."""

    text: str
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class PhonemeSpan:
    """A word as the voice reads it, and which phonemes are its own."""

    text: str
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Heard:
    """A stretch of text and the signs it is spoken with: [begin, end) in the text and in the signs."""

    begin: int
    end: int
    first: int
    last: int


def merged(heard: Sequence[Heard]) -> list[Heard]:
    """Join neighbours that stand for the same stretch of text, as the syllables of a number do."""
    joined: list[Heard] = []
    for item in heard:
        before = joined[-1] if joined else None
        if before and (before.begin, before.end) == (item.begin, item.end):
            joined[-1] = Heard(item.begin, item.end, before.first, item.last)
        else:
            joined.append(item)
    return joined


def written_words(text: str) -> list[Written]:
    """Split at white space; a word keeps inner signs (``$23.45``, ``10:30``), not its outer punctuation."""
    found = []
    for match in _WORD.finditer(text):
        begin, end = match.span()
        while begin < end and not _is_kept(text[begin]):
            begin += 1
        while end > begin and not _is_kept(text[end - 1]):
            end -= 1
        if begin < end:
            found.append(Written(text[begin:end], begin, end))
    return found


def align(
    words: Sequence[Written], spoken: Sequence[PhonemeSpan], weigh: Callable[[str], float]
) -> list[tuple[Written, float, float]]:
    """Give each written word its stretch of phonemes, in fractions of phonemes where it must be shared.

    Words that are read as they are written match one to one. Where the reading differs ("10:30 am" is
    read as "ten thirty A.M."), the stretch is divided by `weigh`, the expected number of phonemes of
    a written word.
    """
    before = [word.text.casefold() for word in words]
    after = [_core(span.text).casefold() for span in spoken]
    found: list[tuple[Written, float, float]] = []
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if tag == "equal":
            found += [
                (words[i], spoken[j].begin, spoken[j].end)
                for i, j in zip(range(i1, i2), range(j1, j2), strict=True)
            ]
        elif i1 < i2 and j1 < j2:
            found += _shared(words[i1:i2], spoken[j1].begin, spoken[j2 - 1].end, weigh)
    return [item for item in found if item[1] < item[2]]


def _shared(
    words: Sequence[Written], begin: float, end: float, weigh: Callable[[str], float]
) -> list[tuple[Written, float, float]]:
    weights = [max(weigh(word.text), 1.0) for word in words]
    step = (end - begin) / sum(weights)
    found = []
    for word, weight in zip(words, weights, strict=True):
        found.append((word, begin, begin + weight * step))
        begin += weight * step
    return found


def _core(text: str) -> str:
    words = written_words(text)
    return words[0].text if words else text


def _is_kept(character: str) -> bool:
    # Marks are vowels in India and Thailand, and accents anywhere.
    return character.isalnum() or character in "$€£¥%&@+#°" or unicodedata.category(character).startswith("M")
