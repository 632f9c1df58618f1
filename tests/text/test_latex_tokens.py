import pytest

from bridge.text.latex_tokens import Cursor, Token, Unreadable, read_tokens


@pytest.mark.parametrize(
    ("formula", "tokens"),
    [
        ("12.5 x", [("number", "12.5"), ("letter", "x")]),
        (r"\left( \dfrac \right.", [("sign", "("), ("command", r"\frac")]),
        (r"\text{ 若 }\mathrm{Rt}\unit{cm}", [("text", "若"), ("roman", "Rt"), ("unit", "cm")]),
        ("x²°", [("letter", "x"), ("sign", "^"), ("number", "2"), ("sign", "^"), ("command", r"\circ")]),
        ("sin5cm", [("command", r"\sin"), ("number", "5"), ("unit", "cm")]),
        ("a<=b≤", [("letter", "a"), ("sign", "<="), ("letter", "b"), ("sign", "≤")]),
        ("−∣", [("sign", "-"), ("sign", "|")]),
    ],
)
def test_what_is_written_in_several_ways_is_one_token(formula: str, tokens: list[tuple[str, str]]) -> None:
    assert [(token.kind, token.value) for token in read_tokens(formula)] == tokens


def test_a_cursor_takes_what_is_due_and_nothing_else() -> None:
    cursor = Cursor(read_tokens(r"(x\frac"))

    assert cursor.take_one("(", "[") == "("
    assert cursor.peek() == ""
    with pytest.raises(Unreadable):
        cursor.take_one(")")
    assert cursor.take_letter("xy") == "x"
    assert cursor.take_letter("xy") == ""
    assert cursor.take() == Token("command", r"\frac")
    assert cursor.is_at_end
    assert cursor.at == 3
    with pytest.raises(Unreadable):
        cursor.take()
    assert cursor.give_back().value == r"\frac"


def test_a_bar_has_a_partner_in_its_own_group_alone() -> None:
    assert Cursor(read_tokens("|x(|)|")).has_partner()
    assert not Cursor(read_tokens("|x(|))|")).has_partner()
    assert not Cursor(read_tokens("|x")).has_partner()


def test_nobody_can_follow_groups_without_end() -> None:
    cursor = Cursor([])
    for _ in range(40):
        cursor.dive()

    with pytest.raises(Unreadable):
        cursor.dive()
