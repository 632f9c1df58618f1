import pytest

from bridge.cosyvoice import limits
from bridge.cosyvoice.limits import Refusal
from bridge.cosyvoice.message import (
    ContinueTask,
    FinishTask,
    Malformed,
    ResultGenerated,
    RunTask,
    TaskFailed,
    TaskFinished,
    TaskStarted,
    Word,
)
from bridge.cosyvoice.service import ServerTask
from bridge.cosyvoice.service_steps import (
    Abandon,
    Audio,
    Begin,
    Close,
    End,
    Flush,
    Speak,
    TaskState,
)
from bridge.errors import LocalProtocolError
from tests.fakes import MS, ManualClock, SeededIds

S = 1000 * MS
GOOD = {"voice": "longanyang", "format": "pcm", "sample_rate": 8000}


def machine() -> ServerTask:
    return ServerTask(ids=SeededIds(), now_ns=0)


def run(
    task_id: str = "t", text: str = "", model: str = "cosyvoice-v3-flash", **parameters: object
) -> RunTask:
    return RunTask(task_id, model, GOOD | parameters, text)


def running(**parameters: object) -> ServerTask:
    task = machine()
    task.receive(RunTask("t", "cosyvoice-v3-flash", GOOD | parameters), now_ns=0)
    task.drain()
    return task


def failure_of(task: ServerTask) -> tuple[str, str]:
    return next((out.code, out.message) for out in task.drain() if isinstance(out, TaskFailed))


def test_a_task_runs_from_its_start_to_its_end_in_the_documented_order() -> None:
    task = machine()
    word = Word("Hello", 0, 5, 0, 300)

    task.receive(run(word_timestamp_enabled=True), now_ns=0)
    task.receive(ContinueTask("t", "Hello. "), now_ns=1 * S)
    assert task.task_id == "t"
    assert task.sentence_begin("t", "Hello. ")
    assert task.audio("t", b"12")
    assert task.sentence_end("t", [word])
    task.receive(FinishTask("t"), now_ns=2 * S)
    assert task.done("t", now_ns=3 * S)

    started, begin, *rest = task.drain()
    assert started == TaskStarted("t")
    assert isinstance(begin, Begin)
    assert begin.parameters.sample_rate == 8000
    assert rest == [
        Speak("t", "Hello. "),
        ResultGenerated("t", "sentence-begin", 0, (), "Hello. "),
        ResultGenerated("t", "sentence-synthesis", 0),
        Audio(b"12"),
        ResultGenerated("t", "sentence-end", 0, (word,), "Hello. ", 7),
        End("t"),
        TaskFinished("t", SeededIds().token(), 7),
    ]
    assert task.state is TaskState.IDLE


def test_words_are_sent_only_to_those_who_asked() -> None:
    task = running()
    task.sentence_begin("t", "Hello.")

    task.sentence_end("t", [Word("Hello", 0, 5, 0, 300)])

    assert [out.words for out in task.drain() if isinstance(out, ResultGenerated)] == [(), ()]


def test_a_finished_connection_carries_the_next_task() -> None:
    task = running()
    task.receive(ContinueTask("t", "x"), now_ns=0)
    task.receive(FinishTask("t"), now_ns=0)
    task.done("t", now_ns=0)
    task.drain()

    task.receive(run("u"), now_ns=59 * S)

    assert task.drain()[0] == TaskStarted("u")


def test_a_cancel_ends_the_task_at_once_and_nothing_follows() -> None:
    task = running()
    task.receive(ContinueTask("t", "Hello. World."), now_ns=0)
    task.sentence_begin("t", "Hello. ")
    task.drain()

    task.receive(FinishTask("t", cancel=True), now_ns=0)

    assert task.drain() == [Abandon("t"), TaskFinished("t", SeededIds().token(), 7)]
    assert not task.audio("t", b"12")
    assert not task.sentence_begin("t", "World.")
    assert not task.sentence_end("t")
    assert not task.done("t", now_ns=0)
    assert not task.fail("t", limits.EMPTY_TEXT)
    assert task.drain() == []


