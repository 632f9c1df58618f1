import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.text.characters import count_characters, has_hanzi, is_hanzi
from bridge.text.reader import ReadingOptions
from bridge.text.ssml import read_ssml


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


@pytest.mark.parametrize(
    ("document", "count"),
    [
        ("<speak>a&lt;b&#20013;&#x4e2d;&#97;</speak>", 8),
        ("<speak>a & b &nbsp; &#0;</speak>", 17),
        ("""<speak><sub alias="a > 'b'">你</sub><!-- it's free > <i> --></speak>""", 2),
        ("<speak><![CDATA[hello <b> &lt; 你]]></speak>", 17),
        ("<speak>a<!-- <![CDATA[b]]> -->c<![CDATA[<!-- d -->]]></speak>", 12),
        ("<speak>a<![CDATA[]]]]><!----->b</speak>", 4),
        (
            "\ufeff<?xml version='1.0'?>\n<!-- a --> <speak>a </speak>\n<!-- --> <speak/>\n<speak>b</speak> ",
            3,
        ),
        ("<speak>a <break time='1s'> <!-- b -->\n</break> b <break/> c</speak>", 7),
        ("<speak rate='1'/> <speak bgm='a/>' />\n<speak>b</speak>", 1),
        ("<speak>a<!-- never closed", 1),
        ("<speak>a<![CDATA[b<i>", 5),
    ],
)
def test_of_a_document_counts_what_is_written_in_it_for_the_voice(document: str, count: int) -> None:
    assert count_characters(document, ssml=True) == count


PIECES = st.lists(
    st.sampled_from(
        [
            ("a", "a"),
            ("你 ", "你 "),
            ("&lt;", "<"),
            ("&#x4e2d;", "中"),
            ("<![CDATA[<a>&lt;]]>", "<a>&lt;"),
            ("<![CDATA[]]]>", "]"),
            ("<!-- > < <b> ]]> -->", ""),
            ("<break/>", ""),
            ("<break time='1s'>\n</break>", ""),
            ("<sub alias='a > b'>W</sub>", "W"),
            ("</speak> <!-- 你 -->\n<speak rate='2'>", ""),
            ("</speak>\t<speak/> <speak>", ""),
        ]
    ),
    max_size=12,
)


@given(PIECES)
def test_what_is_counted_is_what_the_sentences_are_written_with(pieces: list[tuple[str, str]]) -> None:
    document = f" <speak>{''.join(markup for markup, _ in pieces)}</speak>\n"
    sentences = list(read_ssml(document, ReadingOptions()))

    assert "".join(sentence.text for sentence in sentences) == "".join(text for _, text in pieces)
    assert count_characters(document, ssml=True) == sum(count_characters(found.text) for found in sentences)


@pytest.mark.parametrize(
    "pattern",
    [
        "<a",
        "&#",
        '<a "b',
        "<!--",
        "<!---->",
        "<![CDATA[",
        "</speak> ",
        "<b/> <!---->",
        "&#20013;",
        "<!-- -",
        "]]>",
    ],
)
def test_counting_takes_as_long_as_the_text_is(pattern: str) -> None:
    short_ns, long_ns = work_ns(pattern, 2_000), work_ns(pattern, 16_000)

    # Eight times the text: the square would be 64 times the work.
    assert long_ns < 30 * short_ns


def work_ns(pattern: str, count: int) -> int:
    document = "<speak>" + pattern * count
    best_ns = 1 << 62
    for _ in range(3):
        begin_ns = time.thread_time_ns()
        count_characters(document, ssml=True)
        best_ns = min(best_ns, time.thread_time_ns() - begin_ns)
    return best_ns


@given(st.text(), st.text())
def test_counting_adds_up(left: str, right: str) -> None:
    assert count_characters(left + right) == count_characters(left) + count_characters(right)


@given(st.characters())
def test_only_a_hanzi_counts_two(character: str) -> None:
    assert count_characters(character) == (2 if is_hanzi(character) else 1)


@given(st.text())
def test_a_text_has_hanzi_if_one_of_its_characters_is_one(text: str) -> None:
    assert has_hanzi(text) == any(map(is_hanzi, text))
