import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.text import say_as_en, say_as_zh
from bridge.text.passage import Pronunciation
from bridge.text.phonetics import check_sounds
from bridge.text.say_as import _SURNAMES, KINDS, read_as, surname_sounds

TEXTS = st.text(alphabet="0123456789.,-~/:%$+() 年月日am元kg一A", max_size=30) | st.text(max_size=20)


def test_the_language_decides() -> None:
    assert read_as("cardinal", "12", chinese=True) == "十二"
    assert read_as("cardinal", "12", chinese=False) == "twelve"


def test_the_kinds_are_the_documented_ones_in_both_languages() -> None:
    documented = "cardinal digits telephone name address id characters punctuation date time currency measure"

    assert list(KINDS) == documented.split()
    assert list(say_as_en.READERS) == list(say_as_zh.READERS)


@pytest.mark.parametrize("text", ["soon", "", "9" * 501])
def test_what_is_no_date_is_said_as_it_stands(text: str) -> None:
    assert read_as("date", text, chinese=True) == text


@given(st.sampled_from(KINDS), TEXTS, st.booleans())
def test_any_text_of_any_kind_has_a_reading(kind: str, text: str, chinese: bool) -> None:
    assert bool(read_as(kind, text, chinese=chinese)) == bool(text)


def test_a_surname_sounds_as_a_surname() -> None:
    assert surname_sounds("曾小凡") == (Pronunciation(0, 1, "py", "zeng1"),)
    assert surname_sounds(" 尉迟恭") == (Pronunciation(1, 3, "py", "yu4 chi2"),)
    assert surname_sounds("王小凡") == ()


@pytest.mark.parametrize("surname", _SURNAMES)
def test_every_surname_has_a_sound_for_each_character(surname: str) -> None:
    ((_, _, alphabet, sounds),) = [
        (sound.begin, sound.end, sound.alphabet, sound.sounds) for sound in surname_sounds(surname + "某")
    ]

    assert check_sounds(alphabet, sounds, surname) == sounds
