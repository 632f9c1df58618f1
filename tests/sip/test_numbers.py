import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.sip.numbers import DialList, NumberForm, NumberPlan

GERMANY = NumberPlan("49", "0", "00")
SPAIN = NumberPlan("34", "", "00")
AMERICA = NumberPlan("1", "1", "011")
NOWHERE = NumberPlan()


@pytest.mark.parametrize(
    ("plan", "text", "number"),
    [
        (GERMANY, "+49 30 12345-0", "+4930123450"),
        (GERMANY, "+49 (0)30 123450", "+4930123450"),
        (GERMANY, "(030) 123 45/0", "+4930123450"),
        (GERMANY, "0043 1 2345678", "+4312345678"),
        (GERMANY, "110", "110"),
        (GERMANY, "*21#", "*21#"),
        (GERMANY, "12345678", "12345678"),
        (SPAIN, "912 345 678", "+34912345678"),
        (SPAIN, "112", "112"),
        (AMERICA, "1 (212) 555-0100", "+12125550100"),
        (AMERICA, "011 49 30 123450", "+4930123450"),
        (NOWHERE, "030 123450", "030123450"),
        (NOWHERE, "0049 30 123450", "+4930123450"),
        (NumberPlan("49", "0", ""), "030 123450", "+4930123450"),
    ],
)
def test_a_number_has_one_form_however_it_is_written(plan: NumberPlan, text: str, number: str | None) -> None:
    assert plan.normalised(text) == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        "lena",
        "+",
        "+0123456789",
        "+49",
        "+1234567890123456",
        "00",
        "1" * 16,
        "+49 30 x",
        "1;2",
        "٣٤٥",
        "+49\n30",
    ],
)
def test_what_is_no_number_is_none(text: str) -> None:
    assert GERMANY.normalised(text) is None


@given(st.text())
def test_whatever_is_typed_a_number_is_digits_and_stays_what_it_is(text: str) -> None:
    number = GERMANY.normalised(text)

    assert number is None or set(number) <= set("+0123456789*#")
    assert number is None or not number.startswith("+") or GERMANY.normalised(number) == number


@pytest.mark.parametrize(
    ("form", "home", "abroad"),
    [
        (NumberForm.E164, "+4930123450", "+4312345678"),
        (NumberForm.PLAIN, "4930123450", "4312345678"),
        (NumberForm.NATIONAL, "030123450", "004312345678"),
    ],
)
def test_a_trunk_gets_numbers_in_its_form(form: NumberForm, home: str, abroad: str) -> None:
    assert GERMANY.written("+4930123450", form) == home
    assert GERMANY.written("+4312345678", form) == abroad
    assert GERMANY.written("110", form) == "110"


@pytest.mark.parametrize(
    ("patterns", "number", "is_admitted"),
    [
        ((), "+4930123450", False),
        (("*",), "+4930123450", True),
        (("+49*",), "+4930123450", True),
        (("+49*",), "+4312345678", False),
        (("+49*", "!+49900*"), "+49900123456", False),
        (("!+49900*", "+49*"), "+49900123456", False),
        (("!+49900*",), "+4930123450", False),
        (("1??",), "110", True),
        (("1??",), "1100", False),
        (("1??",), "1*0", False),
        (("110",), "1101", False),
    ],
)
def test_only_what_a_pattern_admits_and_none_refuses_may_be_dialled(
    patterns: tuple[str, ...], number: str, is_admitted: bool
) -> None:
    assert DialList(patterns).admits(number) is is_admitted


@pytest.mark.parametrize("pattern", ["", "!", "4*9", "lena", "+4 9", "[12]*", "**", "1;2", "++49*"])
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="must be digits"):
        DialList((pattern,))
