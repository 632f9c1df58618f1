import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.ttsserver.instruction import style_of
from bridge.ttsserver.voice import Style, UnspeakableError


@pytest.mark.parametrize("emotion", ["neutral", "fearful", "angry", "sad", "surprised", "happy", "disgusted"])
def test_every_documented_emotion_is_a_style_of_its_own(emotion: str) -> None:
    style = style_of(f"你说话的情感是{emotion}。")

    assert (style == Style()) is (emotion == "neutral")


@pytest.mark.parametrize(
    "instruction",
    [
        "你说话的情感是开心。",
        "你正在进行新闻播报，你说话的情感是neutral。",
        "你正在进行闲聊对话。",
        "你现在说话的角色是机器人，你说话的情感是angry。",
        "你正在以一个老师的身份说话，你说话的情感是happy。",
    ],
)
def test_the_documented_forms_are_understood(instruction: str) -> None:
    assert style_of(instruction) != Style()


@pytest.mark.parametrize(
    ("instruction", "rate", "pitch", "volume"),
    [
        ("Speak slowly and softly", -1, 0, -1),
        ("a little faster, please", 1, 0, 0),
        ("in a deep voice", 0, -1, 0),
        ("LOUDER", 0, 0, 1),
        ("语速快一点", 1, 0, 0),
        ("请大声一点，语速慢一些", -1, 0, 1),
        ("音调高一点", 0, 1, 0),
        ("请用温柔的声音慢慢地说", -1, -1, -1),
    ],
)
def test_a_plain_request_moves_what_it_names(instruction: str, rate: int, pitch: int, volume: int) -> None:
    style = style_of(instruction)

    found = [(value > 1) - (value < 1) for value in (style.rate, style.pitch, style.volume)]
    assert found == [rate, pitch, volume]


def test_very_is_more_and_a_little_is_less() -> None:
    rates = [style_of(text).rate for text in ("a bit slower", "slower", "very slow", "extremely slow")]

    assert rates == sorted(rates, reverse=True)
    assert len(set(rates)) == 4
    assert style_of("非常激动地说").liveliness > style_of("激动地说").liveliness


def test_a_happy_voice_moves_more_and_a_sad_one_less() -> None:
    happy, sad = style_of("请用开心的语气说话"), style_of("sadly")

    assert sad.liveliness < 1 < happy.liveliness
    assert sad.rate < 1 < happy.rate


def test_nothing_is_asked_for_and_nothing_changes() -> None:
    assert style_of("") == style_of("  ") == Style()


@pytest.mark.parametrize(
    ("instruction", "named"),
    [
        ("请用四川话说", "dialect"),
        ("with a British accent", "dialect"),
        ("你现在说话的角色是小猪佩奇，你说话的情感是happy。", "role '小猪佩奇'.*机器人"),
        ("你正在进行太空行走。", "scene '太空行走'.*新闻播报"),
        ("你正在以一个海盗的身份说话。", "identity '海盗'"),
        ("你说话的情感是bored。", "'bored'.*neutral, fearful, angry"),
        ("Speak like a pirate", "'like'.*what works"),
        ("not slowly", "'not'"),
        ("唱歌", "'唱'"),
        ("请", "asks for nothing"),
        ("!!", "asks for nothing"),
    ],
)
def test_what_prosody_cannot_do_is_refused_with_what_works(instruction: str, named: str) -> None:
    with pytest.raises(UnspeakableError, match=named):
        style_of(instruction)


@given(st.text(max_size=100) | st.text("慢快一点大声very slow,.。", max_size=100))
def test_whatever_is_asked_the_voice_stays_one(instruction: str) -> None:
    try:
        style = style_of(instruction)
    except UnspeakableError:
        return
    assert 0.6 <= style.rate <= 1.7
    assert 0.7 <= style.pitch <= 1.5
    assert 0.1 <= style.liveliness <= 2
    assert 0.3 <= style.volume <= 1.9
