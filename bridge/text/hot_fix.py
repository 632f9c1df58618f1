"""Hot fixes of one request: words that are replaced before they are read, words whose sound is given."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from bridge.errors import RemoteProtocolError
from bridge.text.lexicon import Lexicon
from bridge.text.passage import LONGEST_SPOKEN, Pronunciation, Spoken
from bridge.text.phonetics import check_sounds
from bridge.text.shield import breakable

__all__ = ["HotFix", "HotFixError", "OvergrownError"]

# The documentation names no limits. These keep the work on a table and on a text within bounds, whoever wrote
# the two: a table is read at one go while others wait.
_MOST_WORDS = 1000
_LONGEST_WORD = 64
_LONGEST_READING = 1000
_MOST_CHARACTERS = 10_000


class HotFixError(RemoteProtocolError):
    """A table is not what the documentation describes; the message says where.

    Attributes:
        is_kind: Whether something has the wrong type, and not only the wrong value.
    """

    def __init__(self, message: str, *, is_kind: bool = False) -> None:
        super().__init__(message)
        self.is_kind: bool = is_kind


class OvergrownError(RemoteProtocolError):
    """A sentence grows beyond all measure when its words are replaced."""


# Without slots, for its word tables are made when they are first needed.
@dataclass(frozen=True)
class HotFix:
    """What a client wants read otherwise, of the whole request."""

    sounds: dict[str, str] = field(default_factory=dict)
    """Pinyin of words: one syllable with a tone digit for each character."""
    replacements: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_wire(cls, value: object) -> "HotFix":
        """Read the parameter ``hot_fix``; cheap, for the word tables come later.

        Raises:
            HotFixError: If it is not what the documentation describes.
        """
        if not isinstance(value, Mapping):
            raise HotFixError(f"hot_fix must be an object, not {_kind(value)}", is_kind=True)
        unknown = [key for key in value if key not in ("pronunciation", "replace")]
        if unknown:
            raise HotFixError(
                f"hot_fix must hold 'pronunciation' and 'replace' alone, not {_show(unknown[0])}"
            )
        tables = {key: () if value.get(key) is None else value[key] for key in ("pronunciation", "replace")}
        for key, table in tables.items():
            if not isinstance(table, list | tuple):
                raise HotFixError(
                    f"hot_fix.{key} must be a list of objects {{word: reading}}, not {_kind(table)}",
                    is_kind=True,
                )
        if (count := sum(map(len, tables.values()))) > _MOST_WORDS:
            raise HotFixError(f"hot_fix must hold {_MOST_WORDS} words at most, not {count}")
        sounds = _pairs("hot_fix.pronunciation", tables["pronunciation"])
        replacements = _pairs("hot_fix.replace", tables["replace"])
        length = sum(len(word) + len(reading) for word, reading in (*sounds.items(), *replacements.items()))
        if length > _MOST_CHARACTERS:
            raise HotFixError(f"hot_fix must have {_MOST_CHARACTERS} characters at most in all, not {length}")
        for word, given in sounds.items():
            try:
                sounds[word] = check_sounds("py", given, word)
            except ValueError as fault:
                raise HotFixError(f"hot_fix.pronunciation of {_show(word)} must be pinyin: {fault}") from None
        return cls(sounds, replacements)

    def to_wire(self) -> dict[str, object]:
        """As `from_wire` reads it; what is empty is left out."""
        tables = {"pronunciation": self.sounds, "replace": self.replacements}
        return {
            key: [{word: reading} for word, reading in table.items()]
            for key, table in tables.items()
            if table
        }

    def __bool__(self) -> bool:
        """Whether it changes anything."""
        return bool(self.sounds or self.replacements)

    @cached_property
    def breakable(self) -> Lexicon:
        """The words that a sentence might end in, were they torn apart."""
        return breakable((*self.sounds, *self.replacements))

    def apply(self, spoken: Spoken) -> Spoken:
        """Replace words, the longest first; what was replaced is not replaced again.

        Raises:
            OvergrownError: If more than `LONGEST_SPOKEN` characters would be left to say.
        """
        text = spoken.text
        length = len(text)
        edits: list[tuple[int, int, str]] = []
        for begin, end in self._replaced.find(text):
            reading = self.replacements[text[begin:end]]
            length += len(reading) - (end - begin)
            edits.append((begin, end, reading))
        if edits and length > LONGEST_SPOKEN:
            raise OvergrownError(
                f"hot_fix.replace makes {length} characters of a sentence of {len(text)}; "
                f"{LONGEST_SPOKEN} are allowed"
            )
        return spoken.rewritten(edits)

    def pronunciations(self, text: str) -> tuple[Pronunciation, ...]:
        """The given sounds of the words in `text`, the longest words first, in order of their places."""
        return tuple(
            Pronunciation(begin, end, "py", self.sounds[text[begin:end]])
            for begin, end in self._sounding.find(text)
        )

    @cached_property
    def _sounding(self) -> Lexicon:
        return Lexicon(self.sounds)

    @cached_property
    def _replaced(self) -> Lexicon:
        return Lexicon(self.replacements)


def _pairs(where: str, table: list[object] | tuple[object, ...]) -> dict[str, str]:
    """The words of a list of objects with one key each, with their readings."""
    pairs: dict[str, str] = {}
    for entry in table:
        if not isinstance(entry, dict | Mapping):
            raise HotFixError(
                f"{where} must be a list of objects {{word: reading}}, not {_show(entry)}", is_kind=True
            )
        if len(entry) != 1:
            raise HotFixError(f"{where} must hold objects with one key each, not {_show(entry)}")
        ((word, reading),) = entry.items()
        if not isinstance(word, str) or not 0 < len(word) <= _LONGEST_WORD:
            raise HotFixError(
                f"{where} must hold words of 1 to {_LONGEST_WORD} characters, not {_show(word)}",
                is_kind=not isinstance(word, str),
            )
        if not isinstance(reading, str):
            raise HotFixError(
                f"{where} of {_show(word)} must be a string, not {_kind(reading)}", is_kind=True
            )
        if len(reading) > _LONGEST_READING:
            raise HotFixError(
                f"{where} of {_show(word)} must have at most {_LONGEST_READING} characters, "
                f"not {len(reading)}"
            )
        pairs[word] = reading
    return pairs


def _kind(value: object) -> str:
    kinds = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    kinds |= {int: "a number", float: "a number"}
    return kinds.get(type(value), type(value).__name__)


def _show(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:60] + "…"
