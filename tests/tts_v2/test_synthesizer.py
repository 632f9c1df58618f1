import inspect
import json
import wave
from io import BytesIO
from typing import Any

import pytest

from bridge.tts_v2.errors import (
    InputRequired,
    InvalidParameterType,
    InvalidTask,
    ModelRequired,
    RequestFailure,
)
from bridge.tts_v2.formats import AudioFormat
from bridge.tts_v2.synthesizer import SpeechSynthesizer
from tests.tts_v2.making import synthesizer
from tests.tts_v2.recorder import Recorder
from tests.tts_v2.service import PAIR, Peer, embedded, scripted


def test_the_constructor_takes_what_the_sdk_takes_in_its_order() -> None:
    parameters = list(inspect.signature(SpeechSynthesizer).parameters.values())

    assert [(parameter.name, parameter.default) for parameter in parameters] == [
        ("model", inspect.Parameter.empty),
        ("voice", inspect.Parameter.empty),
        ("format", AudioFormat.DEFAULT),
        ("volume", 50),
        ("speech_rate", 1.0),
        ("pitch_rate", 1.0),
        ("seed", 0),
        ("synthesis_type", 0),
        ("instruction", None),
        ("language_hints", None),
        ("headers", None),
        ("callback", None),
        ("workspace", None),
        ("url", None),
        ("hot_fix", None),
        ("additional_params", None),
    ]


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        ("call", {"text": inspect.Parameter.empty, "timeout_millis": None}),
        ("streaming_call", {"text": inspect.Parameter.empty}),
        ("streaming_flush", {}),
        ("streaming_complete", {"complete_timeout_millis": 600000}),
        ("async_streaming_complete", {"complete_timeout_millis": 600000}),
        ("streaming_cancel", {"complete_timeout_millis": 10000}),
        ("close", {}),
        ("get_last_request_id", {}),
        ("get_first_package_delay", {}),
        ("get_response", {}),
    ],
)
def test_every_method_takes_what_the_sdks_takes(method: str, parameters: dict[str, Any]) -> None:
    signature = inspect.signature(getattr(SpeechSynthesizer, method))

    assert {p.name: p.default for p in signature.parameters.values() if p.name != "self"} == parameters


def test_nothing_is_sent_by_the_constructor_and_its_id_is_known() -> None:
    with scripted() as service:
        made = synthesizer(service.url)

        assert service.opened == 0
    assert len(made.get_last_request_id()) == 32
    assert made.get_response() is None
    assert made.get_first_package_delay() == 0


def test_what_is_missing_is_said_with_the_sdks_words(monkeypatch: pytest.MonkeyPatch) -> None:
    missing: Any = None

    with pytest.raises(ModelRequired, match=r"^Model is required!$"):
        SpeechSynthesizer(missing, "tone")
    with pytest.raises(InputRequired, match=r"^format is required!$"):
        SpeechSynthesizer("cosyvoice-v3-flash", "tone", missing)
    with pytest.raises(InputRequired, match=r"^voice is required!$"):
        SpeechSynthesizer("cosyvoice-v3-flash", missing)
    monkeypatch.delenv("DASHSCOPE_API_KEY")
    with pytest.raises(InputRequired, match=r"^apikey is required!$"):
        SpeechSynthesizer("cosyvoice-v3-flash", "tone")


def test_a_callback_without_its_six_methods_is_refused() -> None:
    with pytest.raises(InvalidParameterType, match="callback must be a ResultCallback"):
        synthesizer("ws://127.0.0.1:9", callback=print)
    with pytest.raises(InvalidParameterType, match="callback must be a ResultCallback"):
        synthesizer("ws://127.0.0.1:9", callback=Recorder)  # the class, not one of it


def test_a_call_returns_the_sound() -> None:
    with embedded() as url:
        made = synthesizer(url)

        sound = made.call("Hello world.")

    assert sound is not None
    assert len(sound) > 8000
    response = made.get_response()
    assert response is not None
    assert response["header"]["event"] == "task-finished"
    assert response["header"]["task_id"] == made.get_last_request_id()
    assert 0 < made.get_first_package_delay() < 5000


def test_a_call_in_wav_has_one_header() -> None:
    with embedded() as url:
        sound = synthesizer(url, format=AudioFormat.WAV_16000HZ_MONO_16BIT).call("Hello world.")

    assert sound is not None
    assert sound.count(b"RIFF") == 1
    with wave.open(BytesIO(sound)) as file:
        assert file.getframerate() == 16000


