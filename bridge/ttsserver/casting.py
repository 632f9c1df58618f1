"""Which local voice speaks for which CosyVoice voice, so that a woman, a man and a child differ.

English has one voice, a woman's; the others are shaped from it. Chinese and Japanese have a few real ones.
Unknown names of a known generation are women's.
"""

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

from bridge.cosyvoice.voices import INSTRUCTABLE, MODELS, VOICES, Kind
from bridge.ttsserver.voice import Timbre

__all__ = ["Cast", "cast_of", "table"]


@dataclass(frozen=True, slots=True)
class Cast:
    """Who speaks for one voice."""

    part: Kind
    """What it is in the documents."""
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
        Cast(Kind.WOMAN, _PLAIN, "zf_xiaoxiao", "jf_alpha", _PLAIN, _PLAIN, True),
        Cast(Kind.MAN, Timbre(0.62, 0.98, 0.87), "zm_yunxi", "jm_kumo", _PLAIN, _PLAIN, False),
        Cast(
            Kind.BOY, Timbre(1.14, 1.02, 1.10), "zm_yunxia", "jf_alpha", Timbre(1.04, 1.02, 1.06),
            Timbre(1.2, 1.0, 1.1), True,
        ),
        Cast(
            Kind.GIRL, Timbre(1.24, 1.03, 1.12), "zf_xiaoyi", "jf_alpha", Timbre(1.06, 1.03, 1.10),
            Timbre(1.3, 1.0, 1.1), True,
        ),
        Cast(
            Kind.OLD_MAN, Timbre(0.58, 0.88, 0.85), "zm_yunjian", "jm_kumo", Timbre(0.94, 0.88, 0.96),
            Timbre(0.9, 0.9, 0.95), False,
        ),
        Cast(
            Kind.OLD_WOMAN, Timbre(0.86, 0.90, 0.96), "zf_xiaoxiao", "jf_alpha", Timbre(0.86, 0.88, 0.95),
            Timbre(0.9, 0.9, 0.97), True,
        ),
        Cast(
            Kind.ROBOT, Timbre(0.80, 0.92, 1.0), "zf_xiaoxiao", "jf_alpha", Timbre(0.80, 0.92, 1.0),
            Timbre(0.8, 0.92, 1.0), False,
        ),
    )
}  # fmt: skip

_GENERATION = re.compile(r"_v\d(?:\.\d)?$")
_LANGUAGES = {"zh": "Chinese, English", "en": "English", "ja": "Japanese", "ko": "Korean", "id": "Indonesian"}
_DIALECTS = {
    "longjiaxin": "Cantonese", "longjiayi": "Cantonese", "longanyue": "Cantonese", "longtao": "Cantonese",
    "longlaotie": "Northeastern Mandarin", "longshange": "Shaanxi dialect", "longanmin": "Minnan",
}  # fmt: skip
_COLUMN = 22


def cast_of(voice: str) -> Cast:
    """Cast a voice; the same name always sounds the same, and two names of a family differ a little."""
    name = _GENERATION.sub("", voice)
    known = VOICES.get(voice)
    cast = _PARTS[known.kind if known is not None else Kind.WOMAN]
    # A steady number between -1 and 1 for each name; crc32, because hash() changes with every start.
    lean = zlib.crc32(name.encode()) / 0x7FFFFFFF - 1.0
    return replace(
        cast,
        english=_leaning(cast.english, lean),
        eastern=_leaning(cast.eastern, lean),
        other=_leaning(cast.other, lean),
    )


def table() -> Iterator[str]:
    """Yield every documented voice, a line each under its model: what it is, and who speaks for it here."""
    for model, allowed in MODELS.items():
        names = sorted(name for name, voice in VOICES.items() if allowed.generation in voice.generations)
        yield f"{model}: {len(names)} voices" if names else f"{model}: cloned and designed voices only"
        yield from (f"  {name:<{_COLUMN}}{_description(name)}" for name in names)
    yield "A cloned or designed voice (cosyvoice-v3-flash-NAME-ID) speaks here as a woman."


def _description(voice: str) -> str:
    known, cast = VOICES[voice], cast_of(voice)
    dialect = _DIALECTS.get(_GENERATION.sub("", voice), "")
    language = f"{dialect} (spoken as Mandarin)" if dialect else _LANGUAGES[known.language]
    follows = ", follows instructions" if voice in INSTRUCTABLE else ""
    speakers = f"hibari in English, {cast.mandarin} in Chinese, {cast.japanese} in Japanese, else espeak-ng"
    return f"{known.kind}, {language}{follows}: {speakers}"


def _leaning(timbre: Timbre, lean: float) -> Timbre:
    return Timbre(
        pitch=round(timbre.pitch * (1.0 + 0.04 * lean), 4),
        rate=round(timbre.rate * (1.0 + 0.02 * lean), 4),
        formant=timbre.formant,
    )
