import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.text.sentence import SentenceSplitter, split_clauses

PROSE = st.text(alphabet='ab 。！.!?,，; \n"”X3', max_size=60) | st.text(max_size=60)

# Nothing of it ends a sentence before what follows has come.
HALF_WIDTH_PROSE = st.text(alphabet='abMr. .!?,)" \n', max_size=1500)
MARKS = "。！？；…" + "\"')]}”’」』）】》" + " \n"
NASTY = [
    "Mr. ",
    ".",
    "..)",
    ",",
    ",)",
    "a",
    "J. ",
    " ",
    "\n",
    "! ",
    ")",
    "…",
    "a!\n",
    "é.x",
    "Mr.  \n",
    "a, ",
]


def sentences(*pieces: str) -> list[str]:
    splitter = SentenceSplitter()
    out = [sentence for piece in pieces for sentence in splitter.push(piece)]
    return out + splitter.flush()


def test_sentences_end_where_they_end() -> None:
    assert sentences("Hello there! How are you? Fine.") == ["Hello there! ", "How are you? ", "Fine."]


def test_a_number_is_not_torn_even_if_it_arrives_in_two_pieces() -> None:
    assert sentences("It costs 3.", "5 dollars. Really.") == ["It costs 3.5 dollars. ", "Really."]


def test_abbreviations_and_initials_end_nothing() -> None:
    assert sentences("Dr. Smith met J. S. Bach, e.g. on Monday. Then he left.") == [
        "Dr. Smith met J. S. Bach, e.g. on Monday. ",
        "Then he left.",
    ]


def test_a_full_width_mark_ends_a_sentence_at_once() -> None:
    splitter = SentenceSplitter()

    assert splitter.push("你好。世界！") == ["你好。", "世界！"]
    assert splitter.held == ""


def test_a_half_width_stop_waits_for_what_follows() -> None:
    splitter = SentenceSplitter()

    assert splitter.push("It is 7.") == []
    assert splitter.held == "It is 7."
    assert splitter.push(" Right") == ["It is 7. "]


def test_a_closing_quote_stays_with_its_sentence() -> None:
    assert sentences('"Stop!" she said. 他说：“好。”走了。') == [
        '"Stop!" ',
        "she said. ",
        "他说：“好。”",
        "走了。",
    ]


def test_only_the_blank_behind_a_stop_belongs_to_its_sentence() -> None:
    assert sentences("Stop!  Go.") == ["Stop! ", " Go."]


def test_an_abbreviation_ends_nothing_at_the_end_of_a_line() -> None:
    assert sentences("Ask Dr. \nSmith.\nNow.") == ["Ask Dr. \nSmith.\n", "Now."]


def test_a_stop_by_itself_ends_a_sentence() -> None:
    assert sentences("Well . Then") == ["Well . ", "Then"]


def test_marks_without_a_word_are_no_sentence() -> None:
    assert sentences("好！", "！！", "行。") == ["好！", "！！行。"]


def test_a_line_break_ends_a_sentence() -> None:
    assert sentences("Milk\nBread\n") == ["Milk\n", "Bread\n"]


def test_endless_text_is_cut_at_a_clause() -> None:
    clause = "and so on and on and on, "
    first = sentences(clause * 40)[0]

    assert len(first) <= 400
    assert first.endswith("on, ")


def test_endless_text_without_clauses_is_cut_at_a_blank() -> None:
    assert sentences("word " * 100)[0] == "word " * 80


def test_endless_text_without_blanks_is_cut_all_the_same() -> None:
    assert sentences("a" * 900) == ["a" * 400, "a" * 400, "a" * 100]


def test_a_long_sentence_is_cut_at_its_commas() -> None:
    text = "When the first of the guests came in, the host rose from his chair; nobody had expected it."

    assert split_clauses(text, shortest=20) == [
        "When the first of the guests came in, ",
        "the host rose from his chair; ",
        "nobody had expected it.",
    ]


def test_a_comma_within_a_number_is_no_pause() -> None:
    assert split_clauses("It is 1,000,000 dollars", shortest=1) == ["It is 1,000,000 dollars"]


def test_short_clauses_stay_together() -> None:
    assert split_clauses("Yes, well, no.") == ["Yes, well, no."]
    assert split_clauses("") == []


@given(st.lists(PROSE, max_size=6))
def test_nothing_is_lost_added_or_reordered(pieces: list[str]) -> None:
    assert "".join(sentences(*pieces)) == "".join(pieces)


@given(PROSE)
def test_clauses_joined_are_the_sentence(text: str) -> None:
    assert "".join(split_clauses(text, shortest=3)) == text


@given(PROSE)
def test_no_sentence_is_empty(text: str) -> None:
    assert all(sentences(text))
    assert all(split_clauses(text, shortest=0))


@given(HALF_WIDTH_PROSE, st.integers(1, 450))
def test_pieces_give_the_sentences_of_the_whole(text: str, size: int) -> None:
    pieces = [text[start : start + size] for start in range(0, len(text), size)]

    assert sentences(*pieces) == sentences(text)


@given(PROSE, st.integers(1, 9))
def test_pieces_sound_like_the_whole_where_a_mark_comes_late(text: str, size: int) -> None:
    pieces = [text[start : start + size] for start in range(0, len(text), size)]

    assert spoken(*pieces) == spoken(text)


@pytest.mark.parametrize("size", [1, 20_000])
@pytest.mark.parametrize("text", NASTY)
def test_the_work_grows_with_the_text_and_not_with_its_square(text: str, size: int) -> None:
    short_ns = work_ns(text, 1_000, size)
    long_ns = work_ns(text, 8_000, size)

    # Eight times the text: the square would be 64 times the work.
    assert long_ns < 24 * short_ns


def spoken(*pieces: str) -> list[str]:
    return [words for sentence in sentences(*pieces) if (words := sentence.strip(MARKS))]


def work_ns(pattern: str, length: int, size: int) -> int:
    """CPU time of this thread alone, the least of a few: others on the machine do not count."""
    text = (pattern * length)[:length]
    pieces = [text[start : start + size] for start in range(0, length, size)]
    best_ns = 1 << 62
    for _ in range(3):
        begin_ns = time.thread_time_ns()
        for sentence in sentences(*pieces):
            split_clauses(sentence)
        split_clauses(text)
        best_ns = min(best_ns, time.thread_time_ns() - begin_ns)
    return best_ns
