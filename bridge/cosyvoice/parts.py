"""One utterance made of several tasks: where each begins, and where the next goes on after one that broke.

Positions are samples of the utterance from its first. A task that broke is followed by one that goes on

* behind the last whole word that was received, where word times tell where that is: a word that had begun
  to sound is said again from its start;
* else at the start of the sentence that broke: it is spoken again, and as much of it as was received is left
  out. Where the last sound received is found in the repetition, sample by sample, it goes on behind that;
  else at the word that sounds at that place, as the repetition's own word times tell, or else at that place;
* else, for a service that tells neither words nor sentences, where the number of characters says.
"""

from dataclasses import dataclass, field

from bridge.cosyvoice.seam import TAIL_S, find_seam
from bridge.errors import LocalProtocolError
from bridge.ports import Speech, WordTime
from bridge.speech.heard import heard

__all__ = ["Part", "Parts"]


@dataclass(slots=True)
class Part:
    """One task's share of an utterance."""

    speech: Speech
    text_offset: int
    """Where its text begins in the whole text."""
    origin: int
    """Where its first sample belongs in the whole sound."""
    skip: int
    """Samples that are to be left out, for they were handed on before."""
    begin: int
    """What had been handed on when it began."""
    sent: int = 0
    """Characters handed to the service."""
    counted: int = 0
    """The same, as the service counts them."""
    spoken: int | None = None
    """How many of its characters count; None while it is not over."""
    held: bytearray = field(default_factory=bytearray)
    """What came of a repetition of which it is not known yet where it goes on."""
    is_joined: bool = False
    """Whether that is known."""


class Parts:
    """The tasks of one utterance, in order.

    Args:
        rate: Sampling frequency of the sound, in Hz; 0 for sound that cannot be counted.
        is_whole: Whether the text must go to one task as a whole, as SSML does.
        has_words: Whether the tasks were asked for word times.
    """

    def __init__(self, rate: int, *, is_whole: bool = False, has_words: bool = True) -> None:
        self.position: int = 0
        """Samples handed on so far; bytes where samples cannot be counted."""
        self.offset: int = 0
        """Where the text of the next part begins."""
        self.count: int = 0
        """Tasks begun so far; only the latest is kept."""
        self.latest: Part | None = None
        self._rate = rate
        self._is_whole = is_whole
        self._has_words = has_words
        self._tail = b""
        self._tail_bytes = 2 * int(TAIL_S * rate)
        self._origin = 0
        self._settled: list[WordTime] = []

    @property
    def words(self) -> list[WordTime]:
        """Word times of all parts, in the whole text and from the first sample."""
        return self.words_from(0)

    def words_from(self, index: int) -> list[WordTime]:
        """Word times without the first `index`."""
        settled = self._settled[index:]
        part = self.latest
        if part is None or part.spoken is not None:
            return settled
        return settled + self._placed(part, part.speech.words[max(0, index - len(self._settled)) :])

    def begin(self, speech: Speech) -> Part:
        """Let `speech` go on where the part before it ended."""
        part = Part(speech, self.offset, self._origin, self.position - self._origin, self.position)
        part.is_joined = not part.skip
        self.latest = part
        self.count += 1
        return part

    def hand_on(self, data: bytes) -> bytes:
        """Count sound of the present part; return what is to be handed on of it, and of what was held."""
        if not self._rate:
            self.position += len(data)
            return data
        part = self._part
        if not part.is_joined:
            part.held += data
            cut = self._cut(part)
            return self._join(part, cut) if cut is not None else b""
        self._count(data)
        return data

    def end(self) -> bytes:
        """The present part has spoken all that it was given; return what is still to be handed on of it."""
        part = self._part
        rest = self._join(part, part.skip) if self._rate and not part.is_joined else b""
        self._settle(part.sent, self.position)
        return rest

    def break_off(self, text: str) -> bool:
        """The present part failed: decide where the next goes on.

        Args:
            text: The whole text, as far as it is known.

        Returns:
            False if its sound cannot be continued, for want of a way to count it.
        """
        part = self._part
        received = self.position - part.origin
        if not self._rate:
            self._settle(0, self.position)
            return self.position == part.begin
        if self._is_whole or not part.is_joined or not received:
            self._settle(0, part.origin)
            return True
        text = text[part.text_offset : part.text_offset + part.sent]
        played_ms = received * 1000 // self._rate
        found = heard(text, part.speech.words, played_ms=played_ms, finished=False, total_ms=None)
        mark = part.speech.sentence
        if found.estimated and mark is not None and mark.begin_samples <= received:
            self._settle(mark.begin_index, part.origin + mark.begin_samples)
        else:
            self._settle(len(found.heard), self.position)
        return True

    @property
    def _part(self) -> Part:
        if self.latest is None:
            raise LocalProtocolError("no task has been begun")
        return self.latest

    def _cut(self, part: Part) -> int | None:
        """Where a repetition goes on, in its own samples; None while that is not known."""
        mark = part.speech.sentence
        has_passed = mark is not None and mark.begin_samples > part.skip
        words = part.speech.words
        # Word times come with the end of their sentence or never.
        is_told = bool(words) and words[-1].end_ms * self._rate > part.skip * 1000
        may_come = self._has_words and (is_told or not has_passed)
        return find_seam(
            part.held, tail=self._tail, skip=part.skip, rate=self._rate, words=words if may_come else None
        )

    def _join(self, part: Part, cut: int) -> bytes:
        joined = bytes(part.held[2 * cut :])
        part.held.clear()
        part.is_joined = True
        part.origin = self.position - cut
        self._count(joined)
        return joined

    def _count(self, data: bytes) -> None:
        self.position += len(data) // 2
        size = self._tail_bytes
        self._tail = data[-size:] if len(data) >= size else (self._tail + data)[-size:]

    def _settle(self, spoken: int, origin: int) -> None:
        part = self._part
        part.spoken = spoken
        counting = [word for word in part.speech.words if word.end_index <= spoken]
        self._settled += self._placed(part, counting)
        self.offset = part.text_offset + spoken
        self._origin = origin

    def _placed(self, part: Part, words: list[WordTime]) -> list[WordTime]:
        shift_ms = part.origin * 1000 // self._rate if self._rate else self._end_ms()
        return [
            WordTime(
                text=word.text,
                begin_index=word.begin_index + part.text_offset,
                end_index=word.end_index + part.text_offset,
                begin_ms=word.begin_ms + shift_ms,
                end_ms=word.end_ms + shift_ms,
            )
            for word in words
        ]

    def _end_ms(self) -> int:
        return self._settled[-1].end_ms if self._settled else 0
