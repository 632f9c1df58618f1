import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.text.numbers_en import read_digits, read_integer, read_number, read_ordinal, read_year

SCALES = {"hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
WORDS = {read_integer(number): number for number in range(20)} | {
    read_integer(n): n for n in range(20, 100, 10)
}


def value_of(reading: str) -> int:
    """What an English reader takes it for: an oracle that goes the other way."""
    total, section = 0, 0
    for word in reading.split():
        if word == "hundred":
            section *= 100
        elif word in SCALES:
            total += section * SCALES[word]
            section = 0
        else:
            section += WORDS[word]
    return total + section


@pytest.mark.parametrize(
    ("number", "reading"),
    [
        ("0", "zero"),
        ("145", "one hundred forty five"),
        ("0145", "one hundred forty five"),
        ("-145", "minus one hundred forty five"),
        ("60,000", "sixty thousand"),
        ("-208,000", "minus two hundred eight thousand"),
        ("12.00", "twelve"),
        ("12.34", "twelve point three four"),
        ("1,000.1", "one thousand point one"),
        ("12345678901234", "one two three four five six seven eight nine zero one two three four"),
    ],
)
def test_numbers_are_said_as_documented(number: str, reading: str) -> None:
    assert read_number(number) == reading


@pytest.mark.parametrize("text", ["", "x", "1,00", "1.", "٣"])
def test_what_is_no_number_has_no_reading(text: str) -> None:
    assert read_number(text) is None


@given(st.integers(0, 10**13 - 1))
def test_a_reader_takes_a_number_for_what_it_is(number: int) -> None:
    assert value_of(read_integer(number)) == number


@pytest.mark.parametrize(
    ("year", "reading"),
    [
        (1000, "one thousand"),
        (1066, "ten sixty six"),
        (1900, "nineteen hundred"),
        (1905, "nineteen oh five"),
        (1998, "nineteen ninety eight"),
        (2000, "two thousand"),
        (2009, "two thousand nine"),
        (2010, "twenty ten"),
        (2021, "twenty twenty one"),
    ],
)
def test_years_are_said_in_two_halves(year: int, reading: str) -> None:
    assert read_year(year) == reading


@pytest.mark.parametrize(
    ("number", "reading"),
    [
        (1, "first"),
        (2, "second"),
        (3, "third"),
        (12, "twelfth"),
        (14, "fourteenth"),
        (20, "twentieth"),
        (31, "thirty first"),
    ],
)
def test_days_are_ordinals(number: int, reading: str) -> None:
    assert read_ordinal(number) == reading


def test_digits_are_said_one_by_one() -> None:
    assert read_digits("10-2") == "one zero two"
    assert read_digits("10", zero="oh") == "one oh"
