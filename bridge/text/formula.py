"""Finds LaTeX formulas in running text, and tells them from prices."""

import re
from enum import Enum, auto

__all__ = ["REACH", "Verdict", "find_formulas", "measure_formula"]

REACH = 400
"""Characters a formula has at most, delimiters included: nobody should wait longer for its end."""

# An escaped dollar sign opens nothing, nor does one behind a number: "5$-6$".
_OPENING = re.compile(r"(?<!\\)(?:(?<![0-9])\$\$?|\\\(|\\\[)")
_CLOSING = {"$": "$", "$$": "$$", r"\(": r"\)", r"\[": r"\]"}

# Words of a language and hanzi stand in no formula, other than as \text{…}. "$5 for men, $4 for boys" is
# about prices, and the first word that says so ends the wait for a closing sign.
_TEXT = r"\\(?:text|mbox|textrm|textbf|mathrm|operatorname|unit|quantity|begin|end)\{[^{}$\n]*+\}?"
_COMMAND = r"\\[A-Za-z]++|\\[^A-Za-z()\[\]\n]"
_FUNCTION = r"(?:(?:arc)?(?:sin|cos|tan|cot|sec|csc)h?|log|lim)[A-Za-z]?(?![a-z])"
_PROSE = r"[A-Za-z]*[a-z]{4}|[A-Z][a-z]{2}|[A-Za-z]+[a-z] ++[A-Za-z]?[a-z]{2}"
_OTHER = (
    r"0-9 \t!%&'()*+,\-./:;<=>?\[\]\^_{|}~°±²³¹·×÷\u0370-\u03ff\u2010-\u2027\u2030-\u205e\u2070-\u209f"
    r"\u2100-\u214f\u2190-\u22ff\u2308-\u230b\u25a0-\u25ff\u27c0-\u27ef\u2980-\u2aff（）＋－＝＜＞｜"
)
_INLINE = re.compile(rf"(?:{_TEXT}|{_COMMAND}|{_FUNCTION}|(?!{_PROSE})[A-Za-z]++|[{_OTHER}]++)*+")
_BLOCK = re.compile(rf"(?:{_TEXT}|{_COMMAND}|{_FUNCTION}|(?!{_PROSE})[A-Za-z]++|[{_OTHER}\n]++)*+")


class Verdict(Enum):
    """What a sign is that might open a formula."""

    NO_FORMULA = auto()
    OPEN = auto()
    """It may still become one; more text will tell."""


def find_formulas(text: str) -> list[tuple[int, int]]:
    """Begin and end of every whole formula in `text`, delimiters included."""
    found: list[tuple[int, int]] = []
    at = 0
    while (opening := _OPENING.search(text, at)) is not None:
        end = measure_formula(text, opening.start(), is_whole=True)
        if isinstance(end, Verdict):
            at = opening.start() + 1
        else:
            found.append((opening.start(), end))
            at = end
    return found


def measure_formula(text: str, begin: int, *, is_whole: bool) -> int | Verdict:
    """Where the formula ends that may begin with the ``$`` or the backslash at `begin`.

    Args:
        text: What has come so far; what is decided about it holds whatever comes later.
        begin: Of the opening sign.
        is_whole: Whether nothing comes later.
    """
    opening = _OPENING.match(text, begin)
    if text[begin:] in ("$", "\\") and not is_whole:
        return Verdict.OPEN
    if opening is None:
        return Verdict.NO_FORMULA
    inside, closing = opening.end(), _CLOSING[opening[0]]
    limit = min(len(text), begin + REACH)
    body = (_INLINE if opening[0] == "$" else _BLOCK).match(text, inside, limit)
    # The pattern matches the empty text too.
    stop = inside if body is None else body.end()
    end = stop + len(closing)
    may_grow = not is_whole and len(text) < begin + REACH
    if end <= limit and text.startswith(closing, stop):
        if closing == "$" and end == len(text) and may_grow:
            return Verdict.OPEN
        return end if _is_formula(text, inside, stop, closing) else Verdict.NO_FORMULA
    is_undecided = closing.startswith(text[stop:]) or text[stop:] == "\\"
    return Verdict.OPEN if may_grow and is_undecided else Verdict.NO_FORMULA


def _is_formula(text: str, inside: int, stop: int, closing: str) -> bool:
    if not text[inside:stop].strip():
        return False
    if closing != "$":
        return True
    # As good Markdown has it: no blank within the signs, or one at both, and no digit behind: "$5-$6".
    is_spaced = text[inside].isspace()
    return text[stop - 1].isspace() == is_spaced and not text[stop + 1 : stop + 2].isdigit()
