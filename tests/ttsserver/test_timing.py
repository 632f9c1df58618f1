import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.ttsserver.timing import PhonemeSpan, align, written_words


def spans(*words: tuple[str, int]) -> list[PhonemeSpan]:
    found, at = [], 0
    for text, count in words:
        found.append(PhonemeSpan(text, at, at + count))
        at += count + 1
    return found


def test_words_lose_their_outer_punctuation_and_keep_the_inner() -> None:
    words = written_words('"Pay $23.45," he said at 10:30 — don\'t!')

    assert [word.text for word in words] == ["Pay", "$23.45", "he", "said", "at", "10:30", "don't"]


@given(st.text())
def test_a_word_stands_where_it_says(text: str) -> None:
    for word in written_words(text):
        assert text[word.begin : word.end] == word.text


def test_words_read_as_written_match_one_to_one() -> None:
    aligned = align(
        written_words("Hello, dear bridge."), spans(("Hello,", 4), ("dear", 3), ("bridge.", 5)), len
    )

    assert [(word.text, begin, end) for word, begin, end in aligned] == [
        ("Hello", 0, 4),
        ("dear", 5, 8),
        ("bridge", 9, 14),
    ]


def test_a_reading_that_differs_is_shared_by_weight() -> None:
    spoken = spans(("at", 2), ("ten", 3), ("thirty", 5), ("A.M.", 4), ("now", 3))

    aligned = align(written_words("at 10:30 am now"), spoken, {"10:30": 9, "am": 5}.__getitem__)

    assert [(word.text, begin, end) for word, begin, end in aligned] == [
        ("at", 0, 2),
        ("10:30", 3, 12),
        ("am", 12, 17),
        ("now", 18, 21),
    ]


def test_a_word_that_nobody_reads_has_no_time() -> None:
    aligned = align(written_words("one two"), spans(("one", 3)), len)

    assert [word.text for word, _, _ in aligned] == ["one"]


@given(
    st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=8),
    st.lists(st.sampled_from(["a", "b", "x"]), max_size=8),
)
def test_times_never_run_backwards(written: list[str], read: list[str]) -> None:
    aligned = align(written_words(" ".join(written)), spans(*((word, 2) for word in read)), lambda word: 1.0)

    borders = [border for _, begin, end in aligned for border in (begin, end)]
    assert borders == sorted(borders)


@pytest.mark.parametrize("word", ["हिन्दी", "बोली", "ที่นี่", "Cafe\u0301"])
def test_a_word_keeps_its_vowel_signs_and_accents(word: str) -> None:
    (found,) = written_words(f"“{word}”.")

    assert found.text == word
