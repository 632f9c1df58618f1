import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.text.markdown import filter_markdown
from bridge.text.passage import Spoken

PROSE = st.text(alphabet="ab 1*_#`~[]()|!\\<>-:\n中", max_size=60)
NASTY = [
    "*",
    "_",
    "`",
    "[",
    "](",
    "](a ",
    "|",
    "\\|",
    ">",
    "# ",
    "- ",
    " ",
    "~~",
    "![",
    "[a](",
    "a*b",
    "<http:",
    "[^",
    "\n#",
]


def filtered(text: str, *, at_line_start: bool = True) -> str:
    return filter_markdown(Spoken.plain(text), at_line_start=at_line_start).text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("# Title #\n", "Title\n"),
        ("### 标题 ###", "标题"),
        ("#\n", "\n"),
        ("*a* **b** ***c*** _d_ __e__", "a b c d e"),
        ("这是**重点**和*要点*", "这是重点和要点"),
        ("~~gone~~ but 3~5", "gone but 3~5"),
        ("Use `x` and ``y`` now", "Use x and y now"),
        ("```python\nx = 1\n```\n", "\nx = 1\n\n"),
        ("~~~\ncode\n~~~", "\ncode\n"),
        ("- milk\n* *bread*\n+ salt\n", "milk\nbread\nsalt\n"),
        ("- [ ] open\n- [x] done\n", "open\ndone\n"),
        ("  - deep\n", "deep\n"),
        ("> quoted\n> > twice\n", "quoted\ntwice\n"),
        ("> # Title\n", "Title\n"),
        ("---\n***\n_ _ _\n", "\n\n\n"),
        ("Title\n====\n", "Title\n\n"),
        ('[text](http://a.b/c_d) and [x](u "t")', "text and x"),
        ("![alt](a.png) [r][1] [f](a(b)c)", "alt r f"),
        ("note[^1]\n[^1]: that", "note\n that"),
        ("<https://a.b/_c_>", "https://a.b/_c_"),
        (r"\*no\* 1\. \#", "*no* 1. #"),
        ("| a | b |\n|---|:-:|\n| 一 | 二 |\n", " a , b \n\n 一 ， 二 \n"),
        ("|a\\|b|*c*", "a|b,c"),
        ("1. First\n2. Second", "1. First\n2. Second"),
    ],
)
def test_symbols_go_and_words_stay(text: str, words: str) -> None:
    assert filtered(text) == words


@pytest.mark.parametrize(
    "text",
    [
        "2 * 3 = 6, 2*3, 2*(a+b)*c, 2**3",
        "a_b snake_case_x",
        "C# is #5",
        "-5 degrees",
        "a | b",
        "a > b",
        "x[1] = y",
        "#tag",
    ],
)
def test_arithmetic_and_names_survive(text: str) -> None:
    assert filtered(text) == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("**Hello there. ", "Hello there. "),
        ("How are you?** ", "How are you? "),
        ("Foo](http://x.y) bar", "Foo bar"),
    ],
)
def test_half_of_a_pair_goes_too(text: str, words: str) -> None:
    assert filtered(text) == words


@pytest.mark.parametrize("text", ["# 5 is", "- 5 is", "> 5 is", "| 5 |"])
def test_what_a_line_begins_with_means_nothing_within_one(text: str) -> None:
    assert filtered(text, at_line_start=False) == text
    assert filtered(text) != text


def test_the_words_still_point_to_where_they_were_written() -> None:
    spoken = filter_markdown(Spoken.plain("# **a** [b](c)"))

    assert spoken.text == "a b"
    assert spoken.begins == (4, 7, 9)


@given(PROSE, st.booleans())
def test_nothing_is_added_but_commas(text: str, at_line_start: bool) -> None:
    spoken = filter_markdown(Spoken.plain(text), at_line_start=at_line_start)
    written = [text[begin] for begin in spoken.begins]

    assert list(spoken.begins) == sorted(spoken.begins)
    assert all(
        new == old or (new in ",，" and old == "|") for new, old in zip(spoken.text, written, strict=True)
    )


@pytest.mark.parametrize("pattern", NASTY)
def test_the_work_grows_with_the_text_and_not_with_its_square(pattern: str) -> None:
    short_ns, long_ns = work_ns(pattern, 4_000), work_ns(pattern, 32_000)

    # Eight times the text: the square would be 64 times the work.
    assert long_ns < 24 * short_ns


def work_ns(pattern: str, length: int) -> int:
    spoken = Spoken.plain((pattern * length)[:length])
    best_ns = 1 << 62
    for _ in range(3):
        begin_ns = time.thread_time_ns()
        filter_markdown(spoken)
        best_ns = min(best_ns, time.thread_time_ns() - begin_ns)
    return best_ns
