from bridge.cosyvoice.voices import VOICES
from bridge.ttsserver.casting import cast_of, description, timbre_of
from bridge.ttsserver.kokoro import STYLES
from bridge.ttsserver.voice import Timbre


def test_every_documented_voice_is_cast_within_what_the_engines_can_do() -> None:
    for voice in VOICES:
        cast = cast_of(voice)
        for timbre in (cast.english, cast.eastern, cast.other):
            assert 0.5 < timbre.pitch < 1.4
            assert 0.8 < timbre.rate < 1.1
            assert 0.8 < timbre.formant < 1.2
        assert {cast.mandarin, cast.japanese} <= set(STYLES)


def test_men_women_and_children_differ() -> None:
    man, woman, child = map(timbre_of, ("longanyang", "longanhuan", "longhuhu_v3"))

    assert man.pitch < 0.7
    assert 0.9 < woman.pitch < 1.1 < child.pitch
    assert man.formant < woman.formant < child.formant


def test_they_differ_in_chinese_too() -> None:
    voices = ("longanyang", "longanhuan", "longhuhu_v3", "longlaobo_v3", "longniuniu_v3")

    assert len({cast_of(voice).mandarin for voice in voices}) == 5
    assert not cast_of("longanyang").is_female


def test_a_name_sounds_the_same_in_every_generation() -> None:
    assert cast_of("longxiaochun") == cast_of("longxiaochun_v2") == cast_of("longxiaochun_v3")


def test_two_men_are_not_the_same_man() -> None:
    assert timbre_of("longanyang") != timbre_of("longanyun_v3")


def test_a_name_nobody_knows_is_a_womans() -> None:
    assert timbre_of("somebody").formant == Timbre().formant


def test_every_voice_is_described_in_one_line() -> None:
    for voice in VOICES:
        assert "\n" not in description(voice)
        assert len(description(voice)) < 120
    assert description("longanyang") == "man, Mandarin, English: English by hibari, Chinese by zm_yunxi"
    assert "dialect is spoken as Mandarin" in description("longanyue_v3")
