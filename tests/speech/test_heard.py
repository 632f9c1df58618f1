import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.ports import WordTime
from bridge.speech.heard import heard

TEXT = "Hello, dear caller. Goodbye!"
WORDS = [
    WordTime("Hello", 0, 5, 0, 400),
    WordTime("dear", 7, 11, 500, 800),
    WordTime("caller", 12, 18, 800, 1300),
    WordTime("Goodbye", 20, 27, 1500, 2200),
]


@pytest.mark.parametrize(
    ("played_ms", "expected"),
    [
        (0, ""),
        (399, ""),
        (400, "Hello, "),
        (799, "Hello, "),
        (1300, "Hello, dear caller. "),
        (2199, "Hello, dear caller. "),
        (2200, TEXT),
    ],
)
def test_a_word_was_heard_when_its_end_was_played(played_ms: int, expected: str) -> None:
    result = heard(TEXT, WORDS, played_ms=played_ms, finished=False, total_ms=2500)

    assert result.heard == expected
    assert not result.estimated


def test_what_was_played_to_its_end_was_heard_whatever_the_words_say() -> None:
    result = heard(TEXT, [], played_ms=0, finished=True, total_ms=None)

    assert (result.heard, result.unheard, result.estimated) == (TEXT, "", False)


def test_a_sentence_without_word_times_is_estimated_by_the_length_of_the_whole() -> None:
    result = heard("aaaa bbbb cccc dddd", [], played_ms=550, finished=False, total_ms=1000)

    assert result.heard == "aaaa bbbb "
    assert result.estimated


def test_words_known_so_far_set_the_pace_of_those_that_follow() -> None:
    words = [WordTime("aaaa", 0, 4, 0, 500)]

    result = heard("aaaa bbbb cccc dddd", words, played_ms=1100, finished=False, total_ms=None)

    assert result.heard == "aaaa bbbb "
    assert result.estimated


def test_without_any_measure_a_usual_pace_is_assumed() -> None:
    result = heard("one two three four five six", [], played_ms=1000, finished=False, total_ms=None)

    assert result.heard == "one two three "
    assert result.estimated


def test_no_half_word_is_ever_called_heard() -> None:
    result = heard("incomprehensibilities", [], played_ms=900, finished=False, total_ms=1000)

    assert result.heard == ""


def test_hanzi_are_cut_between_any_two() -> None:
    result = heard("你好，世界。", [], played_ms=500, finished=False, total_ms=1000)

    assert result.heard == "你好，"


def test_a_word_before_a_hanzi_ends_there() -> None:
    result = heard("OK你好吗", [], played_ms=300, finished=False, total_ms=1000)

    assert result.heard == "OK"


def test_nothing_played_after_the_known_words_adds_nothing() -> None:
    words = [WordTime("aaaa", 0, 4, 0, 500)]

    result = heard("aaaa bbbb", words, played_ms=500, finished=False, total_ms=None)

    assert (result.heard, result.unheard) == ("aaaa ", "bbbb")


def test_all_of_an_estimated_rest_may_have_been_heard() -> None:
    assert heard("aaaa bbbb", [], played_ms=9000, finished=False, total_ms=1000).heard == "aaaa bbbb"


def test_an_opening_mark_belongs_to_the_word_behind_it() -> None:
    words = [WordTime("said", 0, 4, 0, 100), WordTime("no", 6, 8, 100, 200)]

    assert heard('said "no"', words, played_ms=150, finished=False, total_ms=None).heard == "said "


LINES = st.text(alphabet="ab 你，. ", max_size=40) | st.text(max_size=40)
OFFSETS = st.integers(-5, 60)
MOMENTS = st.integers(0, 3000)
TIMES = st.lists(
    st.builds(WordTime, st.text(max_size=4), OFFSETS, OFFSETS, MOMENTS, MOMENTS),
    max_size=8,
)
LENGTHS = st.none() | st.integers(0, 4000)


@given(LINES, TIMES, st.integers(0, 4000), st.booleans(), LENGTHS)
def test_heard_and_unheard_are_always_the_whole_text(
    text: str, words: list[WordTime], played_ms: int, finished: bool, total_ms: int | None
) -> None:
    result = heard(text, words, played_ms=played_ms, finished=finished, total_ms=total_ms)

    assert result.heard + result.unheard == text


@given(LINES, st.integers(0, 4000), st.integers(0, 4000), LENGTHS)
def test_who_listens_longer_hears_no_less(
    text: str, one_ms: int, other_ms: int, total_ms: int | None
) -> None:
    less, more = sorted((one_ms, other_ms))

    shorter = heard(text, [], played_ms=less, finished=False, total_ms=total_ms)
    longer = heard(text, [], played_ms=more, finished=False, total_ms=total_ms)

    assert len(shorter.heard) <= len(longer.heard)
