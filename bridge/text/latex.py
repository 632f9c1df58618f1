"""Reads LaTeX formulas aloud, in Chinese."""

import re

from bridge.text.formula import find_formulas
from bridge.text.latex_grammar import Formula, Token, Unreadable
from bridge.text.latex_words import IGNORED, SYNONYMS
from bridge.text.passage import Spoken

__all__ = ["read_formula", "read_latex"]

_TOKEN = re.compile(
    r"(?P<space>\s+)"
    r"|(?P<number>[0-9]+(?:\.[0-9]+)?)"
    r"|\\(?:text|mbox|textrm|textbf)\s*\{(?P<text>[^{}]*+)\}"
    r"|\\(?:(?P<unit>unit|quantity)|mathrm|rm|mathit|operatorname)\s*\{(?P<roman>[^{}]*+)\}"
    r"|\\rm\s+(?P<old_roman>[A-Za-z]+)"
    r"|(?P<command>\\(?:[A-Za-z]+|.))"
    r"|(?P<function>arcsin|arccos|arctan|sin|cos|tan|cot|sec|csc|log|lg|ln|lim|max|min)"
    r"|(?P<letter>[A-Za-z])"
    r"|(?P<sign><=|>=|!=|->|=>|//|\.\.\.|.)"
)
_POWERS = {"²": "2", "³": "3", "¹": "1"}
_BLANK_DELIMITER = re.compile(r"\\(left|right)\s*\.")


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
        return Formula(_tokens(formula)).read() or None
    except Unreadable:
        return None


def _tokens(formula: str) -> list[Token]:
    tokens: list[Token] = []
    for match in _TOKEN.finditer(_BLANK_DELIMITER.sub(" ", formula)):
        kind, value = match.lastgroup or "", match[0]
        if kind == "space" or value in IGNORED:
            continue
        if kind in ("text", "roman", "old_roman"):
            kind = "unit" if match["unit"] else kind.removeprefix("old_")
            value = (match["text"] or match["roman"] or match["old_roman"] or "").strip()
        elif kind == "function":
            kind, value = "command", "\\" + value
        elif value in _POWERS:
            tokens.append(Token("sign", "^"))
            kind, value = "number", _POWERS[value]
        elif value == "°":
            tokens.append(Token("sign", "^"))
            kind, value = "command", r"\circ"
        value = SYNONYMS.get(value, value) if kind in ("command", "sign") else value
        tokens.append(Token(kind, value))
    return tokens
