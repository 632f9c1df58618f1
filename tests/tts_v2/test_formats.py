import pytest

from bridge.tts_v2.formats import AudioFormat, HotFix


def test_there_are_thirty_formats() -> None:
    assert len(AudioFormat) == 30


@pytest.mark.parametrize("audio_format", AudioFormat)
def test_the_name_of_a_format_tells_its_values(audio_format: AudioFormat) -> None:
    name = audio_format.name.lower()
    if audio_format is AudioFormat.DEFAULT:
        assert audio_format.value == ("Default", 0, "0", 0)
        return
    assert audio_format.value[2] == audio_format.channels == "mono"
    assert audio_format.format in name
    rate = (
        f"{audio_format.sample_rate // 1000}khz"
        if audio_format.format == "opus"
        else f"{audio_format.sample_rate}hz"
    )
    assert f"_{rate}_" in name
    if audio_format is AudioFormat.WAV_8000HZ_MONO_16BIT:
        assert audio_format.bit_rate == 0  # the SDK's slip, which travels nowhere
    else:
        assert f"_{audio_format.bit_rate}" in name


def test_a_format_says_what_it_is() -> None:
    assert str(AudioFormat.PCM_16000HZ_MONO_16BIT) == "PCM with 16000Hz sample rate, mono channel, 16"
    assert str(AudioFormat.DEFAULT) == "DEFAULT with 0Hz sample rate, 0 channel, 0"


def test_a_hot_fix_travels_without_what_is_not_set() -> None:
    assert HotFix().to_dict() == {}
    assert HotFix(replace=[{"a": "b"}]).to_dict() == {"replace": [{"a": "b"}]}
    assert HotFix([{"草地": "cao3 di4"}], []).to_dict() == {
        "pronunciation": [{"草地": "cao3 di4"}],
        "replace": [],
    }
