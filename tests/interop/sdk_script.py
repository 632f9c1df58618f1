"""Does what the SDK reference describes, and tells what its user could see.

    python sdk_script.py MODULE URL RUDE_URL SCENARIO...

MODULE is the import line: ``dashscope.audio.tts_v2`` or ``bridge.tts_v2``; nothing else here knows which.
URL leads to a service with the voice ``tone``, RUDE_URL to one that closes the connection when a task begins.
Prints one JSON document: an object of observations for each scenario. Scenarios run side by side, for the SDK
waits 5 and 10 seconds for what will not come.
"""

import contextlib
import hashlib
import importlib
import inspect
import json
import os
import re
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
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

_LONGEST_S = 30.0
"""For all scenarios together; one that hangs is told of, not waited for."""

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


@scenario
def call(stage: Stage) -> Seen:
    tts = stage.synthesizer()
    before = [tts.get_response(), tts.get_first_package_delay()]
    seen = attempt(lambda: tts.call("".join(TEXTS)))
    return seen | account(tts) | {"before": before}


@scenario
def call_with_callback(stage: Stage) -> Seen:
    callback = stage.recorder()
    tts = stage.synthesizer(callback)
    seen = attempt(lambda: tts.call("".join(TEXTS)))
    callback.closed.wait(WAIT_S)
    return seen | account(tts, callback)


@scenario
def streaming(stage: Stage) -> Seen:
    callback = stage.recorder()
    tts = stage.synthesizer(callback)
    own = threading.current_thread().name
    pushed = [attempt(lambda text=text: tts.streaming_call(text)) for text in TEXTS]  # type: ignore[misc]
    seen = attempt(tts.streaming_complete)
    callback.closed.wait(WAIT_S)
    threads = callback.threads
    return (
        seen
        | account(tts, callback)
        | {
            "pushed": pushed,
            "on_open_in_caller": threads["on_open"] == own,
            "on_data_elsewhere": threads["on_data"] != own,
            "one_thread_brings_all": len({threads[name] for name in threads if name != "on_open"}) == 1,
        }
    )


@scenario
def streaming_without_callback(stage: Stage) -> Seen:
    tts = stage.synthesizer()
    return attempt(lambda: tts.streaming_call("Hello."))


@scenario
def async_complete(stage: Stage) -> Seen:
    callback = stage.recorder()
    tts = stage.synthesizer(callback)
    tts.streaming_call("".join(TEXTS))
    seen = attempt(tts.async_streaming_complete)
    callback.closed.wait(WAIT_S)
    return seen | account(tts, callback)


@scenario
def flush(stage: Stage) -> Seen:
    callback = stage.recorder()
    tts = stage.synthesizer(callback)
    tts.streaming_call("Half a sen")
    was_held_back = not callback.heard.wait(0.3)
    seen = attempt(tts.streaming_flush)
    seen["was_held_back"] = was_held_back
    seen["heard_before_complete"] = callback.heard.wait(WAIT_S)
    tts.streaming_complete()
    callback.closed.wait(WAIT_S)
    return seen | account(tts, callback)


@scenario
def cancel(stage: Stage) -> Seen:
    callback = stage.recorder()
    tts = stage.synthesizer(callback)
    tts.streaming_call(LONG)
    callback.heard.wait(WAIT_S)
    began = time.monotonic()
    seen = attempt(tts.streaming_cancel)
    seen["took"] = _about(time.monotonic() - began)
    time.sleep(0.2)
    heard = len(callback.sound)
    time.sleep(0.3)
    seen["late_sound"] = len(callback.sound) - heard
    seen["ended_with"] = [name for name in callback.calls if name in ("complete", "close")]
    seen["errors"] = [name for name in callback.calls if name.startswith("error")]
    seen["again"] = attempt(tts.streaming_cancel)
    seen["afterwards"] = attempt(lambda: tts.streaming_call("More."))
    return seen


@scenario
def second_call(stage: Stage) -> Seen:
    """The reference asks for a new object before each call; this is what happens to who does not."""
    tts = stage.synthesizer()
    first = attempt(lambda: tts.call("Hello."))
    second = attempt(lambda: tts.call("Hello."))
    return {"first": first, "second": second}


