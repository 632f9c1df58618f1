from hypothesis import given
from hypothesis import strategies as st

from bridge.text.sentence import SentenceSplitter, split_clauses

PROSE = st.text(alphabet='ab 。！.!?,，; \n"”X3', max_size=60) | st.text(max_size=60)


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
