import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.text.hot_fix import HotFix
from bridge.text.passage import Pronunciation, Say, Sentence
from bridge.text.reader import Reader, ReadingOptions, Scribe, is_chinese

FIX = HotFix.from_wire(
    {
        "pronunciation": [{"天气": "tian1 qi4"}, {"好。坏": "hao3 huai4"}],
        "replace": [{"Mr. X": "Mister"}, {"b": ""}],
    }
)
ALL = ReadingOptions(markdown=True, latex=True, hot_fix=FIX)
OPTIONS = st.sampled_from([ALL, ReadingOptions(), ReadingOptions(latex=True), ReadingOptions(markdown=True)])
PROSE = st.text(alphabet="ab 1.!?。！,$x\\(){}*_`#|\n天气好坏MrX", max_size=60) | st.text(max_size=60)
# Nothing of it ends a sentence before what follows has come.
HALF_WIDTH_PROSE = st.text(alphabet="abMr. X!?,$x\\()*` \n天", max_size=1500)
MARKS = "。！？；…" + "\"')]}”’」』）】》" + " \n"
NASTY = ["$", "$x", "\\", "\\(", "$x. ", "a! ", "M", "Mr. ", "*", "|", "`", "$1$", "好。", "# ", "x", " "]


def sentences(options: ReadingOptions, *pieces: str) -> list[Sentence]:
    reader = Reader(options)
    out = [sentence for piece in pieces for sentence in reader.push(piece)]
    return out + reader.flush()


def said(sentence: Sentence) -> str:
    return "".join(item.spoken.text for item in sentence.items if isinstance(item, Say))


def test_words_are_replaced_before_formulas_are_read_and_symbols_go_last() -> None:
    options = ReadingOptions(
        markdown=True, latex=True, hot_fix=HotFix.from_wire({"replace": [{"甲": "$x*y$ **"}]})
    )

    assert [said(sentence) for sentence in sentences(options, "甲是**乘积**。")] == ["x乘y 是乘积。"]


def test_given_sounds_point_into_what_is_said() -> None:
    (sentence,) = sentences(ALL, "**今天**天气好")
    (say,) = sentence.items

    assert isinstance(say, Say)
    assert say.spoken.text == "今天天气好"
    assert say.pronunciations == (Pronunciation(2, 4, "py", "tian1 qi4"),)
    assert say.spoken.source(2, 4) == (6, 8)


@pytest.mark.parametrize("formula", ["$a = 1. 5$", "$x! + y$", r"\(a. b\)", "$$a\n= b$$"])
def test_no_sentence_ends_in_a_formula(formula: str) -> None:
    texts = [sentence.text for sentence in sentences(ALL, f"设{formula}。好。")]

    assert texts == [f"设{formula}。", "好。"]


def test_no_sentence_ends_in_a_word_of_the_hot_fix() -> None:
    assert [sentence.text for sentence in sentences(ALL, "我说好。坏! Ask Mr. X. Now")] == [
        "我说好。坏! ",
        "Ask Mr. X. ",
        "Now",
    ]


def test_a_price_keeps_nobody_waiting() -> None:
    reader = Reader(ALL)

    assert [sentence.text for sentence in reader.push("只要$5。好")] == ["只要$5。"]
    assert [sentence.text for sentence in reader.push("。It costs $6. Then")] == ["好。", "It costs $6. "]


def test_formulas_are_read_in_chinese_text_alone() -> None:
    texts = [
        said(sentence)
        for sentence in sentences(ALL, "设$x=1$。", "Let $x=1$ here. ", "$x=1$. ", "则是$x=1$。$y=2$。")
    ]

    assert texts == ["设x等于一。", "Let $x=1$ here. ", "$x=1$. ", "则是x等于一。", "y等于二。"]


@pytest.mark.parametrize(
    ("language", "reading"), [("zh", "Let x等于一"), ("zh-CN", "Let x等于一"), ("en", "Let $x=1$")]
)
def test_a_hint_decides_whether_formulas_are_read(language: str, reading: str) -> None:
    assert said(sentences(ReadingOptions(latex=True, language=language), "Let $x=1$")[0]) == reading


