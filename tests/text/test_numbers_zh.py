import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.text.numbers_zh import read_digits, read_integer, read_number, read_phone_digits

DIGITS = {digit: value for value, digit in enumerate("零一二三四五六七八九")} | {"两": 2}
PLACES = {"十": 10, "百": 100, "千": 1000}


def value_of(reading: str) -> int:
    """What a Chinese reader takes it for: an oracle that goes the other way."""
    for unit, size in (("亿亿", 10**16), ("亿", 10**8), ("万", 10**4)):
        if unit in reading:
            high, low = reading.split(unit, 1)
            return value_of(high) * size + value_of(low)
    total, digit = 0, 0
    for character in reading:
        if character in PLACES:
            total += (digit or 1) * PLACES[character]
            digit = 0
        else:
            digit = DIGITS[character]
    return total + digit


@pytest.mark.parametrize(
    ("number", "reading"),
    [
        ("0", "零"),
        ("10", "十"),
        ("12", "十二"),
        ("110", "一百一十"),
        ("145", "一百四十五"),
        ("-145", "负一百四十五"),
        ("299", "二百九十九"),
        ("1010", "一千零一十"),
        ("2000", "两千"),
        ("12,000", "一万两千"),
        ("-10,124", "负一万零一百二十四"),
        ("20000", "两万"),
        ("110000", "十一万"),
        ("12,000,000", "一千二百万"),
        ("100000012", "一亿零一十二"),
        ("10.00", "十"),
        ("-110.00", "负一百一十"),
        ("79.090", "七十九点零九零"),
        ("-79.001", "负七十九点零零一"),
        ("007", "七"),
        ("１２", "十二"),
        ("123456789012345678901", "一二三四五六七八九零一二三四五六七八九零一"),
        ("0" * 5000 + "7", "七"),
    ],
)
def test_numbers_are_said_as_documented(number: str, reading: str) -> None:
    assert read_number(number) == reading


@pytest.mark.parametrize("text", ["", "x", "1,00", "1.", "1 2", "--1", "1e5"])
def test_what_is_no_number_has_no_reading(text: str) -> None:
    assert read_number(text) is None


@given(st.integers(0, 10**20 - 1))
def test_a_reader_takes_a_number_for_what_it_is(number: int) -> None:
    assert value_of(read_integer(number)) == number


def test_digits_are_said_one_by_one() -> None:
    assert read_digits("10a٣") == "一零a三"
    assert read_phone_digits("110") == "幺幺零"