@scenario
def call_while_running(stage: Stage) -> Seen:
    callback = stage.recorder()
    tts = stage.synthesizer(callback)
    tts.streaming_call("Hello.")
    seen = attempt(lambda: tts.call("Hello again."))
    tts.streaming_complete()
    callback.closed.wait(WAIT_S)
    return seen | account(tts, callback)


@scenario
def streaming_after_complete(stage: Stage) -> Seen:
    callback = stage.recorder()
    tts = stage.synthesizer(callback)
    tts.streaming_call("Hello.")
    tts.streaming_complete()
    callback.closed.wait(WAIT_S)
    return {
        "call": attempt(lambda: tts.streaming_call("More.")),
        "complete": attempt(tts.streaming_complete),
        "async": attempt(tts.async_streaming_complete),
        "cancel": attempt(tts.streaming_cancel),
        "close": attempt(tts.close),
    }


@scenario
def not_started(stage: Stage) -> Seen:
    tts = stage.synthesizer(stage.recorder())
    return {
        "complete": attempt(tts.streaming_complete),
        "async": attempt(tts.async_streaming_complete),
        "cancel": attempt(tts.streaming_cancel),
    } | account(tts)


@scenario
def flush_not_started(stage: Stage) -> Seen:
    return attempt(stage.synthesizer(stage.recorder()).streaming_flush)


@scenario
def close_not_started(stage: Stage) -> Seen:
    tts = stage.synthesizer()
    return {"first": attempt(tts.close), "second": attempt(tts.close)}


@scenario
def unknown_voice(stage: Stage) -> Seen:
    tts = stage.synthesizer(voice="nobody")
    seen = attempt(lambda: tts.call("Hello.", timeout_millis=PLENTY_MS))
    return seen | account(tts)


@scenario
def unknown_voice_with_callback(stage: Stage) -> Seen:
    callback = stage.recorder()
    tts = stage.synthesizer(callback, voice="nobody")
    seen = attempt(lambda: tts.streaming_call("Hello."))
    callback.closed.wait(WAIT_S)
    return seen | account(tts, callback)


@scenario
def failure_mid_word(stage: Stage) -> Seen:
    tts = stage.synthesizer(additional_params={"x_fault": "fail_mid_word"})
    seen = attempt(lambda: tts.call(LONG[:200], timeout_millis=PLENTY_MS))
    return seen | account(tts)


@scenario
def failure_mid_word_with_callback(stage: Stage) -> Seen:
    callback = stage.recorder()
    tts = stage.synthesizer(callback, additional_params={"x_fault": "fail_mid_word"})
    tts.streaming_call(LONG[:200])
    callback.closed.wait(WAIT_S)
    return account(tts, callback)


@scenario
def refused_handshake(stage: Stage) -> Seen:
    callback = stage.recorder()
    tts = stage.synthesizer(callback, headers={"Authorization": "Bearer wrong"})
    began = time.monotonic()
    seen = attempt(lambda: tts.call("Hello."))
    return seen | {"took": _about(time.monotonic() - began), "calls": callback.calls}


@scenario
def closed_at_start(stage: Stage) -> Seen:
    callback = stage.recorder()
    tts = stage.synthesizer(callback, url=stage.rude_url)
    began = time.monotonic()
    seen = attempt(lambda: tts.streaming_call("Hello."))
    return seen | {"took": _about(time.monotonic() - began), "calls": callback.calls}


@scenario
def dropped_mid_word(stage: Stage) -> Seen:
    tts = stage.synthesizer(additional_params={"x_fault": "drop_mid_word"})
    began = time.monotonic()
    seen = attempt(lambda: tts.call(LONG[:200], timeout_millis=1500))
    return seen | {"took": _about(time.monotonic() - began)}


@scenario
def dropped_mid_word_with_callback(stage: Stage) -> Seen:
    callback = stage.recorder()
    tts = stage.synthesizer(callback, additional_params={"x_fault": "drop_mid_word"})
    tts.streaming_call(LONG[:200])
    callback.heard.wait(WAIT_S)
    callback.closed.wait(1.0)
    return {"calls": tidy(callback.calls), "more": attempt(lambda: tts.streaming_call("More."))}


