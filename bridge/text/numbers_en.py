"""Numbers as English says them, without "and": 145 is one hundred forty five."""

import re

__all__ = ["MOST_DIGITS", "NUMBER", "read_digits", "read_integer", "read_number", "read_ordinal", "read_year"]

MOST_DIGITS = 13
"""Of a whole number; longer ones are read digit by digit."""

NUMBER = r"(?:[0-9]{1,3}(?:,[0-9]{3})++|[0-9]++)(?:\.[0-9]++)?"
"""Pattern of a number without its sign."""

_SMALL = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
_SMALL += [
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["zero", "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_SCALES = ((10**12, "trillion"), (10**9, "billion"), (10**6, "million"), (1000, "thousand"), (100, "hundred"))
_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
_NUMBER = re.compile(r"(?P<sign>[-−+]?)(?P<whole>[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.(?P<fraction>[0-9]+))?")


def read_digits(text: str, *, zero: str = "zero") -> str:
    """The ASCII digits in `text`, one by one, blanks between."""
    return " ".join(zero if digit == "0" else _SMALL[int(digit)] for digit in text if digit in "0123456789")


def read_integer(number: int) -> str:
    """A whole number from 0 up to thousands of trillions."""
    words: list[str] = []
    for scale, name in _SCALES:
        if number >= scale:
            count, number = divmod(number, scale)
            words += (read_integer(count), name)
    if number >= 20:
        tens, number = divmod(number, 10)
        words.append(_TENS[tens])
    if number or not words:
        words.append(_SMALL[number])
    return " ".join(words)


def read_number(text: str) -> str | None:
    """A whole or decimal number, with a sign or thousands separators; None if `text` is not one.

    A fraction of zeros alone is not spoken: 12.00 is twelve.
    """
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    whole = match["whole"].replace(",", "").lstrip("0") or "0"
    reading = read_integer(int(whole)) if len(whole) <= MOST_DIGITS else read_digits(whole)
    fraction = match["fraction"] or ""
    if fraction.strip("0"):
        reading += " point " + read_digits(fraction)
    return ("minus " if match["sign"] in ("-", "−") else "") + reading


def read_ordinal(number: int) -> str:
    """1 is first, 20 is twentieth."""
    *head, last = read_integer(number).split()
    if last in _ORDINALS:
        last = _ORDINALS[last]
    elif last.endswith("y"):
        last = last[:-1] + "ieth"
    else:
        last += "th"
    return " ".join((*head, last))


def read_year(year: int) -> str:
    """1000 to 2999: 1905 is nineteen oh five, 2009 two thousand nine, 2021 twenty twenty one."""
    century, rest = divmod(year, 100)
    if century % 10 == 0 and rest < 10:
        return read_integer(year)
    if rest == 0:
        return read_integer(century) + " hundred"
    return read_integer(century) + (" oh " if rest < 10 else " ") + read_integer(rest)
