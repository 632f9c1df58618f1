"""What is to be spoken, after markup, formulas and hot fixes were read, and where each part was written."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Self

__all__ = ["LONGEST_SPOKEN", "Break", "Item", "Manner", "Pronunciation", "Say", "Sentence", "Sound", "Spoken"]

LONGEST_SPOKEN = 4000
"""Characters that are said for one sentence at most: ten times as many as it may be written with."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """Text as it is to be read aloud, each character with the stretch of the source it stands for.

    A formula that is read as ten characters maps all ten to the whole formula.
    """

    text: str
    begins: tuple[int, ...]
    """For each character: where its origin begins in the source."""
    ends: tuple[int, ...]
    """For each character: where its origin ends, exclusive; never before its begin."""

    @classmethod
    def plain(cls, text: str, offset: int = 0) -> Self:
        """Text that is read as it is written, its first character at `offset` in the source."""
        return cls(
            text, tuple(range(offset, offset + len(text))), tuple(range(offset + 1, offset + len(text) + 1))
        )

    @classmethod
    def joined(cls, parts: Sequence["Spoken"]) -> "Spoken":
        """One behind the other."""
        return Spoken(
            "".join(part.text for part in parts),
            tuple(chain.from_iterable(part.begins for part in parts)),
            tuple(chain.from_iterable(part.ends for part in parts)),
        )

    def __len__(self) -> int:
        return len(self.text)

    def slice(self, begin: int, end: int) -> "Spoken":
        """The characters of [begin, end)."""
        return Spoken(self.text[begin:end], self.begins[begin:end], self.ends[begin:end])

    def __add__(self, other: "Spoken") -> "Spoken":
        return Spoken(self.text + other.text, self.begins + other.begins, self.ends + other.ends)

    def replaced(self, begin: int, end: int, reading: str) -> "Spoken":
        """Read the characters of [begin, end), at least one, as `reading`."""
        source = (self.begins[begin], self.ends[end - 1])
        middle = Spoken(reading, (source[0],) * len(reading), (source[1],) * len(reading))
        return self.slice(0, begin) + middle + self.slice(end, len(self.text))

    def rewritten(self, edits: Iterable[tuple[int, int, str]]) -> "Spoken":
        """Read several stretches otherwise, in one pass.

        Args:
            edits: Begin, end (at least one character) and reading of each, in order, none overlapping.
        """
        texts: list[str] = []
        begins: list[int] = []
        ends: list[int] = []
        kept = 0
        for begin, end, reading in (*edits, (len(self.text), len(self.text), "")):
            texts += (self.text[kept:begin], reading)
            begins += self.begins[kept:begin]
            ends += self.ends[kept:begin]
            if reading:
                begins += (self.begins[begin],) * len(reading)
                ends += (self.ends[end - 1],) * len(reading)
            kept = end
        return Spoken("".join(texts), tuple(begins), tuple(ends))

    def source(self, begin: int, end: int) -> tuple[int, int]:
        """Where the characters of [begin, end), at least one, were written: [begin, end) in the source."""
        return min(self.begins[begin:end]), max(self.ends[begin:end])


@dataclass(frozen=True, slots=True)
class Pronunciation:
    """How a stretch of spoken text sounds, whatever its spelling suggests."""

    begin: int
    """Of the stretch in the text it is given with."""
    end: int
    alphabet: str
    """``py``: pinyin, tone digits 1 to 5, blanks between syllables; ``cmu``: ARPABET with stress digits."""
    sounds: str


@dataclass(frozen=True, slots=True)
class Say:
    """Words."""

    spoken: Spoken
    pronunciations: tuple[Pronunciation, ...] = ()
    """In order, none overlapping; offsets in ``spoken.text``."""


@dataclass(frozen=True, slots=True)
class Break:
    """Silence."""

    ms: int


@dataclass(frozen=True, slots=True)
class Sound:
    """A sound file in between."""

    src: str


Item = Say | Break | Sound


@dataclass(frozen=True, slots=True)
class Manner:
    """How a passage is spoken where that differs from the request's parameters; None keeps the request's."""

    voice: str | None = None
    rate: float | None = None
    pitch: float | None = None
    volume: int | None = None
    effect: str = ""
    """``robot``, ``lolita``, ``lowpass``, ``echo``, ``eq``, ``lpfilter``, ``hpfilter`` or nothing."""
    effect_values: tuple[int, ...] = ()
    """Eight gains in dB for ``eq``, one frequency in Hz for ``lpfilter`` and ``hpfilter``."""
    bed: str = ""
    """Source of the background sound, looped under the passage."""
    bed_volume: int = 50
    """0 to 100, linear, 50 as it is."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence, as the service reports and the voice speaks it."""

    text: str
    """As the client wrote it, markup taken off; source offsets count from its first character."""
    items: tuple[Item, ...]
    manner: Manner = field(default_factory=Manner)
