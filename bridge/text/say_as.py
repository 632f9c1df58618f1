"""The element ``say-as`` of SSML: what a text sounds like once its kind is known."""

from bridge.text import say_as_en, say_as_zh
from bridge.text.passage import Pronunciation

__all__ = ["KINDS", "read_as", "surname_sounds"]

KINDS = tuple(say_as_zh.READERS)
"""What ``interpret-as`` may be."""

_LONGEST = 500
"""Characters of a text that is looked at closely: nobody's number, date or name is longer."""

# Surnames that are said otherwise than the character is in other words.
_SURNAMES = {
    "万俟": "mo4 qi2",
    "尉迟": "yu4 chi2",
    "单于": "chan2 yu2",
    "澹台": "tan2 tai2",
    "长孙": "zhang3 sun1",
    "令狐": "ling2 hu2",
    "曾": "zeng1",
    "单": "shan4",
    "仇": "qiu2",
    "查": "zha1",
    "解": "xie4",
    "任": "ren2",
    "区": "ou1",
    "朴": "piao2",
    "华": "hua4",
    "盖": "ge3",
    "翟": "zhai2",
    "冼": "xian3",
    "乐": "yue4",
    "缪": "miao4",
    "宁": "ning4",
    "应": "ying1",
    "燕": "yan1",
    "召": "shao4",
    "员": "yun4",
    "折": "she2",
    "覃": "qin2",
    "葛": "ge3",
    "那": "na1",
    "句": "gou1",
    "隗": "wei3",
    "逄": "pang2",
    "曲": "qu1",
    "牟": "mou2",
    "重": "chong2",
    "种": "chong2",
    "秘": "bi4",
    "繁": "po2",
}


def read_as(kind: str, text: str, *, chinese: bool) -> str:
    """Return what is said for `text`; a text that is no such thing is said as it stands.

    Args:
        kind: One of `KINDS`.
        text: As written in the element.
        chinese: Whether it is read in Chinese, else in English.
    """
    if len(text) > _LONGEST:
        return text
    readers = say_as_zh.READERS if chinese else say_as_en.READERS
    return readers[kind](text) or text


def surname_sounds(name: str) -> tuple[Pronunciation, ...]:
    """How a Chinese name begins, where its surname sounds unlike the same character elsewhere."""
    begin = len(name) - len(name.lstrip())
    for length in (2, 1):
        sounds = _SURNAMES.get(name[begin : begin + length])
        if sounds is not None:
            return (Pronunciation(begin, begin + length, "py", sounds),)
    return ()