def test_streaming_and_calling_make_the_same_sound() -> None:
    with embedded() as url:
        whole = synthesizer(url).call("Hello world. And again.")
        recorder = Recorder()
        made = synthesizer(url, recorder)
        for part in ("Hello ", "world. And", " again."):
            made.streaming_call(part)
        made.streaming_complete()

    assert recorder.sound == whole
    assert recorder.calls[0] == "on_open"
    assert recorder.calls[-2:] == ["on_complete", "on_close"]
    kinds = [json.loads(message)["payload"]["output"]["type"] for message in recorder.events]
    assert kinds[0] == "sentence-begin"
    assert kinds[-1] == "sentence-end"


def test_a_call_with_a_callback_returns_before_the_sound_has_come() -> None:
    with embedded() as url:
        recorder = Recorder()
        made = synthesizer(url, recorder)

        assert made.call("Hello world.") is None
        recorder.wait_closed()

    assert recorder.calls[-2:] == ["on_complete", "on_close"]
    assert len(recorder.sound) > 8000


def test_the_service_refuses_in_the_words_of_the_protocol() -> None:
    with embedded() as url:
        made = synthesizer(url, voice="nobody")

        with pytest.raises(RequestFailure) as caught:
            made.call("Hello.")

    assert (caught.value.name, caught.value.http_code) == ("InvalidParameter", 44)
    assert caught.value.request_id == made.get_last_request_id()
    assert caught.value.message == "[tts:]Engine return error code: 418"


def test_a_cancel_is_confirmed_and_completes() -> None:
    with embedded() as url:
        recorder = Recorder()
        made = synthesizer(url, recorder)
        made.streaming_call("A long sentence, which nobody will hear to its end. " * 20)
        recorder.wait_heard()

        made.streaming_cancel()
        recorder.wait_closed()

    assert recorder.calls[-2:] == ["on_complete", "on_close"]
    with pytest.raises(InvalidTask, match=r"speech synthesizer has not been started\."):
        made.streaming_cancel()


def test_it_says_what_it_is() -> None:
    made = SpeechSynthesizer("cosyvoice-v3-flash", "tone", url="ws://127.0.0.1:9")

    assert str(made) == (
        f"[SpeechSynthesizer {hash(made)} desc] model:cosyvoice-v3-flash, voice:tone, "
        "format:mp3, sample_rate:22050, connected:False"
    )


def test_the_messages_are_those_of_the_sdk() -> None:
    with scripted() as service:
        made = synthesizer(service.url, Recorder(), additional_params={"word_timestamp_enabled": True})
        made.streaming_call("Hello")
        made.streaming_flush()
        made.streaming_complete()
        synthesizer(service.url).call("<speak>Hi</speak>")

    function = {
        "model": "cosyvoice-v3-flash",
        "task_group": "audio",
        "task": "tts",
        "function": "SpeechSynthesizer",
    }
    spoken = {
        "text_type": "PlainText",
        "voice": "tone",
        "format": "pcm",
        "sample_rate": 8000,
        "volume": 50,
        "rate": 1.0,
        "pitch": 1.0,
        "seed": 0,
        "type": 0,
    }
    assert all(message["header"]["streaming"] == "duplex" for message in service.heard)
    assert [(message["header"]["action"], message["payload"]) for message in service.heard] == [
        ("run-task", function | {"input": {}, "parameters": spoken | {"word_timestamp_enabled": True}}),
        ("continue-task", function | {"input": {"text": "Hello"}}),
        ("continue-task", function | {"input": {"flush": True}}),
        ("finish-task", {"input": {}}),
        ("run-task", function | {"input": {}, "parameters": spoken | {"enable_ssml": True}}),
        ("continue-task", function | {"input": {"text": "<speak>Hi</speak>"}}),
        ("finish-task", {"input": {}}),
    ]


def test_a_call_without_sound_returns_none() -> None:
    async def silent(peer: Peer) -> None:
        await peer.start()
        await peer.hear_action("continue-task")
        await peer.hear_action("finish-task")
        await peer.say("task-finished")

    with scripted(silent) as service:
        assert synthesizer(service.url).call("Hello") is None


def test_frames_of_any_size_are_put_together_in_order() -> None:
    frames = [PAIR, b"\x00", b"abc" * 30000]

    async def speak(peer: Peer) -> None:
        await peer.start()
        for frame in frames:
            await peer.socket.send(frame)
        await peer.say("task-finished")
        await peer.until_closed()

    with scripted(speak) as service:
        assert synthesizer(service.url).call("Hello") == b"".join(frames)
