from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.cosyvoice.parts import Parts
from bridge.errors import LocalProtocolError
from bridge.ports import SentenceMark, Speech, WordTime

RATE = 1000
"""One sample is one millisecond."""


class Known:
    """A task of which the test says what is known."""

    def __init__(self, *words: WordTime, sentence: SentenceMark | None = None) -> None:
        self.words = list(words)
        self.sentence = sentence
        self.task_id = "task"
        self.bound_ns = 0

    async def send_text(self, text: str) -> None: ...
    async def finish(self) -> None: ...
    def audio(self) -> AsyncIterator[bytes]:
        raise AssertionError("nobody listens to a task that is only counted")

    async def cancel(self) -> int:
        return 0


def begun(parts: Parts, speech: Speech, sent: int, samples: int) -> None:
    """A task that was given so many characters and of which so many samples have come."""
    parts.begin(speech).sent = sent
    parts.hand_on(bytes(2 * samples))


ONE = WordTime("one", 0, 3, 0, 100)
TWO = WordTime("two", 4, 7, 100, 200)


def test_a_task_that_ends_well_is_followed_by_what_comes_next() -> None:
    parts = Parts(RATE)
    begun(parts, Known(ONE, TWO), 8, 250)

    parts.end()
    begun(parts, Known(WordTime("three", 0, 5, 0, 90)), 5, 90)

    assert (parts.offset, parts.position) == (8, 340)
    assert parts.words == [ONE, TWO, WordTime("three", 8, 13, 250, 340)]
    assert parts.words_from(1) == [TWO, WordTime("three", 8, 13, 250, 340)]
    assert parts.words_from(2) == [WordTime("three", 8, 13, 250, 340)]
    assert parts.words_from(3) == []


def test_a_word_that_had_begun_is_said_again_where_word_times_tell() -> None:
    parts = Parts(RATE)
    begun(parts, Known(ONE, TWO), 7, 150)

    assert parts.break_off("one two")

    assert parts.offset == 4
    assert parts.words == [ONE]
    assert parts.begin(Known()).skip == 0


def broken(*, has_words: bool = True) -> Parts:
    """ "One." was heard, and of the next sentence, which began at 120, all before 150."""
    parts = Parts(RATE, has_words=has_words)
    begun(parts, Known(ONE, sentence=SentenceMark(5, 120)), len(TEXT), 0)
    parts.hand_on(sound(150))
    assert parts.break_off(TEXT)
    assert parts.offset == 5
    return parts


TEXT = "one. two three"


def sound(samples: int, *, start: int = 0) -> bytes:
    """Each sample tells where it is."""
    return b"".join(value.to_bytes(2, "little") for value in range(start, start + samples))


def test_a_sentence_without_word_times_is_spoken_again_and_what_was_received_is_left_out() -> None:
    parts = broken()

    part = parts.begin(Known(WordTime("two", 0, 3, 0, 80)))
    out = [parts.hand_on(sound(20, start=start)) for start in (120, 140, 160)]

    assert out == [b"", sound(10, start=150), sound(20, start=160)]
    assert parts.position == 180
    # Its words are where its sentence began, not where its own sound was handed on.
    assert parts.words == [ONE, WordTime("two", 5, 8, 120, 200)]
    assert part.origin == 120


def other(samples: int) -> bytes:
    """Sound that is found nowhere in the first."""
    return sound(samples, start=20_000)


def test_a_repetition_that_sounds_otherwise_goes_on_at_the_word_that_was_broken() -> None:
    parts = broken()
    speech = Known()
    part = parts.begin(speech)

    assert parts.hand_on(other(600)) == b""
    speech.words += [WordTime("two", 0, 3, 0, 20), WordTime("three", 4, 9, 25, 90)]
    assert parts.hand_on(b"ab") == other(600)[50:] + b"ab"

    assert part.origin == 150 - 25
    assert parts.words == [ONE, WordTime("two", 5, 8, 125, 145), WordTime("three", 9, 14, 150, 215)]


def test_where_no_word_times_were_asked_for_it_goes_on_at_the_place() -> None:
    parts = broken(has_words=False)
    parts.begin(Known())

    assert parts.hand_on(other(600)) == other(600)[60:]


def test_word_times_that_do_not_come_with_the_sentence_are_not_waited_for() -> None:
    parts = broken()
    speech = Known(sentence=SentenceMark(0, 0))
    parts.begin(speech)
    assert parts.hand_on(other(600)) == b""

    speech.sentence = SentenceMark(9, 600)

    assert parts.hand_on(b"ab") == other(600)[60:] + b"ab"


def test_a_repetition_that_ends_before_its_word_times_is_handed_on_at_its_end() -> None:
    parts = broken()
    parts.begin(Known()).sent = 9
    parts.hand_on(sound(100))

    assert parts.end() == sound(70, start=30)

    assert (parts.position, parts.offset) == (220, 14)


