import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.cosyvoice.message import (
    SENTENCE_BEGIN,
    SENTENCE_END,
    Action,
    ContinueTask,
    Event,
    FinishTask,
    Malformed,
    ResultGenerated,
    RunTask,
    TaskFailed,
    TaskFinished,
    TaskStarted,
    Word,
    decode_action,
    decode_event,
    encode_action,
    encode_event,
)
from bridge.errors import RemoteProtocolError

IDS = st.text(min_size=1, max_size=40)
WORDS = st.builds(Word, st.text(max_size=8), *(st.integers(0, 10**6) for _ in range(4)))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
ENVELOPES = st.fixed_dictionaries(
    {
        "header": st.fixed_dictionaries(
            {
                "task_id": IDS | JSON,
                "action": st.sampled_from(["run-task", "continue-task", "finish-task"]) | JSON,
                "event": st.sampled_from(["task-started", "result-generated", "task-finished", "task-failed"])
                | JSON,
                "attributes": JSON,
            }
        ),
        "payload": st.fixed_dictionaries(
            {
                "model": JSON,
                "input": JSON | st.fixed_dictionaries({"text": JSON, "flush": JSON, "directive": JSON}),
                "output": JSON
                | st.fixed_dictionaries({"type": JSON, "sentence": JSON, "original_text": JSON}),
                "usage": JSON | st.fixed_dictionaries({"characters": JSON}),
            }
        )
        | JSON,
    }
)


def message(action: str, payload: object) -> str:
    return json.dumps(
        {"header": {"action": action, "task_id": "t", "streaming": "duplex"}, "payload": payload}
    )


@given(
    st.builds(RunTask, IDS, IDS, st.dictionaries(st.text(), st.integers()), st.text())
    | st.builds(ContinueTask, IDS, st.text(), st.booleans())
    | st.builds(FinishTask, IDS, st.booleans())
)
def test_an_action_survives_the_wire(action: RunTask | ContinueTask | FinishTask) -> None:
    assert decode_action(encode_action(action)) == action


@given(
    st.builds(TaskStarted, IDS)
    | st.builds(
        ResultGenerated,
        IDS,
        st.sampled_from([SENTENCE_BEGIN, SENTENCE_END, ""]),
        st.integers(0, 1000),
        st.lists(WORDS, max_size=4).map(tuple),
        st.none() | st.text(),
        st.none() | st.integers(0, 10**6),
    )
    | st.builds(TaskFinished, IDS, st.text(), st.integers(0, 10**6))
    | st.builds(TaskFailed, IDS, st.text(), st.text())
)
@example(ResultGenerated("t", ""))
def test_an_event_survives_the_wire(event: Event) -> None:
    assert decode_event(encode_event(event)) == event


@given(st.binary() | st.text() | JSON.map(json.dumps) | ENVELOPES.map(json.dumps))
def test_whatever_arrives_is_an_action_or_the_peers_fault(data: str | bytes) -> None:
    try:
        action: Action | None = decode_action(data)
    except RemoteProtocolError:
        action = None

    assert action is None or action.task_id


@given(st.binary() | st.text() | JSON.map(json.dumps) | ENVELOPES.map(json.dumps))
def test_whatever_arrives_is_an_event_or_the_peers_fault(data: str | bytes) -> None:
    try:
        event: Event | None = decode_event(data)
    except RemoteProtocolError:
        event = None

    assert event is None or isinstance(event.task_id, str)


@pytest.mark.parametrize(("before", "behind"), [("", ""), (" ", ""), ("", "\n"), ("\r\n", "\t ")])
def test_blanks_around_an_event_are_no_part_of_it(before: str, behind: str) -> None:
    text = before + encode_event(TaskStarted("t")) + behind

    assert decode_event(text) == decode_event(text.encode()) == TaskStarted("t")


@pytest.mark.parametrize("text", ["", "{", '{"header": {}} {}', "{} x", "\ufeff{}"])
def test_what_is_more_or_less_than_one_object_is_no_event(text: str) -> None:
    with pytest.raises(RemoteProtocolError, match="not JSON"):
        decode_event(text)


def test_nesting_without_end_is_the_peers_fault() -> None:
    with pytest.raises(RemoteProtocolError, match="not JSON"):
        decode_action("[" * 100_000)


@pytest.mark.parametrize("missing", ["model", "task_group", "task", "function"])
def test_a_run_task_without_a_required_field_names_it(missing: str) -> None:
    payload = {
        "model": "m",
        "task_group": "audio",
        "task": "tts",
        "function": "SpeechSynthesizer",
        "input": {},
    }
    del payload[missing]

    assert decode_action(message("run-task", payload)) == Malformed(
        "t", f"Missing required parameter 'payload.{missing}'! Please follow the protocol!"
    )


@pytest.mark.parametrize(
    ("action", "payload", "answer"),
    [
        ("run-task", {"model": "m", "task_group": "a", "task": "t", "function": "f"}, "task can not be null"),
        (
            "run-task",
            {"model": "m", "task_group": "a", "task": "t", "function": "f", "input": {"text": 1}},
            "Please ensure input text is valid.",
        ),
        ("continue-task", {}, "task can not be null"),
        ("continue-task", {"input": {}}, "task can not be null"),
        ("continue-task", {"input": {"text": 5}}, "Please ensure input text is valid."),
        ("finish-task", {}, "task can not be null"),
        ("stop-task", {}, "Unknown action 'stop-task'! Please follow the protocol!"),
    ],
)
def test_a_broken_payload_is_answered_with_the_services_words(
    action: str, payload: object, answer: str
) -> None:
    assert decode_action(message(action, payload)) == Malformed("t", answer)


def test_a_flush_needs_no_text() -> None:
    assert decode_action(message("continue-task", {"input": {"flush": True}})) == ContinueTask(
        "t", flush=True
    )


def test_a_message_without_a_task_id_can_fail_no_task() -> None:
    with pytest.raises(RemoteProtocolError, match="task_id"):
        decode_action('{"header": {"action": "run-task", "task_id": ""}}')


def test_an_event_nobody_knows_is_the_peers_fault() -> None:
    with pytest.raises(RemoteProtocolError, match="unknown event 'task-paused'"):
        decode_event('{"header": {"event": "task-paused", "task_id": "t"}}')


def test_an_older_service_that_tells_no_type_is_understood() -> None:
    text = (
        '{"header":{"task_id":"t","event":"result-generated"},"payload":{"output":{"sentence":{"words":[]}}}}'
    )

    assert decode_event(text) == ResultGenerated("t", "")


def test_a_decimal_without_a_fraction_is_a_whole_number() -> None:
    sentence = {"index": 2.0, "words": [{"text": "a", "begin_time": 263.0, "end_time": True}]}
    text = json.dumps(
        {
            "header": {"task_id": "t", "event": "result-generated"},
            "payload": {"output": {"type": SENTENCE_END, "sentence": sentence}},
        }
    )

    event = decode_event(text)

    assert event == ResultGenerated("t", SENTENCE_END, 2, (Word("a", 0, 0, 263, 0),))
