"""Dates and times of day as Mandarin says them."""

import re
from collections.abc import Callable

from bridge.text.numbers_zh import read_digits, read_integer

__all__ = ["read_date", "read_time"]

_TO_DATE = "至"
_TO_TIME = "到"
_RANGE = re.compile(r"\s*[~～—–至到]\s*")
_DASH = re.compile(r"\s*-\s*")

_YEAR = r"(?P<year>\d{4}|\d{2})"
_MONTH = r"(?P<month>0?[1-9]|1[0-2])"
_DAY = r"(?P<day>0?[1-9]|[12]\d|3[01])"
_MARK = r"(?P<mark>[日号])"
_FORMS = tuple(
    re.compile(form)
    for form in (
        rf"{_YEAR}\s*年(?:\s*{_MONTH}\s*月(?:\s*{_DAY}\s*{_MARK})?)?",
        rf"{_MONTH}\s*月(?:\s*{_DAY}\s*{_MARK}?)?",
        rf"{_DAY}\s*{_MARK}",
        rf"(?P<year>\d{{4}})(?P<separator>[/.-]){_MONTH}(?:(?P=separator){_DAY})?",
        rf"{_MONTH}/{_DAY}(?:/(?P<year>\d{{4}}))?",
        rf"{_MONTH}-{_DAY}-(?P<year>\d{{4}})",
        r"(?P<year>[12]\d{3})",
    )
)
_MONTHS_FROM = re.compile(rf"{_MONTH}\s*[-~～至到]\s*(?P<last>0?[1-9]|1[0-2])\s*月")

_CLOCK = re.compile(
    r"(?P<prefix>凌晨|早上|清晨|上午|中午|下午|傍晚|晚上|夜里|)\s*(?P<hour>[01]?\d|2[0-4])"
    r"[:：](?P<minute>[0-5]\d)(?:[:：](?P<second>[0-5]\d))?\s*(?P<half>[AaPp]\.?\s?[Mm]\.?)?\s*[点分秒]?"
)
_BARE_CLOCK = re.compile(r"(?P<hour>[01]?\d|2[0-4])(?P<minute>[0-5]\d)")


def read_date(text: str) -> str | None:
    """A date, a month, a year, or a span of them; None if `text` is none."""
    text = text.strip()
    if (months := _MONTHS_FROM.fullmatch(text)) is not None:
        return read_integer(int(months["month"])) + _TO_DATE + read_integer(int(months["last"])) + "月"
    return _read_span(text, _read_single_date, _TO_DATE)


def read_time(text: str) -> str | None:
    """A time of day, or a span of them; None if `text` is none."""
    return _read_span(text.strip(), _read_single_time, _TO_TIME)


def _read_span(text: str, read: Callable[[str], str | None], joint: str) -> str | None:
    single = read(text)
    if single is not None:
        return single
    for mark in (_RANGE, _DASH):
        ends = mark.split(text)
        # "2018-8-8-2019-1-1" has more dashes than one: those of the middle part what belongs together.
        middle = len(ends) // 2
        if len(ends) % 2 == 0 and len(ends) <= 6:
            first, last = read("-".join(ends[:middle])), read("-".join(ends[middle:]))
            if first is not None and last is not None:
                return first + joint + last
    return None


def _read_single_date(text: str) -> str | None:
    for form in _FORMS:
        match = form.fullmatch(text)
        if match is None:
            continue
        parts = match.groupdict()
        reading = ""
        if parts.get("year"):
            reading += read_digits(parts["year"]) + "年"
        if parts.get("month"):
            reading += read_integer(int(parts["month"])) + "月"
        if parts.get("day"):
            reading += read_integer(int(parts["day"])) + (parts.get("mark") or "日")
        return reading
    return None


def _read_single_time(text: str) -> str | None:
    match = _CLOCK.fullmatch(text) or _BARE_CLOCK.fullmatch(text)
    if match is None:
        return None
    parts = match.groupdict()
    hour, minute = int(parts["hour"]), int(parts["minute"])
    half = (parts.get("half") or "")[:1].lower()
    reading = (parts.get("prefix") or "") + (_part_of_day(hour, half) if half else "")
    if half:
        hour = hour % 12 or (12 if half == "p" else 0)
    reading += ("两" if hour == 2 else read_integer(hour)) + "点"
    second = parts.get("second")
    if minute == 0 and not (second and int(second)):
        return reading + ("整" if half else "")
    if half and minute == 30 and not second:
        return reading + "半"
    reading += _read_minute(minute) + "分"
    if second and int(second):
        reading += _read_minute(int(second)) + "秒"
    return reading


def _part_of_day(hour: int, half: str) -> str:
    if half == "a":
        return "上午" if 6 <= hour < 12 else "凌晨"
    if hour == 12:
        return "中午"
    return "下午" if hour % 12 < 7 else "晚上"


def _read_minute(number: int) -> str:
    return ("零" if 0 < number < 10 else "") + read_integer(number)
