"""The tokens of LaTeX, and a cursor to walk through them."""

import re
from dataclasses import dataclass

from bridge.text.latex_words import IGNORED, SYNONYMS

__all__ = ["Cursor", "Token", "Unreadable", "read_tokens"]

_DEEPEST = 40
"""Groups within groups; a deeper formula is for no ear."""

_OPENING = ("{", "(", "[", r"\{", r"\begin")
_CLOSING = ("}", ")", "]", r"\}", r"\end")

_TOKEN = re.compile(
    r"(?P<space>\s+)"
    r"|(?P<number>[0-9]+(?:\.[0-9]+|\.(?=\\dot))?)"
    r"|(?<=[0-9])(?P<measure>mm|cm|dm|km|mg|kg|ml|mL)(?![A-Za-z])"
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


class Unreadable(Exception):  # noqa: N818  no fault of anybody: the formula stays as it is
    """The formula holds what has no reading here."""


@dataclass(frozen=True, slots=True)
class Token:
    kind: str
    """``number``, ``letter``, ``command``, ``sign``, ``text``, ``roman`` or ``unit``."""
    value: str


class Cursor:
    """Walks through the tokens of one formula, as deep into groups as is sensible."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    @property
    def at(self) -> int:
        """How many tokens were taken."""
        return self._at

    @property
    def is_at_end(self) -> bool:
        return self._at == len(self._tokens)

    def peek(self) -> str:
        """The command or sign that comes next; empty for anything else."""
        if not self.is_at_end and self._tokens[self._at].kind in ("command", "sign"):
            return self._tokens[self._at].value
        return ""

    def take(self) -> Token:
        """The next token.

        Raises:
            Unreadable: If there is none.
        """
        if self.is_at_end:
            raise Unreadable
        self._at += 1
        return self._tokens[self._at - 1]

    def take_one(self, *values: str) -> str:
        """The command or sign that comes next.

        Raises:
            Unreadable: If it is none of `values`.
        """
        if self.peek() not in values:
            raise Unreadable
        return self.take().value

    def take_digit(self) -> str:
        """The first digit of a longer number that comes next, the rest of which stays; else nothing."""
        token = Token("", "") if self.is_at_end else self._tokens[self._at]
        if token.kind != "number" or len(token.value) == 1:
            return ""
        self._tokens[self._at] = Token("number", token.value[1:].lstrip("."))
        return token.value[0]

    def take_alone(self, *values: str) -> bool:
        """Whether one of `values` comes next, by itself or as a group; it is taken then."""
        size = 3 if self.peek() == "{" else 1
        ahead = [token.value for token in self._tokens[self._at : self._at + size]]
        if ahead not in [[value] if size == 1 else ["{", value, "}"] for value in values]:
            return False
        self._at += size
        return True

    def take_letter(self, letters: str) -> str:
        """The next token if it is one of `letters`, else nothing."""
        if self.is_at_end or self._tokens[self._at].value not in tuple(letters):
            return ""
        return self.take().value

    def give_back(self) -> Token:
        """Untake the last token, and tell it."""
        self._at -= 1
        return self._tokens[self._at]

    def has_partner(self) -> bool:
        """Whether the bar that comes next is closed by another before its group ends."""
        level = 0
        for token in self._tokens[self._at + 1 :]:
            if token.kind not in ("command", "sign"):
                continue
            if token.value == "|" and level == 0:
                return True
            level += (token.value in _OPENING) - (token.value in _CLOSING)
            if level < 0:
                break
        return False

    def dive(self) -> None:
        """Go one group deeper.

        Raises:
            Unreadable: If that is deeper than any ear can follow.
        """
        self._depth += 1
        if self._depth > _DEEPEST:
            raise Unreadable

    def rise(self) -> None:
        self._depth -= 1


def read_tokens(formula: str) -> list[Token]:
    tokens: list[Token] = []
    for match in _TOKEN.finditer(_BLANK_DELIMITER.sub(" ", formula)):
        kind, value = match.lastgroup or "", match[0]
        if kind == "space" or value in IGNORED:
            continue
        if kind in ("text", "roman", "old_roman"):
            kind = "unit" if match["unit"] is not None else kind.removeprefix("old_")
            value = (match["text"] or match["roman"] or match["old_roman"] or "").strip()
        elif kind == "measure":
            kind = "unit"
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
