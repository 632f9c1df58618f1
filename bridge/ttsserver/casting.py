"""Which local voice speaks for which CosyVoice voice, so that a woman, a man and a child differ.

English has one voice, a woman's; the others are shaped from it. Chinese and Japanese have a few real ones.
Unknown names of a known generation are women's.
"""

import re
import zlib
from dataclasses import dataclass, replace

from bridge.ttsserver.voice import Timbre

__all__ = ["Cast", "cast_of", "description", "timbre_of"]


@dataclass(frozen=True, slots=True)
class Cast:
    """Who speaks for one voice."""

    part: str
    """What it is in the documents: a woman, a man, an old man, a boy, …"""
    english: Timbre
    """How the English voice is shaped."""
    mandarin: str
    """The Chinese voice, a key of `kokoro.STYLES`."""
    japanese: str
    """The Japanese voice, a key of `kokoro.STYLES`."""
    eastern: Timbre
    """How those two are shaped."""
    other: Timbre
    """How the voice for every other language is shaped."""
    is_female: bool


_PLAIN = Timbre()
_PARTS = {
    cast.part: cast
    for cast in (
        Cast("woman", _PLAIN, "zf_xiaoxiao", "jf_alpha", _PLAIN, _PLAIN, True),
        Cast("man", Timbre(0.62, 0.98, 0.87), "zm_yunxi", "jm_kumo", _PLAIN, _PLAIN, False),
        Cast(
            "boy", Timbre(1.14, 1.02, 1.10), "zm_yunxia", "jf_alpha", Timbre(1.04, 1.02, 1.06),
            Timbre(1.2, 1.0, 1.1), True,
        ),
        Cast(
            "girl", Timbre(1.24, 1.03, 1.12), "zf_xiaoyi", "jf_alpha", Timbre(1.06, 1.03, 1.10),
            Timbre(1.3, 1.0, 1.1), True,
        ),
        Cast(
            "old man", Timbre(0.58, 0.88, 0.85), "zm_yunjian", "jm_kumo", Timbre(0.94, 0.88, 0.96),
            Timbre(0.9, 0.9, 0.95), False,
        ),
        Cast(
            "old woman", Timbre(0.86, 0.90, 0.96), "zf_xiaoxiao", "jf_alpha", Timbre(0.86, 0.88, 0.95),
            Timbre(0.9, 0.9, 0.97), True,
        ),
        Cast(
            "robot", Timbre(0.80, 0.92, 1.0), "zf_xiaoxiao", "jf_alpha", Timbre(0.80, 0.92, 1.0),
            Timbre(0.8, 0.92, 1.0), False,
        ),
    )
}  # fmt: skip

_NAMES = {
    "man": """
        longanyang longanyun longanlang longyingxun longanyue longlaotie longshange loongandy loongeric
        longcheng longze longzhe longtian longshuo longshu longsanshu longfei longhouge
        longxiaocheng longxiang
    """,
    "boy": "longjielidou longniuniu longtong longpaopao",
    "girl": "longhuhu longshanshan longling longanmin longfeifei longxian",
    "old man": "longlaobo",
    "old woman": "longlaoyi",
    "robot": "longjiqi",
}
_PART_OF = {name: part for part, names in _NAMES.items() for name in names.split()}
_GENERATION = re.compile(r"_v\d(?:\.\d)?$")

_LANGUAGES = {
    "English": "loongabby loongandy loongemily loongeric loongstella",
    "Korean": "loongkyong",
    "Japanese": "loongriko",
    "Indonesian": "loongindah",
    "Cantonese": "longjiaxin longjiayi longanyue",
    "Northeastern Mandarin": "longlaotie",
    "Shaanxi dialect": "longshange",
    "Minnan": "longanmin",
}
_LANGUAGE_OF = {name: language for language, names in _LANGUAGES.items() for name in names.split()}
_DIALECTS = frozenset({"Cantonese", "Northeastern Mandarin", "Shaanxi dialect", "Minnan"})


def cast_of(voice: str) -> Cast:
    """Cast a voice; the same name always sounds the same, and two names of a family differ a little."""
    name = _GENERATION.sub("", voice)
    cast = _PARTS[_PART_OF.get(name, "woman")]
    # A steady number between -1 and 1 for each name; crc32, because hash() changes with every start.
    lean = zlib.crc32(name.encode()) / 0x7FFFFFFF - 1.0
    return replace(
        cast,
        english=_leaning(cast.english, lean),
        eastern=_leaning(cast.eastern, lean),
        other=_leaning(cast.other, lean),
    )


def timbre_of(voice: str) -> Timbre:
    """How the English voice is shaped to be this one."""
    return cast_of(voice).english


def description(voice: str) -> str:
    """Say in one line what the documented voice is, and who speaks for it here."""
    name = _GENERATION.sub("", voice)
    cast = cast_of(voice)
    language = _LANGUAGE_OF.get(name, "Mandarin, English")
    note = "; the dialect is spoken as Mandarin" if language in _DIALECTS else ""
    return f"{cast.part}, {language}: English by hibari, Chinese by {cast.mandarin}{note}"


def _leaning(timbre: Timbre, lean: float) -> Timbre:
    return Timbre(
        pitch=round(timbre.pitch * (1.0 + 0.04 * lean), 4),
        rate=round(timbre.rate * (1.0 + 0.02 * lean), 4),
        formant=timbre.formant,
    )
