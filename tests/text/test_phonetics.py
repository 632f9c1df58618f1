import pytest

from bridge.text.phonetics import check_sounds


@pytest.mark.parametrize(
    ("sounds", "text", "checked"),
    [
        ("dian3 dang4 hang2", "典当行", "dian3 dang4 hang2"),
        ("  LV4  se4 ", "绿色", "lv4 se4"),
        ("lü4 nu:3", "绿女", "lv4 nv3"),
        ("nüe4 lue4", "虐略", "nve4 lve4"),
        ("ma5", "吗", "ma5"),
        ("san1 ge5", "3 个", "san1 ge5"),
    ],
)
def test_pinyin_is_taken_in_every_usual_spelling(sounds: str, text: str, checked: str) -> None:
    assert check_sounds("py", sounds, text) == checked


@pytest.mark.parametrize("sounds", ["dian", "dian6", "dian0", "xq1", "1", "bue3", "典1"])
def test_what_is_no_syllable_is_named(sounds: str) -> None:
    with pytest.raises(ValueError, match=f"'{sounds}' is no pinyin syllable; write letters and a tone"):
        check_sounds("py", sounds, "典")


@pytest.mark.parametrize(("sounds", "count"), [("dian3", 1), ("dian3 dang4 hang2", 3), ("", 0)])
def test_every_character_has_one_syllable(sounds: str, count: int) -> None:
    with pytest.raises(ValueError, match=f"'典当' and its pinyin differ in length, 2 and {count};"):
        check_sounds("py", sounds, "典当")


def test_arpabet_may_carry_stress_on_vowels() -> None:
    assert check_sounds("cmu", "s ay1 N", "sign") == "S AY1 N"
    assert check_sounds("cmu", "S AY N", "sin") == "S AY N"


@pytest.mark.parametrize("symbol", ["XX", "S1", "AY3", "AY12"])
def test_what_is_no_arpabet_symbol_is_named(symbol: str) -> None:
    with pytest.raises(
        ValueError, match=f"'{symbol}' is no ARPABET symbol; write those of the CMU dictionary"
    ):
        check_sounds("cmu", f"S {symbol}", "sin")


def test_some_sound_must_be_given() -> None:
    with pytest.raises(ValueError, match="no ARPABET symbol is given"):
        check_sounds("cmu", " ", "sin")


def test_a_long_word_is_cut_in_the_message() -> None:
    with pytest.raises(ValueError, match=r"'x{40}…' is no"):
        check_sounds("py", "x" * 1000, "典")
