import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.ttsserver.script import foreign_script, is_eastern, is_speakable, plain, require_latin, script_of
from bridge.ttsserver.voice import UnspeakableError


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("你好", "Chinese"),
        ("Hello 你好 there", "Chinese"),
        ("こんにちは", "Japanese"),
        ("ｶﾀｶﾅ", "Japanese"),
        ("안녕", "Korean"),
        ("Привет", "Cyrillic"),
        ("مرحبا", "Arabic"),
        ("สวัสดี", "Thai"),
    ],
)
def test_a_foreign_script_is_named_as_people_name_it(text: str, script: str) -> None:
    assert foreign_script(text) == script


@pytest.mark.parametrize(
    "text", ["plain", "café, naïve, Łódź", "５ µm", "😀 fine", "Ｗide", "№ 3 → 4", "。，！"]
)
def test_what_a_latin_voice_can_read_is_not_foreign(text: str) -> None:
    assert foreign_script(text) is None


@pytest.mark.parametrize(
    ("character", "script"),
    [
        ("a", "Latin"),
        ("é", "Latin"),
        ("好", "Chinese"),
        ("〇", "Chinese"),
        ("ー", "Japanese"),
        ("5", ""),
        ("，", ""),
        ("ा", "Devanagari"),
        ("ั", "Thai"),
        ("😀", ""),
    ],
)
def test_each_letter_has_a_script_and_other_signs_have_none(character: str, script: str) -> None:
    assert script_of(character) == script


def test_a_refusal_names_the_script() -> None:
    with pytest.raises(UnspeakableError, match=r"Latin letters.*Chinese"):
        require_latin("你好")


def test_wide_punctuation_and_digits_are_written_the_ascii_way() -> None:
    assert plain("Ｈello，world。２３ [x]\n") == "Hello,world.23 (x) "


def test_a_lone_dash_or_smile_is_nothing_to_pronounce() -> None:
    assert not is_speakable(" — … 😀 。")
    assert is_speakable("5")
    assert is_speakable("%")


@given(st.text())
def test_offsets_survive_plain_writing(text: str) -> None:
    assert len(plain(text)) == len(text)


def test_chinese_and_japanese_are_eastern_and_nothing_else_is() -> None:
    assert all(map(is_eastern, ("您好", "Hello 好", "かな", "カナ")))
    assert not any(map(is_eastern, ("", "Hello", "Привет", "12。", "¿Qué?")))
