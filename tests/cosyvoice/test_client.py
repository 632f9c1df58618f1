import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.cosyvoice.client import ClientTask
from bridge.cosyvoice.client_patience import ClientPatience
from bridge.cosyvoice.client_steps import ClientState, Ended, Failed, Freed, Sound
from bridge.cosyvoice.message import (
    SENTENCE_BEGIN,
    SENTENCE_END,
    ContinueTask,
    Event,
    FinishTask,
    ResultGenerated,
    RunTask,
    TaskFailed,
    TaskFinished,
    TaskStarted,
    Word,
)
from bridge.errors import LocalProtocolError
from bridge.ports import SentenceMark, WordTime
from tests.fakes import MS

S = 1000 * MS
RUN = RunTask("t", "cosyvoice-v3-flash", {"voice": "longanyang"})
BROKEN = Failed("Closed", "the connection broke", retryable=True)


def waiting() -> ClientTask:
    return ClientTask(RUN, rate=8000)


def starting() -> ClientTask:
    task = waiting()
    task.bind(now_ns=0)
    assert task.drain() == [RUN]
    return task


def running() -> ClientTask:
    task = starting()
    task.receive(TaskStarted("t"), now_ns=0)
    assert task.drain() == []
    return task


def finishing() -> ClientTask:
    task = running()
    task.send_text("Hello.", now_ns=0)
    task.finish(now_ns=0)
    assert task.drain() == [ContinueTask("t", "Hello."), FinishTask("t")]
    return task


def cancelling() -> ClientTask:
    task = running()
    task.cancel(now_ns=0)
    assert task.drain() == [FinishTask("t", cancel=True), Ended()]
    return task


def test_text_waits_for_the_service_and_then_goes_in_one_message() -> None:
    task = waiting()
    task.send_text("Hello ", now_ns=0)
    task.bind(now_ns=0)
    task.send_text("world.", now_ns=0)
    task.finish(now_ns=0)
    assert task.drain() == [RUN]

    task.receive(TaskStarted("t"), now_ns=1 * MS)

    assert task.drain() == [ContinueTask("t", "Hello world."), FinishTask("t")]
    assert task.state is ClientState.FINISHING


def test_sound_comes_out_in_whole_samples_however_it_was_torn() -> None:
    task = finishing()

    task.receive(b"\x01", now_ns=0)
    assert task.drain() == []
    task.receive(b"\x02\x03\x04\x05", now_ns=0)
    task.receive(b"\x06", now_ns=0)

    assert task.drain() == [Sound(b"\x01\x02\x03\x04"), Sound(b"\x05\x06")]


def test_a_task_ends_and_frees_its_connection() -> None:
    task = finishing()

    task.receive(TaskFinished("t"), now_ns=0)

    assert task.drain() == [Ended(), Freed(reusable=True)]
    assert task.state is ClientState.DONE
    assert task.deadline_ns is None


def test_words_are_known_as_they_come() -> None:
    task = finishing()
    task.receive(b"\x00" * 1600, now_ns=0)

    task.receive(ResultGenerated("t", SENTENCE_END, 0, (Word("Hello", 0, 5, 0, 90),), "Hello."), now_ns=0)

    assert task.words == [WordTime("Hello", 0, 5, 100, 190)]


def test_a_cancelled_task_swallows_everything_until_its_terminal_event() -> None:
    task = cancelling()

    task.receive(b"\x01\x02", now_ns=0)
    task.receive(TaskStarted("t"), now_ns=0)
    task.receive(ResultGenerated("t", SENTENCE_END, 0, (Word("Hello", 0, 5, 0, 90),), "Hello."), now_ns=0)
    assert task.drain() == []
    assert task.words == []
    task.receive(TaskFinished("t"), now_ns=299 * MS)

    assert task.drain() == [Freed(reusable=True)]


def test_a_cancel_that_nobody_answers_gives_the_connection_up() -> None:
    task = cancelling()

    task.handle_timeout(now_ns=300 * MS - 1)
    assert task.drain() == []
    task.handle_timeout(now_ns=300 * MS)

    assert task.drain() == [Freed(reusable=False)]
    task.receive(TaskFinished("t"), now_ns=301 * MS)
    assert task.drain() == []


def test_a_cancelled_task_that_fails_tells_only_the_pool() -> None:
    task = cancelling()

    task.receive(TaskFailed("t", "InternalError", "oops"), now_ns=0)

    assert task.drain() == [Freed(reusable=False)]
    assert task.failure is None


def test_a_cancel_before_there_is_a_connection_writes_nothing() -> None:
    task = waiting()

    task.cancel(now_ns=0)

    assert task.drain() == [Ended()]
    assert task.state is ClientState.DONE


