import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.text.manner import read_manner
from bridge.text.markup import SsmlError
from bridge.text.passage import Manner


def test_what_is_not_given_is_left_to_the_request() -> None:
    assert read_manner({}) == Manner()


def test_every_attribute_is_read() -> None:
    assert read_manner(
        {
            "voice": "longcheng_v2",
            "rate": "1.5",
            "pitch": " 0.5 ",
            "volume": "80",
            "effect": "eq",
            "effectValue": "1 -20 1 1 1 1 20 1",
            "bgm": "http://a/b.wav",
            "backgroundMusicVolume": "30",
        }
    ) == Manner(
        voice="longcheng_v2",
        rate=1.5,
        pitch=0.5,
        volume=80,
        effect="eq",
        effect_values=(1, -20, 1, 1, 1, 1, 20, 1),
        bed="http://a/b.wav",
        bed_volume=30,
    )


@pytest.mark.parametrize(
    ("value", "rate"),
    [
        ("0.5", 0.5),
        ("1", 1.0),
        ("2", 2.0),
        ("-500", 0.5),
        ("-250", 2 / 3),
        ("0", 1.0),
        ("500", 2.0),
        ("200", 1.25),
    ],
)
def test_the_older_scale_is_understood_beside_the_factor(value: str, rate: float) -> None:
    assert read_manner({"rate": value}).rate == pytest.approx(rate)


@given(st.integers(-500, 500).filter(lambda old: not 0 < old < 10))
def test_the_older_scale_ends_where_the_factor_does(old: int) -> None:
    rate = read_manner({"rate": str(old)}).rate

    assert rate is not None
    assert 0.5 <= rate <= 2
    assert (rate > 1) == (old > 0)


@pytest.mark.parametrize("effect", ["robot", "lolita", "lowpass", "echo"])
def test_a_simple_effect_needs_no_value(effect: str) -> None:
    assert read_manner({"effect": effect}).effect == effect


def test_a_filter_has_one_frequency() -> None:
    assert read_manner({"effect": "lpfilter", "effectValue": "800"}).effect_values == (800,)


@pytest.mark.parametrize(
    ("attributes", "complaint"),
    [
        ({"speed": "1"}, "<speak> has no attribute 'speed'; it takes voice, rate, pitch,"),
        ({"voice": " "}, "<speak voice> is empty"),
        ({"bgm": ""}, "<speak bgm> is empty"),
        ({"rate": "2.1"}, "<speak rate='2.1'> is out of range; it is a number from 0.5 to 2,"),
        ({"rate": "3"}, "<speak rate='3'> is out of range"),
        ({"rate": "501"}, "<speak rate='501'> is out of range"),
        ({"rate": "fast"}, "<speak rate='fast'> is out of range"),
        ({"pitch": "x" * 99}, f"<speak pitch='{'x' * 40}…'> is out of range"),
        ({"volume": "101"}, "<speak volume='101'> is out of range; it is a whole number from 0 to 100"),
        ({"volume": "1.5"}, "<speak volume='1.5'> is out of range"),
        ({"backgroundMusicVolume": "-1"}, "<speak backgroundMusicVolume='-1'> is out of range"),
        ({"effect": "reverb"}, "<speak effect='reverb'> is unknown; it is one of robot, lolita,"),
        ({"effect": "robot", "effectValue": "1"}, "<speak effect='robot'> takes no effectValue"),
        ({"effectValue": "1"}, "<speak effectValue> needs effect"),
        ({"effect": "eq"}, "<speak effectValue=''> does not fit eq; it is eight whole numbers"),
        ({"effect": "eq", "effectValue": "1 2 3"}, "does not fit eq"),
        ({"effect": "eq", "effectValue": "1 1 1 1 1 1 1 21"}, "does not fit eq"),
        ({"effect": "eq", "effectValue": "1 1 1 1 1 1 1 x"}, "does not fit eq"),
        ({"effect": "lpfilter", "effectValue": "0"}, "does not fit lpfilter; it is one frequency in Hz"),
        ({"effect": "hpfilter", "effectValue": "1 2"}, "does not fit hpfilter"),
        ({"effect": "hpfilter", "effectValue": "99999"}, "does not fit hpfilter"),
    ],
)
def test_what_is_wrong_with_an_attribute_is_said(attributes: dict[str, str], complaint: str) -> None:
    with pytest.raises(SsmlError, match=re.escape(complaint)):
        read_manner(attributes)
