"""Numbers as Mandarin says them: 12,000 is 一万两千, 299 is 二百九十九, 79.090 is 七十九点零九零."""

import re

__all__ = ["MOST_DIGITS", "NUMBER", "read_digits", "read_integer", "read_number", "read_phone_digits"]

MOST_DIGITS = 20
"""Of a whole number; longer ones are read digit by digit."""

NUMBER = r"(?:\d{1,3}(?:,\d{3})++|\d++)(?:\.\d++)?"
"""Pattern of a number without its sign."""

_DIGITS = "零一二三四五六七八九"
_PLACES = ("千", "百", "十", "")
_READ = str.maketrans("0123456789", _DIGITS)
_READ_PHONE = str.maketrans("0123456789", "零幺二三四五六七八九")
_NUMBER = re.compile(r"(?P<sign>[-−+]?)(?P<whole>\d{1,3}(?:,\d{3})+|\d+)(?:\.(?P<fraction>\d+))?")


def read_digits(text: str) -> str:
    """Digit by digit; what is no digit stays."""
    return _plain(text).translate(_READ)


def read_phone_digits(text: str) -> str:
    """Digit by digit, 1 as 幺, which nobody takes for 七."""
    return _plain(text).translate(_READ_PHONE)


def read_integer(number: int) -> str:
    """A whole number from 0 up to `MOST_DIGITS` digits."""
    if number >= 10**16:
        return _join(number, 10**16, "亿亿")
    if number >= 10**8:
        return _join(number, 10**8, "亿")
    if number >= 10**4:
        return _join(number, 10**4, "万")
    if number == 0:
        return _DIGITS[0]
    return _read_section(number)


def read_number(text: str) -> str | None:
    """A whole or decimal number, with a sign or thousands separators; None if `text` is not one.

    A fraction of zeros alone is not spoken: 10.00 is 十.
    """
    match = _NUMBER.fullmatch(_plain(text))
    if match is None:
        return None
    whole = match["whole"].replace(",", "")
    digits = whole.lstrip("0")
    reading = read_integer(int(digits or "0")) if len(digits) <= MOST_DIGITS else read_digits(whole)
    fraction = match["fraction"] or ""
    if fraction.strip("0"):
        reading += "点" + read_digits(fraction)
    return ("负" if match["sign"] in ("-", "−") else "") + reading


def _plain(text: str) -> str:
    """Full-width digits and those of other scripts as ASCII."""
    if text.isascii():
        return text
    return "".join(str(int(character)) if character.isdecimal() else character for character in text)


def _join(number: int, unit: int, name: str) -> str:
    high, low = divmod(number, unit)
    reading = ("两" if high == 2 else read_integer(high)) + name
    if low == 0:
        return reading
    return reading + ("零" if low < unit // 10 else "") + _read_within(low)


def _read_within(number: int) -> str:
    """A part behind a larger one: 一百一十, not 一百十."""
    reading = read_integer(number)
    return "一" + reading if reading.startswith("十") else reading


def _read_section(number: int) -> str:
    """1 to 9999."""
    reading = ""
    is_gap = False
    for digit, place in zip(f"{number:04}", _PLACES, strict=True):
        if digit == "0":
            is_gap = bool(reading)
            continue
        name = "两" if digit == "2" and place == "千" else _DIGITS[int(digit)]
        reading += ("零" if is_gap else "") + name + place
        is_gap = False
    return reading[1:] if reading.startswith("一十") else reading
