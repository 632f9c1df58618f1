import json
from typing import Any

import pytest

from bridge.tts_v2.endpoint import Endpoint
from bridge.tts_v2.errors import InputRequired, InvalidParameter, InvalidParameterType
from bridge.tts_v2.formats import AudioFormat, HotFix
from bridge.tts_v2.request import Request, check_text, make_request

WHERE = Endpoint("ws://127.0.0.1:9/", ())
ARGUMENTS: dict[str, object] = {
    "voice": "tone",
    "volume": 50,
    "rate": 1.0,
    "pitch": 1.0,
    "seed": 0,
    "type": 0,
    "instruction": None,
    "language_hints": None,
}


def made(
    audio_format: object = AudioFormat.DEFAULT,
    hot_fix: object = None,
    more: object = None,
    **arguments: object,
) -> Request:
    given = ARGUMENTS | arguments
    return make_request(
        "id", WHERE, "cosyvoice-v3-flash", audio_format, given, hot_fix=hot_fix, additional_params=more
    )


def sent(request: Request, *, ssml: bool = False) -> dict[str, Any]:
    return dict(json.loads(request.run_task(ssml=ssml))["payload"]["parameters"])


def test_the_default_format_is_sent_as_the_sdk_sends_it() -> None:
    parameters = sent(made())

    assert (parameters["format"], parameters["sample_rate"]) == ("Default", 0)
    assert "bit_rate" not in parameters
    assert "enable_ssml" not in parameters
    assert "instruction" not in parameters
    assert parameters["text_type"] == "PlainText"


def test_only_opus_is_sent_with_a_bit_rate_and_it_can_be_overridden() -> None:
    assert "bit_rate" not in sent(made(AudioFormat.MP3_8000HZ_MONO_128KBPS))
    assert sent(made(AudioFormat.OGG_OPUS_16KHZ_MONO_64KBPS))["bit_rate"] == 64
    assert sent(made(AudioFormat.OGG_OPUS_16KHZ_MONO_64KBPS, more={"bit_rate": 510}))["bit_rate"] == 510


def test_additional_params_override_arguments_but_for_instruction_and_language() -> None:
    more = {
        "rate": 2.0,
        "voice": "longanyang",
        "instruction": "a",
        "language_hints": ["en"],
        "x": [1, {"y": None}],
    }

    parameters = sent(made(more=more, instruction="b", language_hints=["zh"]))

    assert (parameters["rate"], parameters["voice"]) == (2.0, "longanyang")
    assert (parameters["instruction"], parameters["language_hints"]) == ("b", ["zh"])
    assert parameters["x"] == [1, {"y": None}]
    assert sent(made(more=more))["instruction"] == "a"


def test_the_dict_of_the_user_is_not_touched() -> None:
    given = {"word_timestamp_enabled": True}

    request = made(more=given, hot_fix=HotFix(replace=[{"a": "b"}]))
    sent(request, ssml=True)

    assert given == {"word_timestamp_enabled": True}
    assert sent(request, ssml=True)["enable_ssml"] is True
    assert "enable_ssml" not in sent(request)


def test_what_the_user_changes_later_changes_nothing() -> None:
    given: dict[str, Any] = {"hot_fix": {"replace": [{"a": "b"}]}}
    request = made(more=given)

    given["hot_fix"]["replace"].append({"c": "d"})

    assert sent(request)["hot_fix"] == {"replace": [{"a": "b"}]}


@pytest.mark.parametrize("hot_fix", [HotFix(replace=[{"a": "b"}]), {"replace": [{"a": "b"}]}])
def test_a_hot_fix_may_be_an_object_or_a_dict(hot_fix: object) -> None:
    assert sent(made(hot_fix=hot_fix))["hot_fix"] == {"replace": [{"a": "b"}]}


def test_the_formats_of_the_sdk_itself_are_understood() -> None:
    class Theirs:
        format, sample_rate, bit_rate = "pcm", 8000, 16

    assert sent(made(Theirs()))["sample_rate"] == 8000


def test_a_voice_may_come_in_additional_params_but_must_come() -> None:
    assert sent(made(voice=None, more={"voice": "tone"}))["voice"] == "tone"
    with pytest.raises(InputRequired, match=r"^voice is required!$"):
        made(voice=None)


@pytest.mark.parametrize("wrong", ["pcm", 5, ("pcm", 8000)])
def test_a_format_that_is_none_is_refused(wrong: object) -> None:
    with pytest.raises(InvalidParameterType, match="format must be an AudioFormat"):
        made(wrong)


def test_a_model_that_is_no_string_is_refused() -> None:
    with pytest.raises(InvalidParameterType, match="model must be a string, not 5"):
        make_request("id", WHERE, 5, AudioFormat.DEFAULT, ARGUMENTS, hot_fix=None, additional_params=None)


@pytest.mark.parametrize("more", ["a", {"x": object()}, {"x": float("nan")}, {"volume": 101}])
def test_additional_params_that_cannot_be_sent_are_refused(more: object) -> None:
    with pytest.raises(InvalidParameter):
        made(more=more)


def test_additional_params_without_an_end_are_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)

    with pytest.raises(InvalidParameterType, match="cannot be written as JSON"):
        made(more={"x": endless})


def test_text_is_counted_as_the_bill_counts_it() -> None:
    assert check_text("中A文123", ssml=False, spoken=0) == 8
    assert check_text("<speak>你好</speak>", ssml=True, spoken=0) == 4
    assert check_text("a" * 20000, ssml=False, spoken=180000) == 20000


def test_text_that_is_too_long_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="at most 20000 characters, a hanzi counted as two, not 20002"):
        check_text("字" * 10001, ssml=True, spoken=0)
    with pytest.raises(InvalidParameter, match=r"one task takes at most 200000 characters.* makes it 200001"):
        check_text("a", ssml=False, spoken=200000)


@pytest.mark.parametrize("text", [None, 5, b"bytes", ["a"]])
def test_text_that_is_no_string_is_refused(text: object) -> None:
    with pytest.raises(InvalidParameterType, match="text must be a string"):
        check_text(text, ssml=False, spoken=0)
