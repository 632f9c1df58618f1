import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.text.characters import count_characters, is_hanzi


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("你好", 4),
        ("中A文123", 8),
        ("中文。", 5),
        ("中 文。", 6),
        ("", 0),
        ("ひらがな", 4),
        ("한글", 2),
        ("𠀀", 2),
    ],
)
def test_the_documented_examples_count_as_documented(text: str, count: int) -> None:
    assert count_characters(text) == count


def test_tags_are_free_only_in_ssml() -> None:
    assert count_characters("<speak>你好</speak>", ssml=True) == 4
    assert count_characters("a<b", ssml=True) == 3
    assert count_characters("<b>", ssml=False) == 3
    assert count_characters("<speak>你好</speak>") == 19


def test_plain_text_counts_in_full_where_ssml_is_enabled() -> None:
    assert count_characters("a <b> &lt; c", ssml=True) == 12


def test_an_entity_counts_as_its_character() -> None:
    assert count_characters("<speak>a&lt;b&#20013;</speak>", ssml=True) == 4
    assert count_characters("<speak>a & b</speak>", ssml=True) == 5


def test_a_tag_is_free_whatever_its_attributes_hold() -> None:
    text = """<speak><sub alias="a > 'b'">你</sub><!-- it's free --></speak>"""

    assert count_characters(text, ssml=True) == 2


@given(st.text(), st.text())
def test_counting_adds_up(left: str, right: str) -> None:
    assert count_characters(left + right) == count_characters(left) + count_characters(right)


@given(st.characters())
def test_only_a_hanzi_counts_two(character: str) -> None:
    assert count_characters(character) == (2 if is_hanzi(character) else 1)
