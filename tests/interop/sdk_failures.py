"""What a user sees when something goes wrong: scenarios of `sdk_script`."""

import time
from typing import Any

from tests.interop.sdk_stage import (
    LONG,
    MODEL,
    PLENTY_MS,
    TEXTS,
    WAIT_S,
    Seen,
    Stage,
    about,
    account,
    attempt,
    scenario,
    tidy,
)


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
    return seen | {"took": about(time.monotonic() - began), "calls": callback.calls}


@scenario
def closed_at_start(stage: Stage) -> Seen:
    callback = stage.recorder()
    tts = stage.synthesizer(callback, url=stage.rude_url)
    began = time.monotonic()
    seen = attempt(lambda: tts.streaming_call("Hello."))
    return seen | {"took": about(time.monotonic() - began), "calls": callback.calls}


@scenario
def dropped_mid_word(stage: Stage) -> Seen:
    tts = stage.synthesizer(additional_params={"x_fault": "drop_mid_word"})
    began = time.monotonic()
    seen = attempt(lambda: tts.call(LONG[:200], timeout_millis=1500))
    return seen | {"took": about(time.monotonic() - began)}


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
    return {"took": about(took[0])}


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


def _hear_all_before_the_stall(callback: Any) -> None:  # noqa: ANN401
    """The few frames that come, so that what was heard is not a matter of luck."""
    callback.heard.wait(WAIT_S)
    time.sleep(0.2)
