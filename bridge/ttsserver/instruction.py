"""Instructions in words, as far as they can be followed with rate, pitch, melody and loudness.

Two ways to write them: the fixed forms of the documents, and plain requests in English or Chinese such as
"Speak slowly and softly" or 语速快一点. Every word has to be understood: half an instruction is none.
"""

import math
import re
from collections.abc import Iterable

from bridge.ttsserver.voice import Style, UnspeakableError

__all__ = ["style_of"]

_NEUTRAL = Style()
_HAPPY = Style(rate=1.06, pitch=1.08, liveliness=1.35, volume=1.1)
_SAD = Style(rate=0.86, pitch=0.94, liveliness=0.65, volume=0.8)
_ANGRY = Style(rate=1.1, pitch=1.04, liveliness=1.3, volume=1.35)
_FEARFUL = Style(rate=1.12, pitch=1.12, liveliness=0.9, volume=0.85)
_SURPRISED = Style(rate=1.04, pitch=1.14, liveliness=1.5, volume=1.12)
_DISGUSTED = Style(rate=0.9, pitch=0.95, liveliness=0.85)
_EXCITED = Style(rate=1.12, pitch=1.1, liveliness=1.45, volume=1.25)
_GENTLE = Style(rate=0.93, pitch=0.98, liveliness=0.9, volume=0.75)
_CALM = Style(rate=0.94, liveliness=0.8, volume=0.9)
_WARM = Style(rate=0.98, pitch=1.03, liveliness=1.15)
_SERIOUS = Style(rate=0.95, pitch=0.95, liveliness=0.75)
_LIVELY = Style(rate=1.06, pitch=1.04, liveliness=1.4)
_FLAT = Style(liveliness=0.2)
_SLOW = Style(rate=0.8)
_FAST = Style(rate=1.25)
_HIGH = Style(pitch=1.18)
_LOW = Style(pitch=0.85)
_LOUD = Style(volume=1.5)
_SOFT = Style(volume=0.6)

_EMOTIONS = {
    "neutral": _NEUTRAL, "fearful": _FEARFUL, "angry": _ANGRY, "sad": _SAD, "surprised": _SURPRISED,
    "happy": _HAPPY, "disgusted": _DISGUSTED,
    "中性": _NEUTRAL, "平静": _CALM, "恐惧": _FEARFUL, "害怕": _FEARFUL, "愤怒": _ANGRY, "生气": _ANGRY,
    "悲伤": _SAD, "难过": _SAD, "伤心": _SAD, "惊讶": _SURPRISED, "吃惊": _SURPRISED, "惊喜": _SURPRISED,
    "开心": _HAPPY, "高兴": _HAPPY, "快乐": _HAPPY, "愉快": _HAPPY, "喜悦": _HAPPY, "厌恶": _DISGUSTED,
    "激动": _EXCITED, "兴奋": _EXCITED,
}  # fmt: skip
# What someone does, or who someone is, where that is a matter of pace and melody.
_SCENES = {
    "新闻播报": _SERIOUS, "播报新闻": _SERIOUS, "news": _SERIOUS, "讲故事": _LIVELY, "故事讲述": _LIVELY,
    "storytelling": _LIVELY, "闲聊对话": _WARM, "闲聊": _WARM, "chat": _WARM, "客服": _WARM,
    "客服接待": _WARM, "customer service": _WARM, "体育解说": _EXCITED, "sports commentary": _EXCITED,
    "教学": _CALM, "授课": _CALM, "lecture": _CALM, "产品推广": _LIVELY, "广告": _LIVELY,
    "advertising": _LIVELY,
}  # fmt: skip
_ROLES = {
    "机器人": _FLAT, "robot": _FLAT, "老人": Style(rate=0.85, pitch=0.9), "新闻主播": _SERIOUS,
    "主播": _SERIOUS, "news anchor": _SERIOUS, "主持人": _LIVELY, "host": _LIVELY, "老师": _CALM,
    "teacher": _CALM, "客服": _WARM, "客服人员": _WARM, "customer service agent": _WARM, "医生": _CALM,
    "doctor": _CALM,
}  # fmt: skip