def test_a_cancel_may_follow_a_finish() -> None:
    task = running()
    task.receive(ContinueTask("t", "Hello."), now_ns=0)
    task.receive(FinishTask("t"), now_ns=0)
    task.receive(FinishTask("t"), now_ns=0)
    assert task.drain() == [Speak("t", "Hello."), End("t")]

    task.receive(FinishTask("t", cancel=True), now_ns=0)

    assert task.state is TaskState.IDLE


def test_a_cancel_that_crosses_the_end_on_the_wire_is_ignored() -> None:
    task = machine()

    task.receive(FinishTask("t", cancel=True), now_ns=0)
    task.receive(FinishTask("t"), now_ns=0)

    assert task.drain() == []
    assert task.state is TaskState.IDLE


def test_a_client_silent_for_23_seconds_fails() -> None:
    task = running()
    task.receive(ContinueTask("t", "Hello."), now_ns=5 * S)
    task.drain()

    task.handle_timeout(now_ns=28 * S - 1)
    assert task.drain() == []
    task.handle_timeout(now_ns=28 * S)

    assert task.drain() == [
        Abandon("t"),
        TaskFailed("t", "CLIENT_ERROR", "request timeout after 23 seconds."),
        Close(1000, "request timeout after 23 seconds."),
    ]
    assert task.deadline_ns is None


def test_an_empty_text_and_a_flush_are_signs_of_life() -> None:
    task = running()

    task.receive(ContinueTask("t", ""), now_ns=20 * S)
    task.receive(ContinueTask("t", flush=True), now_ns=40 * S)

    assert task.deadline_ns == 63 * S
    assert task.drain() == [Flush("t")]


def test_a_long_synthesis_is_not_the_clients_silence() -> None:
    task = running()
    task.receive(ContinueTask("t", "Hello."), now_ns=0)

    task.receive(FinishTask("t"), now_ns=0)

    assert task.deadline_ns is None


def test_an_idle_connection_is_closed_after_a_minute() -> None:
    clock = ManualClock()
    task = machine()

    task.handle_timeout(now_ns=clock.advance(59_999))
    assert task.drain() == []
    task.handle_timeout(now_ns=clock.advance(1))

    assert task.drain() == [Close(1000, "idle for 60 seconds")]


@pytest.mark.parametrize(
    ("action", "refusal"),
    [
        (run(model="gpt"), limits.MODEL_NOT_FOUND),
        (run(voice=None), limits.NO_VOICE),
        (run(voice="nobody"), limits.UNKNOWN_VOICE),
        (run(model="cosyvoice-v2"), limits.UNKNOWN_VOICE),
    ],
)
def test_a_task_that_cannot_be_is_refused_and_the_connection_closed(
    action: RunTask, refusal: Refusal
) -> None:
    task = machine()

    task.receive(action, now_ns=0)

    assert task.drain() == [
        TaskFailed("t", refusal.code, refusal.message),
        Close(1000, refusal.message),
    ]
    task.receive(run(), now_ns=0)
    task.receive_garbage()
    assert task.drain() == []


def test_bad_parameters_are_named() -> None:
    task = machine()

    task.receive(run(volume=500), now_ns=0)

    assert failure_of(task) == (
        "InvalidParameter",
        "Parameter 'volume' must be an integer from 0 to 100, not 500",
    )


def test_a_hot_fix_that_cannot_be_read_is_refused_before_the_task_starts() -> None:
    task = machine()

    task.receive(run(hot_fix={"replace": "a"}), now_ns=0)

    assert failure_of(task) == (
        "InvalidParameter",
        "hot_fix.replace must be a list of objects {word: reading}, not a string",
    )


