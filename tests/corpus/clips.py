"""The speech of the corpus as a list: who says what. `tests.corpus.voices` makes it sound."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Literal, TypeAlias

__all__ = ["CLIPS", "Clip", "Onset"]

Onset: TypeAlias = Literal["plosive", "vowel", "other"]
Engine: TypeAlias = Literal["hibari", "kokoro", "flite", "espeak"]

_ENGLISH: dict[Onset, tuple[str, ...]] = {
    "plosive": (
        "Okay, wait a second.",
        "Please stop for a moment.",
        "Can I say something?",
        "But that is not right.",
        "Tell me the price.",
        "Good, that will do.",
        "Pardon me, what was that?",
        "Do you have anything else?",
        "Take me back please.",
        "Two tickets please.",
        "Get me a person.",
        "Call me back later.",
    ),
    "vowel": (
        "Excuse me, hold on.",
        "I want to talk to a person.",
        "Actually, no.",
        "All right, I understand.",
        "Ah, one question.",
        "Every day is fine.",
        "Is anybody there?",
        "Only one thing.",
        "Uh, can I ask something?",
        "Are you still there?",
    ),
    "other": (
        "No, that is wrong.",
        "Stop it, please.",
        "Wait, wait.",
        "Sorry, I have to go.",
        "Yes, that's me.",
        "Hello, hello?",
        "Listen to me.",
        "Hang on a minute.",
        "What did you say?",
        "My name is Miller.",
        "Thank you, enough.",
        "Seven o'clock is fine.",
    ),
}
_MANDARIN: dict[Onset, tuple[str, ...]] = {
    "plosive": ("等一下。", "对不起，打断一下。", "不对，不是这样。", "可以停一下吗？"),
    "vowel": ("啊，我知道了。", "一会儿再说。"),
    "other": ("喂，你好。", "慢点说。", "谢谢，够了。", "我想问一下。"),
}
_LATIN: dict[str, dict[Onset, tuple[str, ...]]] = {
    "de": {
        "plosive": ("Tut mir leid, falsch.", "Bitte warten Sie."),
        "vowel": ("Einen Moment bitte.", "Ich habe eine Frage."),
        "other": ("Nein, so nicht.", "Halt, stopp."),
    },
    "fr": {
        "plosive": ("Pardon, une question.", "Pas maintenant."),
        "vowel": ("Attendez un peu.", "Un instant."),
        "other": ("Non, merci.", "Je voudrais un conseiller."),
    },
    "es": {
        "plosive": ("Perdone, un momento.", "Tengo una pregunta."),
        "vowel": ("Espere un momento.", "Un segundo."),
        "other": ("No, gracias.", "Silencio, por favor."),
    },
}
_HIBARI = ("own", "man", "boy", "girl", "old_man", "old_woman", "deep", "light")
_KOKORO = ("zf_xiaoxiao", "zf_xiaoyi", "zm_yunxi", "zm_yunjian")
_FLITE = ("slt", "rms", "awb", "kal16")
_ESPEAK = ("en-us+m1", "en-us+f2", "en-gb+m3", "en-gb+f4")


@dataclass(frozen=True, slots=True)
class Clip:
    """One thing that one speaker says into our words."""

    engine: Engine
    speaker: str
    text: str
    onset: Onset
    """Kind of its first sound."""
    name: str
    """Key of its label."""
    is_held_out: bool
    """Not looked at while thresholds were chosen."""


def _said() -> Iterator[tuple[Engine, str, str, Onset]]:
    for at, speaker in enumerate(_HIBARI):
        for turn, (onset, texts) in product(range(2), _ENGLISH.items()):
            yield "hibari", speaker, texts[(at + 5 * turn) % len(texts)], onset
    for at, speaker in enumerate(_FLITE):
        for turn, (onset, texts) in product(range(3), _ENGLISH.items()):
            yield "flite", speaker, texts[(2 * at + 3 * turn + 1) % len(texts)], onset
    for at, speaker in enumerate(_ESPEAK):
        for onset, texts in _ENGLISH.items():
            yield "espeak", speaker, texts[(3 * at + 2) % len(texts)], onset
    for language, kinds in _LATIN.items():
        for onset, texts in kinds.items():
            for variant, text in zip(("m2", "f1"), texts, strict=True):
                yield "espeak", f"{language}+{variant}", text, onset
    for at, speaker in enumerate(_KOKORO):
        for turn, (onset, texts) in product(range(2), _MANDARIN.items()):
            yield "kokoro", speaker, texts[(at + turn) % len(texts)], onset


def _clips() -> Iterator[Clip]:
    seen: Counter[tuple[str, str]] = Counter()
    for at, (engine, speaker, text, onset) in enumerate(_said()):
        # In turn, so that both halves hold every kind of voice and of onset; the texts differ.
        yield Clip(engine, speaker, text, onset, f"{engine}-{speaker}-{at:03d}", seen[engine, onset] % 2 == 1)
        seen[engine, onset] += 1


CLIPS: tuple[Clip, ...] = tuple(_clips())
