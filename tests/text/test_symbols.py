import string

from bridge.text.symbols import GREEK, chinese_name, english_name


def test_every_mark_of_the_keyboard_has_a_name() -> None:
    assert all(chinese_name(mark) and english_name(mark) for mark in string.punctuation)
    assert chinese_name("a") is None
    assert english_name("中") is None


def test_names_of_several_words_have_blanks() -> None:
    assert english_name("(") == "left parenthesis"
    assert chinese_name("（") == "左括号"


def test_greek_letters_are_known_by_their_names() -> None:
    assert GREEK["alpha"] == "阿尔法"
    assert len(GREEK) == 24
