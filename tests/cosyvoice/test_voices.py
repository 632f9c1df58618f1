from bridge.cosyvoice.voices import MODELS, VOICES, matches


def test_a_voice_speaks_only_with_models_of_its_generation() -> None:
    assert matches("cosyvoice-v3-flash", "longanyang")
    assert matches("cosyvoice-v3-plus", "longanyang")
    assert matches("cosyvoice-v2", "longxiaochun_v2")
    assert not matches("cosyvoice-v2", "longxiaochun_v3")
    assert not matches("cosyvoice-v3-plus", "longxiaochun_v3")


def test_the_newest_models_have_no_system_voices() -> None:
    assert not any(matches("cosyvoice-v3.5-plus", voice) for voice in VOICES)


def test_every_voice_belongs_to_a_generation_that_has_a_model() -> None:
    assert all(generations and generations <= set(MODELS.values()) for generations in VOICES.values())


def test_a_stranger_speaks_with_no_model_and_no_model_with_a_stranger() -> None:
    assert not matches("cosyvoice-v3-flash", "nobody")
    assert not matches("no-such-model", "longanyang")
