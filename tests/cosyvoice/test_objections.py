import pytest

from bridge.cosyvoice import limits
from bridge.cosyvoice.formats import TaskParameters
from bridge.cosyvoice.limits import Refusal
from bridge.cosyvoice.message import RunTask
from bridge.cosyvoice.objections import objection
from bridge.cosyvoice.voices import matches

FLASH = "cosyvoice-v3-flash"
VOICE = {
    "cosyvoice-v1": "longxiaochun",
    "cosyvoice-v2": "longxiaochun_v2",
    FLASH: "longanyang",
    "cosyvoice-v3-plus": "longanyang",
}


def refused(model: str = FLASH, **parameters: object) -> Refusal | None:
    asked = {"voice": VOICE.get(model, "longanyang"), "format": "pcm", "sample_rate": 8000} | parameters
    item = RunTask("t", model, asked)
    return objection(item, TaskParameters.from_wire(asked), accepts=matches)


@pytest.mark.parametrize("model", VOICE)
def test_plain_speech_is_everybodys(model: str) -> None:
    assert refused(model) is None
    assert refused(model, enable_ssml=True, word_timestamp_enabled=True, seed=7, volume=0) is None


@pytest.mark.parametrize(
    ("parameters", "models"),
    [
        ({"format": "opus", "sample_rate": 16000}, {"cosyvoice-v2", FLASH, "cosyvoice-v3-plus"}),
        ({"hot_fix": {"replace": [{"a": "b"}]}}, {FLASH}),
        ({"enable_markdown_filter": True}, {FLASH}),
        ({"enable_aigc_tag": True}, {"cosyvoice-v2", FLASH, "cosyvoice-v3-plus"}),
        ({"instruction": "你说话的情感是happy。"}, {FLASH, "cosyvoice-v3-plus"}),
    ],
)
def test_each_model_allows_what_its_generation_has(parameters: dict[str, object], models: set[str]) -> None:
    assert {model for model in VOICE if refused(model, **parameters) is None} == models
    for model in VOICE.keys() - models:
        refusal = refused(model, **parameters)
        assert refusal is not None
        assert refusal.code == "InvalidParameter"
        assert f"is not supported by {model}" in refusal.message


def test_only_marked_voices_follow_instructions() -> None:
    refusal = refused(voice="longxiaochun_v3", instruction="你说话的情感是happy。")

    assert refusal is not None
    assert "cosyvoice-v3-flash with the voice longxiaochun_v3 (voices: longanhuan, " in refusal.message


def test_what_is_off_may_be_said_to_any_model() -> None:
    assert refused("cosyvoice-v1", enable_aigc_tag=False, enable_markdown_filter=False, hot_fix={}) is None
    assert refused("cosyvoice-v1", hot_fix={"replace": []}) is None


def test_an_unknown_model_and_a_missing_voice_have_texts_of_their_own() -> None:
    assert refused("gpt") == limits.MODEL_NOT_FOUND
    assert refused(voice=None) == limits.NO_VOICE
    assert refused(voice="nobody") == limits.UNKNOWN_VOICE