@scenario
def call_timeout(stage: Stage) -> Seen:
    tts = stage.synthesizer(additional_params={"x_fault": "stall"})
    return attempt(lambda: tts.call(LONG[:200], timeout_millis=401))


@scenario
def complete_timeout(stage: Stage) -> Seen:
    callback = stage.recorder()
    tts = stage.synthesizer(callback, additional_params={"x_fault": "stall"})
    tts.streaming_call(LONG[:200])
    _hear_all_before_the_stall(callback)
    seen = attempt(lambda: tts.streaming_complete(402))
    callback.closed.wait(0.5)
    return seen | {"calls": tidy(callback.calls)}


@scenario
def async_timeout(stage: Stage) -> Seen:
    callback = stage.recorder()
    tts = stage.synthesizer(callback, additional_params={"x_fault": "stall"})
    tts.streaming_call(LONG[:200])
    _hear_all_before_the_stall(callback)
    seen = attempt(lambda: tts.async_streaming_complete(403))
    time.sleep(0.8)
    told = [text for text in stage.raised_in_threads if "403ms" in text]
    return seen | {"calls": tidy(callback.calls), "raised_in_thread": told}


@scenario
def callback_raises(stage: Stage) -> Seen:
    callback = stage.recorder()

    def fail_once(name: str) -> None:
        if name == "data" and callback.calls.count("data") == 1:
            raise RuntimeError("a bug of the user's")

    callback.hook = fail_once
    tts = stage.synthesizer(callback)
    tts.streaming_call("".join(TEXTS))
    seen = attempt(lambda: tts.streaming_complete(3000))
    callback.closed.wait(WAIT_S)
    return seen | account(tts, callback)


@scenario
def cancel_inside_a_callback(stage: Stage) -> Seen:
    callback = stage.recorder()
    took: list[float] = []

    def cancel_once(name: str) -> None:
        if name == "data" and not took:
            took.append(0.0)
            began = time.monotonic()
            tts.streaming_cancel(1500)
            took[0] = time.monotonic() - began

    callback.hook = cancel_once
    tts = stage.synthesizer(callback)
    tts.streaming_call(LONG)
    deadline = time.monotonic() + WAIT_S
    while not (took and took[0]) and time.monotonic() < deadline:
        time.sleep(0.02)
    return {"took": _about(took[0])}


@scenario
def word_times(stage: Stage) -> Seen:
    callback = stage.recorder()
    tts = stage.synthesizer(callback, additional_params={"word_timestamp_enabled": True})
    tts.streaming_call("".join(TEXTS))
    tts.streaming_complete()
    callback.closed.wait(WAIT_S)
    return {"words": callback.words, "sound": digest(callback.sound)}


@scenario
def parameters(stage: Stage) -> Seen:
    """One call with each parameter set to something else than its default."""
    given: dict[str, dict[str, Any]] = {
        "volume": {"volume": 80},
        "speech_rate": {"speech_rate": 1.5},
        "pitch_rate": {"pitch_rate": 0.75},
        "seed": {"seed": 4711},
        "synthesis_type": {"synthesis_type": 1},
        "instruction": {"instruction": "你说话的情感是happy。", "voice": "longanyang"},
        "language_hints": {"language_hints": ["en", "zh"]},
        "voice": {"voice": "longanyang"},
        "bit_rate": {"format": "OGG_OPUS_16KHZ_MONO_32KBPS", "additional_params": {"bit_rate": 64}},
        "enable_markdown_filter": {"additional_params": {"enable_markdown_filter": True}},
        "enable_aigc_tag": {
            "format": "WAV_16000HZ_MONO_16BIT",
            "additional_params": {
                "enable_aigc_tag": True,
                "aigc_propagator": "a test",
                "aigc_propagate_id": "4711",
            },
        },
    }
    return {
        name: attempt(lambda more=more: stage.synthesizer(**more).call(MARKED))  # type: ignore[misc]
        for name, more in given.items()
    }


