from hypothesis import given
from hypothesis import strategies as st

from bridge.cosyvoice.message import SENTENCE_BEGIN, SENTENCE_END, SENTENCE_SYNTHESIS, ResultGenerated, Word
from bridge.cosyvoice.words import WordTimeline
from bridge.ports import SentenceMark, WordTime

RATE = 8000


def begin(index: int, text: str | None) -> ResultGenerated:
    return ResultGenerated("t", SENTENCE_BEGIN, index, (), text)


def end(index: int, text: str | None, *words: Word) -> ResultGenerated:
    return ResultGenerated("t", SENTENCE_END, index, words, text)


def test_times_of_a_later_sentence_count_from_the_utterances_first_sample() -> None:
    timeline = WordTimeline(RATE)
    timeline.text_sent("Go. ")
    timeline.text_sent("Go now.")

    timeline.receive(begin(0, "Go. "))
    timeline.sound_received(RATE // 2)
    timeline.receive(end(0, "Go. ", Word("Go", 0, 2, 10, 450)))
    timeline.receive(begin(1, "Go now."))
    timeline.sound_received(RATE)
    timeline.receive(end(1, "Go now.", Word("Go", 0, 2, 0, 300), Word("now", 3, 6, 350, 900)))

    assert timeline.words == [
        WordTime("Go", 0, 2, 10, 450),
        WordTime("Go", 4, 6, 500, 800),
        WordTime("now", 7, 10, 850, 1400),
    ]
    assert timeline.text == "Go. Go now."


def test_times_that_count_from_the_task_are_recognised() -> None:
    timeline = WordTimeline(RATE)
    timeline.text_sent("One. Two.")

    timeline.receive(begin(0, "One. "))
    timeline.sound_received(RATE)
    timeline.receive(end(0, "One. ", Word("One", 0, 3, 0, 900)))
    timeline.receive(begin(1, "Two."))
    timeline.sound_received(RATE)
    timeline.receive(end(1, "Two.", Word("Two", 0, 3, 1100, 1900)))

    assert timeline.words[-1] == WordTime("Two", 5, 8, 1100, 1900)


def test_a_rewritten_sentence_is_placed_word_by_word() -> None:
    timeline = WordTimeline(RATE)
    timeline.text_sent("Pay 5 dollars. Pay now.")

    timeline.receive(begin(0, "Pay five dollars."))
    timeline.receive(
        end(
            0,
            "Pay five dollars.",
            Word("Pay", 0, 3, 0, 100),
            Word("five", 4, 8, 100, 200),
            Word("dollars", 9, 16, 200, 300),
            Word("", 16, 16, 300, 310),
        )
    )
    timeline.receive(begin(1, "Pay now."))
    timeline.receive(end(1, "Pay now.", Word("Pay", 0, 3, 0, 90)))

    assert [(word.begin_index, word.end_index) for word in timeline.words] == [
        (0, 3),
        (3, 3),
        (6, 13),
        (13, 13),
        (15, 18),
    ]


def test_the_last_list_of_a_sentence_replaces_the_earlier_one() -> None:
    timeline = WordTimeline(RATE)
    timeline.text_sent("One two.")
    timeline.receive(begin(0, "One two."))

    timeline.receive(ResultGenerated("t", SENTENCE_SYNTHESIS, 0, (Word("One", 0, 3, 0, 90),)))
    timeline.receive(end(0, "One two.", Word("One", 0, 3, 0, 100), Word("two", 4, 7, 100, 200)))

    assert [word.end_ms for word in timeline.words] == [100, 200]


def test_a_service_that_tells_no_beginnings_is_followed_by_the_index() -> None:
    timeline = WordTimeline(RATE)
    timeline.text_sent("One. Two.")

    timeline.receive(ResultGenerated("t", SENTENCE_SYNTHESIS, 0))
    timeline.receive(ResultGenerated("t", SENTENCE_SYNTHESIS, 0))
    timeline.sound_received(RATE)
    timeline.receive(end(0, "One. ", Word("One", 0, 3, 0, 100)))
    timeline.receive(end(1, "Two.", Word("Two", 0, 3, 0, 50)))

    assert timeline.words == [WordTime("One", 0, 3, 0, 100), WordTime("Two", 5, 8, 1000, 1050)]


def test_the_border_between_sentences_is_known_as_the_sound_comes_to_it() -> None:
    timeline = WordTimeline(RATE)
    timeline.text_sent("One. Two.")
    assert timeline.sentence is None

    timeline.receive(begin(0, "One. "))
    timeline.sound_received(RATE)
    assert timeline.sentence == SentenceMark(0, 0)
    assert timeline.is_in_sentence
    timeline.receive(end(0, "One. "))
    assert timeline.sentence == SentenceMark(5, RATE)
    assert not timeline.is_in_sentence
    timeline.receive(begin(1, "Two."))
    timeline.sound_received(RATE)

    assert timeline.sentence == SentenceMark(5, RATE)


def test_a_sentence_that_was_rewritten_has_no_known_border() -> None:
    timeline = WordTimeline(RATE)
    timeline.text_sent("5 $.")

    timeline.receive(begin(0, "five dollars."))
    assert timeline.sentence is None
    timeline.receive(end(0, "five dollars."))

    assert timeline.sentence is None


def test_what_the_service_has_and_has_not_spoken_is_counted_as_it_counts() -> None:
    timeline = WordTimeline(RATE)
    timeline.text_sent("你好。 ")
    timeline.text_sent("One. Two. ")
    assert timeline.ahead == 16

    timeline.receive(begin(0, "你好。"))
    timeline.sound_received(RATE)
    assert timeline.ahead == 16
    timeline.receive(end(0, "你好。"))
    assert timeline.ahead == 11
    timeline.receive(end(0, "你好。"))
    timeline.receive(begin(1, "One. "))
    assert timeline.ahead == 10
    timeline.receive(ResultGenerated("t", SENTENCE_END, 1, (), "One. ", characters=12))

    assert timeline.ahead == 4


def test_a_service_that_does_not_tell_where_it_is_has_nothing_ahead() -> None:
    timeline = WordTimeline(RATE)
    timeline.text_sent("One. Two. ")
    assert timeline.ahead == 10

    timeline.sound_received(RATE)

    assert timeline.ahead == 0


def test_a_service_that_counts_but_does_not_repeat_the_text_is_believed() -> None:
    timeline = WordTimeline(RATE)
    timeline.text_sent("One. Two. ")

    timeline.receive(ResultGenerated("t", SENTENCE_END, 0, (), None, characters=4))

    assert timeline.ahead == 6


def test_in_packed_sound_a_sentence_begins_where_the_last_word_ended() -> None:
    timeline = WordTimeline(0)
    timeline.text_sent("One. Two. Six.")

    timeline.receive(begin(0, "One. "))
    timeline.sound_received(5000)
    timeline.receive(end(0, "One. ", Word("One", 0, 3, 10, 400)))
    timeline.receive(begin(1, "Two. "))
    timeline.receive(end(1, "Two. ", Word("Two", 0, 3, 0, 300)))
    timeline.receive(begin(2, "Six."))
    timeline.receive(end(2, "Six.", Word("Six", 0, 3, 720, 900)))

    assert [(word.begin_ms, word.end_ms) for word in timeline.words] == [(10, 400), (400, 700), (720, 900)]


WORDS = st.lists(
    st.builds(Word, st.text(alphabet="ab. ", max_size=3), *(st.integers(-100, 5000) for _ in range(4))),
    max_size=4,
).map(tuple)
EVENTS = st.builds(
    ResultGenerated,
    st.just("t"),
    st.sampled_from([SENTENCE_BEGIN, SENTENCE_SYNTHESIS, SENTENCE_END, ""]),
    st.integers(0, 3),
    WORDS,
    st.none() | st.text(alphabet="ab. ", max_size=5),
)


@given(st.text(alphabet="ab. ", max_size=30), st.lists(st.tuples(EVENTS, st.integers(0, 9000)), max_size=12))
def test_whatever_a_service_claims_the_offsets_stay_in_the_text(
    text: str, steps: list[tuple[ResultGenerated, int]]
) -> None:
    timeline = WordTimeline(RATE)
    timeline.text_sent(text)
    for event, samples in steps:
        timeline.sound_received(samples)
        timeline.receive(event)

    assert all(0 <= word.begin_index <= len(text) for word in timeline.words)
    assert all(0 <= word.end_index <= len(text) for word in timeline.words)
