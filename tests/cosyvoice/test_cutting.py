import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.cosyvoice.cutting import cut_text, take_text
from bridge.text.characters import count_characters


def test_a_text_that_fits_is_not_cut() -> None:
    assert list(cut_text("Hello there. Who", 20)) == ["Hello there. Who"]


def test_nothing_is_cut_into_nothing() -> None:
    assert list(cut_text("", 20)) == []


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("One two four. Six ten", ["One two four. ", "Six ten"]),
        ("One two three four", ["One two three ", "four"]),
        ("你好。你好吗？再见", ["你好。", "你好吗？", "再见"]),
        ("a" * 40, ["a" * 16, "a" * 16, "a" * 8]),
        ("你" * 10, ["你" * 8, "你" * 2]),
    ],
)
def test_a_text_is_cut_at_a_sentence_else_at_a_blank_else_anywhere(text: str, pieces: list[str]) -> None:
    most = 10 if "好" in text else 16

    assert list(cut_text(text, most)) == pieces


def test_the_beginning_of_a_text_that_goes_on_ends_at_a_border_too() -> None:
    assert take_text("One two", 20, is_rest=False) == "One "
    assert take_text("One two", 20) == "One two"


@given(st.text(alphabet="ab .。你\n,", max_size=200), st.integers(2, 30))
def test_the_pieces_are_the_text_and_none_is_too_long(text: str, most: int) -> None:
    pieces = list(cut_text(text, most))

    assert "".join(pieces) == text
    assert all(0 < count_characters(piece) <= most for piece in pieces)


def test_a_long_text_is_cut_in_linear_time() -> None:
    began_s = time.process_time()

    pieces = list(cut_text("你a" * 100_000, 20_000))

    assert len(pieces) >= 15
    assert time.process_time() - began_s < 2
