"""Reads SSML documents into sentences with their breaks, sounds, readings and pronunciations.

The elements are those of the service's documentation, and no others: ``speak`` (several side by side, none
within another), and in it ``break``, ``sub``, ``phoneme``, ``soundEvent`` and ``say-as``, which hold text
alone.
"""

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace

from bridge.text.characters import is_hanzi
from bridge.text.manner import read_manner
from bridge.text.markup import Close, Open, SsmlError, Text, Token, is_ssml, read_markup
from bridge.text.passage import Break, Item, Manner, Pronunciation, Sentence, Sound, Spoken
from bridge.text.phonetics import ALPHABETS, check_sounds
from bridge.text.reader import Reader, ReadingOptions, Scribe
from bridge.text.say_as import KINDS, read_as, surname_sounds
from bridge.text.sentence import SentenceSplitter

__all__ = ["SsmlError", "is_ssml", "read_ssml"]

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
_MASK = "x"
_BLANK = re.compile(r"\s")
_SHOWN = 40
# Stands for the rest of an element that is longer than a sentence: the one before has its whole reading.
_SILENT = Open("")


@dataclass(frozen=True, slots=True)
class _Part:
    """A stretch of a passage's text, or what stands between two."""

    begin: int
    """In the text of the passage."""
    end: int
    element: Open | None = None
    """That the stretch stands in; None for plain text."""
    item: Break | Sound | None = None


class _Passage:
    """One ``<speak>``: its text without markup, and what the markup says about it."""

    def __init__(self, manner: Manner) -> None:
        self.manner = manner
        self.parts: list[_Part] = []
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
        self.parts.append(_Part(self._length, self._length + len(text), element))
        self._length += len(text)

    def add_sound(self, sound: Sound) -> None:
        self._break_ms = 0
        self.parts.append(_Part(self._length, self._length, item=sound))

    def add_break(self, ms: int) -> None:
        """Add silence; one that follows another adds up with it, to ten seconds at most."""
        if self._break_ms == 0:
            self._break_at = len(self.parts)
            self.parts.append(_Part(self._length, self._length))
        self._break_ms = min(self._break_ms + ms, _LONGEST_BREAK_MS)
        self.parts[self._break_at] = replace(self.parts[self._break_at], item=Break(self._break_ms))


def read_ssml(text: str, options: ReadingOptions) -> list[Sentence]:
    """Read a document, or, if it is none, plain text.

    A sentence's text is what the client wrote without the markup, with entities as the characters they are.
    Line breaks in a document are blanks, as everywhere in XML: they end no sentence.

    Raises:
        SsmlError: If it is a document that breaks a rule; the message names the tag and what is allowed.
    """
    if not is_ssml(text):
        reader = Reader(options)
        return reader.push(text) + reader.flush()
    sentences: list[Sentence] = []
    is_chinese = any(map(is_hanzi, text))
    for passage in _passages(text):
        sentences += _Narrator(passage, options, is_chinese).sentences()
    return sentences


def _passages(text: str) -> Iterator[_Passage]:
    passage: _Passage | None = None
    tokens = read_markup(text)
    for token in tokens:
        if passage is None:
            passage = _open_passage(token)
        elif isinstance(token, Text):
            passage.add_text(token.text)
        elif isinstance(token, Open):
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


def _open_passage(token: Token) -> _Passage | None:
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
    return _Passage(read_manner(token.attributes))


def _add_element(passage: _Passage, tag: Open, tokens: Iterator[Token]) -> None:
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
        passage.add_text(text, tag)


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
        _required(tag, "alias")
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
        _sounds(tag, text)


def _sounds(tag: Open, text: str) -> Pronunciation:
    begin = len(text) - len(text.lstrip())
    alphabet = _required(tag, "alphabet")
    try:
        sounds = check_sounds(alphabet, _required(tag, "ph"), text)
    except ValueError as fault:
        raise SsmlError(f"<phoneme ph={_show(tag.attributes['ph'])}>: {fault}") from None
    return Pronunciation(begin, len(text.rstrip()), alphabet, sounds)


