import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.ttsserver.script import foreign_script, is_speakable, plain, require_latin
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


def test_a_refusal_names_the_script_and_what_to_do() -> None:
    with pytest.raises(UnspeakableError, match=r"Chinese.*Latin letters.*tts\.url"):
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
