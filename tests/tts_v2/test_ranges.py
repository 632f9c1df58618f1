from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.tts_v2.errors import InvalidParameter, InvalidParameterType
from bridge.tts_v2.ranges import LANGUAGES, check_parameters
from bridge.ttsserver.polyglot import runs_of

GOOD: list[tuple[str, Any]] = [
    ("voice", "longanyang"),
    ("volume", 0),
    ("volume", 100),
    ("volume", 50.0),
    ("rate", 0.5),
    ("rate", 2),
    ("pitch", 2.0),
    ("seed", 65535),
    ("type", 3),
    ("bit_rate", 6),
    ("bit_rate", 510),
    ("instruction", "字" * 50),
    ("instruction", "a" * 100),
    ("language_hints", ["zh"]),
    ("language_hints", []),
    ("language_hints", ("fil", "anything")),
    ("enable_ssml", True),
    ("word_timestamp_enabled", False),
    ("aigc_propagator", "somebody"),
    ("hot_fix", {"pronunciation": [{"草地": "cao3 di4"}], "replace": [{"a": "b"}]}),
    ("hot_fix", {}),
    ("volume", None),
    ("unheard_of", object()),
]
OUT_OF_RANGE: list[tuple[str, Any, str]] = [
    ("voice", "", "voice must not be empty"),
    ("volume", -5, "volume must be an integer from 0 to 100, not -5"),
    ("volume", 101, "volume must be an integer from 0 to 100, not 101"),
    ("volume", 50.5, "volume must be an integer from 0 to 100, not 50.5"),
    ("rate", 99, "speech_rate must be a number from 0.5 to 2.0, not 99"),
    ("rate", 0.49, "speech_rate must be a number from 0.5 to 2.0, not 0.49"),
    ("pitch", float("nan"), "pitch_rate must be a number from 0.5 to 2.0, not nan"),
    ("pitch", float("inf"), "pitch_rate must be a number from 0.5 to 2.0, not inf"),
    ("seed", 65536, "seed must be an integer from 0 to 65535, not 65536"),
    ("seed", 10**9, "seed must be an integer from 0 to 65535, not 1000000000"),
    ("bit_rate", 5, "bit_rate must be an integer from 6 to 510, not 5"),
    ("bit_rate", 511, "bit_rate must be an integer from 6 to 510, not 511"),
    (
        "instruction",
        "a" * 101,
        "instruction must have at most 100 characters, a hanzi counted as two, not 101",
    ),
    ("instruction", "字" * 51, "not 102"),
    ("hot_fix", {"other": []}, "hot_fix must hold 'pronunciation' and 'replace' alone"),
    ("hot_fix", {"replace": [{"a": "b", "c": "d"}]}, "must hold objects with one key each"),
    ("hot_fix", {"pronunciation": [{"天": "tian"}]}, "must be pinyin: 'tian' is no pinyin syllable"),
    ("language_hints", ["xx"], "language_hints must begin with one of zh, en, fr, .*not 'xx'"),
]
WRONG_TYPE: list[tuple[str, Any, str]] = [
    ("voice", 5, "voice must be a string, not 5"),
    ("volume", "50", "volume must be an integer from 0 to 100, not '50'"),
    ("volume", True, "volume must be an integer"),
    ("rate", "x", "speech_rate must be a number"),
    ("pitch", False, "pitch_rate must be a number"),
    ("type", "0", "synthesis_type must be an integer, not '0'"),
    ("instruction", 5, "instruction must be a string"),
    ("language_hints", "zh", "language_hints must be a list of strings, not 'zh'"),
    ("language_hints", [5], "language_hints must be a list of strings"),
    ("word_timestamp_enabled", 1, "word_timestamp_enabled must be True or False, not 1"),
    ("aigc_propagate_id", 5, "aigc_propagate_id must be a string"),
    ("hot_fix", "a", "hot_fix must be an object, not a string"),
    ("hot_fix", {"replace": "ab"}, r"hot_fix\.replace must be a list"),
    ("hot_fix", {"replace": {"a": "b"}}, "must be a list"),
    ("hot_fix", {"replace": ["a"]}, "must be a list"),
    ("hot_fix", {"pronunciation": [{"a": 5}]}, "must be a string"),
]


@pytest.mark.parametrize(("name", "value"), GOOD)
def test_what_the_documents_allow_is_taken(name: str, value: object) -> None:
    check_parameters({name: value})


@pytest.mark.parametrize(("name", "value", "message"), OUT_OF_RANGE)
def test_what_is_out_of_range_is_named_with_its_range(name: str, value: object, message: str) -> None:
    with pytest.raises(InvalidParameter, match=message) as caught:
        check_parameters({name: value})

    assert not isinstance(caught.value, TypeError)


@pytest.mark.parametrize(("name", "value", "message"), WRONG_TYPE)
def test_what_has_the_wrong_type_is_named_with_the_right_one(name: str, value: object, message: str) -> None:
    with pytest.raises(InvalidParameterType, match=message):
        check_parameters({name: value})


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_embedded_service_has_a_voice_for_every_language_that_may_be_named(language: str) -> None:
    assert runs_of("Hello 42", language)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(sorted({name for name, _ in GOOD})), ANYTHING)
def test_whatever_is_given_is_taken_or_refused_in_our_words(name: str, value: object) -> None:
    said = "it must be right, or we say so"
    try:
        check_parameters({name: value})
    except InvalidParameter as error:
        said = str(error)

    assert " must " in said
