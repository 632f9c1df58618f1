from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.ports import WordTime
from bridge.text.passage import Pronunciation
from bridge.ttsserver.casting import cast_of
from bridge.ttsserver.espeak import LANGUAGES
from bridge.ttsserver.polyglot import Polyglot, runs_of
from bridge.ttsserver.script import is_speakable
from bridge.ttsserver.voice import Delivery, Engine, Rendered, UnspeakableError


class Actor:
    """Says 10 ms a character at a rate of its own, and remembers its lines."""

    def __init__(self, lines: list[tuple[str, str, Delivery]], name: str, rate: int) -> None:
        self._lines = lines
        self._name = name
        self._rate = rate

    def check(self, text: str) -> None:
        self._lines.append((f"check {self._name}", text, Delivery()))

    def breath(self, text: str) -> tuple[int, int]:
        return (5, 9) if self._name == "zh" else (50, 90)

    def render(self, text: str, delivery: Delivery) -> Rendered:
        self._lines.append((self._name, text, delivery))
        if "…" in text:
            return Rendered(np.zeros(0, np.int16), self._rate)
        count = len(text) * self._rate // 100
        return Rendered(
            np.ones(count, np.int16), self._rate, (WordTime(text, 0, len(text), 0, 10 * len(text)),)
        )


class Troupe:
    def __init__(self) -> None:
        self.lines: list[tuple[str, str, Delivery]] = []

    def english(self) -> Engine:
        return Actor(self.lines, "en", 24000)

    def mandarin(self, style: str) -> Engine:
        return Actor(self.lines, "zh", 24000)

    def japanese(self, style: str) -> Engine:
        return Actor(self.lines, "ja", 24000)

    def other(self, *, is_female: bool) -> Engine:
        return Actor(self.lines, "other", 22050)

    def said(self) -> list[tuple[str, str]]:
        return [(name, text) for name, text, _ in self.lines]


@pytest.fixture
def troupe() -> Troupe:
    return Troupe()


@pytest.fixture
def voice(troupe: Troupe) -> Polyglot:
    return Polyglot(cast_of("longanyang"), troupe)


@pytest.mark.parametrize(
    ("text", "hint", "parts"),
    [
        ("Hello there.", "", [("Hello there.", "en")]),
        ("您好，世界。", "", [("您好，世界。", "zh")]),
        ("您的iPhone已发货。", "", [("您的", "zh"), ("iPhone", "en"), ("已发货。", "zh")]),
        ("Hello 你好", "", [("Hello ", "en"), ("你好", "zh")]),
        ("共3件，15:30到。", "", [("共3件，15:30到。", "zh")]),
        ("iPhone 15已发货", "", [("iPhone ", "en"), ("15已发货", "zh")]),
        ("A4纸", "", [("A4", "en"), ("纸", "zh")]),
        ("重5 km。", "", [("重5 km。", "zh")]),
        ("走5 kmart。", "", [("走5 ", "zh"), ("kmart。", "en")]),
        ("（注意）看", "", [("（注意）看", "zh")]),
        ("東京は2020年", "", [("東京は2020年", "ja")]),
        ("東京", "ja", [("東京", "ja")]),
        ("東京", "", [("東京", "zh")]),
        ("Привет, мир", "", [("Привет, мир", "ru")]),
        ("Привіт", "uk", [("Привіт", "uk")]),
        ("안녕 2", "", [("안녕 2", "ko")]),
        ("Bonjour 12", "fr", [("Bonjour 12", "fr")]),
        ("Hello Привет", "ru", [("Hello ", "en"), ("Привет", "ru")]),
        ("10:30", "zh", [("10:30", "zh")]),
        ("10:30", "zh-CN", [("10:30", "zh")]),
        ("10:30", "", [("10:30", "en")]),
        ("สวัสดี", "th", [("สวัสดี", "th")]),
        ("", "", []),
    ],
)
def test_each_part_goes_to_who_reads_its_script(text: str, hint: str, parts: list[tuple[str, str]]) -> None:
    assert [(text[run.begin : run.end], run.language) for run in runs_of(text, hint)] == parts