def test_text_in_cdata_is_counted_and_comments_are_not() -> None:
    task = running(enable_ssml=True)

    task.receive(ContinueTask("t", f"<speak><![CDATA[{'a' * 20_001}]]></speak>"), now_ns=0)

    assert failure_of(task) == ("InvalidParameter", "The message has 20001 characters, 20000 are allowed")
    task = running(enable_ssml=True)
    task.receive(ContinueTask("t", f"<speak>a<!-- {'>' * 20_001} --></speak>"), now_ns=0)
    assert [type(output).__name__ for output in task.drain()][-1] == "Speak"


def test_the_rest_of_a_container_travels_as_sound_of_the_last_sentence() -> None:
    task = running(format="opus", sample_rate=16000)
    task.receive(ContinueTask("t", "Hello."), now_ns=0)
    task.sentence_begin("t", "Hello.")
    task.audio("t", b"12")
    task.sentence_end("t")
    with pytest.raises(LocalProtocolError, match="the rest of a task while RUNNING"):
        task.rest("t", b"34")
    task.receive(FinishTask("t"), now_ns=0)
    task.drain()

    assert task.rest("t", b"34")
    assert task.drain() == [ResultGenerated("t", "sentence-synthesis", 0), Audio(b"34")]
    task.done("t", now_ns=0)
    assert not task.rest("t", b"56")


@pytest.mark.parametrize(
    ("model", "voice", "enabled"),
    [
        ("cosyvoice-v3-flash", "longanyang", False),
        ("cosyvoice-v1", "longxiaochun", True),
    ],
)
def test_markup_is_refused_where_it_is_not_enabled_or_not_known(
    model: str, voice: str, enabled: bool
) -> None:
    task = machine()
    task.receive(run(model=model, voice=voice, enable_ssml=enabled), now_ns=0)

    task.receive(ContinueTask("t", "<speak>Hello</speak>"), now_ns=0)

    assert failure_of(task) == ("InvalidParameter", "SSML text is not supported at the moment!")


def test_tags_are_not_counted_and_a_bare_sign_is() -> None:
    counted = []
    for text in ("<speak>你好</speak>", "a < b > c"):
        task = running(enable_ssml=True)
        task.receive(ContinueTask("t", text), now_ns=0)
        task.receive(FinishTask("t"), now_ns=0)
        task.drain()
        task.done("t", now_ns=0)
        counted += [out.characters for out in task.drain() if isinstance(out, TaskFinished)]

    assert counted == [4, 9]


def test_a_service_that_ends_tells_the_running_task_first() -> None:
    task, idle = running(), machine()

    task.dismiss()
    idle.dismiss()
    gone = "The service is shutting down."

    assert task.drain() == [Abandon("t"), TaskFailed("t", "ServiceUnavailable", gone), Close(1001, gone)]
    assert idle.drain() == [Close(1001, gone)]
    task.dismiss()
    assert task.drain() == []


def test_a_fault_can_make_the_idle_minute_shorter() -> None:
    task = machine()

    task.idle_ns = 300 * MS

    assert task.deadline_ns == 300 * MS
    task.handle_timeout(now_ns=300 * MS)
    assert task.drain() == [Close(1000, "idle for 0.3 seconds")]


def test_an_instruction_may_have_100_characters() -> None:
    good, bad = machine(), machine()

    good.receive(run(instruction="你" * 50), now_ns=0)
    bad.receive(run(instruction="你" * 51), now_ns=0)

    assert good.state is TaskState.RUNNING
    assert failure_of(bad)[1] == "The instruction has 102 characters, 100 are allowed"


def test_another_service_on_the_same_path_is_not_ours() -> None:
    task = machine()

    task.receive(RunTask("t", "cosyvoice-v2", GOOD, task="translation"), now_ns=0)

    assert failure_of(task)[1] == "No such task: audio/translation/SpeechSynthesizer"


def test_text_in_the_run_task_of_an_old_sdk_is_spoken() -> None:
    task = machine()

    task.receive(run(text="Hello."), now_ns=0)

    assert task.drain()[-1] == Speak("t", "Hello.")