class _Narrator:
    """Cuts one passage into sentences and reads them."""

    def __init__(self, passage: _Passage, options: ReadingOptions, is_chinese: bool) -> None:
        self._passage = passage
        self._options = options
        self._text = passage.text
        self._is_chinese = _speaks_chinese(self._text, options.language, is_chinese)
        self._scribe = Scribe(options)
        self._items: list[Item] = []
        # What is said until the next break, and how long it is.
        self._spoken: list[Spoken] = []
        self._length = 0
        self._sounds: list[Pronunciation] = []

    def sentences(self) -> list[Sentence]:
        sentences: list[Sentence] = []
        parts = deque(self._passage.parts)
        begin = 0
        for end in self._ends():
            while parts and (parts[0].begin < end or parts[0].begin == parts[0].end == end):
                part = parts.popleft()
                if part.end > end:
                    parts.appendleft(replace(part, begin=end, element=part.element and _SILENT))
                self._add(replace(part, end=min(part.end, end)), begin)
            self._close()
            sentences.append(Sentence(self._text[begin:end], tuple(self._items), self._passage.manner))
            self._items = []
            begin = end
        return sentences

    def _ends(self) -> list[int]:
        """Where the sentences end; what is blank belongs to its neighbour."""
        splitter = SentenceSplitter()
        shield = self._options.shield()
        masked: list[str] = []
        for part in self._passage.parts:
            text = self._text[part.begin : part.end]
            if part.element is not None:
                masked.append(_MASK * len(text))
            else:
                masked.append(shield.push(_BLANK.sub(" ", text)) + shield.flush())
        ends = [0]
        for sentence in splitter.push("".join(masked)) + splitter.flush():
            end = ends[-1] + len(sentence)
            if len(ends) > 1 and not self._text[ends[-1] : end].strip():
                ends[-1] = end
            else:
                ends.append(end)
        return ends[1:] if self._text else ([0] if self._passage.parts else [])

    def _add(self, part: _Part, begin: int) -> None:
        """Add a part to the sentence that begins at `begin`."""
        if part.item is not None:
            self._close()
            self._items.append(part.item)
            return
        text = _BLANK.sub(" ", self._text[part.begin : part.end])
        offset = part.begin - begin
        element = part.element
        if element is None:
            self._speak(self._scribe.read(text, offset))
            return
        sounds: tuple[Pronunciation, ...] = ()
        reading: str | None = None
        if element is _SILENT:
            reading = ""
        elif element.name == "sub":
            reading = _required(element, "alias")
        elif element.name == "phoneme":
            sounds = (_sounds(element, text),)
        else:
            kind = _required(element, "interpret-as")
            reading = read_as(kind, text, chinese=self._is_chinese)
            if kind == "name" and self._is_chinese:
                sounds = surname_sounds(text)
        if reading is None or reading == text:
            self._speak(Spoken.plain(text, offset), sounds)
        else:
            end = offset + len(text)
            self._speak(Spoken(reading, (offset,) * len(reading), (end,) * len(reading)))

    def _speak(self, spoken: Spoken, sounds: tuple[Pronunciation, ...] = ()) -> None:
        self._spoken.append(spoken)
        self._sounds += (
            replace(sound, begin=sound.begin + self._length, end=sound.end + self._length) for sound in sounds
        )
        self._length += len(spoken)

    def _close(self) -> None:
        spoken = Spoken.joined(self._spoken)
        if spoken.text.strip():
            self._items += self._scribe.say(spoken, self._sounds)
        self._spoken, self._length, self._sounds = [], 0, []


def _speaks_chinese(text: str, language: str, otherwise: bool) -> bool:
    if language:
        return language.startswith("zh")
    if any(map(is_hanzi, text)):
        return True
    return otherwise and not any(map(str.isalpha, text))


def _show(value: str) -> str:
    return repr(value if len(value) <= _SHOWN else value[:_SHOWN] + "…")
