"""From the service's word times to ours: counted from the utterance's first sample, placed in the whole text.

The documentation does not say whether a service counts word times from the start of the sentence or
of the task. Our embedded service counts from the first sample of the sentence's sound; so do we, by the
sound received before the sentence began. Should the times reach past the sentence's own sound and not
begin before the task's sound so far, they count from the task (`_counts_from_task`).

Packed sound (wav, mp3, opus) cannot be counted without unpacking it: there a sentence is taken to begin
where the last word before it ended.
"""

from bridge.cosyvoice.message import SENTENCE_BEGIN, SENTENCE_END, ResultGenerated, Word
from bridge.ports import SentenceMark, WordTime
from bridge.text.characters import count_characters

__all__ = ["WordTimeline"]

_SLACK_MS = 60
"""Rounding and trimming at both ends of a sentence's sound."""


class WordTimeline:
    """Collects the word times of one task.

    Args:
        rate: Sampling frequency of the sound received, in Hz; 0 for sound that cannot be counted.
    """

    def __init__(self, rate: int) -> None:
        self.words: list[WordTime] = []
        self.sentence: SentenceMark | None = None
        """Where the latest sentence that has begun, or the one behind the latest that has ended, begins;
        None while unknown."""
        self.is_in_sentence: bool = False
        """Whether a sentence has begun and not ended."""
        self._rate = rate
        self._text = ""
        self._samples = 0
        self._sentence: int | None = None
        self._sentence_text: str | None = None
        self._sentence_sample = 0
        self._sentence_ms = 0
        self._progress = _Progress()
        # Where the next sentence is searched from: a sentence that occurs twice is found twice, in order.
        self._cursor = 0
        self._sentence_at = 0
        # Words of earlier sentences; those behind them belong to the sentence in progress.
        self._settled = 0

    @property
    def text(self) -> str:
        """All text sent so far."""
        return self._text

    @property
    def ahead(self) -> int:
        """Counted characters that the service has and has not come to yet; 0 if it does not tell."""
        return self._progress.ahead if self._progress.is_known or not self._samples else 0

    def text_sent(self, text: str) -> None:
        self._text += text
        self._progress.sent += count_characters(text)

    def sound_received(self, samples: int) -> None:
        """Count sound; any number above 0 where it cannot be counted."""
        self._samples += samples

    def receive(self, event: ResultGenerated) -> None:
        """Take the progress of a sentence; the last list of words it brings replaces the earlier ones."""
        if event.index != self._sentence or event.type == SENTENCE_BEGIN:
            self._begin(event)
        elif self._sentence_text is None and event.original_text is not None:
            self._place(event.original_text)
        if event.words:
            del self.words[self._settled :]
            self._append(event.words)
        if event.type == SENTENCE_END:
            self._finish(event)

    def _begin(self, event: ResultGenerated) -> None:
        self._sentence = event.index
        self._sentence_text = None
        self._sentence_sample = self._samples
        self._sentence_ms = self._sound_ms()
        self._sentence_at = self._cursor
        self._settled = len(self.words)
        self.sentence = None
        self.is_in_sentence = event.type == SENTENCE_BEGIN
        if event.original_text is not None:
            self._place(event.original_text)

    def _finish(self, event: ResultGenerated) -> None:
        self.is_in_sentence = False
        if event.characters is not None:
            self._progress.reached(event.characters)
        if self._sentence_text is not None:
            self._progress.passed(self._text, self._cursor)
            self.sentence = SentenceMark(self._cursor, self._samples)

    def _sound_ms(self) -> int:
        if self._rate:
            return self._samples * 1000 // self._rate
        return self.words[-1].end_ms if self.words else 0

    def _place(self, original_text: str) -> None:
        self._sentence_text = original_text
        at = self._text.find(original_text, self._cursor)
        if at < 0:
            # Rewritten by the service: its words are searched one by one instead.
            self._sentence_text = None
            return
        self._progress.passed(self._text, at)
        self._sentence_at = at
        self._cursor = at + len(original_text)
        self.sentence = SentenceMark(at, self._sentence_sample)

    def _append(self, words: tuple[Word, ...]) -> None:
        base_ms = 0 if self._counts_from_task(words) else self._sentence_ms
        search_from = self._sentence_at
        for word in words:
            if self._sentence_text is None:
                begin, end = self._find(word.text, search_from)
            else:
                size = len(self._sentence_text)
                begin = self._sentence_at + min(max(word.begin_index, 0), size)
                end = self._sentence_at + min(max(word.end_index, 0), size)
            search_from = end
            self.words.append(WordTime(word.text, begin, end, base_ms + word.begin_ms, base_ms + word.end_ms))
        if self._sentence_text is None:
            self._cursor = max(self._cursor, search_from)

    def _find(self, word: str, start: int) -> tuple[int, int]:
        at = self._text.find(word, start) if word else -1
        return (at, at + len(word)) if at >= 0 else (start, start)

    def _counts_from_task(self, words: tuple[Word, ...]) -> bool:
        before_ms = self._sentence_ms
        begins_late = before_ms > 0 and words[0].begin_ms >= before_ms - _SLACK_MS
        # Packed sound has no length of its own to be held against the times.
        own_ms = self._sound_ms() - before_ms if self._rate else 0
        return begins_late and words[-1].end_ms > own_ms + _SLACK_MS


class _Progress:
    """How far the service has come, in counted characters."""

    def __init__(self) -> None:
        self.sent = 0
        self.is_known = False
        self._passed = 0
        self._passed_index = 0
        self._reached = 0

    @property
    def ahead(self) -> int:
        return max(0, self.sent - max(self._passed, self._reached))

    def passed(self, text: str, index: int) -> None:
        """The service has come to `index` in the whole text."""
        self.is_known = True
        if index > self._passed_index:
            self._passed += count_characters(text[self._passed_index : index])
            self._passed_index = index

    def reached(self, characters: int) -> None:
        """The service has counted so many itself."""
        self.is_known = True
        self._reached = characters
