"""The elements of SSML documents: what each of them holds and takes, and passages of text with them in it.

The elements are those of the service's documentation, and no others: ``speak`` (several side by side, none
within another), and in it ``break``, ``sub``, ``phoneme``, ``soundEvent`` and ``say-as``, which hold text
alone.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from bridge.text.manner import read_manner
from bridge.text.markup import Close, Open, SsmlError, Text, Token, read_markup
from bridge.text.passage import Break, Manner, Pronunciation, Sound
from bridge.text.phonetics import ALPHABETS, check_sounds
from bridge.text.say_as import KINDS

__all__ = ["Part", "Passage", "read_passages", "read_sounds"]

_ATTRIBUTES = {
    "break": ("time",),
    "sub": ("alias",),
    "phoneme": ("alphabet", "ph"),
    "soundEvent": ("src",),
    "say-as": ("interpret-as",),
}
_EMPTY = ("break", "soundEvent")
_TIME = re.compile(r"([0-9]{1,5})(ms|s)")
_LONGEST_BREAK_MS = 10_000
_SHOWN = 40
_LONGEST = 400
"""Characters that an element says at most: as many as a sentence has."""

# The documentation names no limits. These keep the work on one message within bounds.
_MOST_PASSAGES = 1000
_MOST_ELEMENTS = 10_000


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a passage's text, or what stands between two."""

    begin: int
    """In the text of the passage."""
    end: int
    element: Open | None = None
    """That the stretch stands in; None for plain text."""
    item: Break | Sound | None = None


class Passage:
    """One ``<speak>``: its text without markup, and what the markup says about it."""

    def __init__(self, manner: Manner) -> None:
        self.manner = manner
        self.parts: list[Part] = []
        self._texts: list[str] = []
        self._length = 0
        # Where the last break stands, and how long it is, while only blanks have come since.
        self._break_at = 0
        self._break_ms = 0

    @property
    def text(self) -> str:
        return "".join(self._texts)

    def add_text(self, text: str, element: Open | None = None) -> None:
        if text.strip() or element is not None:
            self._break_ms = 0
        self._texts.append(text)
        self.parts.append(Part(self._length, self._length + len(text), element))
        self._length += len(text)

    def add_sound(self, sound: Sound) -> None:
        self._break_ms = 0
        self.parts.append(Part(self._length, self._length, item=sound))

    def add_break(self, ms: int) -> None:
        """Add silence; one that follows another adds up with it, to ten seconds at most."""
        if self._break_ms == 0:
            self._break_at = len(self.parts)
            self.parts.append(Part(self._length, self._length))
        self._break_ms = min(self._break_ms + ms, _LONGEST_BREAK_MS)
        self.parts[self._break_at] = replace(self.parts[self._break_at], item=Break(self._break_ms))


def read_passages(text: str) -> Iterator[Passage]:
    """The passages of a document, in order.

    Raises:
        SsmlError: If it breaks a rule; the message names the tag and what is allowed.
    """
    passage: Passage | None = None
    passages = elements = 0
    tokens = read_markup(text)
    for token in tokens:
        if passage is None:
            passage = _open_passage(token)
            passages += passage is not None
            if passages > _MOST_PASSAGES:
                raise SsmlError(f"there are more than {_MOST_PASSAGES} <speak>; put more text into each")
        elif isinstance(token, Text):
            passage.add_text(token.text)
        elif isinstance(token, Open):
            elements += 1
            if elements > _MOST_ELEMENTS:
                raise SsmlError(f"<{token.name}> is element {elements}; {_MOST_ELEMENTS} are allowed")
            _add_element(passage, token, tokens)
        elif token.name == "speak":
            yield passage
            passage = None
        else:
            raise SsmlError(f"</{token.name}> ends nothing here; <speak> is open")
        if isinstance(token, Open) and token.name == "speak" and token.is_empty:
            passage = None
    if passage is not None:
        raise SsmlError("<speak> is not closed; write </speak> behind its text")


def _open_passage(token: Token) -> Passage | None:
    """The passage that a token between two passages opens; none if it is blank."""
    if isinstance(token, Text):
        if token.text.strip():
            raise SsmlError(
                f"{_show(token.text.strip())} stands outside of <speak>; put all text inside of one"
            )
        return None
    if isinstance(token, Close):
        raise SsmlError(f"</{token.name}> ends nothing; no tag is open")
    if token.name != "speak":
        raise SsmlError(f"<{token.name}> stands outside of <speak>; put it inside of one")
    return Passage(read_manner(token.attributes))


