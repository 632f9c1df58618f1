"""Telephone numbers as Chinese callers say them: in groups, 1 as 幺, an extension behind 转."""

import re

from bridge.text.numbers_zh import read_phone_digits

__all__ = ["read_telephone"]

_PAUSE = "，"

_COUNTRY = re.compile(r"(?:\(\+?86\)|\+86|0086|86(?=[-\s(]))[-\s]*+")
_EXTENSION = re.compile(r"[\s,，]*+(?P<word>转|分机号|分机)\s*+(?P<digits>\d{1,6})$")
_SEPARATORS = re.compile(r"[-\s()（）]+")
_NUMBER = re.compile(r"(?=[^\d]*+\d)[-+\s()（）\d]++")
_MOBILE_AS_WRITTEN = [3, 3, 5]
# Mobile numbers, service numbers, and mobile numbers behind a cheaper carrier's prefix.
_NATIONAL = (
    (re.compile(r"1[3-9]\d{9}"), (3, 4, 4)),
    (re.compile(r"[48]00\d{7}"), (3, 3, 4)),
    (re.compile(r"(?:12530|17951|12593)1\d{10}"), (5, 3, 4, 4)),
)
_AREA = re.compile(r"010|02\d|0[3-9]\d\d")
_LONGEST_EXTENSION = 4


def read_telephone(text: str) -> str | None:
    """Read a number with its country code, area code and extension; None if `text` is no number."""
    text = text.strip()
    # Written "ext.": said before its digits. Searched from a bounded distance, so that length costs nothing.
    extension = _EXTENSION.search(text, max(0, len(text) - 24))
    number = text[: extension.start()] if extension is not None else text
    if not _NUMBER.fullmatch(number):
        return None
    country = _COUNTRY.match(number)
    written = _SEPARATORS.split(number[country.end() if country is not None else 0 :])
    groups = [group for group in written if group.strip("+")]
    spoken = _regroup(groups)
    if spoken is None and extension is None and len(groups) > 1 and len(groups[-1]) <= _LONGEST_EXTENSION:
        local = _regroup(groups[:-1])
        spoken = local and [*local, "转" + groups[-1]]
    parts = (["86"] if country else []) + (spoken or groups)
    if extension is not None:
        parts.append(extension["word"] + extension["digits"])
    return _PAUSE.join(map(read_phone_digits, parts)).replace("+", "加")


def _regroup(groups: list[str]) -> list[str] | None:
    """The customary groups of a number; None if it is none that China knows."""
    digits = "".join(groups)
    lengths = [len(group) for group in groups]
    if len(digits) <= 6 or lengths == _MOBILE_AS_WRITTEN:
        return groups
    for pattern, sizes in _NATIONAL:
        if pattern.fullmatch(digits):
            return _cut(digits, *sizes)
    return _regroup_local(digits, lengths)


def _regroup_local(digits: str, lengths: list[int]) -> list[str] | None:
    """A number of seven or eight digits, with or without an area code."""
    is_written_as_one = len(lengths) == 1
    if len(digits) in (7, 8) and (is_written_as_one or lengths in ([3, 4], [4, 4])):
        return _local(digits)
    area = _AREA.match(digits)
    size = area.end() if area is not None else 0
    if size and len(digits) - size in (7, 8) and (is_written_as_one or lengths[0] == size):
        return [digits[:size], *_local(digits[size:])]
    # Behind the country code the area code has no zero: (86)10-62791627.
    if not is_written_as_one and lengths[0] in (2, 3) and len(digits) - lengths[0] in (7, 8):
        return [digits[: lengths[0]], *_local(digits[lengths[0] :])]
    return None


def _local(digits: str) -> list[str]:
    return _cut(digits, len(digits) - 4, 4)


def _cut(digits: str, *lengths: int) -> list[str]:
    groups: list[str] = []
    for length in lengths:
        groups.append(digits[:length])
        digits = digits[length:]
    return groups
