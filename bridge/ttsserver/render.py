"""From the sentences of a task to its frames: clause by clause, at the rate and in the format asked for."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bridge.cosyvoice.formats import TaskParameters
from bridge.errors import BridgeError
from bridge.media.resample import Resampler
from bridge.ports import WordTime
from bridge.text.sentence import split_clauses
from bridge.ttsserver.casting import timbre_of
from bridge.ttsserver.voice import Delivery, Engine, Rendered

__all__ = [
    "FRAME_MS",
    "Engine",
    "Piece",
    "Rendered",
    "Rendering",
    "TaskRenderer",
    "UnsupportedFormatError",
    "wav_header",
]

FRAME_MS = 100
"""Sound in one binary frame; the last frame of a piece may be longer by less than that."""

FORMATS = ("pcm", "wav")
RATES = (8000, 16000, 24000)

# With the edges that level.EDGE_MS leaves, about the pauses that the voice makes by itself.
_SENTENCE_PAUSE_MS = 280
_CLAUSE_PAUSE_MS = 80
_WHOLE = 72
"""Characters up to which a sentence is spoken in one go: below 60 ms of work."""
_LONGEST = 140


class UnsupportedFormatError(BridgeError):
    """The task asks for a format that is not made here; the message names those that are."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What is rendered at one go: a sentence or a part of it."""

    text: str
    offset: int
    """Of its first character in the sentence."""
    pause_ms: int
    """Silence before it."""


@dataclass(frozen=True, slots=True)
class Rendering:
    """One piece, ready for the wire."""

    frames: tuple[bytes, ...]
    words: tuple[WordTime, ...]
    """Times from the first sample of the sentence, offsets from its first character."""


class TaskRenderer:
    """Renders the sentences of one task in order; not for several threads at once.

    Args:
        engine: The voice; shared between tasks.
        parameters: Of the task.

    Raises:
        UnsupportedFormatError: If the task asks for a format or rate that is not made here.
    """

    def __init__(self, engine: Engine, parameters: TaskParameters) -> None:
        if parameters.format not in FORMATS or parameters.sample_rate not in RATES:
            raise UnsupportedFormatError(
                f"the embedded service makes pcm and wav at 8000, 16000 and 24000 Hz, "
                f"not {parameters.format} at {parameters.sample_rate} Hz"
            )
        self._engine = engine
        self._rate = parameters.sample_rate
        self._delivery = Delivery(
            rate=parameters.rate,
            pitch=parameters.pitch,
            volume=parameters.volume,
            seed=parameters.seed,
            timbre=timbre_of(parameters.voice or ""),
            with_words=parameters.word_timestamp_enabled,
        )
        self._header = wav_header(self._rate) if parameters.format == "wav" else b""
        self._sentence_samples = 0
        self._has_spoken = False

    def plan(self, sentence: str) -> list[Piece]:
        """Begin a sentence: cut it where a voice may breathe. Costs nothing.

        Raises:
            UnspeakableError: If the voice would leave something of it out.
        """
        self._engine.check(sentence)
        self._sentence_samples = 0
        pieces: list[Piece] = []
        offset = 0
        for text in _breaths(sentence):
            pause_ms = _CLAUSE_PAUSE_MS if pieces else _SENTENCE_PAUSE_MS if self._has_spoken else 0
            pieces.append(Piece(text, offset, pause_ms))
            offset += len(text)
        return pieces

    def render(self, piece: Piece) -> Rendering:
        """Make the sound of the next piece; takes about 13 ms for each second of it."""
        spoken = self._engine.render(piece.text, self._delivery)
        if not len(spoken.samples):
            return Rendering((), ())
        pause_samples = piece.pause_ms * self._rate // 1000
        begin_ms = (self._sentence_samples + pause_samples) * 1000 / self._rate
        pcm = bytes(2 * pause_samples) + _resampled(spoken.samples, spoken.rate, self._rate)
        self._sentence_samples += len(pcm) // 2
        frames = _frames(pcm, 2 * self._rate * FRAME_MS // 1000)
        if not self._has_spoken:
            frames[0] = self._header + frames[0]
            self._has_spoken = True
        return Rendering(tuple(frames), _moved(spoken.words, piece.offset, begin_ms))


def wav_header(rate: int) -> bytes:
    """A RIFF header of a stream whose length nobody knows yet: both sizes are 0xFFFFFFFF."""
    endless = 0xFFFFFFFF
    layout = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16)
    return struct.pack("<4sI4s", b"RIFF", endless, b"WAVE") + layout + struct.pack("<4sI", b"data", endless)


def _breaths(sentence: str) -> list[str]:
    """Cut a long sentence: the first clause alone, so that it sounds soon; then as much as flows well."""
    if len(sentence) <= _WHOLE:
        return [sentence]
    pieces: list[str] = []
    for clause in split_clauses(sentence):
        for part in _bounded(clause):
            if len(pieces) > 1 and len(pieces[-1]) + len(part) <= _LONGEST:
                pieces[-1] += part
            else:
                pieces.append(part)
    return pieces


def _bounded(clause: str) -> list[str]:
    parts = []
    while len(clause) > _LONGEST:
        cut = clause.rfind(" ", 1, _LONGEST) + 1 or _LONGEST
        parts.append(clause[:cut])
        clause = clause[cut:]
    return [*parts, clause] if clause else parts


def _resampled(samples: NDArray[np.int16], rate_in: int, rate_out: int) -> bytes:
    resampler = Resampler(rate_in, rate_out)
    pcm = resampler.push(samples.astype("<i2", copy=False).tobytes()) + resampler.flush()
    # The filter's tail differs by a sample or two with the rate; the length must not.
    wanted = 2 * round(len(samples) * rate_out / rate_in)
    return pcm[:wanted].ljust(wanted, b"\0")


def _frames(pcm: bytes, size: int) -> list[bytes]:
    count = max(1, len(pcm) // size)
    return [pcm[n * size : (n + 1) * size if n + 1 < count else len(pcm)] for n in range(count)]


def _moved(words: Sequence[WordTime], offset: int, begin_ms: float) -> tuple[WordTime, ...]:
    return tuple(
        WordTime(
            word.text,
            word.begin_index + offset,
            word.end_index + offset,
            round(word.begin_ms + begin_ms),
            round(word.end_ms + begin_ms),
        )
        for word in words
    )
