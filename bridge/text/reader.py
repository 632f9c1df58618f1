"""Turns text that arrives in pieces into sentences, each with what is said for it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from bridge.text.characters import has_hanzi
from bridge.text.formula import find_formulas
from bridge.text.hot_fix import HotFix
from bridge.text.latex import read_latex
from bridge.text.markdown import filter_markdown
from bridge.text.passage import Pronunciation, Say, Sentence, Spoken
from bridge.text.sentence import SentenceSplitter
from bridge.text.shield import Shield

__all__ = ["Reader", "ReadingOptions", "Scribe", "is_chinese"]

_LETTER = re.compile(r"[^\W\d_]")


@dataclass(frozen=True, slots=True)
class ReadingOptions:
    """What a request asks to be done to its text."""

    markdown: bool = False
    """Take the symbols of Markdown out."""
    latex: bool = False
    """Read formulas, where the text is Chinese."""
    hot_fix: HotFix | None = None
    language: str = ""
    """First language hint, such as ``zh``; empty when there is none."""

    @property
    def reads_formulas(self) -> bool:
        return self.latex and (not self.language or self.language.startswith("zh"))

    def shield(self) -> Shield:
        """A new one, for one text."""
        words = self.hot_fix.breakable if self.hot_fix is not None else None
        return Shield(formulas=self.reads_formulas, words=words)


class Scribe:
    """Work out what is said for one stretch of text after the other, as the request wants it.

    Words are replaced, then formulas read, then Markdown is taken out. Given pronunciations come last: their
    places are those in the text that is spoken.
    """

    def __init__(self, options: ReadingOptions) -> None:
        self._options = options
        # What goes on from stretch to stretch: the language, as far as letters have shown it, …
        self._is_chinese = True
        # … and whether a new line begins.
        self._at_line_start = True

    def read(self, text: str, offset: int = 0) -> Spoken:
        """Read `text`, whose first character stands at `offset` in its sentence."""
        options = self._options
        spoken = Spoken.plain(text, offset)
        if options.hot_fix is not None:
            spoken = options.hot_fix.apply(spoken)
        if options.reads_formulas:
            self._is_chinese = is_chinese(spoken.text, self._is_chinese)
            # An English voice has no sounds for a Chinese reading: in English text formulas stay as they are.
            if options.language or self._is_chinese:
                spoken = read_latex(spoken)
        if options.markdown:
            spoken = filter_markdown(spoken, at_line_start=self._at_line_start)
        if text.strip(" \t"):
            self._at_line_start = text.rstrip(" \t").endswith("\n")
        return spoken

    def say(self, spoken: Spoken, given: Sequence[Pronunciation] = ()) -> tuple[Say, ...]:
        """As an item of a sentence; none if nothing is left to say.

        Args:
            spoken: What is said, read before.
            given: Pronunciations that rule over those of the hot fix; in order, none overlapping.
        """
        if not spoken.text:
            return ()
        fix = self._options.hot_fix
        fixed = fix.pronunciations(spoken.text) if fix is not None else ()
        ruling = iter(given)
        rule = next(ruling, None)
        sounds = list(given)
        for sound in fixed:
            while rule is not None and rule.end <= sound.begin:
                rule = next(ruling, None)
            if rule is None or rule.begin >= sound.end:
                sounds.append(sound)
        return (Say(spoken, tuple(sorted(sounds, key=lambda sound: sound.begin))),)


class Reader:
    """Cut plain text into sentences and read them.

    The sentences' texts joined are the text that went in. Neither a formula nor a word of the hot fix is
    cut in two, unless it is longer than any sentence may be. The work grows with the text alone, however it
    is cut into pieces and whatever it is.
    """

    def __init__(self, options: ReadingOptions) -> None:
        self._splitter = SentenceSplitter()
        self._shield = options.shield()
        self._scribe = Scribe(options)
        self._written = ""

    def push(self, text: str) -> list[Sentence]:
        """Add text and return the sentences it completes."""
        self._written += text
        return self._take(self._splitter.push(self._shield.push(text)))

    def flush(self) -> list[Sentence]:
        """Give up what is held back."""
        masked = self._splitter.push(self._shield.flush())
        return self._take(masked + self._splitter.flush())

    def _take(self, masked: list[str]) -> list[Sentence]:
        """The written text of masked sentences: a mask is as long as what it hides."""
        sentences: list[Sentence] = []
        begin = 0
        for mask in masked:
            text = self._written[begin : begin + len(mask)]
            begin += len(mask)
            sentences.append(Sentence(text, self._scribe.say(self._scribe.read(text))))
        self._written = self._written[begin:]
        return sentences


def is_chinese(text: str, otherwise: bool) -> bool:
    """Whether `text` is, by the letters outside of its formulas; `otherwise` if it has none."""
    begin = 0
    has_letter = False
    for formula_begin, formula_end in (*find_formulas(text), (len(text), len(text))):
        words = text[begin:formula_begin]
        if has_hanzi(words):
            return True
        has_letter = has_letter or _LETTER.search(words) is not None
        begin = formula_end
    return otherwise and not has_letter
