import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import RemoteProtocolError
from bridge.text.hot_fix import HotFix
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
    assert fix.words == ()


def test_all_words_are_known() -> None:
    fix = HotFix.from_wire({"pronunciation": [{"天": "tian1"}], "replace": [{"b": "c"}]})

    assert fix.words == ("天", "b")


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        (None, "hot_fix is an object, not null"),
        ([], "hot_fix is an object, not a list"),
        (1.5, "hot_fix is an object, not a number"),
        ({"replaces": []}, "hot_fix holds 'replaces'; 'pronunciation' and 'replace' are known"),
        ({"replace": {"a": "b"}}, "hot_fix.replace is a list of objects {word: reading}, not an object"),
        ({"replace": ["a"]}, "hot_fix.replace holds 'a'; each entry is an object with one key"),
        ({"replace": [{}]}, "hot_fix.replace holds {}; each entry is an object with one key"),
        ({"replace": [{"a": "b", "c": "d"}]}, "each entry is an object with one key"),
        ({"replace": [{"": "b"}]}, "hot_fix.replace holds the word ''; a word has 1 to 64 characters"),
        ({"replace": [{1: "b"}]}, "hot_fix.replace holds the word 1; a word has 1 to 64 characters"),
        ({"replace": [{"x" * 65: "b"}]}, "a word has 1 to 64 characters"),
        ({"replace": [{"a": True}]}, "hot_fix.replace of 'a' is a string, not a boolean"),
        ({"replace": [{"a": "x" * 1001}]}, "hot_fix.replace of 'a' has 1001 characters; 1000 are allowed"),
        ({"replace": [{"a": "b"}] * 1001}, "hot_fix.replace holds 1001 words; at most 1000 are allowed"),
        (
            {"pronunciation": [{"天气": "tian1"}]},
            "hot_fix.pronunciation of '天气': '天气' and its pinyin differ in length",
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
    fix = HotFix.from_wire({"replace": [{"a" * 60 + f"{n:04}": "b"} for n in range(1000)]})
    spoken = fix.apply(Spoken.plain("a" * 20_000))

    assert spoken.text == "a" * 20_000
    assert time.thread_time_ns() - begin_ns < 2_000_000_000
