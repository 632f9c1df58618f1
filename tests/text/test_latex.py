import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.text.latex import read_formula, read_latex
from bridge.text.passage import Spoken

PIECES = [
    "$",
    "x",
    "1",
    "+",
    r"\frac",
    r"\sqrt",
    "{",
    "}",
    "(",
    ")",
    "|",
    "^",
    "_",
    "[",
    "]",
    r"\begin",
    r"\left",
    "我",
    " ",
]


def test_every_delimiter_holds_a_formula() -> None:
    text = r"$1+2$，$$1+2$$，\(1+2\)，\[1+2\]。"

    assert read_latex(Spoken.plain(text)).text == "一加二，一加二，一加二，一加二。"


def test_a_reading_points_to_its_formula() -> None:
    spoken = read_latex(Spoken.plain("设$x=1$。"))

    assert spoken.text == "设x等于一。"
    assert spoken.source(1, 5) == (1, 6)
    assert spoken.source(5, 6) == (6, 7)


@pytest.mark.parametrize("text", ["只要$5。", r"$\foo{x}$", r"$x^$", "$5-$6", r"$\quad$"])
def test_what_cannot_be_read_stays(text: str) -> None:
    assert read_latex(Spoken.plain(text)).text == text


@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
def test_whatever_stands_in_a_formula_it_is_read_or_left(text: str) -> None:
    spoken = read_latex(Spoken.plain(text))

    assert list(spoken.begins) == sorted(spoken.begins)
    assert all(0 <= begin < end <= len(text) for begin, end in zip(spoken.begins, spoken.ends, strict=True))
    reading = read_formula(text)
    assert reading is None or reading


@pytest.mark.parametrize(
    "pattern", ["{", "(", "|", r"\frac", "a^", r"\sqrt[", "√", r"\hat", r"\begin{", "x", "1", "{}"]
)
def test_no_formula_is_too_nasty(pattern: str) -> None:
    begin_ns = time.thread_time_ns()
    read_formula((pattern * 400)[:400])

    assert time.thread_time_ns() - begin_ns < 200_000_000
