"""Hot fixes of one request: words that are replaced before they are read, words whose sound is given."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from bridge.errors import RemoteProtocolError
from bridge.text.passage import Pronunciation, Spoken
from bridge.text.phonetics import check_sounds

__all__ = ["HotFix"]

# The documentation names no limits. These keep the work on a text within bounds, whoever wrote the table.
_MOST_WORDS = 1000
_LONGEST_WORD = 64
_LONGEST_READING = 1000

_Tree: TypeAlias = dict[str, "_Tree"]
_END = ""
"""Key in a tree of words that says that one ends here."""


@dataclass(frozen=True, slots=True)
class HotFix:
    """What a client wants read otherwise, of the whole request."""

    sounds: dict[str, str] = field(default_factory=dict)
    """Pinyin of words: one syllable with a tone digit for each character."""
    replacements: dict[str, str] = field(default_factory=dict)
    _sounding: re.Pattern[str] = field(init=False, repr=False, compare=False)
    _replaced: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_sounding", _any_of(self.sounds))
        object.__setattr__(self, "_replaced", _any_of(self.replacements))

    @classmethod
    def from_wire(cls, value: object) -> "HotFix":
        """Read the parameter ``hot_fix``.

        Raises:
            RemoteProtocolError: If it is not what the documentation describes; the message says where.
        """
        if not isinstance(value, dict):
            raise RemoteProtocolError(f"hot_fix is an object, not {_kind(value)}")
        unknown = [key for key in value if key not in ("pronunciation", "replace")]
        if unknown:
            raise RemoteProtocolError(
                f"hot_fix holds {_show(unknown[0])}; 'pronunciation' and 'replace' are known"
            )
        sounds = _pairs("hot_fix.pronunciation", value.get("pronunciation"))
        for word, given in sounds.items():
            try:
                sounds[word] = check_sounds("py", given, word)
            except ValueError as fault:
                raise RemoteProtocolError(f"hot_fix.pronunciation of {_show(word)}: {fault}") from None
        return cls(sounds, _pairs("hot_fix.replace", value.get("replace")))

    @property
    def words(self) -> tuple[str, ...]:
        """All of them; none should be torn apart."""
        return (*self.sounds, *self.replacements)

    def apply(self, spoken: Spoken) -> Spoken:
        """Replace words, the longest first; what was replaced is not replaced again."""
        return spoken.rewritten(
            (word.start(), word.end(), self.replacements[word[0]])
            for word in self._replaced.finditer(spoken.text)
        )

    def pronunciations(self, text: str) -> tuple[Pronunciation, ...]:
        """The given sounds of the words in `text`, the longest words first, in order of their places."""
        return tuple(
            Pronunciation(word.start(), word.end(), "py", self.sounds[word[0]])
            for word in self._sounding.finditer(text)
        )


def _any_of(words: Iterable[str]) -> re.Pattern[str]:
    """A pattern that finds the longest of `words` wherever one begins.

    Words that begin alike share their beginning, so a text costs its length times the longest word at most,
    whatever the words are: a plain list of alternatives would try every one of them again.
    """
    tree: _Tree = {}
    for word in words:
        node = tree
        for character in word:
            node = node.setdefault(character, {})
        node[_END] = {}
    return re.compile(_pattern(tree) if tree else r"(?!)")


def _pattern(tree: _Tree) -> str:
    beginning = ""
    while len(tree) == 1 and _END not in tree:
        character, tree = next(iter(tree.items()))
        beginning += re.escape(character)
    branches = [
        re.escape(character) + _pattern(rest) for character, rest in tree.items() if character != _END
    ]
    if not branches:
        return beginning
    return f"{beginning}(?:{'|'.join(branches)}){'?' if _END in tree else ''}"


def _pairs(where: str, value: object) -> dict[str, str]:
    """A list of objects with one key each, or nothing."""
    if value is None:
        return {}
    if not isinstance(value, list):
        raise RemoteProtocolError(f"{where} is a list of objects {{word: reading}}, not {_kind(value)}")
    if len(value) > _MOST_WORDS:
        raise RemoteProtocolError(f"{where} holds {len(value)} words; at most {_MOST_WORDS} are allowed")
    pairs: dict[str, str] = {}
    for entry in value:
        if not isinstance(entry, dict) or len(entry) != 1:
            raise RemoteProtocolError(f"{where} holds {_show(entry)}; each entry is an object with one key")
        ((word, reading),) = entry.items()
        if not isinstance(word, str) or not 0 < len(word) <= _LONGEST_WORD:
            raise RemoteProtocolError(
                f"{where} holds the word {_show(word)}; a word has 1 to {_LONGEST_WORD} characters"
            )
        if not isinstance(reading, str):
            raise RemoteProtocolError(f"{where} of {_show(word)} is a string, not {_kind(reading)}")
        if len(reading) > _LONGEST_READING:
            raise RemoteProtocolError(
                f"{where} of {_show(word)} has {len(reading)} characters; {_LONGEST_READING} are allowed"
            )
        pairs[word] = reading
    return pairs


def _kind(value: object) -> str:
    kinds = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return kinds.get(type(value), "a number")


def _show(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:60] + "…"
