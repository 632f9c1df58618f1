import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.text.formula import REACH, Verdict, find_formulas, measure_formula

TEXTS = st.text(alphabet=r"$\()[]x1 +a。Then{}%" + "\n", max_size=40)


def formulas(text: str) -> list[str]:
    return [text[begin:end] for begin, end in find_formulas(text)]


@pytest.mark.parametrize(
    "formula",
    [
        "$2 + 3 = 5$",
        "$$2 × 3 = 6$$",
        r"\(2 * 3 = 6\)",
        "\\[6\\div2\n=3\\]",
        "$ x + 1 $",
        "$a = 1. 5$",
        "$x! = 3$",
        r"$x = \frac{-b \pm \sqrt{b^2-4ac}}{2a}$",
        r"$△ABC\cong△DEF$",
        r"$\text{若 this is}x$",
        r"$5\%$",
        r"$\begin{cases} x=1 \\ y=2 \end{cases}$",
        "$$\n\\begin{aligned}\nx &= 1\n\\end{aligned}\n$$",
        r"$\$5$",
        "$sinx+arccos x$",
        "$（2＋1）$",
        r"$\left\{x\right\}$",
    ],
)
def test_a_formula_is_found_whole(formula: str) -> None:
    assert formulas(f"设{formula}，则") == [formula]


@pytest.mark.parametrize(
    "text",
    [
        "只要$5。原价$6。",
        "It costs $5 and $6.",
        "It costs $5-$6.",
        "Five $ and six $ more",
        "$5 for men, 4$ for boys",
        "He paid $5. It is mine$",
        "从$5到$6",
        "大约5$-6$。",
        "$$",
        "$ $",
        "$x",
        "x$",
        r"\$x$",
        r"\(x",
        r"\alpha",
        "$x\ny$",
        "$" + "x+" * 300 + "$",
    ],
)
def test_prices_and_lone_signs_are_no_formula(text: str) -> None:
    assert formulas(text) == []


def test_the_next_sign_is_tried_where_one_opens_nothing() -> None:
    assert formulas("$5，$x$和$$y$") == ["$x$", "$y$"]


@pytest.mark.parametrize("text", ["$", "\\", "$x", "$x+1$", "$$x$", r"\(x\ ".strip(), r"$\text{若"])
def test_more_text_may_tell(text: str) -> None:
    assert measure_formula(text, 0, is_whole=False) is Verdict.OPEN


@pytest.mark.parametrize("text", ["$5。", "$then", "\\n", "$Then", "$x$5", "$x\n", "$$x$y", "x"])
def test_what_is_no_formula_is_known_at_once(text: str) -> None:
    assert measure_formula(text, 0, is_whole=False) is Verdict.NO_FORMULA


def test_nobody_waits_longer_than_the_reach() -> None:
    assert measure_formula("$" + "1" * (REACH - 2), 0, is_whole=False) is Verdict.OPEN
    assert measure_formula("$" + "1" * (REACH - 1), 0, is_whole=False) is Verdict.NO_FORMULA
    assert measure_formula("$" + "1" * (REACH - 2) + "$", 0, is_whole=False) == REACH


@given(TEXTS, st.integers(0, 40))
def test_what_is_decided_holds_whatever_comes_later(text: str, length: int) -> None:
    for begin, character in enumerate(text[:length]):
        if character in "$\\":
            early = measure_formula(text[:length], begin, is_whole=False)

            assert early is Verdict.OPEN or early == measure_formula(text, begin, is_whole=True)