@scenario
def hot_fix(stage: Stage) -> Seen:
    """Both forms of it, and what becomes of the caller's own dictionary."""
    hot_fix_type = _hot_fix_type(stage.sdk)
    fix = {"replace": [{"there": "everybody"}]}
    own: dict[str, Any] = {"word_timestamp_enabled": False}
    as_dict = stage.synthesizer(hot_fix=fix, additional_params=own)
    as_object = stage.synthesizer(hot_fix=hot_fix_type(replace=fix["replace"]))
    return {
        "dict": attempt(lambda: as_dict.call("Hello there.")),
        "object": attempt(lambda: as_object.call("Hello there.")),
        "callers_dict": sorted(own),
        "to_dict": hot_fix_type([{"a": "b"}]).to_dict(),
    }


@scenario
def additional_params(stage: Stage) -> Seen:
    """They win over the arguments of the constructor."""
    tts = stage.synthesizer(volume=50, additional_params={"volume": 80, "pitch": 1.5})
    return attempt(lambda: tts.call("Hello there."))


@scenario
def ssml(stage: Stage) -> Seen:
    tts = stage.synthesizer(voice="longanyang")
    text = "<speak>Hello <break time='500ms'/> there.</speak>"
    return attempt(lambda: tts.call(text, timeout_millis=PLENTY_MS))


@scenario
def plain_text_with_signs(stage: Stage) -> Seen:
    return attempt(lambda: stage.synthesizer().call("3 < 5 & so on."))


@scenario
def empty_text(stage: Stage) -> Seen:
    tts = stage.synthesizer()
    seen = attempt(lambda: tts.call("", timeout_millis=PLENTY_MS))
    return seen | account(tts)


@scenario
def out_of_range(stage: Stage) -> Seen:
    seen = {}
    for name, value in (("volume", 101), ("speech_rate", 2.5), ("pitch_rate", 0.1), ("seed", 65536)):
        given = {name: value}
        seen[name] = attempt(lambda given=given: stage.synthesizer(**given).call("Hello.", PLENTY_MS))  # type: ignore[misc]
    return seen


@scenario
def constructor(stage: Stage) -> Seen:
    sdk = stage.sdk
    return {
        "no_model": attempt(lambda: sdk.SpeechSynthesizer(model=None, voice="tone")),
        "no_format": attempt(lambda: sdk.SpeechSynthesizer(model=MODEL, voice="tone", format=None)),
    }


@scenario
def formats(stage: Stage) -> Seen:
    """All members of AudioFormat, each spoken once."""
    return {
        member.name: attempt(lambda name=member.name: stage.synthesizer(format=name).call("Hello there."))  # type: ignore[misc]
        for member in stage.sdk.AudioFormat
    }


@scenario
def names(stage: Stage) -> Seen:
    """The surface: members of AudioFormat, signatures, defaults."""
    sdk = stage.sdk
    surface: Seen = {
        "formats": {
            member.name: [*member.value, member.format, member.sample_rate, str(member)]
            for member in sdk.AudioFormat
        },
        "callbacks": sorted(name for name in vars(sdk.ResultCallback) if name.startswith("on_")),
        "exports": sorted(sdk.__all__),
    }
    for name in ("SpeechSynthesizer", "SpeechSynthesizerObjectPool", "ResultCallback"):
        kind = getattr(sdk, name, None)
        if kind is None:
            continue
        public = [method for method in vars(kind) if not method.startswith("_")]
        surface[name] = {method: _signature(getattr(kind, method)) for method in sorted(public)}
        surface[name]["__init__"] = _signature(kind.__init__)
    return surface


