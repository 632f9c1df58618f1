"""What the kinds of ``say-as`` sound like in Chinese, by the examples of the documentation."""

import re
from collections.abc import Callable

from bridge.text.characters import is_hanzi
from bridge.text.dates_zh import read_date, read_time
from bridge.text.numbers_zh import (
    MOST_DIGITS,
    NUMBER,
    read_digits,
    read_integer,
    read_number,
    read_phone_digits,
)
from bridge.text.symbols import chinese_name
from bridge.text.telephone_zh import read_telephone
from bridge.text.units import CURRENCIES, UNITS

__all__ = ["READERS", "read_percent"]

# "Letter by letter, with pauses": a comma is the shortest pause that every voice makes.
_PAUSE = "，"
_MANY_DIGITS = 10

_FRACTION = re.compile(r"(?P<sign>[-−]?)(?P<upper>\d{1,20})/(?P<lower>\d{1,20})")
_PERCENT = re.compile(rf"(?P<number>[-−]?{NUMBER})\s*(?P<sign>[%％‰])")
_SPAN = re.compile(rf"(?P<first>[-−]?{NUMBER})\s*[~～]\s*(?P<last>[-−]?{NUMBER})")

_SIGN = "|".join(re.escape(sign) for sign in sorted(CURRENCIES, key=len, reverse=True))
_MONEY = re.compile(
    rf"(?P<minus>[-−]?)(?:(?P<before>{_SIGN})\s*)?(?P<number>{NUMBER})\s*(?P<scale>[万亿]*)\s*(?P<after>{_SIGN})?"
)
_OTHER_MONEY = re.compile(rf"(?P<number>{NUMBER})\s*(?P<code>[A-Za-z]+)?")

_QUANTITY = re.compile(
    rf"\s*(?P<sign>[-−]?)(?P<number>{NUMBER})(?:\s*[~～]\s*(?P<last>{NUMBER}))?\s*(?P<about>[多来余几]?)\s*"
    r"(?P<unit>[^\d\s~～,，.]*(?:[²³]|\^[23]|(?<=[mM])[23](?!\d))?)"
)
_TILDE = re.compile(r"\s*[~～]\s*")

_ADDRESS_NUMBER = re.compile(r"\d+")
_DASH = re.compile(r"(?<=\d)\s*-\s*(?=\d)")


def read_percent(text: str) -> str | None:
    """5% is 百分之五; None if `text` is no percentage."""
    match = _PERCENT.fullmatch(text)
    if match is None:
        return None
    reading = read_number(match["number"]) or ""
    sign, number = ("负", reading[1:]) if reading.startswith("负") else ("", reading)
    return f"{sign}{'千' if match['sign'] == '‰' else '百'}分之{number}"


def _cardinal(text: str) -> str | None:
    text = text.strip()
    if len(text.lstrip("-−+0").split(".")[0].replace(",", "")) > MOST_DIGITS:
        return None
    if (fraction := _FRACTION.fullmatch(text)) is not None:
        upper, lower = (read_integer(int(fraction[part])) for part in ("upper", "lower"))
        return f"{'负' if fraction['sign'] else ''}{lower}分之{upper}"
    if (span := _SPAN.fullmatch(text)) is not None:
        return f"{read_number(span['first'])}至{read_number(span['last'])}"
    return read_number(text) or read_percent(text)


def _digits(text: str) -> str | None:
    groups = re.split(r"[\s-]+", text.strip())
    if not all(group.isdecimal() for group in groups):
        return None
    if len(groups) == 1 and len(groups[0]) > _MANY_DIGITS:
        return _PAUSE.join(read_digits(groups[0]))
    return _PAUSE.join(map(read_digits, groups))


def _address(text: str) -> str:
    text = _DASH.sub("杠", text)
    return _ADDRESS_NUMBER.sub(lambda number: _house_number(number[0]), text)


def _house_number(digits: str) -> str:
    """Up to two digits are a number, more are read one by one."""
    if len(digits) > 2 or digits.startswith("0"):
        return read_phone_digits(digits)
    return read_integer(int(digits))


def _id(text: str) -> str | None:
    return _characters(text.upper())


def _characters(text: str) -> str | None:
    """Letters, digits and marks one by one, hanzi as the words they are."""
    spoken: list[str] = []
    is_word = False
    for character in text:
        name = chinese_name(character) or (read_digits(character) if character.isdecimal() else character)
        if name == "省略号" and spoken[-1:] == [name]:
            continue
        if is_hanzi(character) and is_word:
            spoken[-1] += character
        elif not character.isspace():
            spoken.append(name)
        is_word = is_hanzi(character)
    return _PAUSE.join(spoken) or None


def _punctuation(text: str) -> str | None:
    if any(character.isalnum() and chinese_name(character) is None for character in text):
        return None
    return _characters(text)


def _currency(text: str) -> str | None:
    text = text.strip()
    if (money := _MONEY.fullmatch(text)) is not None and (money["before"] or money["after"]):
        currency = CURRENCIES[money["before"] or money["after"]]
        return f"{'负' if money['minus'] else ''}{_count(money['number'])}{money['scale']}{currency.chinese}"
    if (money := _OTHER_MONEY.fullmatch(text)) is not None:
        return f"{read_number(money['number'])}{' '.join(money['code'] or '')}"
    return None


def _measure(text: str) -> str | None:
    ends = _TILDE.split(text.strip())
    if len(ends) == 2 and _QUANTITY.fullmatch(ends[0]) and ends[0][-1:].isdecimal():
        ends = [text.strip()]
    spoken = [_quantities(end) for end in ends]
    if len(ends) > 2 or None in spoken:
        return None
    return "至".join(str(end) for end in spoken)


def _quantities(text: str) -> str | None:
    """One quantity behind the other: 1厘米20毫米."""
    reading = ""
    at = 0
    while at < len(text):
        quantity = _QUANTITY.match(text, at)
        if quantity is None:
            return None
        at = quantity.end()
        unit, about, last = _unit(quantity["unit"]), quantity["about"], quantity["last"]
        number = _count(quantity["number"]) if unit else read_number(quantity["number"]) or ""
        reading += ("负" if quantity["sign"] else "") + number
        reading += f"至{read_number(last)}" if last else ""
        reading += about + unit
    return reading or None


def _count(number: str) -> str:
    """How many of something: 两片, but 十二片."""
    reading = read_number(number) or ""
    return "两" if reading == "二" else reading


def _unit(written: str) -> str:
    if not written:
        return ""
    upper, slash, lower = written.partition("/")
    names = [_unit_name(upper)] + ([_unit_name(lower)] if slash else [])
    return "每".join(names)


def _unit_name(written: str) -> str:
    if written in UNITS:
        return UNITS[written].chinese
    if written in CURRENCIES:
        return CURRENCIES[written].chinese
    return " ".join(written) if written.isascii() else written


READERS: dict[str, Callable[[str], str | None]] = {
    "cardinal": _cardinal,
    "digits": _digits,
    "telephone": read_telephone,
    "name": lambda text: None,
    "address": _address,
    "id": _id,
    "characters": _characters,
    "punctuation": _punctuation,
    "date": read_date,
    "time": read_time,
    "currency": _currency,
    "measure": _measure,
}
"""For each kind: the reading of a text, or None where that kind has none for it."""
