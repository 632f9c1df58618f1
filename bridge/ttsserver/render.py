"""From the sentences of a task to its frames: piece by piece, at the rate and in the format asked for."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bridge.cosyvoice.formats import TaskParameters
from bridge.media.container import packer
from bridge.media.resample import Resampler
from bridge.ports import WordTime
from bridge.text.characters import is_hanzi
from bridge.text.passage import Manner, Sentence, Spoken
from bridge.ttsserver.pieces import Piece, pieces_of
from bridge.ttsserver.script import is_eastern, is_speakable
from bridge.ttsserver.sounds import Sounds
from bridge.ttsserver.stage import Stage
from bridge.ttsserver.voice import Delivery, Engine, Stop, Style, Timbre

__all__ = ["FRAME_MS", "Part", "Rendering", "TaskRenderer", "append_words"]

FRAME_MS = 100
"""Sound in one binary frame; the last frame of a piece may be longer by less than that."""

_LOLITA = Timbre(pitch=1.35, rate=1.0, formant=1.16)


@dataclass(frozen=True, slots=True)
class Part:
    """A piece and who speaks it how."""

    piece: Piece
    engine: Engine
    delivery: Delivery
    manner: Manner

    @property
    def is_slow(self) -> bool:
        """Whether the Chinese or Japanese voice has to speak, which takes about as long as it sounds."""
        spoken = self.piece.spoken
        if spoken is None:
            return False
        return is_eastern(spoken.text) or (
            _is_wordless(self.piece) and self.delivery.language in ("zh", "ja")
        )


@dataclass(frozen=True, slots=True)
class Rendering:
    """One piece, ready for the wire."""

    frames: tuple[bytes, ...]
    words: tuple[WordTime, ...] = ()
    """Times from the first sample of the sentence, offsets from its first character."""


class TaskRenderer:
    """Renders the sentences of one task in order; not for several threads at once.

    Args:
        parameters: Of the task.
        style: What its instruction does to the voice.
        sounds: Where sound files come from.
        tags: What the container says about the sound.
    """

    def __init__(
        self, parameters: TaskParameters, *, style: Style, sounds: Sounds, tags: Mapping[str, str]
    ) -> None:
        self._parameters = parameters
        self._style = style
        self._sounds = sounds
        self._packer = packer(
            parameters.format, parameters.sample_rate, bit_rate=parameters.bit_rate, tags=tags
        )
        self._stage = Stage(Manner(), rate=parameters.sample_rate, sounds=sounds)
        self.stop: Stop = Stop()
        """Set when nobody waits for the sound any more."""
        self._text = ""
        self._sentence_samples = 0
        self._owes_pause = False

    def plan(self, sentence: Sentence, engine: Engine) -> list[Part]:
        """Begin a sentence: cut it where a voice may breathe. Cheap.

        Raises:
            UnspeakableError: If the voice would leave something of it out, or a sound is not to be had.
        """
        self._text = sentence.text
        self._sentence_samples = 0
        delivery = self._delivery(sentence.manner)
        pieces = [
            piece
            for piece in pieces_of(
                sentence,
                breath=engine.breath(sentence.text),
                rate=delivery.rate,
                is_first=not self._owes_pause,
            )
            if piece.spoken is None or is_speakable(piece.spoken.text)
        ]
        for piece in pieces:
            if piece.spoken is not None:
                engine.check(piece.spoken.text)
        for src in {sentence.manner.bed, *(piece.src for piece in pieces)} - {""}:
            self._sounds.find(src)
        if pieces:
            # A break at the end of a sentence is its pause.
            self._owes_pause = pieces[-1].spoken is not None or bool(pieces[-1].src)
        # Digits alone do not tell in which language they are read; their sentence does.
        hint = delivery.language or ("zh" if any(map(is_hanzi, sentence.text)) else "")
        return [
            Part(
                piece,
                engine,
                replace(
                    delivery,
                    language=hint if _is_wordless(piece) else delivery.language,
                    pronunciations=piece.pronunciations,
                ),
                sentence.manner,
            )
            for piece in pieces
        ]

    def render(self, part: Part) -> Rendering:
        """Make the sound of the next piece.

        Raises:
            UnspeakableError: If its passage asks for what cannot be had at this rate.
        """
        rate = self._parameters.sample_rate
        sound, words = self._sound(part)
        if not len(sound) and part.piece.spoken is not None:
            return Rendering(())
        pause = np.zeros(round(part.piece.pause_ms * rate / 1000), np.int16)
        begin_ms = (self._sentence_samples + len(pause)) * 1000 / rate
        tail = np.zeros(0, np.int16)
        if part.manner != self._stage.manner:
            # The passage before it rings out first; its sentence has ended, so that counts as a pause.
            tail, self._stage = self._stage.tail(), Stage(part.manner, rate=rate, sounds=self._sounds)
            begin_ms += len(tail) * 1000 / rate
        samples = np.concatenate([tail, self._stage.process(np.concatenate([pause, sound]))])
        self._sentence_samples += len(samples)
        frames = tuple(self._packed(samples))
        # Known only now: the silence in front of the words may have made up for what was late.
        begin_ms += self._packer.late_samples * 1000 / rate
        return Rendering(frames, _placed(words, part.piece.spoken, self._text, begin_ms))

    def settle(self) -> tuple[bytes, ...]:
        """End a sentence: whatever of it the packer still holds."""
        rest = self._packer.settle()
        return (rest,) if rest else ()

    def finish(self) -> tuple[bytes, ...]:
        """End the task: what still rings, and what the container ends with."""
        frames = [*self._packed(self._stage.tail()), self._packer.finish()]
        return tuple(frame for frame in frames if frame)

    def _sound(self, part: Part) -> tuple[NDArray[np.int16], Sequence[WordTime]]:
        piece, rate = part.piece, self._parameters.sample_rate
        if piece.src:
            return self._sounds.load(piece.src, rate), ()
        if piece.spoken is None:
            return np.zeros(0, np.int16), ()
        spoken = part.engine.render(piece.spoken.text, part.delivery)
        return _resampled(spoken.samples, spoken.rate, rate), spoken.words

    def _packed(self, samples: NDArray[np.int16]) -> Iterator[bytes]:
        pcm = samples.astype("<i2", copy=False).tobytes()
        size = 2 * self._parameters.sample_rate * FRAME_MS // 1000
        count = max(1, len(pcm) // size)
        for n in range(count):
            frame = self._packer.push(pcm[n * size : (n + 1) * size if n + 1 < count else len(pcm)])
            if frame:
                yield frame

    def _delivery(self, manner: Manner) -> Delivery:
        asked = self._parameters
        return Delivery(
            rate=asked.rate if manner.rate is None else manner.rate,
            pitch=asked.pitch if manner.pitch is None else manner.pitch,
            volume=asked.volume if manner.volume is None else manner.volume,
            seed=asked.seed,
            timbre=_LOLITA if manner.effect == "lolita" else Timbre(),
            style=self._style,
            language=asked.language,
            with_words=asked.word_timestamp_enabled,
            stop=self.stop,
        )


def _is_wordless(piece: Piece) -> bool:
    return piece.spoken is not None and not any(map(str.isalpha, piece.spoken.text))


def _resampled(samples: NDArray[np.int16], rate_in: int, rate_out: int) -> NDArray[np.int16]:
    resampler = Resampler(rate_in, rate_out)
    pcm = resampler.push(samples.astype("<i2", copy=False).tobytes()) + resampler.flush()
    # The filter's tail differs by a sample or two with the rate; the length must not.
    wanted = 2 * round(len(samples) * rate_out / rate_in)
    return np.frombuffer(pcm[:wanted].ljust(wanted, b"\0"), "<i2").astype(np.int16, copy=False)


def _placed(
    words: Sequence[WordTime], spoken: Spoken | None, text: str, begin_ms: float
) -> tuple[WordTime, ...]:
    """Say where in the client's text each word stands; what one thing written became several words is one."""
    placed: list[WordTime] = []
    for word in words:
        assert spoken is not None  # noqa: S101  only words have times
        begin, end = spoken.source(word.begin_index, word.end_index)
        times = round(word.begin_ms + begin_ms), round(word.end_ms + begin_ms)
        append_words(placed, (WordTime(text[begin:end], begin, end, *times),))
    return tuple(placed)


def append_words(words: list[WordTime], more: Iterable[WordTime]) -> None:
    """Append words; one that stands where the last one stands is the same, said with several words."""
    for word in more:
        last = words[-1] if words else None
        if last is not None and (word.begin_index, word.end_index) == (last.begin_index, last.end_index):
            words[-1] = replace(last, end_ms=word.end_ms)
        else:
            words.append(word)
