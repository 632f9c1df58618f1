import pytest

from bridge.text.say_as_en import READERS


@pytest.mark.parametrize(
    ("kind", "text", "reading"),
    [
        ("cardinal", " 145 ", "one hundred forty five"),
        ("cardinal", "1-1,000", "one to one thousand"),
        ("cardinal", "012.34", "twelve point three four"),
        ("cardinal", "1/2", "one half"),
        ("cardinal", "3/2", "three halves"),
        ("cardinal", "-3/4", "minus three quarters"),
        ("cardinal", "2/3", "two thirds"),
        ("cardinal", "2/1", "two over one"),
        ("cardinal", "5.1/6", "five point one over six"),
        ("cardinal", "-3 1/2", "minus three and a half"),
        ("cardinal", "1,000.3^3", "one thousand point three to the power of three"),
        ("cardinal", "3e9.1", "three times ten to the power of nine point one"),
        ("cardinal", "23.10%", "twenty three point one percent"),
        ("cardinal", "50%", "fifty percent"),
        ("digits", "1-23-456 7890", "one, two three, four five six, seven eight nine zero"),
        ("telephone", "12034", "one two oh three four"),
        ("telephone", "+43-211-0567", "plus four three, two one one, oh five six seven"),
        ("telephone", "(21) 654-3210", "two one, six five four, three two one oh"),
        (
            "characters",
            "*b+3$.c-0'=α",
            "asterisk, B, plus, three, dollar, dot, C, dash, zero, apostrophe, equals, alpha",
        ),
        ("id", "my 1", "M, Y, one"),
        ("punctuation", "……", "ellipsis"),
        ("date", "3/10", "march the tenth"),
        ("time", "5:00am", "five a m"),
        ("currency", "1.00 RMB", "one yuan"),
        ("currency", "1,000.23 CN¥", "one thousand point two three yuan"),
        ("currency", "1.01 SGD", "one singapore dollar and one cent"),
        ("currency", "3.1 HKD", "three hong kong dollars and ten cents"),
        ("currency", "1,000.00 EUR", "one thousand euros"),
        ("currency", "US$ 1.00", "one US dollar"),
        ("currency", "-$0.01", "minus one cent"),
        ("currency", "$0.015", "zero point zero one five dollars"),
        ("currency", "£1.1", "one pound and ten pence"),
        ("currency", "JPY 1.01", "one japanese yen and one sen"),
        ("currency", "1.23 Tn RMB", "one point two three trillion yuan"),
        ("currency", "$1.2 K", "one point two thousand dollars"),
        ("currency", "5 M", "five million"),
        ("currency", "5", "five"),
        ("measure", "1.0 kg", "one kilogram"),
        ("measure", "100m12cm6mm", "one hundred meters twelve centimeters six millimeters"),
        ("measure", "5 ft", "five feet"),
        ("measure", "60 km/h", "sixty kilometers per hour"),
        ("measure", "5 km/foo", "five km/foo"),
        ("measure", "mm2", "square millimeter"),
        ("measure", "3 foo", "three foo"),
        ("measure", "7", "seven"),
    ],
)
def test_each_kind_is_said_as_documented(kind: str, text: str, reading: str) -> None:
    assert READERS[kind](text) == reading


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("cardinal", "x"),
        ("digits", "1a"),
        ("telephone", "x"),
        ("telephone", "--"),
        ("name", "Zeng"),
        ("address", "304, Building 1"),
        ("characters", " "),
        ("currency", "x"),
        ("measure", "x"),
        ("measure", "5 km, x"),
    ],
)
def test_what_is_not_of_its_kind_has_no_reading(kind: str, text: str) -> None:
    assert READERS[kind](text) is None