def test_a_second_task_on_a_busy_connection_fails_both() -> None:
    task = running()

    task.receive(run("u"), now_ns=0)

    outputs = task.drain()
    assert [out.task_id for out in outputs if isinstance(out, TaskFailed)] == ["t", "u"]
    assert outputs[0] == Abandon("t")
    assert isinstance(outputs[-1], Close)


@pytest.mark.parametrize("finished", [False, True])
def test_text_for_a_task_that_takes_none_fails(finished: bool) -> None:
    task = running()
    if finished:
        task.receive(ContinueTask("t", "x"), now_ns=0)
        task.receive(FinishTask("t"), now_ns=0)

    task.receive(ContinueTask("t" if finished else "u", "Hello."), now_ns=0)

    assert failure_of(task)[0] == "InvalidParameter"
    assert task.state is TaskState.CLOSED


def test_a_second_ssml_message_is_refused() -> None:
    task = running(enable_ssml=True)
    task.receive(ContinueTask("t", "<speak>你好</speak>"), now_ns=0)
    task.drain()

    task.receive(ContinueTask("t", "more", flush=True), now_ns=0)

    assert failure_of(task) == ("InvalidParameter", "Text request limit violated, expected 1.")


def test_a_message_has_its_limit() -> None:
    task = running()

    task.receive(ContinueTask("t", "你" * 10_000), now_ns=0)
    assert isinstance(task.drain()[0], Speak)
    task.receive(ContinueTask("t", "你" * 10_000 + "a"), now_ns=0)

    assert failure_of(task)[1] == "The message has 20001 characters, 20000 are allowed"


def test_a_task_has_its_limit() -> None:
    task = running()
    for _ in range(10):
        task.receive(ContinueTask("t", "a" * 20_000), now_ns=0)
    task.drain()

    task.receive(ContinueTask("t", "a"), now_ns=0)

    assert failure_of(task)[1] == "The task has 200001 characters, 200000 are allowed"


def test_a_task_without_text_fails() -> None:
    task = running()

    task.receive(FinishTask("t"), now_ns=0)

    assert failure_of(task) == ("InvalidParameter", "Please ensure input text is valid.")


def test_a_broken_payload_fails_the_task_and_closes_with_1007() -> None:
    task = running()

    task.receive(Malformed("t", "task can not be null"), now_ns=0)

    assert task.drain()[1:] == [
        TaskFailed("t", "InvalidParameter", "task can not be null"),
        Close(1007, "task can not be null"),
    ]


def test_garbage_ends_the_connection_and_tells_the_running_task() -> None:
    busy, idle = running(), machine()

    busy.receive_garbage()
    idle.receive_garbage()

    assert busy.drain()[1:] == [
        TaskFailed("t", "InvalidParameter", "Invalid payload data"),
        Close(1007, "Invalid payload data"),
    ]
    assert idle.drain() == [Close(1007, "Invalid payload data")]


def test_a_voice_that_fails_says_why() -> None:
    task = running()

    assert task.fail("t", Refusal("InternalError.Algo", "no voice speaks this"))

    assert failure_of(task) == ("InternalError.Algo", "no voice speaks this")


def test_a_client_that_leaves_leaves_nothing_running() -> None:
    busy, idle = running(), machine()

    busy.disconnected()
    idle.disconnected()

    assert busy.drain() == [Abandon("t")]
    assert idle.drain() == []
    assert busy.state is TaskState.CLOSED


def test_a_voice_out_of_order_is_our_own_bug() -> None:
    task = running()

    with pytest.raises(LocalProtocolError, match="sound outside"):
        task.audio("t", b"12")
    with pytest.raises(LocalProtocolError, match="did not begin"):
        task.sentence_end("t")
    with pytest.raises(LocalProtocolError, match="done while RUNNING"):
        task.done("t", now_ns=0)
    task.sentence_begin("t", "Hello.")
    with pytest.raises(LocalProtocolError, match="inside sentence 0"):
        task.sentence_begin("t", "World.")
