"""Finds given words in texts, the longest first, whatever the words and the texts are."""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator

__all__ = ["Lexicon"]


class Lexicon:
    """Words to find.

    A text costs its length times the longest word at most. Nothing is compiled of the words but the set of
    their first characters, so that a large table costs little before its first use, and little then.
    """

    def __init__(self, words: Iterable[str] = ()) -> None:
        self._words = frozenset(words)
        self._sorted = sorted(self._words)
        self._reach = max(map(len, self._words), default=0)
        lengths: dict[str, set[int]] = {}
        for word in self._words:
            lengths.setdefault(word[0], set()).add(len(word))
        # For each first character: the lengths of words that begin so, the longest first.
        self._lengths = {first: sorted(found, reverse=True) for first, found in lengths.items()}
        self._starts: dict[str, re.Pattern[str]] = {}

    def starts(self, others: str = "") -> re.Pattern[str]:
        """Finds a character that a word begins with, or one of `others`."""
        if others not in self._starts:
            firsts = "".join(map(re.escape, sorted(self._lengths.keys() | set(others))))
            self._starts[others] = re.compile(f"[{firsts}]" if firsts else r"(?!)")
        return self._starts[others]

    def find(self, text: str) -> Iterator[tuple[int, int]]:
        """Begin and end of each word in `text`, in order, none overlapping."""
        starts = self.starts()
        at = 0
        while (start := starts.search(text, at)) is not None:
            begin = start.start()
            end = self.end_at(text, begin)
            if end > begin:
                yield begin, end
            at = max(end, begin + 1)

    def end_at(self, text: str, begin: int) -> int:
        """Where the longest word that begins at `begin` ends; `begin` if none does."""
        room = len(text) - begin
        for length in self._lengths.get(text[begin], ()):
            if length <= room and text[begin : begin + length] in self._words:
                return begin + length
        return begin

    def may_go_on(self, text: str, begin: int) -> bool:
        """Whether all of `text` from `begin` is the beginning of a longer word."""
        if len(text) - begin >= self._reach:
            return False
        beginning = text[begin:]
        # Words that begin so follow it at once, the beginning itself first if it is a word.
        at = bisect_left(self._sorted, beginning)
        return any(word.startswith(beginning) and word != beginning for word in self._sorted[at : at + 2])
