import json
from pathlib import Path

import hibari
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.text.passage import Pronunciation
from bridge.ttsserver.mandarin import sounds_of, syllable
from bridge.ttsserver.voice import UnspeakableError

ALPHABET = json.loads((Path(hibari.__file__).parent / "assets" / "vocab.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("pinyin", "signs"),
    [
        ("ma1", "ma→"), ("ni3", "ni↓"), ("hao3", "xau↓"), ("zhong1", "ꭧʊ→ŋ"), ("shi4", "ʂɨ↘"),
        ("zi5", "ʦɨ"), ("er2", "ɚ↗"), ("yuan2", "ɥɛ↗n"), ("yue4", "ɥe↘"), ("you3", "jou↓"), ("wei4", "wei↘"),
        ("weng1", "wə→ŋ"), ("jun1", "ʨy→n"), ("xuan3", "ɕɥɛ↓n"), ("lv4", "ly↘"), ("lü4", "ly↘"),
        ("nu:3", "ny↓"), ("lue4", "lɥe↘"), ("bo1", "pwo→"), ("o2", "ɔ↗"), ("ng4", "ŋ↘"),
        ("xiong1", "ɕjʊ→ŋ"), ("liu4", "ljou↘"), ("gui1", "kwei→"),
    ],
)  # fmt: skip
def test_a_syllable_is_built_as_it_is_said(pinyin: str, signs: str) -> None:
    assert syllable(pinyin) == signs


@pytest.mark.parametrize("pinyin", ["", "zzz", "hello", "ni9", "3"])
def test_what_is_no_syllable_is_refused_with_an_example(pinyin: str) -> None:
    with pytest.raises(UnspeakableError, match="zhong1 wen2"):
        syllable(pinyin)


def test_words_stand_apart_and_each_character_has_its_signs() -> None:
    signs, heard = sounds_of("您好，欢迎。")

    assert signs == "ni↗nxau↓, xwa→ni↗ŋ."
    assert [signs[item.first : item.last] for item in heard] == ["ni↗n", "xau↓", "xwa→n", "i↗ŋ"]
    assert [(item.begin, item.end) for item in heard] == [(0, 1), (1, 2), (3, 4), (4, 5)]


def test_a_number_is_one_stretch_whatever_it_is_read_as() -> None:
    text = "共15件"

    _, heard = sounds_of(text)

    assert [text[item.begin : item.end] for item in heard] == ["共", "15", "件"]


def test_a_character_is_read_by_the_word_it_stands_in() -> None:
    bank, walk = sounds_of("银行")[0], sounds_of("行走")[0]

    assert "xa↗ŋ" in bank
    assert "ɕi↗ŋ" in walk


def test_a_given_pronunciation_replaces_the_dictionary_s() -> None:
    given = (Pronunciation(2, 4, "py", "xing2 zou3"),)

    signs, heard = sounds_of("银行银行。", given)

    assert signs.startswith("i↗nxa↗ŋ ɕi↗ŋʦou↓")
    assert len(heard) == 4


@pytest.mark.parametrize(
    ("sounds", "named"),
    [("yin2", "1 syllables for 2 characters"), ("yin2 qq1", "'qq1' is no syllable"), ("", "0 syllables")],
)
def test_a_pronunciation_that_does_not_fit_is_refused(sounds: str, named: str) -> None:
    with pytest.raises(UnspeakableError, match=named):
        sounds_of("银行", (Pronunciation(0, 2, "py", sounds),))


def test_a_chinese_word_takes_no_arpabet() -> None:
    with pytest.raises(UnspeakableError, match="py, not 'cmu'"):
        sounds_of("银行", (Pronunciation(0, 2, "cmu", "Y IH1 N"),))


def test_a_character_nobody_can_read_is_named() -> None:
    with pytest.raises(UnspeakableError, match="does not know the sound of"):
        sounds_of("\U000323af")


@given(st.text("你好行了一不，。？！0123456789 -:%abc—（）", max_size=40))
def test_every_sign_is_one_that_the_network_knows(text: str) -> None:
    signs, heard = sounds_of(text)

    assert set(signs) <= set(ALPHABET)
    assert all(item.first < item.last for item in heard)
    assert [item.begin for item in heard] == sorted(item.begin for item in heard)