def test_a_cancel_crosses_a_task_that_has_just_started() -> None:
    task = starting()
    task.send_text("Hello.", now_ns=0)

    task.cancel(now_ns=0)
    task.receive(TaskStarted("t"), now_ns=0)

    assert task.drain() == [FinishTask("t", cancel=True), Ended()]


def test_a_cancel_after_the_end_is_harmless() -> None:
    task = finishing()
    task.receive(TaskFinished("t"), now_ns=0)
    task.drain()

    task.cancel(now_ns=0)
    task.finish(now_ns=0)

    assert task.drain() == []
    assert not task.send_text("more", now_ns=0)


@pytest.mark.parametrize(
    ("code", "retryable"),
    [("InvalidParameter", False), ("Throttling.RateQuota", True), ("InternalError.Algo", True), ("", False)],
)
def test_a_failure_says_whether_trying_again_can_help(code: str, retryable: bool) -> None:
    task = finishing()

    task.receive(TaskFailed("t", code, "why"), now_ns=0)

    failure = Failed(code or "Unknown", "why", retryable)
    assert task.drain() == [failure, Freed(reusable=False)]
    assert task.failure == failure
    assert not task.send_text("more", now_ns=0)


def test_a_connection_that_breaks_in_mid_word_fails_the_task() -> None:
    task = finishing()

    task.lost(BROKEN)
    task.lost(BROKEN)

    assert task.drain() == [BROKEN, Freed(reusable=False)]


def test_a_task_that_never_had_a_connection_frees_none() -> None:
    task = waiting()

    task.lost(BROKEN)

    assert task.drain() == [BROKEN]


def test_a_service_that_does_not_start_the_task_is_given_up() -> None:
    task = starting()

    task.handle_timeout(now_ns=5 * S - 1)
    assert task.drain() == []
    task.handle_timeout(now_ns=5 * S)

    assert task.drain() == [
        Failed("Timeout", "no task-started within 5 s", retryable=True, stage="start"),
        Freed(reusable=False),
    ]


def test_a_service_that_stalls_is_given_up_but_not_for_the_listeners_slowness() -> None:
    task = finishing()
    task.receive(b"\x01\x02", now_ns=5 * S)
    task.receive(ResultGenerated("t", ""), now_ns=6 * S)
    assert task.deadline_ns == 16 * S
    task.resumed(now_ns=30 * S)
    task.drain()

    task.handle_timeout(now_ns=40 * S)

    assert task.drain() == [
        Failed("Timeout", "no sound for 10 s", retryable=True, stage="sound"),
        Freed(reusable=False),
    ]


def test_a_text_that_pauses_is_ended_before_the_service_fails_it() -> None:
    task = running()
    task.send_text("Hello.", now_ns=1 * S)
    task.receive(b"\x01\x02", now_ns=2 * S)
    task.resumed(now_ns=3 * S)
    task.drain()
    assert not task.was_silent

    task.handle_timeout(now_ns=21 * S)

    assert task.was_silent
    assert task.drain() == [FinishTask("t")]
    assert not task.send_text("more", now_ns=22 * S)
    task.finish(now_ns=22 * S)
    assert task.drain() == []


def test_a_task_bound_for_text_that_never_comes_takes_itself_back() -> None:
    task = running()

    task.handle_timeout(now_ns=20 * S)

    failure = Failed("Timeout", "no text for 20 s", retryable=True, stage="text")
    assert task.drain() == [failure, FinishTask("t", cancel=True)]
    task.receive(TaskFinished("t"), now_ns=20 * S)
    assert task.drain() == [Freed(reusable=True)]
    assert task.failure == failure


def test_an_utterance_without_text_is_taken_back_and_not_refused() -> None:
    task = running()
    task.send_text("", now_ns=0)

    task.finish(now_ns=0)

    assert task.drain() == [FinishTask("t", cancel=True), Ended()]


def test_text_after_the_end_is_our_own_bug() -> None:
    task = finishing()

    with pytest.raises(LocalProtocolError, match="text after the end of task t"):
        task.send_text("more", now_ns=0)


def test_a_long_text_goes_in_messages_the_service_accepts() -> None:
    task = running()

    task.send_text("你" * 25_000, now_ns=0)

    outputs = task.drain()
    assert [len(out.text) for out in outputs if isinstance(out, ContinueTask)] == [10_000, 10_000, 5_000]


def test_a_long_text_is_cut_between_sentences() -> None:
    task = running()
    sentence = "All work and no play makes Jack a dull boy. "

    task.send_text(sentence * 500, now_ns=0)

    texts = [out.text for out in task.drain() if isinstance(out, ContinueTask)]
    assert [len(text) <= 20_000 for text in texts] == [True, True]
    assert texts[0].endswith("boy. ")


SSML = RunTask("t", "cosyvoice-v3-flash", {"voice": "longanyang", "enable_ssml": True})


def running_ssml() -> ClientTask:
    task = ClientTask(SSML, rate=8000)
    task.bind(now_ns=0)
    task.receive(TaskStarted("t"), now_ns=0)
    task.drain()
    return task