def test_a_repetition_that_is_shorter_than_what_was_received_adds_nothing() -> None:
    parts = broken()
    parts.begin(Known()).sent = 9
    parts.hand_on(sound(10))

    assert parts.end() == b""

    assert parts.position == 150


def test_a_repetition_that_breaks_before_there_is_anything_new_is_repeated_as_it_was() -> None:
    parts = Parts(RATE)
    begun(parts, Known(sentence=SentenceMark(0, 0)), 7, 150)
    parts.break_off("one two")
    begun(parts, Known(sentence=SentenceMark(0, 0)), 7, 100)

    assert parts.break_off("one two")

    assert parts.offset == 0
    assert parts.begin(Known()).skip == 150


def test_a_task_that_gave_nothing_is_repeated_from_its_start() -> None:
    parts = Parts(RATE)
    begun(parts, Known(ONE), 4, 100)
    parts.end()
    begun(parts, Known(), 3, 0)

    assert parts.break_off("one two")

    assert (parts.offset, parts.position) == (4, 100)
    assert parts.begin(Known()).skip == 0


def test_where_nothing_is_known_the_characters_say() -> None:
    parts = Parts(RATE)
    text = "one two three four five six seven eight nine ten eleven twelve thirteen"
    begun(parts, Known(), len(text), 2000)

    assert parts.break_off(text)

    # About 14 letters a second.
    assert text[parts.offset :].startswith("seven")


def test_a_sentence_that_has_not_sounded_yet_is_no_place_to_go_on_from() -> None:
    parts = Parts(RATE)
    begun(parts, Known(sentence=SentenceMark(8, 500)), 12, 100)

    assert parts.break_off("one two. six")

    assert parts.offset < 8


def test_ssml_is_repeated_as_a_whole() -> None:
    parts = Parts(RATE, is_whole=True)
    text = "<speak>one two</speak>"
    begun(parts, Known(ONE, sentence=SentenceMark(3, 100)), len(text), 150)

    assert parts.break_off(text)

    assert parts.offset == 0
    assert parts.begin(Known()).skip == 150


def test_sound_that_cannot_be_counted_goes_on_only_where_none_was_received() -> None:
    parts = Parts(0)
    parts.begin(Known()).sent = 7

    assert parts.break_off("one two")
    assert parts.offset == 0
    parts.begin(Known()).sent = 7
    assert parts.hand_on(b"mp3") == b"mp3"
    assert not parts.break_off("one two")
    assert parts.position == 3


def test_words_of_a_later_task_follow_those_before_it_where_sound_cannot_be_counted() -> None:
    parts = Parts(0)
    parts.begin(Known(ONE)).sent = 4
    parts.end()
    parts.begin(Known(WordTime("two", 0, 3, 0, 80))).sent = 3

    assert parts.words == [ONE, WordTime("two", 4, 7, 100, 180)]


def test_before_the_first_task_there_are_no_words_and_no_sound() -> None:
    parts = Parts(RATE)

    assert parts.words == []
    assert parts.count == 0
    with pytest.raises(LocalProtocolError, match="no task has been begun"):
        parts.hand_on(b"ab")


SENTENCES = st.lists(
    st.lists(st.sampled_from(["a", "be", "cat", "deer"]), min_size=1, max_size=4).map(
        lambda words: " ".join(words) + ". "
    ),
    min_size=1,
    max_size=5,
)


def spoken(text: str) -> bytes:
    """Ten samples for a character; each tells which it is."""
    return b"".join(ord(character).to_bytes(2, "little") * 10 for character in text)


def broken_off(sentences: list[str], samples: int) -> Known:
    """What is known of a task that spoke these sentences and broke after so many samples; no word times."""
    begin = 0
    for sentence in sentences:
        if (begin + len(sentence)) * 10 > samples:
            break
        begin += len(sentence)
    return Known(sentence=SentenceMark(begin, begin * 10))


@given(SENTENCES, st.lists(st.integers(0, 400), max_size=6))
def test_however_often_it_breaks_the_sound_is_that_of_one_task(
    sentences: list[str], breaks: list[int]
) -> None:
    text = "".join(sentences)
    parts = Parts(RATE)
    out = b""
    for wanted in breaks:
        rest = text[parts.offset :]
        samples = min(wanted, 10 * len(rest))
        begun = [_begins(sentences, number) >= parts.offset for number in range(len(sentences))]
        left = [sentence for sentence, is_left in zip(sentences, begun, strict=True) if is_left]
        parts.begin(broken_off(left, samples)).sent = len(rest)
        out += parts.hand_on(spoken(rest)[: 2 * samples])
        assert parts.break_off(text)
    rest = text[parts.offset :]
    parts.begin(Known()).sent = len(rest)
    out += parts.hand_on(spoken(rest))

    assert out == spoken(text)


def _begins(sentences: list[str], number: int) -> int:
    return sum(len(sentence) for sentence in sentences[:number])
