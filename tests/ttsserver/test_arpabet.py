import pytest

from bridge.ttsserver.arpabet import from_arpabet
from bridge.ttsserver.voice import UnspeakableError


@pytest.mark.parametrize(
    ("sounds", "signs"),
    [
        ("HH AH0 L OW1", "həlˈO"),
        ("B ER1 D", "bˈɜɹd"),
        ("W AO1 T ER0", "wˈɔtəɹ"),
        ("CH AY2 zh", "ʧˌIʒ"),
        ("ah b", "əb"),
    ],
)
def test_a_pronunciation_is_translated_sign_by_sign(sounds: str, signs: str) -> None:
    assert from_arpabet(sounds) == signs


@pytest.mark.parametrize("sounds", ["", "  ", "QQ", "1", "HH5", "ni3 hao3", "B1"])
def test_what_is_no_arpabet_is_refused_with_an_example(sounds: str) -> None:
    with pytest.raises(UnspeakableError, match="HH AH0 L OW1"):
        from_arpabet(sounds)
