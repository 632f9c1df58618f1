"""What the rooms need from the world, and nothing about how."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from bridge.audio import OpusFormat, PcmFormat

__all__ = [
    "Clock",
    "IdSource",
    "Recognition",
    "Recognizer",
    "SentenceMark",
    "Speech",
    "SpeechChunk",
    "Synthesizer",
    "Understanding",
    "Voice",
    "WordTime",
]


class Clock(Protocol):
    """The one reader of machine time; `bridge.clock.SystemClock` outside tests."""

    def now_ns(self) -> int:
        """Monotonic nanoseconds, shared by all processes of this machine."""
        ...


class IdSource(Protocol):
    """The one source of random identifiers; `bridge.dice.SystemDice` outside tests."""

    def token(self, nbytes: int = 16) -> str:
        """Return `nbytes` random bytes as lower-case hexadecimal digits."""
        ...

    def number(self, bits: int) -> int:
        """Return a random integer of at most `bits` bits."""
        ...


@dataclass(frozen=True, slots=True)
class WordTime:
    """When one word sounds, counted from the first sample of its utterance."""

    text: str
    begin_index: int
    """Offset of the word's first character in the whole text of the utterance."""
    end_index: int
    """Offset after the word's last character in the whole text of the utterance."""
    begin_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class SentenceMark:
    """Where a sentence begins, in the text and in the sound."""

    begin_index: int
    """Offset of its first character in the text of its task."""
    begin_samples: int
    """Samples of its task's sound before its own; meaningless where sound cannot be counted."""


@dataclass(frozen=True, slots=True)
class SpeechChunk:
    """A piece of an utterance's sound."""

    data: bytes
    """PCM: 16 bit, little-endian, mono, whole samples. Other formats: a piece of one stream, to be joined."""
    position_samples: int | None
    """Where its first sample belongs in the utterance; None where samples cannot be counted."""


@dataclass(frozen=True, slots=True)
class Voice:
    """Which voice speaks, and how."""

    model: str
    name: str
    language: str = ""
    """Language hint such as ``en``; empty lets the service decide."""


class Speech(Protocol):
    """One utterance in the making: text goes in while audio comes out."""

    @property
    def task_id(self) -> str:
        """Identifier of the task at the service, for traces."""
        ...

    @property
    def bound_ns(self) -> int:
        """When an open connection was bound to this utterance: mark t6."""
        ...

    @property
    def words(self) -> list[WordTime]:
        """Word times known so far, in order; grows while audio arrives."""
        ...

    @property
    def sentence(self) -> SentenceMark | None:
        """The last border between sentences that the sound received has come to; None if unknown."""
        ...

    async def send_text(self, text: str) -> None:
        """Append text; waits while the service has plenty, returns once it is handed to the transport.

        Raises:
            SynthesisError: If the task has failed, or was ended because its text paused.
        """
        ...

    async def finish(self) -> None:
        """No more text will follow."""
        ...

    def audio(self) -> AsyncIterator[bytes]:
        """Yield the sound until the task has ended; PCM in whole samples, all of it before a failure.

        Raises:
            SynthesisError: If the service refuses, fails or disappears.
        """
        ...

    async def cancel(self) -> int:
        """Abandon the task; returns when the cancel has been written (mark t5), in ns.

        Audio that still arrives is discarded; the connection is freed in the background.
        """
        ...


class Synthesizer(Protocol):
    """Turns text into speech: the cloud, the embedded service or a fake."""

    def speak(self, voice: Voice, format: PcmFormat | OpusFormat) -> Speech:
        """Bind an open connection and start a task on it, without waiting for either."""
        ...


@dataclass(frozen=True, slots=True)
class Understanding:
    """What is understood of one sentence of an utterance so far."""

    text: str
    is_final: bool
    """Whether it will not change any more; what comes then is about the next sentence."""
    begin_ms: int
    """From the first sample of the utterance."""
    end_ms: int | None
    """None while the sentence goes on."""


class Recognition(Protocol):
    """One utterance in the hearing: sound goes in while words come out."""

    def hear(self, pcm: bytes) -> None:
        """Append sound (16 bit, little-endian, mono, at the recogniser's rate); never waits."""
        ...

    def finish(self) -> None:
        """No more sound will follow."""
        ...

    def cancel(self) -> None:
        """Nobody wants its words any more; harmless when it has ended."""
        ...

    def results(self) -> AsyncIterator[Understanding]:
        """Yield what is understood, until all is.

        Raises:
            RecognitionError: If the service refuses, fails or disappears.
        """
        ...


class Recognizer(Protocol):
    """Turns speech into text: the cloud, the embedded service or a fake."""

    @property
    def rate_hz(self) -> int:
        """Sampling frequency of what it wants to hear."""
        ...

    def listen(self) -> Recognition | None:
        """Begin to hear an utterance, without waiting; None if as many as may be are being heard."""
        ...