def test_ssml_goes_in_one_message_whatever_pieces_it_comes_in() -> None:
    task = running_ssml()
    task.send_text("<speak>Hello", now_ns=0)
    task.send_text(" there.</speak>", now_ns=0)
    assert task.drain() == []

    task.finish(now_ns=0)

    assert task.drain() == [ContinueTask("t", "<speak>Hello there.</speak>"), FinishTask("t")]


def test_ssml_whose_end_does_not_come_is_spoken_as_far_as_it_came() -> None:
    task = running_ssml()
    task.send_text("<speak>Hello</speak>", now_ns=0)

    task.handle_timeout(now_ns=20 * S)

    assert task.drain() == [ContinueTask("t", "<speak>Hello</speak>"), FinishTask("t")]


def test_ssml_that_is_too_long_for_a_message_is_refused_before_it_is_sent() -> None:
    task = running_ssml()
    task.send_text("<speak>" + "你" * 10_001 + "</speak>", now_ns=0)

    task.finish(now_ns=0)

    message = "SSML goes in one message of 20000 characters at most, not 20002"
    failure = Failed("InvalidParameter", message, retryable=False)
    assert task.drain() == [failure, FinishTask("t", cancel=True)]
    assert task.failure == failure


def test_sound_in_another_format_is_handed_on_as_it_comes() -> None:
    task = ClientTask(RUN, rate=0)
    task.bind(now_ns=0)
    task.receive(TaskStarted("t"), now_ns=0)
    task.drain()

    task.receive(b"ID3", now_ns=0)

    assert task.drain() == [Sound(b"ID3")]


def test_what_the_service_has_ahead_is_known_until_the_task_is_over() -> None:
    task = running()
    task.send_text("Hello. Hi.", now_ns=0)
    assert task.ahead == 10
    assert task.sentence is None
    task.receive(ResultGenerated("t", SENTENCE_BEGIN, 0, (), "Hello. "), now_ns=0)
    assert task.sentence == SentenceMark(0, 0)

    task.cancel(now_ns=0)

    assert task.ahead == 0


def test_what_belongs_to_others_is_counted_and_dropped() -> None:
    task = starting()
    task.receive(b"\x01\x02", now_ns=0)
    task.receive(TaskFinished("u"), now_ns=0)
    early = waiting()
    early.receive(TaskStarted("t"), now_ns=0)

    assert task.drain() == early.drain() == []
    assert (task.strays, early.strays) == (2, 1)


def test_a_timer_that_fires_for_nothing_does_nothing() -> None:
    task = waiting()

    task.handle_timeout(now_ns=99 * S)
    task.resumed(now_ns=99 * S)

    assert task.drain() == []


def test_patience_can_be_set() -> None:
    task = ClientTask(RUN, rate=8000, patience=ClientPatience(started_ns=1 * S))

    task.bind(now_ns=0)

    assert task.deadline_ns == 1 * S


IDS = st.sampled_from(["t", "t", "t", "u"])
ITEMS: st.SearchStrategy[Event | bytes] = (
    st.builds(TaskStarted, IDS)
    | st.builds(ResultGenerated, IDS, st.sampled_from(["sentence-begin", "sentence-end", ""]))
    | st.builds(TaskFinished, IDS)
    | st.builds(TaskFailed, IDS, st.text(max_size=3), st.text(max_size=3))
    | st.binary(max_size=5)
)
STEPS = st.lists(
    st.tuples(ITEMS | st.sampled_from(["text", "finish", "cancel", "lost"]), st.integers(0, 12_000)),
    max_size=25,
)


@given(STEPS)
def test_the_listener_hears_one_end_and_no_sound_after_it(
    steps: list[tuple[Event | bytes | str, int]],
) -> None:
    task = starting()
    outputs: list[object] = []
    now_ns, finished = 0, False
    for item, wait_ms in steps:
        now_ns += wait_ms * MS
        task.handle_timeout(now_ns=now_ns)
        match item:
            case "text" if not finished:
                task.send_text("Hi. ", now_ns=now_ns)
            case "finish":
                finished = True
                task.finish(now_ns=now_ns)
            case "cancel":
                task.cancel(now_ns=now_ns)
            case "lost":
                task.lost(BROKEN)
            case str():
                pass
            case _:
                task.receive(item, now_ns=now_ns)
        outputs += task.drain()

    ends = [at for at, out in enumerate(outputs) if isinstance(out, Ended | Failed)]
    freed = [at for at, out in enumerate(outputs) if isinstance(out, Freed)]
    assert len(ends) <= 1
    assert len(freed) <= 1
    assert not any(isinstance(out, Sound) for at in ends for out in outputs[at:])
    assert not any(isinstance(out, ContinueTask | FinishTask) for at in freed for out in outputs[at:])
