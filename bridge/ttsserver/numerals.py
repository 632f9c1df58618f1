"""Numbers, dates, times, amounts and units inside Chinese text, written out as they are read aloud."""

import re
from collections.abc import Callable

from bridge.text.numbers_zh import read_digits, read_integer, read_phone_digits
from bridge.text.passage import Spoken

__all__ = ["UNITS", "read_numbers"]

_LONGEST = 12
"""Digits up to which a number has a size; a longer one, such as an order's, is read digit by digit."""

UNITS = {
    "km/h": "公里每小时", "km": "公里", "cm": "厘米", "mm": "毫米", "m": "米", "kg": "公斤", "mg": "毫克",
    "g": "克", "ml": "毫升", "mL": "毫升", "L": "升", "℃": "摄氏度", "°C": "摄氏度", "℉": "华氏度",
    "°": "度", "h": "小时", "min": "分钟", "s": "秒", "ms": "毫秒", "m²": "平方米", "㎡": "平方米",
    "kW": "千瓦", "kWh": "度", "W": "瓦", "V": "伏",
}  # fmt: skip
"""Units as they stand behind a number, and how they are read."""

_MONEY = {"¥": "元", "￥": "元", "$": "美元", "＄": "美元", "€": "欧元", "£": "英镑"}
_SIGNS = {"+": "加", "=": "等于", "×": "乘", "÷": "除以", "%": "百分号", "&": "和", "℃": "摄氏度", "°": "度"}
# What is counted in pairs of 两 and not of 二; 月, 号, 日 and 楼 are numbered, not counted.
_COUNTED = frozenset("个位名次天年点小分秒元张件条本只台家种杯份人周倍米公块岁遍笔辆部双对句封场千万亿")
_NUMBER = r"\d++(?:,\d{3})*+(?:\.\d++)?+"
_READ_UNITS = "|".join(re.escape(unit) for unit in sorted(UNITS, key=len, reverse=True))
# After these words digits name something; the words are part of the match and stay as they are.
_CODES = "拨打|致电|热线|电话|尾号|号码|验证码|密码|工号|单号|编号|房间"
_PATTERN = re.compile(
    rf"""
    (?P<date>(?<!\d)\d{{4}}(?P<dash>[-/.])\d{{1,2}}(?P=dash)\d{{1,2}}(?!\d))
    |(?P<year>(?<!\d)\d{{4}}(?=年))
    |(?P<time>(?<!\d)(?:[01]?\d|2[0-4])[:：][0-5]\d(?:[:：][0-5]\d)?+(?![\d:：]))
    |(?P<phone>(?<!\d)(?:\+?86[- ]?)?1[3-9]\d[- ]?\d{{4}}[- ]?\d{{4}}(?!\d)
        |(?<!\d)\d{{3,4}}(?:-\d{{3,8}}){{1,2}}+(?!\d))
    |(?P<code>(?:{_CODES})[:：是为]?+\d{{3,12}}+(?![\d.-]))
    |(?P<dots>(?<!\d)\d++(?:\.\d++){{2,}}+)
    |(?P<share>-?{_NUMBER}[%‰％])
    |(?P<fraction>(?<!\d)\d{{1,4}}/\d{{1,4}}(?!\d))
    |(?P<money>[¥￥$＄€£]\s?{_NUMBER}[万亿]?)
    |(?P<range>{_NUMBER}\s?[-~～—–]\s?(?={_NUMBER}))
    |(?P<negative>(?<![A-Za-z\d-])-(?={_NUMBER}))
    |(?P<measure>{_NUMBER}\s?(?:{_READ_UNITS})(?![A-Za-z]))
    |(?P<number>{_NUMBER})
    |(?P<sign>[+=×÷%&℃°])
    """,
    re.VERBOSE,
)


def read_numbers(text: str) -> Spoken:
    """Write numbers and their signs as Chinese words; what was written there stays known."""
    # One character for one: offsets stay.
    text = "".join(str(int(c)) if c.isdecimal() and c not in "0123456789" else c for c in text)
    written: list[str] = []
    begins: list[int] = []
    ends: list[int] = []
    at = 0
    for match in _PATTERN.finditer(text):
        begin, end = match.span()
        if match.lastgroup == "code":
            begin += sum(not character.isdigit() for character in match[0])
        written.append(text[at:begin])
        begins += range(at, begin)
        ends += range(at + 1, begin + 1)
        reading = _READERS[match.lastgroup or ""](match, text)
        written.append(reading)
        begins += [begin] * len(reading)
        ends += [end] * len(reading)
        at = end
    written.append(text[at:])
    begins += range(at, len(text))
    ends += range(at + 1, len(text) + 1)
    return Spoken("".join(written), tuple(begins), tuple(ends))


