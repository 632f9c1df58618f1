"""What a user of the official SDK sees, version by version, and where our facade differs on purpose.

Facts from running the SDKs; a value that a race inside the SDK decides is an `Either`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = [
    "DIFFERENCES",
    "FACADE",
    "FORMATS",
    "PARAMETERS",
    "SCENARIOS_OF",
    "SDKS",
    "Either",
    "Format",
    "expected",
]

NEWEST = "2.0.2"
SDKS = (NEWEST, "1.25.24", "1.24.6")
FACADE = "facade"

_FAST = [
    "names",
    "constructor",
    "call",
    "call_with_callback",
    "streaming",
    "streaming_without_callback",
    "async_complete",
    "cancel",
    "second_call",
    "call_while_running",
    "streaming_after_complete",
    "not_started",
    "close_not_started",
    "unknown_voice",
    "unknown_voice_with_callback",
    "failure_mid_word",
    "failure_mid_word_with_callback",
    "dropped_mid_word",
    "dropped_mid_word_with_callback",
    "call_timeout",
    "complete_timeout",
    "async_timeout",
    "callback_raises",
    "word_times",
    "parameters",
    "additional_params",
    "ssml",
    "plain_text_with_signs",
    "empty_text",
    "out_of_range",
    "formats",
]
_SINCE_1_25 = ["flush", "flush_not_started", "hot_fix"]
_WAITING = ["refused_handshake", "closed_at_start", "cancel_inside_a_callback"]
"""The SDK waits for seconds here, and all versions alike."""

SCENARIOS_OF: dict[str, tuple[str, ...]] = {
    NEWEST: (*_WAITING, *_FAST, *_SINCE_1_25),
    "1.25.24": (*_FAST, *_SINCE_1_25),
    "1.24.6": (*_FAST,),
    FACADE: (*_WAITING, *_FAST, *_SINCE_1_25),
}


PARAMETERS: dict[str, dict[str, Any]] = {
    "volume": {"volume": 80},
    "speech_rate": {"rate": 1.5},
    "pitch_rate": {"pitch": 0.75},
    "seed": {"seed": 4711},
    "synthesis_type": {"type": 1},
    "instruction": {"instruction": "你说话的情感是happy。", "voice": "longanyang"},
    "language_hints": {"language_hints": ["en", "zh"]},
    "voice": {"voice": "longanyang"},
    "bit_rate": {"format": "opus", "sample_rate": 16000, "bit_rate": 64},
    "enable_markdown_filter": {"enable_markdown_filter": True},
    "enable_aigc_tag": {
        "format": "wav",
        "sample_rate": 16000,
        "enable_aigc_tag": True,
        "aigc_propagator": "a test",
        "aigc_propagate_id": "4711",
    },
}
"""What the scenario ``parameters`` asks for one after another, as on the wire."""


@dataclass(frozen=True)
class Format:
    """One member of AudioFormat."""

    name: str
    container: str
    """As on the wire."""
    rate: int
    kbps: int
    """Last element of its tuple: kilobit per second, or bits per sample."""


def _formats() -> tuple[Format, ...]:
    found = [Format("DEFAULT", "Default", 0, 0)]
    for rate in (8000, 16000, 22050, 24000, 44100, 48000):
        mp3 = 128 if rate <= 16000 else 256
        # A slip in the SDK: the last element of the first WAV is 0.
        found.append(Format(f"WAV_{rate}HZ_MONO_16BIT", "wav", rate, 16 if rate > 8000 else 0))
        found.append(Format(f"MP3_{rate}HZ_MONO_{mp3}KBPS", "mp3", rate, mp3))
        found.append(Format(f"PCM_{rate}HZ_MONO_16BIT", "pcm", rate, 16))
    for khz, rates in ((8, (16, 32)), (16, (16, 32, 64)), (24, (16, 32, 64)), (48, (16, 32, 64))):
        found += [Format(f"OGG_OPUS_{khz}KHZ_MONO_{kbps}KBPS", "opus", khz * 1000, kbps) for kbps in rates]
    return tuple(found)


FORMATS = _formats()


class Either:
    """Equal to any of some values."""

    def __init__(self, *values: object) -> None:
        self._values = values

    def __eq__(self, other: object) -> bool:
        return other in self._values

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return " or ".join(map(repr, self._values))


def _raises(name: str, text: str, *builtin: str) -> dict[str, Any]:
    return {"raised": name, "builtin": [*builtin], "text": text}


_NONE = {"returned": "None"}
_NOT_STARTED = _raises("InvalidTask", "speech synthesizer has not been started.")
_ALREADY = _raises("InvalidTask", "task has already started.")
_SENTENCE = ["sentence-begin", "sound", "sentence-end"]
_END = ["complete", "close"]
_CLOSED_1 = _raises("WebSocketConnectionClosedException", "Connection is already closed.")
_CLOSED_2 = _raises(
    "ConnectionError",
    "WebSocket connection is not established or has been closed. Please call connect() first and ensure the"
    " connection is active.",
    "ConnectionError",
)
_REFUSALS = {
    "volume": "Parameter 'volume' must be an integer from 0 to 100, not 101",
    "speech_rate": "Parameter 'rate' must be a number from 0.5 to 2.0, not 2.5",
    "pitch_rate": "Parameter 'pitch' must be a number from 0.5 to 2.0, not 0.1",
    "seed": "Parameter 'seed' must be an integer from 0 to 65535, not 65536",
}


def _timeout(milliseconds: int) -> dict[str, Any]:
    text = f"speech synthesizer wait for complete timeout {milliseconds}ms"
    return _raises("TimeoutError", text, "TimeoutError")


def _task_failed(code: str, message: str) -> dict[str, Any]:
    text = f"Request failed, request_id: TASK, http_code: 44 error_name: {code}, error_message: {message}"
    return _raises("RequestFailure", text)


def _account(response: str | None, *, delay: str = "positive", failure: str = "") -> dict[str, Any]:
    told: dict[str, Any] = {
        "request_id": "32 hex digits",
        "delay": delay,
        "response": response,
        "response_is_of_task": response is not None,
    }
    return told | ({"failure": failure} if failure else {})


_FINISHED = _account("task-finished")


def expected(scenario: str, version: str, spoken: Mapping[str, Any]) -> Any:  # noqa: ANN401
    """The observations of one scenario; `spoken` holds the digests of the sounds by name."""
    found = _calls(version, spoken) | _states(version, spoken) | _failures(version, spoken)
    return (found | _asked(version, spoken))[scenario]


def _calls(version: str, spoken: Mapping[str, Any]) -> dict[str, Any]:
    calls = ["open", *_SENTENCE, *_SENTENCE, *_END]
    whole = _NONE | _FINISHED | {"calls": calls, "sound": spoken["texts"]}
    return {
        "call": {"returned": spoken["texts"]} | _FINISHED | {"before": [None, 0]},
        "call_with_callback": whole,
        "async_complete": whole,
        # Up to 1.25 an exception in a callback ends the reading for good.
        "callback_raises": whole
        if version == NEWEST
        else _timeout(3000)
        | _account("result-generated")
        | {"calls": ["open", "sentence-begin", "sound"], "sound": spoken["first frame"]},
        "streaming": whole
        | {
            "pushed": [_NONE] * 3,
            "on_open_in_caller": True,
            "on_data_elsewhere": True,
            "one_thread_brings_all": True,
        },
        "flush": _NONE
        | {"was_held_back": True, "heard_before_complete": True}
        | _FINISHED
        | {"calls": ["open", *_SENTENCE, *_END], "sound": spoken["half"]},
        "word_times": {"words": spoken["word times"], "sound": spoken["texts"]},
    }


def _states(version: str, spoken: Mapping[str, Any]) -> dict[str, Any]:
    is_new = version == NEWEST
    not_open = {
        "1.24.6": _raises(
            "AttributeError", "'SpeechSynthesizer' object has no attribute 'ws'", "AttributeError"
        ),
        "1.25.24": _raises("AttributeError", "'NoneType' object has no attribute 'close'", "AttributeError"),
        NEWEST: _NONE,
    }[version]
    return {
        "constructor": {
            "no_model": _raises("ModelRequired", "Model is required!"),
            "no_format": _raises("InputRequired", "format is required!"),
        },
        "streaming_without_callback": _raises("InputRequired", "callback is required!"),
        "cancel": _NONE
        | {
            "took": "at once",
            "late_sound": 0,
            # The directive came with 1.26; before it the socket was closed and nobody told.
            "ended_with": _END if is_new else [],
            "errors": [],
            "again": _NOT_STARTED if is_new else _CLOSED_1,
            "afterwards": _NOT_STARTED if is_new else _CLOSED_1,
        },
        "second_call": {
            "first": {"returned": spoken["hello"]},
            # 1.24 connects anew, believes the first task's marks and is given nothing.
            "second": {"1.24.6": Either(_NONE, _CLOSED_1), "1.25.24": _CLOSED_1, NEWEST: _CLOSED_2}[version],
        },
        "call_while_running": _ALREADY
        | _FINISHED
        | {"calls": ["open", *_SENTENCE, *_END], "sound": spoken["hello"]},
        "streaming_after_complete": dict.fromkeys(("call", "complete", "async", "cancel"), _NOT_STARTED)
        | {"close": _NONE},
        "not_started": dict.fromkeys(("complete", "async", "cancel"), _NOT_STARTED)
        | _account(None, delay="none"),
        "flush_not_started": _NOT_STARTED,
        "close_not_started": {"first": not_open, "second": not_open},
    }


def _failures(version: str, spoken: Mapping[str, Any]) -> dict[str, Any]:
    is_new = version == NEWEST
    text_418, text_500 = "[tts:]Engine return error code: 418", "the voice failed on this text"
    begun = ["open", "sentence-begin", "sound"]
    # Before 1.27 a failed task raised nothing; whether the next message still found the socket open was luck.
    # Its thread has let go of the socket between the question whether it is there and the writing.
    gone = _raises("WebSocketConnectionClosedException", "socket is already closed.")
    pipe = _raises("BrokenPipeError", "[Errno 32] Broken pipe", "ConnectionError")
    reset = _raises("ConnectionResetError", "[Errno 104] Connection reset by peer", "ConnectionError")
    silent = Either(*({**each, **_unknown_voice()} for each in (_NONE, _CLOSED_1, gone, pipe, reset)))
    empty = "Please ensure input text is valid."
    return {
        "unknown_voice": _task_failed("InvalidParameter", text_418) | _unknown_voice() if is_new else silent,
        "unknown_voice_with_callback": _task_failed("InvalidParameter", text_418)
        | _unknown_voice()
        | {"calls": [f"error InvalidParameter: {text_418}", "close"], "sound": spoken["nothing"]}
        if is_new
        else Either(
            *(
                {**each, **_unknown_voice(), "calls": calls, "sound": spoken["nothing"]}
                for each in (_NONE, _CLOSED_1, gone, pipe, reset)
                for calls in _with_open_somewhere([f"error InvalidParameter: {text_418}", "close"])
            )
        ),
        "failure_mid_word": (
            _task_failed("InternalError", text_500) if is_new else {"returned": spoken["cut"]}
        )
        | _account("task-failed", failure=f"InternalError: {text_500}"),
        "failure_mid_word_with_callback": _account("task-failed", failure=f"InternalError: {text_500}")
        | {"calls": [*begun, f"error InternalError: {text_500}", "close"], "sound": spoken["cut"]},
        "dropped_mid_word": _timeout(1500) | {"took": "its timeout"},
        "dropped_mid_word_with_callback": {"calls": begun, "more": _CLOSED_2 if is_new else _CLOSED_1},
        "call_timeout": _timeout(401),
        "complete_timeout": _timeout(402) | {"calls": begun},
        "async_timeout": _NONE
        | {"calls": begun, "raised_in_thread": [f"TimeoutError: {_timeout(403)['text']}"]},
        "empty_text": (_task_failed("InvalidParameter", empty) if is_new else _NONE)
        | _account("task-failed", delay="none", failure=f"InvalidParameter: {empty}"),
        "out_of_range": {
            name: _task_failed("InvalidParameter", text)
            if is_new
            else Either(_NONE, _CLOSED_1, gone, pipe, reset)
            for name, text in _REFUSALS.items()
        },
        "refused_handshake": _raises(
            "TimeoutError",
            "websocket connection could not established within 5s. Please check your network connection,"
            " firewall settings, or server status.",
            "TimeoutError",
        )
        | {"took": "5 s", "calls": []},
        "closed_at_start": _raises(
            "TimeoutError", "start speech synthesizer failed within 5s.", "TimeoutError"
        )
        | {"took": "10 s", "calls": []},
        # The reader waits for itself.
        "cancel_inside_a_callback": {"took": "its timeout"},
    }


def _asked(version: str, spoken: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "parameters": {name: {"returned": spoken[name]} for name in PARAMETERS},
        "hot_fix": {
            "dict": {"returned": spoken["hot_fix"]},
            "object": {"returned": spoken["hot_fix"]},
            "callers_dict": ["enable_ssml", "hot_fix", "word_timestamp_enabled"],
            "to_dict": {"pronunciation": [{"a": "b"}]},
        },
        "additional_params": {"returned": spoken["additional"]},
        "ssml": {"returned": spoken["ssml"]},
        "plain_text_with_signs": {"returned": spoken["signs"]},
    }


def _unknown_voice() -> dict[str, Any]:
    failure = "InvalidParameter: [tts:]Engine return error code: 418"
    return _account("task-failed", delay="none", failure=failure)


def _with_open_somewhere(calls: list[str]) -> list[list[str]]:
    """The caller's thread says ``open`` while the socket's thread reports the failure."""
    return [[*calls[:place], "open", *calls[place:]] for place in range(len(calls) + 1)]


def _gave_up(kind: str, text: str, *builtin: str) -> dict[str, Any]:
    told = f"Request failed, request_id: TASK, http_code: 44 error_name: Closed, error_message: {text}"
    return _raises(kind, told, *builtin)


_BROKE = "the connection to the service broke"
_BEGUN = ["open", "sentence-begin", "sound"]

# Where our facade is not the SDK 2.0.2, by scenario: what it shows instead.
DIFFERENCES: dict[str, dict[str, Any]] = {
    # It notices at once that a connection has ended or was refused, and says so.
    "refused_handshake": _raises(
        "StartFailed",
        "Request failed, request_id: TASK, http_code: 401 error_name: InvalidApiKey, error_message: Invalid"
        " API-key provided.",
        "ConnectionError",
        "TimeoutError",
    )
    | {"took": "at once"},
    "closed_at_start": _gave_up(
        "StartFailed", "the service closed the connection with 1011", "ConnectionError", "TimeoutError"
    )
    | {"took": "at once"},
    "dropped_mid_word": _gave_up("ConnectionLost", _BROKE, "ConnectionError") | {"took": "at once"},
    "dropped_mid_word_with_callback": {
        "calls": [*_BEGUN, f"error Closed: {_BROKE}", "close"],
        "more": _gave_up("ConnectionLost", _BROKE, "ConnectionError"),
    },
    # A callback is told how its task ended, whatever ended it.
    "complete_timeout": {"calls": [*_BEGUN, f"error Timeout: {_timeout(402)['text']}", "close"]},
    "async_timeout": {
        "calls": [*_BEGUN, f"error Timeout: {_timeout(403)['text']}", "close"],
        "raised_in_thread": [],
    },
    # No code of the user's runs on the reader.
    "cancel_inside_a_callback": {"took": "at once"},
    # The caller's own dictionary is left alone.
    "hot_fix": {"callers_dict": ["word_timestamp_enabled"]},
    # What is out of range is refused where it is written.
    "out_of_range": {
        "volume": _raises(
            "InvalidParameter", "volume must be an integer from 0 to 100, not 101", "ValueError"
        ),
        "speech_rate": _raises(
            "InvalidParameter", "speech_rate must be a number from 0.5 to 2.0, not 2.5", "ValueError"
        ),
        "pitch_rate": _raises(
            "InvalidParameter", "pitch_rate must be a number from 0.5 to 2.0, not 0.1", "ValueError"
        ),
        "seed": _raises(
            "InvalidParameter", "seed must be an integer from 0 to 65535, not 65536", "ValueError"
        ),
    },
}
