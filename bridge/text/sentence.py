"""Cuts text that arrives in pieces into sentences, and sentences into clauses.

Nothing is lost, added or trimmed: the pieces joined are the text that went in.
"""

import re

__all__ = ["SentenceSplitter", "split_clauses"]

_LONGEST = 400
"""Characters after which a text without a full stop is cut at a clause, else at a blank."""

# A full-width mark ends a sentence by itself; a full stop only before a blank: "3.5" and "a.b" go on.
_FULL_WIDTH = "。！？；…"
_HALF_WIDTH = ".!?"
_CLOSING = "\"')]}”’」』）】》"
# Texts come from strangers: no pattern here may look at a character more than once (hence `++`).
_MAYBE_END = re.compile(rf"[{_FULL_WIDTH}]++[{re.escape(_CLOSING)}]*+|\s")
_FULL_WIDTH_PAUSE = "，、："
_MAYBE_CLAUSE = re.compile(rf"(?:[{_FULL_WIDTH_PAUSE}]++|[,;:–—]++)[{re.escape(_CLOSING)}]*+\s*+")
_LETTER = re.compile(r"[^\W_]")

# A stop after these does not end a sentence; nor does one after a single capital: "J. S. Bach".
_ABBREVIATIONS = frozenset(
    {"approx", "dr", "e.g", "ext", "i.e", "jr", "mr", "mrs", "ms", "nr", "prof", "sr", "st", "vs"}
)
_WORD_REACH = 40
"""Characters looked at before a stop; a word that does not fit is no abbreviation."""


class SentenceSplitter:
    """Hold text back until it makes a sentence.

    A half-width stop ends nothing before the blank behind it: what follows may be the rest of a
    number. That blank is the sentence's last character; a flush or the end of the text does as well.
    A full-width mark ends its sentence at once: a closing quote that comes late opens the next one,
    which nobody hears, whereas everybody would hear us wait for it.

    The work grows with the text alone, however it is cut into pieces and whatever it is.
    """

    def __init__(self) -> None:
        self._held = ""
        # What the search knows: it goes on here, …
        self._scanned = 0
        # … and whether a letter or a digit stands before: marks alone are no sentence.
        self._has_letter = False

    @property
    def held(self) -> str:
        """Text that waits for the rest of its sentence."""
        return self._held

    def push(self, text: str) -> list[str]:
        """Add text and return the sentences it completes, the blank behind a stop included."""
        held = self._held + text
        sentences: list[str] = []
        begin = 0
        while (cut := self._next_cut(held, begin)) is not None:
            sentences.append(held[begin:cut])
            begin = self._scanned = cut
            self._has_letter = False
        self._held = held[begin:]
        self._scanned -= begin
        return sentences

    def flush(self) -> list[str]:
        """Give up what is held back, as one sentence or, when there is nothing, none."""
        rest, self._held, self._scanned, self._has_letter = self._held, "", 0, False
        return [rest] if rest else []

    def _next_cut(self, held: str, begin: int) -> int | None:
        # No further than a sentence may reach: the same text in pieces is cut before more of it is there.
        limit = min(len(held), begin + _LONGEST + 1)
        for mark in _MAYBE_END.finditer(held, self._scanned, limit):
            self._note_letters(held, mark.start())
            self._scanned = mark.end()
            if self._has_letter and _ends_sentence(held, begin, mark):
                return mark.end()
        self._note_letters(held, limit)
        self._scanned = limit
        return begin + _overlong(held[begin:limit]) if limit - begin > _LONGEST else None

    def _note_letters(self, held: str, end: int) -> None:
        if not self._has_letter:
            self._has_letter = _LETTER.search(held, self._scanned, end) is not None


def split_clauses(sentence: str, *, shortest: int = 24) -> list[str]:
    """Cut at commas and the like, so that the first sound need not wait for the whole sentence.

    Args:
        sentence: Any text; the clauses joined are this text.
        shortest: Characters a clause has at least: short ones sound chopped and are joined to what follows.
    """
    clauses: list[str] = []
    start = 0
    for mark in _MAYBE_CLAUSE.finditer(sentence):
        if mark[0][0] not in _FULL_WIDTH_PAUSE and not mark[0][-1].isspace():
            continue  # "1,000"
        if mark.end() - start >= shortest and len(sentence) - mark.end() >= shortest:
            clauses.append(sentence[start : mark.end()])
            start = mark.end()
    clauses.append(sentence[start:])
    return [clause for clause in clauses if clause]


def _ends_sentence(held: str, begin: int, mark: re.Match[str]) -> bool:
    """Whether the sentence that begins at `begin`, and has a letter, ends with `mark`."""
    if not mark[0].isspace():
        return True
    if mark[0] != "\n":
        last = mark.start() - 1
        while held[last] in _CLOSING:
            last -= 1
        if held[last] not in _HALF_WIDTH:
            return False
    line = held[max(begin, mark.start() - _WORD_REACH) : mark.start()].rstrip()
    return not line.endswith(".") or not _is_abbreviation(line.split()[-1][:-1])


def _is_abbreviation(word: str) -> bool:
    name = word.lstrip(_CLOSING + _FULL_WIDTH + "(")
    return name.lower() in _ABBREVIATIONS or (len(name) == 1 and name.isupper())


def _overlong(text: str) -> int:
    """Where to cut a text that is one character too long without an end."""
    window = text[:_LONGEST]
    clauses = split_clauses(window)
    if len(clauses) > 1:
        return len(window) - len(clauses[-1])
    blank = window.rfind(" ")
    return blank + 1 if blank > 0 else _LONGEST
