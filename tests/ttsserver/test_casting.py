from bridge.cosyvoice.voices import VOICES
from bridge.ttsserver.casting import cast_of, table
from bridge.ttsserver.voice import Timbre


def timbre_of(voice: str) -> Timbre:
    return cast_of(voice).english


def test_every_documented_voice_is_cast_within_what_the_engine_can_do() -> None:
    for voice in VOICES:
        timbre = timbre_of(voice)
        assert 0.5 < timbre.pitch < 1.4
        assert 0.8 < timbre.rate < 1.1
        assert 0.8 < timbre.formant < 1.2


def test_men_women_and_children_differ() -> None:
    man, woman, child = map(timbre_of, ("longanyang", "longanhuan", "longhuhu_v3"))

    assert man.pitch < 0.7
    assert 0.9 < woman.pitch < 1.1 < child.pitch
    assert man.formant < woman.formant < child.formant


def test_a_name_sounds_the_same_in_every_generation() -> None:
    assert timbre_of("longxiaochun") == timbre_of("longxiaochun_v2") == timbre_of("longxiaochun_v3")


def test_two_men_are_not_the_same_man() -> None:
    assert timbre_of("longanyang") != timbre_of("longanyun_v3")


def test_a_name_nobody_knows_is_a_womans() -> None:
    assert timbre_of("somebody").formant == Timbre().formant


def test_the_table_lists_every_voice_under_each_of_its_models() -> None:
    lines = list(table())

    for name, voice in VOICES.items():
        assert sum(line.split()[0] == name for line in lines) == len(voice.generations)
    assert "cosyvoice-v3.5-plus: cloned and designed voices only" in lines
    assert any(
        "longanyang" in line and "man, Chinese, English, follows instructions" in line for line in lines
    )
    assert any("longanyue_v3" in line and "Cantonese (spoken as Mandarin)" in line for line in lines)
