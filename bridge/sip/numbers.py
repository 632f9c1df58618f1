"""Telephone numbers as people write them, in the one form that can be compared (ITU-T E.164, RFC 3966)."""

import re
from dataclasses import dataclass
from enum import Enum

__all__ = ["DialList", "NumberForm", "NumberPlan"]

_SEPARATORS = re.compile(r"[ \t./()\u00a0\u2011\u2013-]+")
_OPTIONAL_ZERO = re.compile(r"^(\+[^(]*)\(0\)")
"""The zero that is dialled at home only: +49 (0)30."""
_DIGITS = re.compile(r"[0-9]+")
_GLOBAL = re.compile(r"\+[1-9][0-9]{6,14}")
"""Country code and number have fifteen digits at most (E.164 §6)."""
_ALONE = re.compile(r"[0-9*#]{1,15}")
_PATTERN = re.compile(r"!?(?=[+0-9*#?])\+?[0-9#?]*\*?")


class NumberForm(Enum):
    """How a trunk wants numbers."""

    E164 = "e164"
    """+493012345"""
    PLAIN = "plain"
    """493012345"""
    NATIONAL = "national"
    """As dialled there: 03012345, and 0043112345 for abroad."""


@dataclass(frozen=True, slots=True)
class NumberPlan:
    """What numbers without a plus sign mean where the trunk is."""

    country_code: str = ""
    """E.g. ``49``; empty leaves numbers of that country as they are written."""
    national_prefix: str = "0"
    """What is dialled before an area code; empty where there is none, as in Spain."""
    international_prefix: str = "00"
    """What is dialled before a country code; empty knows plus signs only."""

    def normalised(self, text: str) -> str | None:
        """Write a number as ``+`` and digits, or leave a short one as it is.

        Returns:
            None if it is no number, or one that E.164 cannot have.
        """
        number = _SEPARATORS.sub("", _OPTIONAL_ZERO.sub(r"\1", text.strip()))
        if number.startswith("+"):
            return number if _GLOBAL.fullmatch(number) else None
        if _DIGITS.fullmatch(number) is None:
            return number if _ALONE.fullmatch(number) else None
        if self.international_prefix and number.startswith(self.international_prefix):
            return self.normalised("+" + number.removeprefix(self.international_prefix))
        if self.country_code and self.national_prefix and number.startswith(self.national_prefix):
            return self.normalised(f"+{self.country_code}{number.removeprefix(self.national_prefix)}")
        if self.country_code and not self.national_prefix and len(number) >= 7:
            return self.normalised(f"+{self.country_code}{number}")
        return number if _ALONE.fullmatch(number) else None

    def written(self, number: str, form: NumberForm) -> str:
        """Write a normalised number as the trunk wants it; short ones stay as they are."""
        if not number.startswith("+") or form is NumberForm.E164:
            return number
        digits = number.removeprefix("+")
        if form is NumberForm.PLAIN:
            return digits
        if self.country_code and digits.startswith(self.country_code):
            return self.national_prefix + digits.removeprefix(self.country_code)
        return self.international_prefix + digits


class DialList:
    """Which numbers may be called: closed by default.

    Args:
        patterns: ``+4930*``, ``1??``, and ``!+49900*`` for what is refused all the same; matched against
            normalised numbers. ``*`` stands at the end only, because telephones have such a key.

    Raises:
        ValueError: If one of them is no pattern.
    """

    def __init__(self, patterns: tuple[str, ...]) -> None:
        for pattern in patterns:
            if _PATTERN.fullmatch(pattern) is None:
                raise ValueError(
                    f'"{pattern}" must be digits such as "+4930*", with ? for one, * at the end '
                    "for the rest, and ! before what is refused"
                )
        self._allowed = [_compiled(each) for each in patterns if not each.startswith("!")]
        self._refused = [_compiled(each[1:]) for each in patterns if each.startswith("!")]

    def admits(self, number: str) -> bool:
        return any(each.fullmatch(number) for each in self._allowed) and not any(
            each.fullmatch(number) for each in self._refused
        )


def _compiled(pattern: str) -> re.Pattern[str]:
    open_end = pattern.endswith("*")
    body = re.escape(pattern.removesuffix("*")).replace(r"\?", "[0-9]")
    return re.compile(body + (".*" if open_end else ""))
