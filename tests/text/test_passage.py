import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.text.passage import Spoken


@st.composite
def edited_texts(draw: st.DrawFn) -> tuple[str, list[tuple[int, int, str]]]:
    text = draw(st.text(alphabet="abc中", min_size=1, max_size=20))
    cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=6)))
    pairs = zip(cuts[::2], cuts[1::2], strict=False)
    return text, [(begin, end, draw(st.text(alphabet="xy", max_size=3))) for begin, end in pairs]


def test_a_reading_points_to_all_that_it_stands_for() -> None:
    spoken = Spoken.plain("a$x$b", 10).rewritten([(1, 4, "eks")])

    assert spoken.text == "aeksb"
    assert spoken.source(1, 4) == (11, 14)
    assert spoken.source(4, 5) == (14, 15)


def test_what_is_left_out_leaves_the_rest_where_it_was() -> None:
    spoken = Spoken.plain("**a**").rewritten([(0, 2, ""), (3, 5, "")])

    assert (spoken.text, spoken.begins, spoken.ends) == ("a", (2,), (3,))


def test_parts_one_behind_the_other_are_one() -> None:
    left, right = Spoken.plain("ab"), Spoken.plain("cd", 5)

    assert Spoken.joined([left, right]) == left + right
    assert Spoken.joined([]) == Spoken.plain("")
    assert len(left + right) == 4


@given(edited_texts())
def test_many_edits_are_as_good_as_one_after_the_other(case: tuple[str, list[tuple[int, int, str]]]) -> None:
    text, edits = case
    slowly = Spoken.plain(text)
    for begin, end, reading in reversed(edits):
        slowly = slowly.replaced(begin, end, reading)

    assert Spoken.plain(text).rewritten(edits) == slowly


@pytest.mark.parametrize("edits", [[], [(0, 3, "")]])
def test_nothing_is_done_or_nothing_is_left(edits: list[tuple[int, int, str]]) -> None:
    assert Spoken.plain("abc").rewritten(edits).text == ("" if edits else "abc")