def _add_element(passage: Passage, tag: Open, tokens: Iterator[Token]) -> None:
    if tag.name == "speak":
        raise SsmlError(
            "<speak> stands within <speak>; close the first one before, they may stand side by side"
        )
    if tag.name not in _ATTRIBUTES:
        raise SsmlError(f"<{tag.name}> is no tag of SSML here; <speak> holds {', '.join(_ATTRIBUTES)}")
    allowed = _ATTRIBUTES[tag.name]
    for name in tag.attributes:
        if name not in allowed:
            raise SsmlError(f"<{tag.name}> has no attribute {name!r}; it takes {' and '.join(allowed)}")
    text = "" if tag.is_empty else _inner_text(tag, tokens)
    if tag.name == "break":
        passage.add_break(_break_ms(tag))
    elif tag.name == "soundEvent":
        passage.add_sound(Sound(_required(tag, "src")))
    else:
        _check(tag, text)
        # Nothing of any kind is that long: it is text like any other.
        is_text = tag.name == "say-as" and len(text) > _LONGEST
        passage.add_text(text, None if is_text else tag)


def _inner_text(tag: Open, tokens: Iterator[Token]) -> str:
    texts: list[str] = []
    for token in tokens:
        if isinstance(token, Text):
            texts.append(token.text)
            if tag.name in _EMPTY and token.text.strip():
                raise SsmlError(
                    f"<{tag.name}> holds {_show(token.text.strip())}; it is empty, write <{tag.name}/>"
                )
        elif isinstance(token, Open):
            raise SsmlError(f"<{token.name}> stands within <{tag.name}>, which holds no other tag")
        elif token.name != tag.name:
            raise SsmlError(f"</{token.name}> stands where </{tag.name}> is due")
        else:
            return "".join(texts)
    raise SsmlError(f"<{tag.name}> is not closed; write </{tag.name}> behind its text")


def _required(tag: Open, name: str) -> str:
    value = tag.attributes.get(name, "").strip()
    if not value:
        raise SsmlError(f"<{tag.name}> needs the attribute {name}")
    return value


def _break_ms(tag: Open) -> int:
    value = tag.attributes.get("time")
    if value is None:
        return 1000
    match = _TIME.fullmatch(value.strip())
    if match is not None:
        ms = int(match[1]) * (1 if match[2] == "ms" else 1000)
        if (50 if match[2] == "ms" else 1000) <= ms <= _LONGEST_BREAK_MS:
            return ms
    raise SsmlError(
        f"<break time={_show(value)}> is out of range; it is 1s to 10s or 50ms to 10000ms, in whole numbers"
    )


def _check(tag: Open, text: str) -> None:
    """Make sure that an element says what it should."""
    if tag.name == "sub":
        if (length := len(_required(tag, "alias"))) > _LONGEST:
            raise SsmlError(f"<sub alias> has {length} characters; {_LONGEST} are allowed")
    elif tag.name == "say-as":
        kind = _required(tag, "interpret-as")
        if kind not in KINDS:
            raise SsmlError(
                f"<say-as interpret-as={_show(kind)}> is unknown; it is one of {', '.join(KINDS)}"
            )
    else:
        alphabet = _required(tag, "alphabet")
        if alphabet not in ALPHABETS:
            raise SsmlError(
                f"<phoneme alphabet={_show(alphabet)}> is unknown; it is one of {', '.join(ALPHABETS)}"
            )
        if not text.strip():
            raise SsmlError("<phoneme> holds no text; write what is pronounced between its tags")
        if len(text) > _LONGEST:
            raise SsmlError(f"<phoneme> holds {len(text)} characters; {_LONGEST} are allowed")
        read_sounds(tag, text)


def read_sounds(tag: Open, text: str) -> Pronunciation:
    """What a ``phoneme`` says about the text it holds; offsets in that text.

    Raises:
        SsmlError: If these are no sounds for it.
    """
    begin = len(text) - len(text.lstrip())
    alphabet = _required(tag, "alphabet")
    try:
        sounds = check_sounds(alphabet, _required(tag, "ph"), text)
    except ValueError as fault:
        raise SsmlError(f"<phoneme ph={_show(tag.attributes['ph'])}>: {fault}") from None
    return Pronunciation(begin, len(text.rstrip()), alphabet, sounds)


def _show(value: str) -> str:
    return repr(value if len(value) <= _SHOWN else value[:_SHOWN] + "…")