def test_a_given_pronunciation_decides_who_reads() -> None:
    text = "say AB now"

    runs = runs_of(text, given=(Pronunciation(4, 6, "py", "a1 bo1"),))

    assert [(text[run.begin : run.end], run.language) for run in runs] == [
        ("say ", "en"),
        ("AB ", "zh"),
        ("now", "en"),
    ]


def test_a_language_or_script_that_nobody_reads_is_named() -> None:
    with pytest.raises(UnspeakableError, match="language 'xx'"):
        runs_of("Hello", "xx")
    with pytest.raises(UnspeakableError, match="Cherokee"):
        runs_of("ᏣᎳᎩ")


def test_the_parts_are_one_sound_at_one_rate_with_times_that_fit(voice: Polyglot, troupe: Troupe) -> None:
    rendered = voice.render("Hello, Привет.", Delivery())

    assert troupe.said() == [("en", "Hello, "), ("other", "Привет.")]
    assert rendered.rate == 24000
    assert [(word.begin_index, word.end_index) for word in rendered.words] == [(0, 7), (7, 14)]
    # 70 ms, then the pause of a comma.
    assert [(word.begin_ms, word.end_ms) for word in rendered.words] == [(0, 70), (160, 230)]
    assert abs(len(rendered.samples) - 24 * 230) < 24


def test_one_part_is_handed_on_as_it_is(voice: Polyglot) -> None:
    rendered = voice.render("Привет", Delivery())

    assert rendered.rate == 22050


def test_pronunciations_go_with_their_part_counted_from_its_beginning(
    voice: Polyglot, troupe: Troupe
) -> None:
    delivery = Delivery(
        pronunciations=(Pronunciation(0, 2, "py", "ni3 hao3"), Pronunciation(3, 5, "cmu", "AY1"))
    )

    voice.render("你好 hi", delivery)

    (_, _, chinese), (_, _, english) = troupe.lines
    assert chinese.pronunciations == (Pronunciation(0, 2, "py", "ni3 hao3"),)
    assert english.pronunciations == (Pronunciation(0, 2, "cmu", "AY1"),)


def test_each_engine_is_told_the_language_and_the_timbre_of_the_cast(voice: Polyglot, troupe: Troupe) -> None:
    voice.render("Hello 你好 Привет", Delivery())

    cast = cast_of("longanyang")
    assert [delivery.language for *_, delivery in troupe.lines] == ["en", "zh", "ru"]
    assert [delivery.timbre for *_, delivery in troupe.lines] == [cast.english, cast.eastern, cast.other]


def test_letters_that_come_out_silent_are_an_error(voice: Polyglot) -> None:
    with pytest.raises(UnspeakableError, match="'Hello…'"):
        voice.render("Hello…", Delivery())


def test_nothing_to_pronounce_is_no_sound_and_nobody_is_asked(voice: Polyglot, troupe: Troupe) -> None:
    assert len(voice.render(" — 😀 。", Delivery()).samples) == 0
    assert troupe.lines == []


def test_a_check_asks_those_who_may_be_missing(voice: Polyglot, troupe: Troupe) -> None:
    voice.check("Hello 你好 Привет")

    assert troupe.said() == [("check other", "Привет")]


def test_the_slowest_voice_sets_the_length_of_a_piece(voice: Polyglot) -> None:
    assert voice.breath("Hello") == (50, 90)
    assert voice.breath("Hello 你好") == (5, 9)


@given(st.text("aZ你好あ3,. 。안é-%km", max_size=40), st.sampled_from(["", "en", "zh", "ja", *LANGUAGES]))
def test_the_runs_are_the_whole_text_and_no_two_neighbours_are_alike(text: str, hint: str) -> None:
    runs = runs_of(text, hint)

    assert "".join(text[run.begin : run.end] for run in runs) == text
    assert all(left.language != right.language for left, right in pairwise(runs))
    assert all(is_speakable(text[run.begin : run.end]) for run in runs) or len(runs) <= 1


def test_filipino_is_read_by_a_neighbour() -> None:
    assert {run.language for run in runs_of("Kumusta ka?", "fil")} == {"id"}