@scenario
def pool(stage: Stage) -> Seen:
    sdk = stage.sdk
    sizes = [attempt(lambda size=size: sdk.SpeechSynthesizerObjectPool(max_size=size)) for size in (0, 101)]  # type: ignore[misc]
    made = sdk.SpeechSynthesizerObjectPool(max_size=2, url=stage.url)
    given = {"model": MODEL, "voice": "tone", "format": sdk.AudioFormat[PCM]}
    first = made.borrow_synthesizer(**given)
    callback = stage.recorder()
    second = made.borrow_synthesizer(**given, callback=callback)
    third = made.borrow_synthesizer(**given)
    seen: Seen = {"sizes": sizes, "first": attempt(lambda: first.call("Hello there."))}
    second.streaming_call("Hello there.")
    seen["second"] = attempt(second.streaming_complete)
    callback.closed.wait(WAIT_S)
    seen |= account(second, callback)
    seen["third"] = attempt(lambda: third.call("Hello there."))
    seen["returned"] = [attempt(lambda tts=tts: made.return_synthesizer(tts)) for tts in (first, second)]  # type: ignore[misc]
    seen["stranger"] = attempt(lambda: made.return_synthesizer("no synthesizer"))
    seen["surplus"] = attempt(lambda: made.return_synthesizer(third))
    task_ids = {tts.get_last_request_id() for tts in (first, second, third)}
    again = made.borrow_synthesizer(**given)
    seen["again"] = attempt(lambda: again.call("Hello there."))
    seen["new_task_id"] = again.get_last_request_id() not in task_ids
    made.return_synthesizer(again)
    seen["cancelled"] = _cancel_and_reuse(stage, made, given)
    third.close()
    seen["shutdown"] = attempt(made.shutdown)
    return seen


def _cancel_and_reuse(stage: Stage, made: Any, given: dict[str, Any]) -> Seen:  # noqa: ANN401
    callback = stage.recorder()
    tts = made.borrow_synthesizer(**given, callback=callback)
    tts.streaming_call(LONG)
    callback.heard.wait(WAIT_S)
    seen = {"cancel": attempt(tts.streaming_cancel)}
    callback.closed.wait(1.0)
    made.return_synthesizer(tts)
    reused = made.borrow_synthesizer(**given)
    seen["next"] = attempt(lambda: reused.call("Hello there.", PLENTY_MS))
    made.return_synthesizer(reused)
    return seen


def _hot_fix_type(sdk: Any) -> Any:  # noqa: ANN401
    """The class, which the official package does not export."""
    return (
        getattr(sdk, "HotFix", None) or importlib.import_module(f"{sdk.__name__}.speech_synthesizer").HotFix
    )


def _hear_all_before_the_stall(callback: Any) -> None:  # noqa: ANN401
    """The few frames that come, so that what was heard is not a matter of luck."""
    callback.heard.wait(WAIT_S)
    time.sleep(0.2)


def _signature(method: Any) -> list[list[str]]:  # noqa: ANN401
    """Names and defaults; annotations may differ. A default enum member is known by its name."""
    told = inspect.signature(method).parameters.values()
    return [
        [each.name, "" if each.default is each.empty else getattr(each.default, "name", repr(each.default))]
        for each in told
        if each.name != "self"
    ]


def _about(seconds: float) -> str:
    """The kinds of waiting there are: none, a given timeout, the SDK's 5 s and 10 s."""
    for limit, name in ((1.4, "at once"), (4.5, "its timeout"), (8.0, "5 s"), (14.0, "10 s")):
        if seconds < limit:
            return name
    return "for ever"


def main() -> None:
    module, url, rude_url, *asked = sys.argv[1:]
    # Old SDKs print; the document must be alone on the standard output.
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    os.environ.setdefault("DASHSCOPE_API_KEY", "sk-right")
    stage = Stage(module, url, rude_url)
    threading.excepthook = lambda told: stage.raised_in_threads.append(
        f"{told.exc_type.__name__}: {told.exc_value}"
    )

    def act(name: str) -> Seen:
        try:
            return SCENARIOS[name](stage)
        except Exception as error:
            return {"scenario_failed": f"{type(error).__name__}: {error}"}

    threads = ThreadPoolExecutor(6)
    acts = {name: threads.submit(act, name) for name in asked}
    wait(acts.values(), _LONGEST_S)
    document = {
        name: told.result() if told.done() else {"scenario_failed": "it did not end"}
        for name, told in acts.items()
    }
    with contextlib.closing(answer):
        json.dump(document, answer)
    # What the SDK leaves waiting in its threads must not keep the process.
    os._exit(0)


if __name__ == "__main__":
    main()
