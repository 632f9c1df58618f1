import pytest

from bridge.cosyvoice.voices import INSTRUCTABLE, MODELS, VOICES, is_instructable, matches


def test_a_voice_speaks_only_with_models_of_its_generation() -> None:
    assert matches("cosyvoice-v3-flash", "longanyang")
    assert matches("cosyvoice-v3-plus", "longanyang")
    assert matches("cosyvoice-v2", "longxiaochun_v2")
    assert not matches("cosyvoice-v2", "longxiaochun_v3")
    assert not matches("cosyvoice-v3-plus", "longxiaochun_v3")


def test_the_newest_models_have_no_system_voices() -> None:
    assert not any(matches("cosyvoice-v3.5-plus", voice) for voice in VOICES)


def test_every_voice_belongs_to_a_generation_that_has_a_model() -> None:
    known = {model.generation for model in MODELS.values()}

    assert all(voice.generations and voice.generations <= known for voice in VOICES.values())


def test_a_stranger_speaks_with_no_model_and_no_model_with_a_stranger() -> None:
    assert not matches("cosyvoice-v3-flash", "nobody")
    assert not matches("no-such-model", "longanyang")


@pytest.mark.parametrize(
    "voice", ["cosyvoice-v3.5-plus-shop-1f2e3d4c", "cosyvoice-v3.5-plus-vd-announcer-0123abcd"]
)
def test_a_cloned_or_designed_voice_speaks_with_the_model_it_was_made_for(voice: str) -> None:
    assert matches("cosyvoice-v3.5-plus", voice)
    assert not matches("cosyvoice-v3-plus", voice)


def test_only_some_voices_of_some_models_follow_instructions() -> None:
    assert all(voice in VOICES for voice in INSTRUCTABLE)
    assert is_instructable("cosyvoice-v3-flash", "longanyang")
    assert is_instructable("cosyvoice-v3-flash", "cosyvoice-v3-flash-shop-1f2e3d4c")
    assert is_instructable("cosyvoice-v3.5-plus", "cosyvoice-v3.5-plus-shop-1f2e3d4c")
    assert not is_instructable("cosyvoice-v3-plus", "cosyvoice-v3-plus-shop-1f2e3d4c")
    assert not is_instructable("cosyvoice-v3-flash", "longxiaochun_v3")
    assert not is_instructable("cosyvoice-v2", "longxiaochun_v2")
