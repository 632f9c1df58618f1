"""Dates and times of day as English says them."""

import re

from bridge.text.numbers_en import read_integer, read_ordinal, read_year

__all__ = ["read_date", "read_time"]

_MONTHS = ["january", "february", "march", "april", "may", "june", "july"]
_MONTHS += ["august", "september", "october", "november", "december"]
_WEEKDAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]

_JOINTS = {"-": "to", "~": "to", "–": "to", "&": "and"}
_JOINT = r"\s*(?P<joint>[-~–&])\s*"
_WEEKDAY = r"(?P<weekday>mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?"
_MONTH = r"(?P<month>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_DAY = r"(?P<day>0?[1-9]|[12][0-9]|3[01])(?:st|nd|rd|th)?"
_LAST = r"(?P<last>0?[1-9]|[12][0-9]|3[01])(?:st|nd|rd|th)?"
_YEAR = r"(?P<year>[12][0-9]{3})"
_NUMERIC = r"(?P<month>0?[1-9]|1[0-2])"
_MAYBE_WEEKDAY = rf"(?:{_WEEKDAY},?\s*)?"
_SPACE = r"[\s,/.-]\s*"

# Each with what is said; the order decides what a text is that could be two things.
_FORMS = tuple(
    (re.compile(form, re.IGNORECASE), saying)
    for form, saying in (
        (r"(?P<year>[12][0-9]{3})[/-](?P<short>[0-9]{2})", "{short_span}"),
        (_YEAR, "{year}"),
        (r"(?P<year>[12][0-9]{2}0)'?s", "{decade}"),
        (rf"{_WEEKDAY}", "{weekday}"),
        (rf"{_MONTH}", "{month}"),
        (
            rf"{_DAY}{_JOINT}{_LAST}\s*{_MONTH},?\s*(?:{_YEAR})?",
            "the {day} {joint} the {last} of {month} {year}",
        ),
        (
            rf"{_MONTH}\s*{_DAY}{_JOINT}{_LAST}(?:,?\s*{_YEAR})?",
            "{month} the {day} {joint} the {last} {year}",
        ),
        (
            rf"{_MAYBE_WEEKDAY}{_DAY}{_SPACE}{_MONTH}(?:{_SPACE}{_YEAR})?",
            "{weekday} the {day} of {month} {year}",
        ),
        (
            rf"{_MAYBE_WEEKDAY}{_MONTH}{_SPACE}{_DAY}(?:{_SPACE}{_YEAR})?",
            "{weekday} {month} the {day} {year}",
        ),
        (rf"{_MONTH}{_SPACE}{_YEAR}", "{month} {year}"),
        (
            rf"{_MAYBE_WEEKDAY}{_YEAR}(?P<mark>[/.-]){_NUMERIC}(?P=mark){_DAY}",
            "{weekday} {month} the {day} {year}",
        ),
        (
            rf"{_MAYBE_WEEKDAY}{_NUMERIC}(?P<mark>[/.-]){_DAY}(?P=mark){_YEAR}",
            "{weekday} {month} the {day} {year}",
        ),
        (rf"{_NUMERIC}/{_DAY}", "{month} the {day}"),
    )
)
_SPAN = re.compile(
    r"(?P<first>[a-z.]+|[12][0-9]{3})" + _JOINT + r"(?P<second>[a-z.]+|[12][0-9]{3})", re.IGNORECASE
)

_CLOCK = re.compile(
    r"(?P<hour>[01]?[0-9]|2[0-4])(?::(?P<minute>[0-5][0-9])(?::(?P<second>[0-5][0-9]))?)?"
    r"\s*(?P<half>[AaPp]\.?\s?[Mm]\.?)?"
)
_BARE_CLOCK = re.compile(r"(?P<hour>[01]?[0-9]|2[0-4])(?P<minute>[0-5][0-9])")
_CLOCK_JOINT = re.compile(r"\s*[-~–]\s*")


def read_date(text: str) -> str | None:
    """A date, part of one, or a span; None if `text` is none."""
    text = text.strip()
    for form, saying in _FORMS:
        if (match := form.fullmatch(text)) is not None:
            return " ".join(saying.format_map(_said(match)).split())
    span = _SPAN.fullmatch(text)
    if span is None:
        return None
    ends = [read_date(end) for end in (span["first"], span["second"])]
    if None in ends:
        return None
    return f"{ends[0]} {_JOINTS[span['joint']]} {ends[1]}"


def read_time(text: str) -> str | None:
    """A time of day, or a span of them; None if `text` is none."""
    text = text.strip()
    ends = _CLOCK_JOINT.split(text)
    if len(ends) > 2:
        return None
    is_alone = len(ends) == 1
    # "one oclock" by itself, "twenty one hundred" from noon on; within a span the same.
    spoken = [_read_clock(end, is_alone=is_alone) for end in ends]
    if None in spoken:
        return None
    return " to ".join(str(end) for end in spoken)


def _said(match: re.Match[str]) -> dict[str, str]:
    """The words for each part that a saying may name; empty for what is not there."""
    parts = {name: value.lower() for name, value in match.groupdict().items() if value}
    words = {
        "weekday": _full_name(parts.get("weekday", ""), _WEEKDAYS),
        "month": _full_name(parts.get("month", ""), _MONTHS),
        "joint": _JOINTS.get(parts.get("joint", ""), ""),
        "day": read_ordinal(int(parts["day"])) if "day" in parts else "",
        "last": read_ordinal(int(parts["last"])) if "last" in parts else "",
        "year": "",
        "decade": "",
        "short_span": "",
    }
    if "year" in parts:
        year = int(parts["year"])
        words["year"] = read_year(year)
        words["decade"] = _plural(read_year(year))
        spoken_year = f"twenty oh {read_integer(year % 100)}" if 2000 < year < 2010 else read_year(year)
        words["short_span"] = f"{spoken_year}, {_two_digits(parts.get('short', '00'))}"
    return words


def _full_name(given: str, names: list[str]) -> str:
    if given.isdigit():
        return names[int(given) - 1]
    return next((name for name in names if given and name.startswith(given)), "")


def _plural(words: str) -> str:
    return words[:-1] + "ies" if words.endswith("y") else words + "s"


def _two_digits(digits: str) -> str:
    """The second year of a span, or the minutes: 00 is oh oh, 01 oh one, 20 twenty."""
    if digits == "00":
        return "oh oh"
    return ("oh " if digits[0] == "0" else "") + read_integer(int(digits))


def _read_clock(text: str, *, is_alone: bool) -> str | None:
    match = _BARE_CLOCK.fullmatch(text) or _CLOCK.fullmatch(text)
    if match is None:
        return None
    parts = match.groupdict()
    minute, second, half = parts["minute"] or "", parts.get("second") or "", parts.get("half") or ""
    if is_alone and not minute and not half:
        return None
    hour = int(parts["hour"])
    words = [read_integer(hour)]
    if minute not in ("", "00"):
        words.append(_two_digits(minute))
    elif not half and not second:
        words.append("hundred" if hour > 12 else "oclock")
    if second:
        words.append(f"and {read_integer(int(second))} seconds")
    words += [letter for letter in half if letter.isalpha()]
    return " ".join(words)
