"""Reads LaTeX formulas aloud, in Chinese."""

from bridge.text.formula import find_formulas
from bridge.text.latex_grammar import Formula
from bridge.text.latex_tokens import Unreadable
from bridge.text.passage import Spoken

__all__ = ["read_formula", "read_latex"]


def read_latex(spoken: Spoken) -> Spoken:
    """Read every formula as a Chinese teacher would; one that cannot be read stays as it is."""
    edits: list[tuple[int, int, str]] = []
    for begin, end in find_formulas(spoken.text):
        width = 1 if spoken.text[begin] == "$" != spoken.text[begin + 1] else 2
        reading = read_formula(spoken.text[begin + width : end - width])
        if reading is not None:
            edits.append((begin, end, reading))
    return spoken.rewritten(edits)


def read_formula(formula: str) -> str | None:
    """The reading of what stands between the delimiters; None if there is none."""
    try:
        return Formula(formula).read() or None
    except Unreadable:
        return None
