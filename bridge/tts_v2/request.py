"""What one task asks for, and the messages that say so: field by field what the SDK sends."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from bridge.cosyvoice.limits import MESSAGE_CHARACTERS, TASK_CHARACTERS
from bridge.text.characters import count_characters
from bridge.tts_v2.endpoint import Endpoint
from bridge.tts_v2.errors import InputRequired, InvalidParameter, InvalidParameterType
from bridge.tts_v2.ranges import check_parameters

__all__ = ["Request", "check_text", "make_request"]

_SOUND = ("format", "sample_rate", "bit_rate")


@dataclass(frozen=True, slots=True)
class Request:
    """The parameters of a task, checked."""

    task_id: str
    endpoint: Endpoint
    model: str
    parameters: dict[str, object]

    def run_task(self, *, ssml: bool) -> str:
        """The message that opens the task; `ssml` asks for ``enable_ssml``, as `call` always does."""
        parameters = self.parameters | {"enable_ssml": True} if ssml else self.parameters
        return self._message("run-task", self._function() | {"input": {}, "parameters": parameters})

    def continue_task(self, text: str) -> str:
        return self._message("continue-task", self._function() | {"input": {"text": text}})

    def flush(self) -> str:
        return self._message("continue-task", self._function() | {"input": {"flush": True}})

    def finish_task(self) -> str:
        return self._message("finish-task", {"input": {}})

    def cancel(self) -> str:
        return self._message("finish-task", {"input": {"directive": "cancel"}})

    def _function(self) -> dict[str, object]:
        return {"model": self.model, "task_group": "audio", "task": "tts", "function": "SpeechSynthesizer"}

    def _message(self, action: str, payload: dict[str, object]) -> str:
        header = {"action": action, "task_id": self.task_id, "streaming": "duplex"}
        return json.dumps({"header": header, "payload": payload})


def make_request(
    task_id: str,
    endpoint: Endpoint,
    model: object,
    audio_format: object,
    arguments: Mapping[str, object],
    *,
    hot_fix: object,
    additional_params: object,
) -> Request:
    """Merge the arguments in the SDK's order and check the result; no argument is changed.

    Args:
        task_id: New.
        endpoint: Where it is asked.
        model: As given.
        audio_format: An `AudioFormat`, or the SDK's own.
        arguments: By their names on the wire; ``instruction`` and ``language_hints`` of None are left out.
        hot_fix: A `HotFix`, the SDK's own, or a dict.
        additional_params: Overrides what the arguments say, but for instruction and language hints.

    Raises:
        InputRequired: If there is no voice.
        InvalidParameter: If something is wrong.
    """
    if not isinstance(model, str):
        raise InvalidParameterType(f"model must be a string, not {model!r:.60}")
    sound = {name: getattr(audio_format, name, None) for name in _SOUND}
    if None in sound.values():
        raise InvalidParameterType(f"format must be an AudioFormat, not {audio_format!r:.60}")
    if additional_params is not None and not isinstance(additional_params, Mapping):
        raise InvalidParameterType(f"additional_params must be a dict, not {additional_params!r:.60}")
    parameters: dict[str, object] = {"text_type": "PlainText"} | dict(arguments)
    last = {key: parameters.pop(key) for key in ("instruction", "language_hints")}
    if sound["format"] != "opus":
        del sound["bit_rate"]
    parameters |= sound | dict(additional_params or {})
    if hot_fix is not None:
        parameters["hot_fix"] = hot_fix.to_dict() if hasattr(hot_fix, "to_dict") else hot_fix
    parameters |= {key: value for key, value in last.items() if value is not None}
    if parameters["voice"] is None:
        raise InputRequired("voice is required!")
    check_parameters(parameters)
    try:
        # Read back, so that nothing the user changes later changes the task.
        return Request(task_id, endpoint, model, json.loads(json.dumps(parameters, allow_nan=False)))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidParameterType(f"additional_params cannot be written as JSON: {error}") from None


def check_text(text: object, *, ssml: bool, spoken: int) -> int:
    """Check one text and return the characters it counts.

    Args:
        text: As given.
        ssml: Whether tags are free.
        spoken: Characters counted in this task before.

    Raises:
        InvalidParameter: If the text is no string, or longer than the service takes.
    """
    if not isinstance(text, str):
        raise InvalidParameterType(f"text must be a string, not {text!r:.60}")
    length = count_characters(text, ssml=ssml)
    if length > MESSAGE_CHARACTERS:
        raise InvalidParameter(
            f"text must have at most {MESSAGE_CHARACTERS} characters, a hanzi counted as two, not {length}: "
            "send it in parts with streaming_call"
        )
    if spoken + length > TASK_CHARACTERS:
        raise InvalidParameter(
            f"one task takes at most {TASK_CHARACTERS} characters, a hanzi counted as two, "
            f"and this text makes it {spoken + length}: start another"
        )
    return length
