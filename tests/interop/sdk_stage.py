"""What the scenarios of `sdk_script` stand on: the module under test, and a callback that remembers."""

import hashlib
import importlib
import json
import re
import threading
from collections.abc import Callable
from typing import Any

MODEL = "cosyvoice-v3-flash"
TEXTS = ("Hello, this is a first sentence. ", "And here comes ", "a second one.")
MARKED = "Hello [there](https://example.com)."
LONG = "This sentence has quite a number of words, so that there is time to say something else. " * 20
PCM = "PCM_8000HZ_MONO_16BIT"
PLENTY_MS = 20_000
"""For what ends by itself, on a machine that is busy."""
WAIT_S = 5.0
"""For callbacks that are on their way."""

_TELLING = (TimeoutError, ConnectionError, ValueError, TypeError, AttributeError)
"""What an ``except`` clause of a user may name beside the SDK's own classes."""

Seen = dict[str, Any]


class Stage:
    """The module under test, and how it is used."""

    def __init__(self, module: str, url: str, rude_url: str) -> None:
        self.sdk = importlib.import_module(module)
        self.url = url
        self.rude_url = rude_url
        self.raised_in_threads: list[str] = []

    def synthesizer(self, callback: Any = None, *, format: str = PCM, **more: Any) -> Any:  # noqa: ANN401
        given = {"model": MODEL, "voice": "tone", "url": self.url, "callback": callback} | more
        return self.sdk.SpeechSynthesizer(format=self.sdk.AudioFormat[format], **given)

    def recorder(self) -> Any:  # noqa: ANN401
        """A callback that remembers every call."""

        class Recorder(self.sdk.ResultCallback):  # type: ignore[name-defined,misc]
            def __init__(self) -> None:
                self.calls: list[str] = []
                self.sound = b""
                self.words: list[list[Any]] = []
                self.threads: dict[str, str] = {}
                self.closed = threading.Event()
                self.heard = threading.Event()
                self.hook: Callable[[str], None] = lambda name: None

            def _note(self, name: str, method: str) -> None:
                self.calls.append(name)
                self.threads[method] = threading.current_thread().name
                self.hook(name)

            def on_open(self) -> None:
                self._note("open", "on_open")

            def on_event(self, message: str) -> None:
                event = json.loads(message)
                output = event["payload"]["output"]
                if output["type"] == "sentence-end":
                    keys = ("text", "begin_index", "end_index", "begin_time", "end_time")
                    self.words += [[word[key] for key in keys] for word in output["sentence"]["words"]]
                self._note(output["type"], "on_event")

            def on_data(self, data: bytes) -> None:
                self.sound += data
                self.heard.set()
                self._note("data", "on_data")

            def on_complete(self) -> None:
                self._note("complete", "on_complete")

            def on_error(self, message: Any) -> None:  # noqa: ANN401
                self._note(f"error {failure_of(message)}", "on_error")

            def on_close(self) -> None:
                self._note("close", "on_close")
                self.closed.set()

        return Recorder()


SCENARIOS: dict[str, Callable[[Stage], Seen]] = {}


def scenario(function: Callable[[Stage], Seen]) -> Callable[[Stage], Seen]:
    SCENARIOS[function.__name__] = function
    return function


def failure_of(message: Any) -> str:  # noqa: ANN401
    """What a task-failed says, however it is handed over."""
    try:
        header = (json.loads(message) if isinstance(message, str) else message)["header"]
        return f"{header['error_code']}: {header['error_message']}"
    except (ValueError, TypeError, KeyError):
        return str(message)


def tidy(calls: list[str]) -> list[str]:
    """Write every run of announced frames as one ``sound``."""
    pairs = re.sub(r"(sentence-synthesis\ndata\n)+", "sound\n", "\n".join([*calls, ""]))
    return pairs.split("\n")[:-1]


def digest(sound: bytes) -> Seen:
    """Length and hash of a sound; the request id in its tags, which differs from run to run, is left out."""
    told = re.sub(rb"[0-9a-f]{32}", b"-" * 32, sound)
    return {"bytes": len(sound), "sha256": hashlib.sha256(told).hexdigest()}


def attempt(action: Callable[[], Any]) -> Seen:
    """What an action returns or raises; task ids, which differ from run to run, are left out."""
    try:
        returned = action()
    except Exception as error:
        return {
            "raised": type(error).__name__,
            "builtin": [kind.__name__ for kind in type(error).__mro__ if kind in _TELLING],
            "text": re.sub("[0-9a-f]{32}", "TASK", str(error)),
        }
    return {"returned": digest(returned) if isinstance(returned, bytes) else repr(returned)}


def account(tts: Any, callback: Any = None) -> Seen:  # noqa: ANN401
    """What the object and its callback know afterwards."""
    task_id = tts.get_last_request_id()
    delay = tts.get_first_package_delay()
    response = tts.get_response()
    header = response["header"] if response else {}
    seen: Seen = {
        "request_id": "32 hex digits" if re.fullmatch("[0-9a-f]{32}", task_id) else task_id,
        "delay": "positive" if 0 < delay < 60_000 else "none",
        "response": header.get("event"),
        "response_is_of_task": header.get("task_id") == task_id,
    }
    if "error_code" in header:
        seen["failure"] = failure_of(response)
    if callback is not None:
        seen["calls"] = tidy(callback.calls)
        seen["sound"] = digest(callback.sound)
    return seen


def about(seconds: float) -> str:
    """The kinds of waiting there are: none, a given timeout, the SDK's 5 s and 10 s."""
    for limit, name in ((1.4, "at once"), (4.5, "its timeout"), (8.0, "5 s"), (14.0, "10 s")):
        if seconds < limit:
            return name
    return "for ever"
