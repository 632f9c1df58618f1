import datetime

import pytest

from bridge.app.schema import Path, dotted, expected, field_at, leaves, shown, suggestion


def test_every_leaf_is_a_setting_with_a_sentence_about_it() -> None:
    for leaf in leaves():
        field = field_at(leaf) or field_at((leaf[0], 0, *leaf[1:]))
        assert field is not None, dotted(leaf)
        assert field.description, dotted(leaf)


@pytest.mark.parametrize(
    "path",
    [
        ("sip", "nothing"),
        ("sip", "listen", "port"),
        ("sip", 0),
        ("routes", "to"),
        ("routes", 0, 0),
        ("x", "y"),
    ],
)
def test_what_is_no_setting_has_no_field(path: Path) -> None:
    assert field_at(path) is None


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        (("call", "drain_s"), "a whole number from 0 to 86400"),
        (("start", "self_call"), "true or false"),
        (("log", "format"), 'one of "text", "json"'),
        (("tts", "model"), "text in quotes that is not empty"),
        (("routes", 0, "language"), "text in quotes of at most 16 characters"),
        (("routes", 0, "greeting"), "text in quotes"),
        (("sip", "allow"), "a list"),
        (("prompts",), "a table [prompts] with folder"),
        (("routes",), "a list of tables [[routes]]"),
        (("trunks",), "a list of tables [[trunks]]"),
        (("nothing",), "something else"),
    ],
)
def test_what_a_key_takes_is_said_in_words(path: Path, sentence: str) -> None:
    assert expected(path) == sentence


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        (("http", "listn"), "did you mean http.listen?"),
        (("sip", "spares"), "did you mean tts.spares?"),
        (("tts_servr", "listen"), "did you mean "),
        (("log", "qqq"), "[log] takes level, format"),
        (("zzz", "qqq"), "there is no [zzz]"),
        (("routes", 0, "voic"), "did you mean routes.0.voice?"),
    ],
)
def test_a_wrong_key_is_met_with_the_nearest_right_one(path: Path, sentence: str) -> None:
    assert suggestion(path).startswith(sentence)


def test_values_are_shown_as_toml_would_write_them() -> None:
    day = datetime.date(2026, 1, 31)

    assert shown(("sip", "listen"), "ü:1") == '"ü:1"'
    assert shown(("start", "self_call"), True) == "true"
    assert shown(("sip", "allow"), [1, "a"]) == '[1, "a"]'
    assert shown(("sip", "listen"), day) == "2026-01-31"
    assert len(shown(("sip", "user_agent"), "x" * 500)) == 80


def test_a_secret_is_not_shown_with_the_table_that_it_stands_in() -> None:
    wrong = {"name": "a", "password": "sk-1", "more": [{"api_key": "sk-2"}]}

    assert "sk-" not in shown(("trunks", 0), wrong)
    assert '"name": "a"' in shown(("trunks", 0), wrong)


@pytest.mark.parametrize(
    "path", [("tts", "api_key"), ("http", "token"), ("tts_server", "api_keys"), ("x", "password")]
)
def test_a_secret_is_never_shown(path: Path) -> None:
    assert shown(path, "sk-123") == "(hidden)"