_END = r"\s*[。.]?\s*"
_FEELING = rf"(?:[，,]\s*你说话的情感是(?P<emotion>[^，。,.]+))?{_END}"
_FORMS: tuple[tuple[re.Pattern[str], str, dict[str, Style]], ...] = (
    (re.compile(rf"你说话的情感是(?P<emotion>[^，。,.]+){_END}"), "", {}),
    (re.compile(rf"你正在进行(?P<what>[^，。,.]+){_FEELING}"), "scene", _SCENES),
    (re.compile(rf"你现在说话的角色是(?:一个|一位|一名)?(?P<what>[^，。,.]+){_FEELING}"), "role", _ROLES),
    (re.compile(rf"你正在以(?:一个|一位|一名)?(?P<what>[^，。,.]+)的身份说话{_FEELING}"), "identity", _ROLES),
)

_ENGLISH = {
    _SLOW: "slow slowly slower unhurried leisurely",
    _FAST: "fast faster quick quickly quicker rapid rapidly",
    _HIGH: "high higher high-pitched",
    _LOW: "low lower deep deeper deeply low-pitched",
    _LOUD: "loud loudly louder",
    _SOFT: "soft softly softer quiet quietly quieter",
    _NEUTRAL: "neutral neutrally normal normally natural naturally clear clearly",
    _HAPPY: "happy happily cheerful cheerfully joyful joyfully",
    _SAD: "sad sadly sorrowful mournful",
    _ANGRY: "angry angrily furious",
    _FEARFUL: "fearful fearfully scared afraid frightened",
    _SURPRISED: "surprised astonished amazed",
    _DISGUSTED: "disgusted",
    _GENTLE: "gentle gently tender tenderly",
    _EXCITED: "excited excitedly enthusiastic enthusiastically energetic energetically",
    _CALM: "calm calmly relaxed soothing",
    _WARM: "warm warmly friendly kind kindly polite politely",
    _SERIOUS: "serious seriously formal formally professional professionally",
    _LIVELY: "lively vivid vividly expressive expressively",
    _FLAT: "flat monotone monotonous robotic",
}
_ENGLISH_STYLE = {word: style for style, words in _ENGLISH.items() for word in words.split()}
_ENGLISH_FILLERS = """
    please speak speaking talk say read it this that text in a an the with and voice tone manner way pace
    speed rate pitch volume more of style emotion mood feeling your use sound sounding be as at to for me us
    my
"""
_ENGLISH_DEGREE = {
    "little": 0.5, "bit": 0.5, "slightly": 0.5, "somewhat": 0.5, "rather": 1.0, "quite": 1.0,
    "very": 1.5, "really": 1.5, "much": 1.5, "extremely": 2.0,
}  # fmt: skip

_CHINESE = {
    _SLOW: "语速慢 放慢语速 语速放慢 语速缓慢 慢慢 缓慢 放慢 慢速 慢",
    _FAST: "语速快 加快语速 语速加快 加快 快速 快",
    _HIGH: "音调高 音高高 声调高 语调高 高音调 提高音调 高亢",
    _LOW: "音调低 音高低 声调低 语调低 低音调 降低音调 低沉",
    _LOUD: "大声 声音大 音量大 提高音量 响亮",
    _SOFT: "小声 声音小 音量小 降低音量 轻声",
    _GENTLE: "温柔 轻柔 柔和",
    _CALM: "平静 平和 冷静 舒缓",
    _WARM: "亲切 热情 友好 友善 礼貌 温暖",
    _SERIOUS: "严肃 正式 专业 庄重",
    _LIVELY: "活泼 生动 俏皮",
    _FLAT: "平淡 单调 机械",
    _EXCITED: "激动 兴奋 激昂",
    _NEUTRAL: "中性 自然 正常 清晰",
}
_CHINESE_STYLE = {word: style for style, words in _CHINESE.items() for word in words.split()} | {
    word: style for word, style in _EMOTIONS.items() if not word.isascii()
}
_CHINESE_DEGREE = {
    "一点": 0.5, "一点儿": 0.5, "一些": 0.5, "点": 0.5, "稍微": 0.5, "稍": 0.5, "略微": 0.5, "比较": 1.0,
    "非常": 1.5, "很": 1.5, "特别": 1.5, "十分": 1.5, "极其": 2.0,
}  # fmt: skip
_CHINESE_FILLERS = """
    请 用 以 的 地 着 来 和 并 且 再 更 你 我 要 把 话 这 段 说话 说 讲 朗读 播报 读 语气 口吻 情感 情绪
    声音 语调 语速 音调 感觉 方式 风格 保持 带 有 是
"""
_CHINESE_WORD = re.compile(
    "|".join(
        map(
            re.escape,
            sorted([*_CHINESE_STYLE, *_CHINESE_DEGREE, *_CHINESE_FILLERS.split()], key=len, reverse=True),
        )
    )
)
_FILLERS = frozenset(_ENGLISH_FILLERS.split())
_TOKEN = re.compile(r"[A-Za-z][A-Za-z'-]*|[^\W\d_]|\d+")
_DIALECT = re.compile(
    "方言|口音|粤语|吴语|闽南|客家|四川|重庆|东北|陕西|河南|山东|上海|天津|广东|湖南|湖北|dialect|accent|cantonese",
    re.IGNORECASE,
)

