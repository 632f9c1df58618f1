"""Hides from the sentence splitter what no sentence may end in: formulas, and words of the hot fix."""

import re
from collections.abc import Iterable

from bridge.text.formula import Verdict, measure_formula
from bridge.text.lexicon import Lexicon

__all__ = ["Shield", "breakable"]

# A formula is hidden behind letters: it is something to pronounce, and ends no sentence. Within a word of the
# hot fix only what might end a sentence is hidden, and behind what is no letter: the rest decides.
_FORMULA = "x"
_WORD = "_"
_MAY_END = re.compile(r"[\s.!?。！？；…]")
_FORMULA_STARTS = "$\\"
_NO_WORDS = Lexicon()


def breakable(words: Iterable[str]) -> Lexicon:
    """Those of `words` in which a sentence might end; the others need no shield."""
    return Lexicon(word for word in words if _MAY_END.search(word, 0, len(word) - 1))


class Shield:
    """Give text on to the splitter, as long as it was and with what belongs together made whole.

    Text is held back only while it may be the beginning of something that a sentence could end in: of a
    formula for `REACH` at most, of a word for its length. The work grows with the text alone.

    Args:
        formulas: Whether LaTeX is read at all.
        words: Those that must stay whole, of which `breakable` has taken the rest.
    """

    def __init__(self, *, formulas: bool, words: Lexicon | None = None) -> None:
        self._words = _NO_WORDS if words is None else words
        self._formulas = formulas
        self._held = ""
        # The character before what is held: it tells a formula from a price.
        self._before = ""

    def push(self, text: str) -> str:
        """Add text; return as much of the text, masked, as is decided."""
        return self._mask(self._held + text, is_whole=False)

    def flush(self) -> str:
        """Nothing follows for now: return the rest."""
        return self._mask(self._held, is_whole=True)

    def _mask(self, text: str, *, is_whole: bool) -> str:
        masked: list[str] = []
        at = len(self._before)
        text = self._before + text
        suspects = self._words.starts(_FORMULA_STARTS if self._formulas else "")
        while (suspect := suspects.search(text, at)) is not None:
            begin = suspect.start()
            masked.append(text[at:begin])
            end = self._measure(text, begin, is_whole=is_whole)
            if end is None:
                break
            masked.append(self._cover(text, begin, end))
            at = end
        else:
            begin = len(text)
            masked.append(text[at:])
        self._before, self._held = text[max(0, begin - 1) : begin], text[begin:]
        return "".join(masked)

    def _measure(self, text: str, begin: int, *, is_whole: bool) -> int | None:
        """End of what is whole from `begin`, at least one character; None if that is not known yet."""
        if self._formulas and text[begin] in _FORMULA_STARTS:
            end = measure_formula(text, begin, is_whole=is_whole)
            if end is Verdict.OPEN:
                return None
            if isinstance(end, int):
                return end
        if not is_whole and self._words.may_go_on(text, begin):
            return None
        return max(self._words.end_at(text, begin), begin + 1)

    def _cover(self, text: str, begin: int, end: int) -> str:
        if self._formulas and measure_formula(text, begin, is_whole=True) == end:
            return _FORMULA * (end - begin)
        whole = text[begin:end]
        return _MAY_END.sub(_WORD, whole[:-1]) + whole[-1]
