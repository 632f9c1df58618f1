"""What travels as text on a CosyVoice socket, and its JSON form, for both roles.

Binary frames carry audio and no envelope: they belong to the one task that is running.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from bridge.cosyvoice.json_values import object_of, text_of, whole_of
from bridge.cosyvoice.transcript import Transcript, transcript_of, transcript_payload
from bridge.errors import RemoteProtocolError

__all__ = [
    "SENTENCE_BEGIN",
    "SENTENCE_END",
    "SENTENCE_SYNTHESIS",
    "Action",
    "ContinueTask",
    "Event",
    "FinishTask",
    "Malformed",
    "ResultGenerated",
    "RunTask",
    "TaskFailed",
    "TaskFinished",
    "TaskStarted",
    "Word",
    "decode_action",
    "decode_event",
    "encode_action",
    "encode_event",
]

SENTENCE_BEGIN = "sentence-begin"
SENTENCE_SYNTHESIS = "sentence-synthesis"
SENTENCE_END = "sentence-end"

_parse = json.JSONDecoder().raw_decode

_NO_INPUT = "task can not be null"
_BAD_TEXT = "Please ensure input text is valid."


@dataclass(frozen=True, slots=True)
class RunTask:
    """Open a task; text may follow."""

    task_id: str
    model: str
    parameters: Mapping[str, object] = field(default_factory=dict)
    """As on the wire; `bridge.cosyvoice.formats.TaskParameters` reads them."""
    text: str = ""
    """Old SDKs put an (empty) text here."""
    task_group: str = "audio"
    task: str = "tts"
    function: str = "SpeechSynthesizer"


@dataclass(frozen=True, slots=True)
class ContinueTask:
    """Append text, or ask for what is held back to be spoken now, or both."""

    task_id: str
    text: str = ""
    flush: bool = False


@dataclass(frozen=True, slots=True)
class FinishTask:
    """No more text; or, with `cancel`, no more of anything."""

    task_id: str
    cancel: bool = False


@dataclass(frozen=True, slots=True)
class Malformed:
    """The envelope is legal, the payload is not: answer `message` as a failed task."""

    task_id: str
    message: str


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a sentence, as the service reports it."""

    text: str
    begin_index: int
    """Offset of its first character in the sentence."""
    end_index: int
    begin_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class TaskStarted:
    task_id: str


@dataclass(frozen=True, slots=True)
class ResultGenerated:
    """Progress inside one sentence; a `SENTENCE_SYNTHESIS` announces one binary frame."""

    task_id: str
    type: str
    """One of the SENTENCE constants; ``""`` from generations that do not tell."""
    index: int = 0
    words: tuple[Word, ...] = ()
    original_text: str | None = None
    """The sentence as it was sent; on begin and end only."""
    characters: int | None = None
    """Counted characters of the task so far; on end only."""
    transcript: Transcript | None = None
    """What was understood, if the task recognises speech; then nothing else here counts."""


@dataclass(frozen=True, slots=True)
class TaskFinished:
    """Terminal; the connection may carry another task."""

    task_id: str
    request_uuid: str = ""
    characters: int = 0
    is_of_hearing: bool = False
    """Whether the task recognised speech: the official SDK wants an empty output at its end."""


@dataclass(frozen=True, slots=True)
class TaskFailed:
    """Terminal; the connection must not be used again."""

    task_id: str
    code: str
    message: str


Action = RunTask | ContinueTask | FinishTask | Malformed
Event = TaskStarted | ResultGenerated | TaskFinished | TaskFailed


def encode_action(action: RunTask | ContinueTask | FinishTask) -> str:
    payload: dict[str, object]
    match action:
        case RunTask():
            name = "run-task"
            payload = {
                "task_group": action.task_group,
                "task": action.task,
                "function": action.function,
                "model": action.model,
                "parameters": dict(action.parameters),
                "input": {"text": action.text} if action.text else {},
            }
        case ContinueTask():
            name = "continue-task"
            # The SDK sends flush without text; text without flush is the common case.
            text = {"text": action.text} if action.text or not action.flush else {}
            payload = {"input": text | ({"flush": True} if action.flush else {})}
        case _:
            name = "finish-task"
            payload = {"input": {"directive": "cancel"} if action.cancel else {}}
    header = {"action": name, "task_id": action.task_id, "streaming": "duplex"}
    return _dump({"header": header, "payload": payload})


def decode_action(text: str | bytes) -> Action:
    """Read one message of a client.

    Raises:
        RemoteProtocolError: If there is no envelope, so that no task can be told to have failed.
    """
    header, payload = _envelope(text)
    task_id, action = header.get("task_id"), header.get("action")
    if not isinstance(task_id, str) or not task_id:
        raise RemoteProtocolError("a message without header.task_id")
    match action:
        case "run-task":
            return _run_task(task_id, payload)
        case "continue-task":
            return _continue_task(task_id, payload)
        case "finish-task":
            given = payload.get("input")
            if not isinstance(given, dict):
                return Malformed(task_id, _NO_INPUT)
            return FinishTask(task_id, cancel=given.get("directive") == "cancel")
        case _:
            return Malformed(task_id, f"Unknown action {action!r}! Please follow the protocol!")


