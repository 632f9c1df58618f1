"""What the kinds of ``say-as`` sound like in English, by the examples of the documentation."""

import re
from collections.abc import Callable

from bridge.text.dates_en import read_date, read_time
from bridge.text.numbers_en import NUMBER, read_digits, read_integer, read_number, read_ordinal
from bridge.text.symbols import english_name
from bridge.text.units import CURRENCIES, english_unit

__all__ = ["READERS"]

_PLAIN = re.compile(rf"[-−]?{NUMBER}")
_SPAN = re.compile(rf"(?P<first>{NUMBER})\s*[-~–]\s*(?P<last>{NUMBER})")
_MIXED = re.compile(
    r"(?P<sign>[-−]?)(?:(?P<whole>[0-9]{1,13})\s+)?(?P<upper>[0-9]{1,13})/(?P<lower>[0-9]{1,13})"
)
_OVER = re.compile(rf"(?P<upper>[-−]?{NUMBER})/(?P<lower>{NUMBER})")
_POWER = re.compile(rf"(?P<base>[-−]?{NUMBER})\^(?P<power>[-−]?{NUMBER})")
_SCIENTIFIC = re.compile(rf"(?P<base>[-−]?{NUMBER})[eE](?P<power>[-−+]?{NUMBER})")
_PERCENT = re.compile(rf"(?P<number>[-−]?{NUMBER})\s*%")

_SCALES = {
    "thousand": "thousand",
    "million": "million",
    "billion": "billion",
    "trillion": "trillion",
    "Mil": "million",
    "mil": "million",
    "Bil": "billion",
    "bil": "billion",
    "MM": "million",
    "Bn": "billion",
    "bn": "billion",
    "Tn": "trillion",
    "tn": "trillion",
    "K": "thousand",
    "k": "thousand",
    "M": "million",
    "m": "million",
}
_SCALE = "|".join(sorted(_SCALES, key=len, reverse=True))
_SIGN = "|".join(re.escape(sign) for sign in sorted(CURRENCIES, key=len, reverse=True))
_MONEY = re.compile(
    rf"(?P<minus>[-−]?)(?:(?P<before>{_SIGN})\s*)?(?P<number>{NUMBER})\s*(?P<scale>{_SCALE})?\s*(?P<after>{_SIGN})?"
)
_QUANTITY = re.compile(
    rf"\s*(?P<number>[-−]?{NUMBER})\s*(?P<unit>[^\W\d]*[^\d\s,.]*(?:[²³]|\^[23]|(?<=[mM])[23](?![0-9]))?)"
)

_TELEPHONE = re.compile(r"(?P<plus>\+?)(?P<groups>[-\s()0-9]+)")


def _cardinal(text: str) -> str | None:
    text = text.strip()
    for pattern, read in _CARDINALS:
        if (match := pattern.fullmatch(text)) is not None:
            return read(match)
    return None


def _fraction(match: re.Match[str]) -> str:
    upper, lower = int(match["upper"]), int(match["lower"])
    if lower < 2:
        reading = f"{read_integer(upper)} over {read_integer(lower)}"
    else:
        part = {2: "half", 4: "quarter"}.get(lower) or read_ordinal(lower)
        parts = "halves" if lower == 2 else part + "s"
        reading = f"{read_integer(upper)} {part if upper == 1 else parts}"
    if match["whole"]:
        # "three and a half", but "three and three quarters".
        reading = f"{read_integer(int(match['whole']))} and " + re.sub(r"^one ", "a ", reading)
    return ("minus " if match["sign"] else "") + reading


def _without_zeros(number: str) -> str:
    return number.rstrip("0").rstrip(".") if "." in number else number


_CARDINALS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str | None]], ...] = (
    (_PLAIN, lambda match: read_number(match[0])),
    (_MIXED, _fraction),
    (_SPAN, lambda match: f"{read_number(match['first'])} to {read_number(match['last'])}"),
    (_OVER, lambda match: f"{read_number(match['upper'])} over {read_number(match['lower'])}"),
    (_POWER, lambda match: f"{read_number(match['base'])} to the power of {read_number(match['power'])}"),
    (
        _SCIENTIFIC,
        lambda match: f"{read_number(match['base'])} times ten to the power of {read_number(match['power'])}",
    ),
    (_PERCENT, lambda match: f"{read_number(_without_zeros(match['number']))} percent"),
)


def _digits(text: str) -> str | None:
    groups = re.split(r"[\s-]+", text.strip())
    if not all(group.isascii() and group.isdigit() for group in groups):
        return None
    return ", ".join(map(read_digits, groups))


def _telephone(text: str) -> str | None:
    match = _TELEPHONE.fullmatch(text.strip())
    if match is None:
        return None
    groups = [read_digits(group, zero="oh") for group in re.findall("[0-9]+", match["groups"])]
    return ("plus " if match["plus"] else "") + ", ".join(groups) if groups else None


def _characters(text: str) -> str | None:
    """Letters, digits and marks one by one; a comma is the pause between them."""
    spoken: list[str] = []
    for character in text:
        name = english_name(character) or read_digits(character) or character.upper()
        if not character.isspace() and not (name == "ellipsis" and spoken[-1:] == [name]):
            spoken.append(name)
    return ", ".join(spoken) or None


def _currency(text: str) -> str | None:
    money = _MONEY.fullmatch(text.strip())
    if money is None:
        return None
    minus = "minus " if money["minus"] else ""
    sign = money["before"] or money["after"]
    number, scale = money["number"], _SCALES.get(money["scale"] or "")
    reading = read_number(number) or ""
    if sign is None:
        return f"{minus}{reading}{' ' + scale if scale else ''}"
    currency = CURRENCIES[sign]
    plural = currency.plural or currency.english + "s"
    if scale:
        return f"{minus}{reading} {scale} {plural}"
    whole, _, fraction = number.partition(".")
    if not currency.cent or len(fraction.rstrip("0")) > 2 or not fraction.strip("0"):
        return f"{minus}{reading} {currency.english if reading == 'one' else plural}"
    count = int(fraction[:2].ljust(2, "0"))
    cents = f"{read_integer(count)} {currency.cent if count == 1 else currency.cents}"
    units = read_number(whole) or ""
    if units == "zero":
        return minus + cents
    return f"{minus}{units} {currency.english if units == 'one' else plural} and {cents}"


def _measure(text: str) -> str | None:
    """One quantity behind the other, or a unit alone."""
    text = text.strip()
    words: list[str] = []
    at = 0
    while (quantity := _QUANTITY.match(text, at)) is not None:
        at = quantity.end()
        number = read_number(quantity["number"]) or ""
        is_one = number in ("one", "minus one")
        unit = english_unit(quantity["unit"], is_one=is_one) or quantity["unit"]
        words += (number, unit)
    if not words:
        return english_unit(text, is_one=True)
    return " ".join(filter(None, words)) if at == len(text) else None


READERS: dict[str, Callable[[str], str | None]] = {
    "cardinal": _cardinal,
    "digits": _digits,
    "telephone": _telephone,
    "name": lambda text: None,
    "address": lambda text: None,
    "id": _characters,
    "characters": _characters,
    "punctuation": _characters,
    "date": read_date,
    "time": read_time,
    "currency": _currency,
    "measure": _measure,
}
"""For each kind: the reading of a text, or None where that kind has none for it."""
