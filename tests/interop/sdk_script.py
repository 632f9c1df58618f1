"""Does what the SDK reference describes, and tells what its user could see.

    python -m tests.interop.sdk_script MODULE URL RUDE_URL SCENARIO...

MODULE is the import line: ``dashscope.audio.tts_v2`` or ``bridge.tts_v2``; nothing else here knows which.
URL leads to a service with the voice ``tone``, RUDE_URL to one that closes the connection when a task begins.
Prints one JSON document: an object of observations for each scenario. Scenarios run side by side, for the SDK
waits 5 and 10 seconds for what will not come.
"""

import contextlib
import importlib
import inspect
import json
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

from tests.interop import sdk_failures  # noqa: F401  adds its scenarios to SCENARIOS
from tests.interop.sdk_stage import (
    LONG,
    MARKED,
    MODEL,
    PCM,
    PLENTY_MS,
    SCENARIOS,
    TEXTS,
    WAIT_S,
    Seen,
    Stage,
    about,
    account,
    attempt,
    digest,
    scenario,
)

_LONGEST_S = 30.0
"""For all scenarios together; one that hangs is told of, not waited for."""


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
    seen["took"] = about(time.monotonic() - began)
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


def _signature(method: Any) -> list[list[str]]:  # noqa: ANN401
    """Names and defaults; annotations may differ. A default enum member is known by its name."""
    told = inspect.signature(method).parameters.values()
    return [
        [each.name, "" if each.default is each.empty else getattr(each.default, "name", repr(each.default))]
        for each in told
        if each.name != "self"
    ]


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
