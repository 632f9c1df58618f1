import pytest

from bridge.text.units import CURRENCIES, UNITS, english_unit


@pytest.mark.parametrize(
    ("written", "is_one", "name"),
    [
        ("kg", True, "kilogram"),
        ("kg", False, "kilograms"),
        ("ft", False, "feet"),
        ("m^2", False, "square meters"),
        ("km / h", True, "kilometer per hour"),
        ("foo", True, None),
        ("km/foo", True, None),
    ],
)
def test_a_unit_has_a_name_and_a_plural(written: str, is_one: bool, name: str | None) -> None:
    assert english_unit(written, is_one=is_one) == name


def test_units_and_currencies_have_chinese_names() -> None:
    assert UNITS["㎡"].chinese == "平方米"
    assert CURRENCIES["CN¥"].chinese == "元"
    assert all(unit.chinese and unit.english for unit in UNITS.values())
