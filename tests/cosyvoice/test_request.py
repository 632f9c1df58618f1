import pytest

from bridge.cosyvoice.message import RunTask
from bridge.cosyvoice.request import Parameters, VoiceRequest
from bridge.errors import InvalidRequestError


def test_what_is_not_said_has_its_default_and_is_pcm() -> None:
    request = VoiceRequest()

    assert request.run_task("t") == RunTask(
        "t",
        "cosyvoice-v3-flash",
        {
            "text_type": "PlainText",
            "voice": "longanyang",
            "format": "pcm",
            "sample_rate": 24000,
            "volume": 50,
            "rate": 1.0,
            "pitch": 1.0,
            "seed": 0,
            "type": 0,
        },
    )
    assert (request.counted_rate, request.is_wav, request.is_ssml) == (24000, False, False)


def test_every_documented_parameter_reaches_the_wire() -> None:
    hot_fix = {"pronunciation": [{"天气": "tian1 qi4"}], "replace": [{"今天": "金天"}]}
    parameters: Parameters = {
        "format": "opus",
        "sample_rate": 16000,
        "volume": 70,
        "speech_rate": 1.5,
        "pitch_rate": 0.5,
        "seed": 7,
        "bit_rate": 64,
        "instruction": "你说话的情感是happy。",
        "language_hints": ("zh", "en"),
        "word_timestamp_enabled": True,
        "enable_ssml": True,
        "hot_fix": hot_fix,
        "enable_markdown_filter": True,
        "enable_aigc_tag": True,
        "aigc_propagator": "me",
        "aigc_propagate_id": "id",
        "additional_params": {"x_new": 1},
    }

    wire = VoiceRequest.of(parameters).to_wire()

    assert wire == {
        "text_type": "PlainText",
        "voice": "longanyang",
        "format": "opus",
        "sample_rate": 16000,
        "volume": 70,
        "rate": 1.5,
        "pitch": 0.5,
        "seed": 7,
        "type": 0,
        "bit_rate": 64,
        "instruction": "你说话的情感是happy。",
        "language_hints": ["zh", "en"],
        "word_timestamp_enabled": True,
        "enable_ssml": True,
        "hot_fix": hot_fix,
        "enable_markdown_filter": True,
        "enable_aigc_tag": True,
        "aigc_propagator": "me",
        "aigc_propagate_id": "id",
        "x_new": 1,
    }


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"volume": 101}, "Parameter 'volume' must be an integer from 0 to 100, not 101"),
        ({"speech_rate": 3}, "Parameter 'speech_rate' must be a number from 0.5 to 2.0, not 3"),
        ({"pitch_rate": "x"}, "Parameter 'pitch_rate' must be a number"),
        ({"seed": 65536}, "'seed'"),
        ({"bit_rate": 5}, "'bit_rate'"),
        ({"format": "flac"}, "'format' must be one of pcm, wav, mp3, opus, not 'flac'"),
        ({"sample_rate": 11025}, "'sample_rate'"),
        ({"format": "opus", "sample_rate": 44100}, "'sample_rate' must be one of 8000, 16000, 24000, 48000"),
        ({"voice": ""}, "voice must be a name, not ''"),
        ({"model": None}, "model must be a name, not None"),
        ({"instruction": "说" * 51}, "instruction must have 100 characters at most, .* not 102"),
        ({"instruction": 5}, "instruction must be a text, not 5"),
        ({"language_hints": "en"}, "language_hints must be a list of texts, not 'en'"),
        ({"language_hints": [1]}, "language_hints must be a list of texts"),
        ({"enable_ssml": 1}, "enable_ssml must be True or False, not 1"),
        ({"aigc_propagator": 1}, "aigc_propagator must be a text, not 1"),
        ({"hot_fix": {"other": []}}, "hot_fix must hold 'pronunciation' and 'replace' alone"),
        ({"hot_fix": []}, "hot_fix must be an object, not a list"),
        ({"hot_fix": {"replace": {"a": "b"}}}, r"hot_fix\.replace must be a list of objects"),
        ({"hot_fix": {"replace": [{"a": 1}]}}, r"hot_fix\.replace of 'a' must be a string"),
        ({"hot_fix": {"replace": ["a"]}}, r"hot_fix\.replace must be a list"),
        ({"hot_fix": {"pronunciation": [{"天": "tian"}]}}, "'tian' is no pinyin syllable"),
        ({"additional_params": {"hot_fix": {"replace": [{}]}}}, "one key each"),
        ({"additional_params": {"volume": -1}}, "'volume'"),
    ],
)
def test_what_the_service_would_refuse_is_refused_before_it_is_sent(
    parameters: Parameters, told: str
) -> None:
    with pytest.raises(InvalidRequestError, match=told) as caught:
        VoiceRequest.of(parameters)

    assert (caught.value.code, caught.value.retryable) == ("InvalidParameter", False)


def test_further_parameters_have_the_last_word() -> None:
    request = VoiceRequest(additional_params={"format": "wav", "enable_ssml": True})

    assert (request.counted_rate, request.is_wav, request.is_ssml) == (0, True, True)


def test_a_name_that_is_no_parameter_is_our_own_bug() -> None:
    with pytest.raises(TypeError, match="speed"):
        VoiceRequest.of({"speed": 2})  # type: ignore[typeddict-unknown-key]