_WHAT_WORKS = (
    "what works is pace, pitch, loudness and the emotions neutral, fearful, angry, sad, surprised, happy and "
    "disgusted, such as 'Speak slowly and softly' or 你说话的情感是happy。"
)


def style_of(instruction: str) -> Style:
    """Read an instruction; an empty one changes nothing.

    Raises:
        UnspeakableError: If a part of it is not understood, or cannot be done with prosody alone.
    """
    text = instruction.strip()
    for pattern, kind, known in _FORMS:
        match = pattern.fullmatch(text)
        if match:
            return _formal(match.groupdict(), kind, known)
    if _DIALECT.search(text):
        raise UnspeakableError(
            f"the embedded voices speak no dialect, as {text[:40]!r} asks for: {_WHAT_WORKS}"
        )
    return _limited(_requested(text))


def _formal(found: dict[str, str | None], kind: str, known: dict[str, Style]) -> Style:
    styles: list[tuple[Style, float]] = []
    what, emotion = found.get("what"), found.get("emotion")
    if what is not None:
        style = known.get(what.strip().lower())
        if style is None:
            works = ", ".join(known)
            raise UnspeakableError(f"the embedded voices cannot do the {kind} {what[:20]!r}: one of {works}")
        styles.append((style, 1.0))
    if emotion is not None:
        style = _EMOTIONS.get(emotion.strip().lower())
        if style is None:
            works = ", ".join(name for name in _EMOTIONS if name.isascii())
            raise UnspeakableError(f"the embedded voices know no emotion {emotion[:20]!r}: one of {works}")
        styles.append((style, 1.0))
    return _limited(styles)


def _requested(text: str) -> list[tuple[Style, float]]:
    """Each style that is asked for, and how much of it."""
    found: list[tuple[Style, float]] = []
    degree = 1.0
    at = 0
    while at < len(text):
        chinese = _CHINESE_WORD.match(text, at)
        english = None if chinese else _TOKEN.match(text, at)
        if chinese is None and english is None:
            at += 1  # a blank or a mark
            continue
        word = (chinese[0] if chinese else english[0] if english else "").lower()
        at += len(word)
        style = _CHINESE_STYLE.get(word) or _ENGLISH_STYLE.get(word)
        amount = _CHINESE_DEGREE.get(word) or _ENGLISH_DEGREE.get(word)
        if style is not None:
            found.append((style, degree))
            degree = 1.0
        elif amount is not None and chinese and found and word in ("一点", "一点儿", "一些", "点"):
            found[-1] = (found[-1][0], found[-1][1] * amount)  # these stand behind: 快一点
        elif amount is not None:
            degree = amount
        elif chinese is None and word not in _FILLERS:
            raise UnspeakableError(
                f"the embedded voices cannot follow {word!r} of the instruction: {_WHAT_WORKS}"
            )
    if text and not found:
        raise UnspeakableError(f"the instruction {text[:40]!r} asks for nothing: {_WHAT_WORKS}")
    return found


def _limited(styles: Iterable[tuple[Style, float]]) -> Style:
    """All of them together, within what still sounds like a voice."""
    rate = pitch = volume = liveliness = 0.0
    for style, amount in styles:
        rate += amount * math.log(style.rate)
        pitch += amount * math.log(style.pitch)
        volume += amount * math.log(style.volume)
        liveliness += amount * math.log(style.liveliness)
    return Style(
        rate=_within(rate, 0.6, 1.7),
        pitch=_within(pitch, 0.7, 1.5),
        liveliness=_within(liveliness, 0.1, 2.0),
        volume=_within(volume, 0.3, 1.9),
    )


def _within(logarithm: float, low: float, high: float) -> float:
    return round(min(max(math.exp(logarithm), low), high), 4)
