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
_END = re.compile(
    rf"(?:[{_FULL_WIDTH}]+[{re.escape(_CLOSING)}]*|[{_HALF_WIDTH}]+[{re.escape(_CLOSING)}]*(?=\s)|\n)\s*"
)
_CLAUSE = re.compile(rf"(?:[，、：]+[{re.escape(_CLOSING)}]*|[,;:–—]+[{re.escape(_CLOSING)}]*(?=\s))\s*")

# A stop after these does not end a sentence; nor does one after a single capital: "J. S. Bach".
_ABBREVIATIONS = frozenset(
    {"approx", "dr", "e.g", "ext", "i.e", "jr", "mr", "mrs", "ms", "nr", "prof", "sr", "st", "vs"}
)
_LAST_WORD = re.compile(r"(\S+?)\.$")


class SentenceSplitter:
    """Hold text back until it makes a sentence.

    A half-width stop at the very end of what has arrived ends nothing yet: what follows may be
    the rest of a number. The blank after it, a flush or the end of the text decides. A full-width
    mark ends its sentence at once: a closing quote that comes late opens the next one, which nobody
    hears, whereas everybody would hear us wait for it.
    """

    def __init__(self) -> None:
        self._held = ""
        # Where the search goes on: marks before it are known to end no sentence.
        self._scanned = 0

    @property
    def held(self) -> str:
        """Text that waits for the rest of its sentence."""
        return self._held

    def push(self, text: str) -> list[str]:
        """Add text and return the sentences it completes, trailing blanks included."""
        self._held += text
        sentences: list[str] = []
        while (cut := self._next_cut()) is not None:
            sentences.append(self._held[:cut])
            self._held = self._held[cut:]
            self._scanned = 0
        return sentences

    def flush(self) -> list[str]:
        """Give up what is held back, as one sentence or, when there is nothing, none."""
        rest, self._held, self._scanned = self._held, "", 0
        return [rest] if rest else []

    def _next_cut(self) -> int | None:
        for mark in _END.finditer(self._held, self._scanned):
            if _ends_sentence(self._held[: mark.end()]):
                return mark.end()
            self._scanned = mark.end()
        return self._overlong()

    def _overlong(self) -> int | None:
        if len(self._held) <= _LONGEST:
            return None
        window = self._held[:_LONGEST]
        clauses = split_clauses(window)
        if len(clauses) > 1:
            return len(window) - len(clauses[-1])
        blank = window.rfind(" ")
        return blank + 1 if blank > 0 else _LONGEST


def split_clauses(sentence: str, *, shortest: int = 24) -> list[str]:
    """Cut at commas and the like, so that the first sound need not wait for the whole sentence.

    Args:
        sentence: Any text; the clauses joined are this text.
        shortest: Characters a clause has at least: short ones sound chopped and are joined to what follows.
    """
    clauses: list[str] = []
    start = 0
    for mark in _CLAUSE.finditer(sentence):
        if mark.end() - start >= shortest and len(sentence) - mark.end() >= shortest:
            clauses.append(sentence[start : mark.end()])
            start = mark.end()
    clauses.append(sentence[start:])
    return [clause for clause in clauses if clause]


def _ends_sentence(text: str) -> bool:
    if not any(character.isalnum() for character in text):
        return False
    word = _LAST_WORD.search(text.rstrip())
    if word is None:
        return True
    name = word.group(1).lstrip(_CLOSING + "(")
    return name.lower() not in _ABBREVIATIONS and not (len(name) == 1 and name.isupper())
