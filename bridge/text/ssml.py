"""Reads SSML documents into sentences with their breaks, sounds, readings and pronunciations."""

import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace

from bridge.text.characters import has_hanzi
from bridge.text.document import Part, Passage, read_passages, read_sounds
from bridge.text.markup import SsmlError, is_ssml
from bridge.text.passage import LONGEST_SPOKEN, Item, Pronunciation, Say, Sentence, Spoken
from bridge.text.reader import Reader, ReadingOptions, Scribe
from bridge.text.say_as import read_as, surname_sounds
from bridge.text.sentence import SentenceSplitter

__all__ = ["SsmlError", "is_ssml", "read_ssml"]

_MASK = "x"
_BLANK = re.compile(r"\s")
_MOST_INSERTS = 100
"""Breaks and sounds in one sentence."""


def read_ssml(text: str, options: ReadingOptions) -> Iterator[Sentence]:
    """Read a document, or, if it is none, plain text: a sentence at a time, no sooner than it is asked for.

    A sentence's text is what the client wrote without the markup, with entities as the characters they are.
    Line breaks in a document are blanks, as everywhere in XML: they end no sentence.

    Raises:
        SsmlError: If it is a document that breaks a rule; the message names the tag and what is allowed. All
            but what makes a single sentence too large is said instead of the first sentence.
        OvergrownError: If the hot fix makes a sentence too large.
    """
    if not is_ssml(text):
        reader = Reader(options)
        yield from reader.push(text)
        yield from reader.flush()
        return
    is_chinese = has_hanzi(text)
    for passage in list(read_passages(text)):
        yield from _Narrator(passage, options, is_chinese).sentences()


class _Utterance:
    """What is said without a break."""

    def __init__(self) -> None:
        self._spoken: list[Spoken] = []
        self._sounds: list[Pronunciation] = []
        self._length = 0

    def add(self, spoken: Spoken, sounds: Iterable[Pronunciation] = ()) -> None:
        """Go on with `spoken`, whose `sounds` point into itself."""
        place = self._length
        self._sounds += (replace(sound, begin=sound.begin + place, end=sound.end + place) for sound in sounds)
        self._spoken.append(spoken)
        self._length += len(spoken)

    def say(self, scribe: Scribe) -> tuple[Say, ...]:
        """As an item; none if it is blank."""
        spoken = Spoken.joined(self._spoken)
        return scribe.say(spoken, self._sounds) if spoken.text.strip() else ()


class _Narrator:
    """Cuts one passage into sentences and reads them."""

    def __init__(self, passage: Passage, options: ReadingOptions, is_chinese: bool) -> None:
        self._passage = passage
        self._options = options
        self._text = passage.text
        self._is_chinese = _speaks_chinese(self._text, options.language, is_chinese)
        self._scribe = Scribe(options)
        self._items: list[Item] = []
        self._utterance = _Utterance()
        # Of the sentence in progress: characters that are said, breaks and sounds.
        self._length = 0
        self._inserts = 0

    def sentences(self) -> Iterator[Sentence]:
        parts = deque(self._passage.parts)
        begin = 0
        for end in self._ends():
            while parts and (parts[0].begin < end or parts[0].begin == parts[0].end == end):
                part = parts.popleft()
                if part.end > end:
                    parts.appendleft(replace(part, begin=end))
                self._add(replace(part, end=min(part.end, end)), begin)
            self._close()
            yield Sentence(self._text[begin:end], tuple(self._items), self._passage.manner)
            self._items = []
            self._length = self._inserts = 0
            begin = end

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
        if not self._text:
            return [0] if self._passage.parts else []
        return self._spare_elements(ends[1:])

    def _spare_elements(self, ends: list[int]) -> list[int]:
        """Move what would cut an element, as too long a sentence is cut anywhere, to an end of it."""
        elements = deque(part for part in self._passage.parts if part.element is not None)
        spared = [0]
        for end in ends:
            while elements and elements[0].end <= end:
                elements.popleft()
            cut = end
            if elements and elements[0].begin < end:
                # An element as long as a sentence is one.
                is_first = elements[0].begin == spared[-1]
                cut = elements[0].end if is_first else elements[0].begin
            if cut > spared[-1]:
                spared.append(cut)
        return spared[1:]

    def _add(self, part: Part, begin: int) -> None:
        """Add a part to the sentence that begins at `begin`."""
        if part.item is not None:
            self._inserts += 1
            if self._inserts > _MOST_INSERTS:
                raise SsmlError(f"a sentence holds more than {_MOST_INSERTS} breaks and sounds; make it two")
            self._close()
            self._items.append(part.item)
            return
        spoken, sounds = self._read(part, part.begin - begin)
        self._length += len(spoken)
        if self._length > LONGEST_SPOKEN:
            raise SsmlError(
                f"what is said for one sentence is longer than {LONGEST_SPOKEN} characters; make it two"
            )
        self._utterance.add(spoken, sounds)

    def _read(self, part: Part, offset: int) -> tuple[Spoken, tuple[Pronunciation, ...]]:
        """What is said for a part of the text, which stands at `offset` in its sentence, and its sounds."""
        text = _BLANK.sub(" ", self._text[part.begin : part.end])
        element = part.element
        if element is None:
            return self._scribe.read(text, offset), ()
        sounds: tuple[Pronunciation, ...] = ()
        reading: str | None = None
        if element.name == "sub":
            reading = element.attributes["alias"].strip()
        elif element.name == "phoneme":
            sounds = (read_sounds(element, text),)
        else:
            kind = element.attributes["interpret-as"].strip()
            reading = read_as(kind, text, chinese=self._is_chinese)
            if kind == "name" and self._is_chinese:
                sounds = surname_sounds(text)
        if reading is None or reading == text:
            return Spoken.plain(text, offset), sounds
        end = offset + len(text)
        return Spoken(reading, (offset,) * len(reading), (end,) * len(reading)), ()

    def _close(self) -> None:
        self._items += self._utterance.say(self._scribe)
        self._utterance = _Utterance()


def _speaks_chinese(text: str, language: str, otherwise: bool) -> bool:
    if language:
        return language.startswith("zh")
    if has_hanzi(text):
        return True
    return otherwise and not any(map(str.isalpha, text))