def encode_event(event: Event) -> str:
    header: dict[str, object] = {"task_id": event.task_id, "attributes": {}}
    payload: dict[str, object] = {}
    match event:
        case TaskStarted():
            header["event"] = "task-started"
        case ResultGenerated():
            header["event"] = "result-generated"
            told = event.transcript
            payload = _result_payload(event) if told is None else transcript_payload(told)
        case TaskFinished():
            header["event"] = "task-finished"
            header["attributes"] = {"request_uuid": event.request_uuid}
            payload = {"output": {"sentence": {"words": []}}, "usage": {"characters": event.characters}}
            if event.is_of_hearing:
                payload = {"output": {}, "usage": None}
        case _:
            header["event"] = "task-failed"
            header["error_code"] = event.code
            header["error_message"] = event.message
    return _dump({"header": header, "payload": payload})


def decode_event(text: str | bytes) -> Event:
    """Read one message of a server; fields that generations leave out may be absent.

    Raises:
        RemoteProtocolError: If it is not an event of this protocol: ignore it, count it.
    """
    header, payload = _envelope(text)
    task_id, event = text_of(header.get("task_id")), header.get("event")
    match event:
        case "task-started":
            return TaskStarted(task_id)
        case "result-generated":
            return _result(task_id, payload)
        case "task-finished":
            request_uuid = text_of(object_of(header.get("attributes")).get("request_uuid"))
            return TaskFinished(task_id, request_uuid, _characters(payload) or 0)
        case "task-failed":
            return TaskFailed(
                task_id, text_of(header.get("error_code")), text_of(header.get("error_message"))
            )
        case _:
            raise RemoteProtocolError(f"unknown event {event!r}")


def _run_task(task_id: str, payload: dict[str, object]) -> RunTask | Malformed:
    named: dict[str, str] = {}
    for key in ("model", "task_group", "task", "function"):
        value = payload.get(key)
        if not isinstance(value, str) or not value:
            message = f"Missing required parameter 'payload.{key}'! Please follow the protocol!"
            return Malformed(task_id, message)
        named[key] = value
    given = payload.get("input")
    if not isinstance(given, dict):
        return Malformed(task_id, _NO_INPUT)
    text = given.get("text", "")
    if not isinstance(text, str):
        return Malformed(task_id, _BAD_TEXT)
    return RunTask(task_id, parameters=object_of(payload.get("parameters")), text=text, **named)


def _continue_task(task_id: str, payload: dict[str, object]) -> ContinueTask | Malformed:
    given = payload.get("input")
    if not isinstance(given, dict):
        return Malformed(task_id, _NO_INPUT)
    flush = given.get("flush") is True
    text = given.get("text", "" if flush else None)
    if text is None:
        return Malformed(task_id, _NO_INPUT)
    if not isinstance(text, str):
        return Malformed(task_id, _BAD_TEXT)
    return ContinueTask(task_id, text, flush)


def _result_payload(event: ResultGenerated) -> dict[str, object]:
    words = [
        {
            "text": word.text,
            "begin_index": word.begin_index,
            "end_index": word.end_index,
            "begin_time": word.begin_ms,
            "end_time": word.end_ms,
        }
        for word in event.words
    ]
    output: dict[str, object] = {"sentence": {"index": event.index, "words": words}}
    if event.type:
        output["type"] = event.type
    if event.original_text is not None:
        output["original_text"] = event.original_text
    payload: dict[str, object] = {"output": output}
    if event.characters is not None:
        payload["usage"] = {"characters": event.characters}
    return payload


def _result(task_id: str, payload: dict[str, object]) -> ResultGenerated:
    output = object_of(payload.get("output"))
    sentence = object_of(output.get("sentence"))
    listed, index, original = sentence.get("words"), sentence.get("index"), output.get("original_text")
    if "text" in sentence:
        return ResultGenerated(task_id, "", transcript=transcript_of(payload))
    # One comes with every frame of sound, and most bring no words: what is absent must cost nothing.
    return ResultGenerated(
        task_id,
        text_of(output.get("type")),
        index if type(index) is int else whole_of(index) or 0,
        tuple(_word(object_of(item)) for item in listed) if listed and isinstance(listed, list) else (),
        original if isinstance(original, str) else None,
        _characters(payload) if "usage" in payload else None,
    )


def _word(item: dict[str, object]) -> Word:
    return Word(
        text=text_of(item.get("text")),
        begin_index=whole_of(item.get("begin_index")) or 0,
        end_index=whole_of(item.get("end_index")) or 0,
        begin_ms=whole_of(item.get("begin_time")) or 0,
        end_ms=whole_of(item.get("end_time")) or 0,
    )


def _characters(payload: dict[str, object]) -> int | None:
    return whole_of(object_of(payload.get("usage")).get("characters"))


def _envelope(text: str | bytes) -> tuple[dict[str, object], dict[str, object]]:
    try:
        # What `json.loads` does before and behind it takes as long as the parsing itself.
        message, end = _parse(text) if isinstance(text, str) and text[:1] == "{" else (None, -1)
        if end != len(text):
            message = json.loads(text)
    except (ValueError, RecursionError):
        raise RemoteProtocolError(f"not JSON: {text[:40]!r}") from None
    if not isinstance(message, dict) or not isinstance(message.get("header"), dict):
        raise RemoteProtocolError(f"a message without a header: {text[:40]!r}")
    return message["header"], object_of(message.get("payload"))


def _dump(message: dict[str, object]) -> str:
    # ASCII, as the SDK sends it: a lone surrogate out of an LLM then survives the UTF-8 check of the frame.
    return json.dumps(message, separators=(",", ":"))