def _cardinal(digits: str) -> str:
    """Read as a size, such as 一万零三十; digit by digit if it begins with zero or is too long."""
    if len(digits) > _LONGEST:
        return "、".join(read_digits(digits[n : n + 4]) for n in range(0, len(digits), 4))
    if len(digits) > 1 and digits[0] == "0":
        return read_digits(digits)
    return read_integer(int(digits))


def _number(number: str) -> str:
    whole, _, decimals = number.replace(",", "").partition(".")
    return _cardinal(whole) + ("点" + read_digits(decimals) if decimals else "")


def _counted(number: str, following: str) -> str:
    """A number before what it counts: two of them are 两."""
    if number == "2" and following[:1] in _COUNTED and following[:2] != "年级":
        return "两"
    return _number(number)


def _date(match: re.Match[str], _text: str) -> str:
    year, month, day = re.split(r"[-/.]", match[0])
    month, day = (_cardinal(part.lstrip("0") or "0") for part in (month, day))
    return f"{read_digits(year)}年{month}月{day}日"


def _time(match: re.Match[str], _text: str) -> str:
    hour, minute, *second = (part.lstrip("0") or "0" for part in re.split("[:：]", match[0]))
    read = ("两" if hour == "2" else _cardinal(hour)) + "点"
    if minute != "0" or second:
        read += ("零" if len(minute) == 1 and minute != "0" else "") + _cardinal(minute) + "分"
    return read + (_cardinal(second[0]) + "秒" if second else "")


def _share(match: re.Match[str], _text: str) -> str:
    of = "千" if match[0][-1] == "‰" else "百"
    sign = "负" if match[0][0] == "-" else ""
    return f"{sign}{of}分之{_number(match[0][:-1].lstrip('-'))}"


def _fraction(match: re.Match[str], _text: str) -> str:
    part, of = match[0].split("/")
    return f"{_number(of)}分之{_number(part)}"


def _money(match: re.Match[str], text: str) -> str:
    amount = match[0][1:].strip()
    size = amount[-1] if amount[-1] in "万亿" else ""
    number = amount.removesuffix(size) if size else amount
    if "." in number:
        number = number.rstrip("0").rstrip(".")
    following = text[match.end() : match.end() + 1]
    unit = "" if following and following in "元美欧英" else _MONEY[match[0][0]]
    return _counted(number, size or "元") + size + unit


def _telephone(match: re.Match[str], _text: str) -> str:
    """Digit by digit with 幺 for one, a short pause between the groups that people make."""
    groups = [group for group in re.split(r"\D+", match[0]) if group]
    if len(groups[-1]) == 11:
        groups[-1:] = [groups[-1][:3], groups[-1][3:7], groups[-1][7:]]
    return "、".join(read_phone_digits(group) for group in groups)


def _range(match: re.Match[str], _text: str) -> str:
    return _number(match[0].rstrip("-~～—– ")) + "到"


def _measure(match: re.Match[str], _text: str) -> str:
    number = re.match(_NUMBER, match[0])
    size = number.end() if number else 0
    unit = UNITS[match[0][size:].strip()]
    return _counted(match[0][:size], unit) + unit


def _bare(match: re.Match[str], text: str) -> str:
    return _counted(match[0], text[match.end() : match.end() + 2])


_READERS: dict[str, Callable[[re.Match[str], str], str]] = {
    "date": _date,
    "year": lambda match, _: read_digits(match[0]),
    "time": _time,
    "phone": _telephone,
    "code": _telephone,
    "dots": lambda match, _: "点".join(read_digits(part) for part in match[0].split(".")),
    "share": _share,
    "fraction": _fraction,
    "money": _money,
    "range": _range,
    "negative": lambda _match, _text: "负",
    "measure": _measure,
    "number": _bare,
    "sign": lambda match, _: _SIGNS[match[0]],
}
