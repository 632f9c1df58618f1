"""What the CosyVoice Python reference says: our facade against the embedded service.

`docs/cosyvoice.md` names the test of every row; those that no file beside this one proves are here.
"""

import http.client
import io
import json
import threading
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from bridge.media.ogg import OggReader, parse_opus_head
from bridge.media.tags import read_tags
from bridge.tts_v2.errors import InvalidParameter, RequestFailure, StartFailed
from bridge.tts_v2.formats import AudioFormat
from bridge.tts_v2.pool import SpeechSynthesizerObjectPool
from tests.tts_v2.making import FORMAT, synthesizer
from tests.tts_v2.recorder import Recorder
from tests.tts_v2.service import Peer, embedded, eventually, scripted

WAV = AudioFormat.WAV_16000HZ_MONO_16BIT
MP3 = AudioFormat.MP3_16000HZ_MONO_128KBPS
OPUS = AudioFormat.OGG_OPUS_16KHZ_MONO_32KBPS
HELLO_S = 0.7
"""How long the tone says "Hello there." for."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with embedded() as url:
        yield url


def said(url: str, text: str, **arguments: object) -> bytes:
    sound = synthesizer(url, **arguments).call(text)
    assert sound
    return sound


def samples(pcm: bytes) -> NDArray[np.int16]:
    return np.frombuffer(pcm, "<i2")


def decoded(data: bytes) -> tuple[str, int, int, float]:
    """Codec, rate in Hz, channels and seconds of a file."""
    with av.open(io.BytesIO(data), "r") as container:
        stream = container.streams.audio[0]
        count = sum(frame.samples for frame in container.decode(stream))
        codec = stream.codec_context.name.removeprefix("lib").removesuffix("float")
        return codec, stream.rate, stream.channels, count / stream.rate


def outputs(recorder: Recorder, kind: str) -> list[dict[str, Any]]:
    found = [json.loads(message)["payload"]["output"] for message in recorder.events]
    return [output for output in found if output["type"] == kind]


@pytest.mark.parametrize("audio_format", AudioFormat, ids=lambda each: each.name)
def test_every_format_is_what_its_name_says(url: str, audio_format: AudioFormat) -> None:
    container = "mp3" if audio_format is AudioFormat.DEFAULT else audio_format.format
    rate = audio_format.sample_rate or 22050

    sound = said(url, "Hello there.", format=audio_format)

    if container == "pcm":
        assert len(sound) / 2 / rate == pytest.approx(HELLO_S, abs=0.001)
        return
    codec, played_hz, channels, lasted_s = decoded(sound)
    assert codec == {"wav": "pcm_s16le", "mp3": "mp3", "opus": "opus"}[container]
    assert channels == 1
    # Opus plays at 48 kHz whatever went in; its head tells what did.
    assert played_hz == (48000 if container == "opus" else rate)
    if container == "opus":
        assert parse_opus_head(OggReader().push(sound)[0].data).input_rate == rate
    # A codec adds what it needs to swing in.
    assert lasted_s == pytest.approx(HELLO_S, abs=0.001 if container == "wav" else 0.06 + 1152 / rate)


@pytest.mark.parametrize(("audio_format", "header"), [(WAV, b"RIFF"), (MP3, b"ID3"), (OPUS, b"OpusHead")])
def test_only_the_first_frame_has_a_header_and_appending_makes_the_file(
    url: str, tmp_path: Path, audio_format: AudioFormat, header: bytes
) -> None:
    recorder = Recorder()
    made = synthesizer(url, recorder, format=audio_format, additional_params={"enable_aigc_tag": True})
    made.streaming_call("Hello there. Hello there. ")
    made.streaming_complete()
    file = tmp_path / "sound"

    for frame in recorder.frames:
        with file.open("ab") as appended:
            appended.write(frame)

    assert [header in frame for frame in recorder.frames] == [True] + [False] * (len(recorder.frames) - 1)
    _, _, _, lasted_s = decoded(file.read_bytes())
    pause_s = 0.28
    assert lasted_s == pytest.approx(2 * HELLO_S + pause_s, abs=0.2)


def test_without_a_callback_a_call_returns_all_the_sound_there_is(url: str) -> None:
    recorder = Recorder()

    sound = said(url, "One two. Three.")
    synthesizer(url, recorder).call("One two. Three.")
    recorder.wait_closed()

    assert sound == recorder.sound


def test_a_call_takes_20000_characters_and_sends_no_more() -> None:
    with scripted() as service:
        synthesizer(service.url).call("字" * 10_000)

        with pytest.raises(InvalidParameter, match="at most 20000 characters"):
            synthesizer(service.url).call("字" * 10_000 + "a")

    assert service.opened == 1


def test_with_a_callback_a_call_returns_before_there_is_any_sound(url: str) -> None:
    recorder = Recorder()
    made = synthesizer(url, recorder, additional_params={"x_fault": "slow_start"})

    assert made.call("One.") is None

    assert recorder.frames == []
    recorder.wait_closed()
    assert recorder.frames


def test_sound_comes_while_text_is_still_being_sent(url: str) -> None:
    recorder = Recorder()
    made = synthesizer(url, recorder)

    made.streaming_call("One. ")
    recorder.wait_heard()
    made.streaming_call("Two.")
    made.streaming_complete()

    assert [output["original_text"] for output in outputs(recorder, "sentence-end")] == ["One. ", "Two."]


def test_the_trailing_text_is_spoken_when_the_text_is_completed_and_not_before(url: str) -> None:
    recorder = Recorder()
    made = synthesizer(url, recorder)
    made.streaming_call("One. Two")
    eventually(lambda: len(outputs(recorder, "sentence-end")) == 1)
    before = [output["original_text"] for output in outputs(recorder, "sentence-begin")]

    made.streaming_complete()

    assert before == ["One. "]
    assert [output["original_text"] for output in outputs(recorder, "sentence-begin")] == ["One. ", "Two"]


def test_completion_waits_until_a_failure_was_told(url: str) -> None:
    recorder = Recorder()
    made = synthesizer(url, recorder, additional_params={"x_fault": "fail_mid_word"})
    made.streaming_call("A sentence of many words, so that it breaks in the middle.")

    made.streaming_complete()

    assert recorder.calls[-2:] == ["on_error", "on_close"]
    assert "on_complete" not in recorder.calls


@pytest.mark.parametrize("no_limit", [None, 0])
def test_without_a_limit_a_call_waits_as_long_as_it_takes(url: str, no_limit: int | None) -> None:
    made = synthesizer(url, additional_params={"x_fault": "slow_start"})

    assert made.call("One.", no_limit)


@pytest.mark.parametrize("no_limit", [None, 0])
def test_without_a_limit_completion_waits_as_long_as_it_takes(url: str, no_limit: int | None) -> None:
    recorder = Recorder()
    made = synthesizer(url, recorder, additional_params={"x_fault": "slow_start"})
    made.streaming_call("One.")

    made.streaming_complete(no_limit)

    assert recorder.calls[-2:] == ["on_complete", "on_close"]


def test_an_event_tells_the_task_and_the_characters_so_far(url: str) -> None:
    recorder = Recorder()
    made = synthesizer(url, recorder)

    made.streaming_call("你好。中A文123")
    made.streaming_complete()

    events = [json.loads(message) for message in recorder.events]
    assert {event["header"]["task_id"] for event in events} == {made.get_last_request_id()}
    ends = [event for event in events if event["payload"]["output"]["type"] == "sentence-end"]
    assert [event["payload"]["usage"]["characters"] for event in ends] == [5, 13]


def test_text_of_any_language_arrives_as_it_was_written(url: str) -> None:
    recorder = Recorder()
    made = synthesizer(url, recorder)

    made.streaming_call("中文 – naïve 😀 ไทย かな")
    made.streaming_complete()

    assert [output["original_text"] for output in outputs(recorder, "sentence-end")] == [
        "中文 – naïve 😀 ไทย かな"
    ]


def test_ssml_is_for_call_and_not_for_streaming(url: str) -> None:
    recorder = Recorder()
    made = synthesizer(url, recorder)

    made.streaming_call("<speak>One.</speak>")
    recorder.wait_closed()
    marked = said(url, "<speak>One <break time='500ms'/>two</speak>")

    header = json.loads(recorder.errors[0])["header"]
    assert header["error_message"] == "SSML text is not supported at the moment!"
    # 8 samples of 2 bytes a millisecond.
    assert len(marked) - len(said(url, "One")) - len(said(url, "two")) == 500 * 16


def test_a_call_takes_text_that_is_no_ssml_as_it_is(url: str) -> None:
    assert said(url, "3 < 5 & so on") == said(url, "3 < 5 & so on", additional_params={"enable_ssml": False})


def test_the_last_message_tells_why_a_task_has_failed(url: str) -> None:
    made = synthesizer(url, voice="nobody")

    with pytest.raises(RequestFailure):
        made.call("One.")

    response = made.get_response()
    assert response is not None
    header = response["header"]
    assert (header["event"], header["error_code"]) == ("task-failed", "InvalidParameter")
    assert header["error_message"] == "[tts:]Engine return error code: 418"


def test_the_delay_counts_from_the_start_to_the_first_sound() -> None:
    at: dict[str, float] = {}

    async def speaks(peer: Peer) -> None:
        at["connected"] = time.monotonic()
        await peer.start()
        await peer.hear_action("continue-task")
        await peer.hear_action("finish-task")
        at["sound"] = time.monotonic()
        await peer.sound()
        await peer.say("task-finished")
        await peer.until_closed()

    with scripted(speaks) as service:
        made = synthesizer(service.url)
        at["begin"] = time.monotonic()
        made.call("One.")
        at["end"] = time.monotonic()

    delay_s = made.get_first_package_delay() / 1000
    assert at["sound"] - at["connected"] <= delay_s <= at["end"] - at["begin"]


def test_the_first_sound_comes_within_the_typical_delay(url: str) -> None:
    fresh = synthesizer(url)
    fresh.call("One.")
    pool = SpeechSynthesizerObjectPool(1, url)
    warm = pool.borrow_synthesizer("cosyvoice-v3-flash", "tone", FORMAT)
    warm.call("One.")
    pool.shutdown()

    assert 0 < fresh.get_first_package_delay() < 1500
    assert 0 < warm.get_first_package_delay() < 500


def test_a_temporary_token_stands_in_for_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    with embedded(api_keys=("right",)) as url:
        where = urllib.parse.urlsplit(url).netloc
        asked = http.client.HTTPConnection(where)
        asked.request("POST", "/api/v1/tokens", headers={"Authorization": "Bearer right"})
        token = json.loads(asked.getresponse().read())["token"]
        asked.close()

        monkeypatch.setenv("DASHSCOPE_API_KEY", token)
        assert synthesizer(url).call("One.")
        monkeypatch.setenv("DASHSCOPE_API_KEY", token + "x")
        with pytest.raises(StartFailed, match="InvalidApiKey"):
            synthesizer(url).call("One.")


def test_volume_scales_linearly(url: str) -> None:
    levels = {
        volume: samples(said(url, "Hello.", volume=volume)).astype(float).std() for volume in (0, 25, 50, 100)
    }

    assert levels[0] == 0
    # A twentieth of a decibel.
    assert levels[25] / levels[50] == pytest.approx(0.5, rel=0.006)
    assert levels[100] / levels[50] == pytest.approx(2, rel=0.006)
    assert samples(said(url, "Hello.")).astype(float).std() == levels[50]


def test_the_rate_makes_a_word_shorter_or_longer(url: str) -> None:
    # The tone lasts 300 ms, with 30 ms of silence before it and after it.
    lasts_ms = {rate: len(said(url, "Hello.", speech_rate=rate)) / 16 for rate in (0.5, 1.0, 2.0)}

    assert lasts_ms == {0.5: 660, 1.0: 360, 2.0: 210}


def test_the_pitch_rate_makes_a_word_higher_or_lower(url: str) -> None:
    def pitch_hz(pitch_rate: float) -> float:
        sound = samples(said(url, "Hello.", pitch_rate=pitch_rate))
        return float(np.abs(np.fft.rfft(sound)).argmax()) * 8000 / len(sound)

    assert pitch_hz(0.5) / pitch_hz(1.0) == pytest.approx(0.5, rel=0.01)
    assert pitch_hz(2.0) / pitch_hz(1.0) == pytest.approx(2, rel=0.01)


def test_the_same_seed_speaks_the_same_and_another_otherwise(url: str) -> None:
    first, again, other, usual, zero = (
        said(url, "Hello there.", voice="longanyang", **seed)
        for seed in ({"seed": 7}, {"seed": 7}, {"seed": 8}, {}, {"seed": 0})
    )

    assert first == again != other
    assert usual == zero


def test_the_bit_rate_of_opus_is_set_by_the_format_or_by_additional_params(url: str) -> None:
    def kilobit(audio_format: AudioFormat, **more: object) -> float:
        return len(said(url, "Hello there. " * 4, format=audio_format, additional_params=more)) / 125

    low, usual, high = kilobit(OPUS, bit_rate=6), kilobit(OPUS), kilobit(OPUS, bit_rate=128)

    assert 2 * low < usual < high / 2
    assert kilobit(AudioFormat.OGG_OPUS_16KHZ_MONO_64KBPS) == kilobit(OPUS, bit_rate=64)


def test_word_times_come_with_the_events_when_asked_for(url: str) -> None:
    told = []
    for asked in (None, {"word_timestamp_enabled": True}):
        recorder = Recorder()
        made = synthesizer(url, recorder, additional_params=asked)
        made.streaming_call("One two")
        made.streaming_complete()
        told.append(outputs(recorder, "sentence-end")[0]["sentence"]["words"])

    assert told[0] == []
    assert told[1] == [
        {"text": "One", "begin_index": 0, "end_index": 3, "begin_time": 30, "end_time": 210},
        {"text": "two", "begin_index": 4, "end_index": 7, "begin_time": 250, "end_time": 430},
    ]


@pytest.mark.parametrize("hint", ["zh", "en", "fr", "de", "ja", "ko", "ru", "pt", "th", "id", "vi"])
def test_every_language_of_the_list_may_be_hinted(url: str, hint: str) -> None:
    assert synthesizer(url, language_hints=[hint]).call("One.")


def test_only_the_first_language_hint_counts(url: str) -> None:
    # What a hint decides even for a tone: whether a formula is read in Chinese.
    formula, reading = "Let $x=1$ be", "Let x等于一 be"

    assert said(url, formula, language_hints=["zh", "en"]) == said(url, reading)
    assert said(url, formula, language_hints=["en", "zh"]) == said(url, formula, language_hints=["en"])
    assert said(url, formula, language_hints=["en"]) != said(url, reading)


def test_a_hot_fix_replaces_a_word_before_it_is_spoken(url: str) -> None:
    fix = {"replace": [{"cat": "elephant"}]}

    assert said(url, "A cat.", hot_fix=fix) == said(url, "A elephant.")
    assert said(url, "A cat.", additional_params={"hot_fix": fix}) == said(url, "A elephant.")


def test_markdown_is_filtered_when_asked_for_and_not_before(url: str) -> None:
    marked = "Hello [there](https://example.com)."

    filtered = said(url, marked, additional_params={"enable_markdown_filter": True})

    assert filtered == said(url, "Hello there.")
    assert said(url, marked) != filtered


@pytest.mark.parametrize("audio_format", [WAV, MP3, OPUS], ids=lambda each: each.format)
def test_the_identifier_of_made_sound_says_what_it_is_told(url: str, audio_format: AudioFormat) -> None:
    asked = {"enable_aigc_tag": True, "aigc_propagator": "shop", "aigc_propagate_id": "4711"}

    sound = said(url, "One.", format=audio_format, additional_params=asked)

    identifier = json.loads(read_tags(sound, audio_format.format)["AIGC"])
    assert (identifier["Label"], identifier["ContentPropagator"], identifier["PropagateID"]) == (
        "1",
        "shop",
        "4711",
    )


def test_the_identifier_names_the_request_where_it_is_told_nothing(url: str) -> None:
    made = synthesizer(url, format=WAV, additional_params={"enable_aigc_tag": True})

    sound = made.call("One.")

    assert sound is not None
    response = made.get_response()
    assert response is not None
    identifier = json.loads(read_tags(sound, "wav")["AIGC"])
    assert identifier["ContentPropagator"] == "cosybridge"
    assert identifier["PropagateID"] == response["header"]["attributes"]["request_uuid"]


def test_there_is_no_identifier_unless_asked_for_and_none_in_pcm(url: str) -> None:
    # Alone, who passes the sound on says nothing.
    assert b"AIGC" not in said(url, "One.", format=WAV, additional_params={"aigc_propagator": "shop"})
    assert said(url, "One.", additional_params={"enable_aigc_tag": True}) == said(url, "One.")


def test_a_callback_may_stop_in_mid_sentence_and_the_object_is_spent(url: str) -> None:
    recorder = Recorder()
    made = synthesizer(url, recorder)
    stopped = threading.Event()

    def stop() -> None:
        made.streaming_cancel()
        stopped.set()

    recorder.acts["on_data"] = stop
    made.streaming_call("A long sentence that nobody hears to its end. " * 20)
    recorder.wait_closed()

    assert stopped.is_set()
    assert recorder.calls.count("on_data") == 1
    assert recorder.calls[-2:] == ["on_complete", "on_close"]
