import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import RemoteProtocolError
from bridge.text.hot_fix import HotFix, OvergrownError
from bridge.text.passage import Pronunciation, Spoken

WORDS = st.lists(st.text(alphabet="ab", min_size=1, max_size=4), max_size=6, unique=True)


def test_a_word_is_read_as_its_replacement() -> None:
    fix = HotFix.from_wire({"replace": [{"今天": "金天"}, {"W3C": "网络标准"}]})

    spoken = fix.apply(Spoken.plain("今天看W3C吧"))

    assert spoken.text == "金天看网络标准吧"
    assert spoken.source(3, 7) == (3, 6)
    assert spoken.source(7, 8) == (6, 7)


def test_the_longest_word_wins_and_nothing_is_replaced_twice() -> None:
    fix = HotFix.from_wire({"replace": [{"a": "b"}, {"ab": "a"}, {"abc": "aa"}, {"b": "c"}]})

    assert fix.apply(Spoken.plain("abcaba")).text == "aaab"


def test_given_sounds_point_to_their_words() -> None:
    fix = HotFix.from_wire({"pronunciation": [{"天气": "tian1 qi4"}, {"气": "qi1"}]})

    assert fix.pronunciations("好天气，气") == (
        Pronunciation(1, 3, "py", "tian1 qi4"),
        Pronunciation(4, 5, "py", "qi1"),
    )


@pytest.mark.parametrize("value", [{}, {"pronunciation": None, "replace": []}])
def test_an_empty_table_changes_nothing(value: object) -> None:
    fix = HotFix.from_wire(value)

    assert fix.apply(Spoken.plain("abc")).text == "abc"
    assert fix.pronunciations("abc") == ()
    assert not fix


def test_words_that_a_sentence_might_end_in_are_told_apart() -> None:
    fix = HotFix.from_wire(
        {"pronunciation": [{"天。气": "tian1 qi4"}], "replace": [{"b": "c"}, {"a. b": "c"}]}
    )

    assert [fix.breakable.end_at(word, 0) for word in ("天。气", "a. b", "b")] == [3, 4, 0]


def test_what_is_read_can_be_written_and_read_again() -> None:
    wire = {"pronunciation": [{"天气": "tian1 qi4"}], "replace": [{"a": "b"}, {"c": "d"}]}

    assert HotFix.from_wire(wire).to_wire() == wire
    assert HotFix().to_wire() == {}


def test_a_sentence_may_grow_but_not_beyond_all_measure() -> None:
    fix = HotFix.from_wire({"replace": [{"a": "x" * 1000}]})

    assert len(fix.apply(Spoken.plain("aaaa"))) == 4000
    with pytest.raises(OvergrownError, match="4001 characters of a sentence of 5; 4000 are allowed"):
        fix.apply(Spoken.plain("aaaaz"))


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        (None, "hot_fix must be an object, not null"),
        ([], "hot_fix must be an object, not a list"),
        (1.5, "hot_fix must be an object, not a number"),
        ({1, 2}, "hot_fix must be an object, not set"),
        ({"replaces": []}, "hot_fix must hold 'pronunciation' and 'replace' alone, not 'replaces'"),
        ({"replace": {"a": "b"}}, "hot_fix.replace must be a list of objects {word: reading}, not an object"),
        ({"replace": ""}, "hot_fix.replace must be a list of objects {word: reading}, not a string"),
        ({"replace": ["a"]}, "hot_fix.replace must be a list of objects {word: reading}, not 'a'"),
        ({"replace": [{}]}, "hot_fix.replace must hold objects with one key each, not {}"),
        ({"replace": [{"a": "b", "c": "d"}]}, "must hold objects with one key each"),
        ({"replace": [{"": "b"}]}, "hot_fix.replace must hold words of 1 to 64 characters, not ''"),
        ({"replace": [{1: "b"}]}, "hot_fix.replace must hold words of 1 to 64 characters, not 1"),
        ({"replace": [{"x" * 65: "b"}]}, "must hold words of 1 to 64 characters"),
        ({"replace": [{"a": True}]}, "hot_fix.replace of 'a' must be a string, not a boolean"),
        (
            {"replace": [{"a": "x" * 1001}]},
            "hot_fix.replace of 'a' must have at most 1000 characters, not 1001",
        ),
        ({"replace": [{"a": "b"}] * 1001}, "hot_fix must hold 1000 words at most, not 1001"),
        (
            {"replace": [{"a": "b"}] * 501, "pronunciation": [{"天": "tian1"}] * 500},
            "hot_fix must hold 1000 words at most, not 1001",
        ),
        (
            {"replace": [{f"{n}": "x" * 999} for n in range(10)], "pronunciation": [{"天": "tian1"}]},
            "hot_fix must have 10000 characters at most in all, not 10006",
        ),
        (
            {"pronunciation": [{"天气": "tian1"}]},
            "hot_fix.pronunciation of '天气' must be pinyin: '天气' and its pinyin differ in length",
        ),
        ({"pronunciation": [{"天": "tian"}]}, "'tian' is no pinyin syllable"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(value: object, complaint: str) -> None:
    with pytest.raises(RemoteProtocolError, match=re.escape(complaint)):
        HotFix.from_wire(value)


@given(WORDS, st.text(alphabet="abc", max_size=30))
def test_the_pattern_finds_what_a_list_from_long_to_short_would(words: list[str], text: str) -> None:
    fix = HotFix(replacements={word: f"<{word}>" for word in words})
    expected, at = "", 0
    while at < len(text):
        word = next((w for w in sorted(words, key=len, reverse=True) if text.startswith(w, at)), None)
        expected += f"<{word}>" if word else text[at]
        at += len(word or "x")

    assert fix.apply(Spoken.plain(text)).text == expected


def test_a_nasty_table_costs_a_nasty_text_little() -> None:
    begin_ns = time.thread_time_ns()
    table = [{"a" * length + "b": "x"} for length in range(1, 64)] + [
        {"a" * 60 + f"{n}": "b"} for n in range(90)
    ]
    fix = HotFix.from_wire({"replace": table})
    spoken = fix.apply(Spoken.plain("a" * 2000))

    assert spoken.text == "a" * 2000
    assert time.thread_time_ns() - begin_ns < 500_000_000


@pytest.mark.parametrize(
    "table",
    [
        {"replace": [{f"word{n:04}": "x"} for n in range(1000)]},
        {"pronunciation": [{"一" + chr(0x4E00 + n): "yi1 a1"} for n in range(1000)]},
        {"pronunciation": [{chr(0x4E00 + n) * 64: "a1 " * 64} for n in range(39)]},
    ],
    ids=["words", "sounds", "syllables"],
)
def test_the_largest_tables_are_read_and_made_ready_in_a_moment(table: object) -> None:
    best_ns = 1 << 62
    for _ in range(5):
        begin_ns = time.thread_time_ns()
        fix = HotFix.from_wire(table)
        fix.breakable.starts()
        fix.apply(Spoken.plain("a"))
        fix.pronunciations("a")
        best_ns = min(best_ns, time.thread_time_ns() - begin_ns)

    # 2 ms and less; a busy machine may need more.
    assert best_ns < 8_000_000