def test_a_heading_is_one_only_where_a_line_begins() -> None:
    texts = [said(sentence) for sentence in sentences(ALL, "# 一\n ", "# 二\n三！# 四。")]

    assert texts == ["一\n", "二\n", "三！", "# 四。"]


def test_nothing_is_said_for_symbols_alone() -> None:
    assert sentences(ReadingOptions(markdown=True), "***") == [Sentence("***", ())]


def test_what_an_element_gives_rules_over_the_hot_fix() -> None:
    spoken = Scribe(ReadingOptions()).read("天气天气天气")
    given_sounds = (Pronunciation(1, 3, "py", "qi4 tian2"), Pronunciation(5, 6, "py", "qi1"))

    (say,) = Scribe(ALL).say(spoken, given_sounds)

    assert [(sound.begin, sound.sounds) for sound in say.pronunciations] == [(1, "qi4 tian2"), (5, "qi1")]
    (say,) = Scribe(ALL).say(spoken, given_sounds[:1])
    assert [sound.begin for sound in say.pronunciations] == [1, 4]


def test_the_language_is_that_of_the_letters_outside_of_formulas() -> None:
    assert is_chinese("设$x$", otherwise=False)
    assert not is_chinese("let $x$", otherwise=True)
    assert is_chinese("1 $x$", otherwise=True)
    assert not is_chinese("1 $x$", otherwise=False)


@given(OPTIONS, st.lists(PROSE, max_size=6))
def test_nothing_written_is_lost_added_or_reordered(options: ReadingOptions, pieces: list[str]) -> None:
    assert "".join(sentence.text for sentence in sentences(options, *pieces)) == "".join(pieces)


@given(OPTIONS, PROSE)
def test_all_that_is_said_was_written_in_its_sentence_in_that_order(
    options: ReadingOptions, text: str
) -> None:
    for sentence in sentences(options, text):
        for item in sentence.items:
            assert isinstance(item, Say)
            spoken = item.spoken
            assert len(spoken.text) == len(spoken.begins) == len(spoken.ends) > 0
            assert list(spoken.begins) == sorted(spoken.begins)
            assert list(spoken.ends) == sorted(spoken.ends)
            assert all(0 <= begin < end for begin, end in zip(spoken.begins, spoken.ends, strict=True))
            assert max(spoken.ends) <= len(sentence.text)
            assert all(sound.end <= len(spoken) for sound in item.pronunciations)


@given(PROSE)
def test_without_options_all_is_said_as_it_is_written(text: str) -> None:
    assert [said(sentence) for sentence in sentences(ReadingOptions(), text)] == [
        sentence.text for sentence in sentences(ReadingOptions(), text)
    ]


@given(OPTIONS, HALF_WIDTH_PROSE, st.integers(1, 450))
def test_pieces_give_the_sentences_of_the_whole(options: ReadingOptions, text: str, size: int) -> None:
    pieces = [text[start : start + size] for start in range(0, len(text), size)]

    assert sentences(options, *pieces) == sentences(options, text)


@given(PROSE, st.integers(1, 9))
def test_pieces_sound_like_the_whole_where_a_mark_comes_late(text: str, size: int) -> None:
    pieces = [text[start : start + size] for start in range(0, len(text), size)]

    assert words(*pieces) == words(text)


@pytest.mark.parametrize("size", [1, 20_000])
@pytest.mark.parametrize("pattern", NASTY)
def test_the_work_grows_with_the_text_and_not_with_its_square(pattern: str, size: int) -> None:
    short_ns, long_ns = work_ns(pattern, 1_000, size), work_ns(pattern, 8_000, size)

    # Eight times the text: the square would be 64 times the work.
    assert long_ns < 24 * short_ns


def words(*pieces: str) -> list[str]:
    options = ReadingOptions(latex=True, hot_fix=FIX)
    return [text for sentence in sentences(options, *pieces) if (text := said(sentence).strip(MARKS))]


def work_ns(pattern: str, length: int, size: int) -> int:
    text = (pattern * length)[:length]
    pieces = [text[start : start + size] for start in range(0, length, size)]
    best_ns = 1 << 62
    for _ in range(2):
        begin_ns = time.thread_time_ns()
        sentences(ALL, *pieces)
        best_ns = min(best_ns, time.thread_time_ns() - begin_ns)
    return best_ns
