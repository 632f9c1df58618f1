import json
from pathlib import Path

import hibari
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.text.passage import Pronunciation
from bridge.ttsserver.japanese import japanese_sounds
from bridge.ttsserver.voice import UnspeakableError

ALPHABET = json.loads((Path(hibari.__file__).parent / "assets" / "vocab.json").read_text(encoding="utf-8"))


def nothing_installed() -> bool:
    return False


def test_kanji_particles_and_numbers_are_read_with_the_dictionary() -> None:
    text = "私は3月に東京へ行きます。"

    signs, heard = japanese_sounds(text)

    assert signs.startswith("βataɕiβa saŋɡaʦɨ")
    assert "toːkʲoːe" in signs.replace(" ", "")
    assert [text[item.begin : item.end] for item in heard][:4] == ["私", "は", "3月", "に"]
    assert signs.endswith(".")


@pytest.mark.parametrize(
    ("text", "signs"),
    [
        ("こんにちは", "koɲɲiʨiβa"),
        ("ちょっと ラーメン。", "ʨoʔto ɾaːmeɴ."),
        ("ｱｲﾌｫﾝ", "aiɸoɴ"),
        ("シェフ、ウィーン", "ɕeɸɯ, βiːɴ"),
        ("12ばん", "iʨi ɲi baɴ"),
        ("しんぶん さんか", "ɕimbɯɴ saŋka"),
    ],
)
def test_kana_are_read_as_they_are_written_without_it(text: str, signs: str) -> None:
    assert japanese_sounds(text, has_dictionary=nothing_installed)[0] == signs


def test_kanji_without_a_dictionary_are_refused_with_what_installs_it() -> None:
    with pytest.raises(UnspeakableError, match=r"pip install pyopenjtalk-plus"):
        japanese_sounds("東京", has_dictionary=nothing_installed)


def test_there_is_no_alphabet_for_japanese_pronunciations() -> None:
    with pytest.raises(UnspeakableError, match="'dong1'"):
        japanese_sounds("東", (Pronunciation(0, 1, "py", "dong1"),))


@given(st.text("あいうきゃゅっんーアヴェ東京 、。12０「", max_size=30))
def test_every_sign_is_one_that_the_network_knows(text: str) -> None:
    signs, heard = japanese_sounds(text)

    assert set(signs) <= set(ALPHABET)
    assert all(0 <= item.begin <= item.end <= len(text) for item in heard)
