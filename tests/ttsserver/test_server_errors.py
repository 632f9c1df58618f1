"""Bad input over the socket: the documented code and text, and nobody else disturbed."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from bridge.cosyvoice import limits
from bridge.ttsserver.server import TtsServer, TtsServerSettings
from tests.fakes import MS
from tests.ttsserver.client import Client, Heard, client_of, until_true

NORMAL, BAD_PAYLOAD, NOT_UTF8, TOO_BIG = 1000, 1007, 1007, 1009
INVALID = "InvalidParameter"
S = 1000 * MS


class LeapingClock:
    """Time that leaps by `leap_ns` whenever somebody looks."""

    def __init__(self) -> None:
        self.leap_ns = 0
        self._now_ns = 0

    def now_ns(self) -> int:
        self._now_ns += self.leap_ns
        return self._now_ns


@pytest.fixture
def clock() -> LeapingClock:
    return LeapingClock()


@pytest.fixture
async def server(clock: LeapingClock) -> AsyncIterator[TtsServer]:
    settings = TtsServerSettings(listen=("127.0.0.1", 0), warm=False)
    async with await TtsServer.start(settings, clock=clock) as server:
        yield server


def message(action: str, payload: Any, task_id: str = "t") -> str:  # noqa: ANN401  JSON
    header = {"action": action, "task_id": task_id, "streaming": "duplex"}
    return json.dumps({"header": header, "payload": payload})


def run(drop: str = "", **changes: Any) -> str:  # noqa: ANN401  JSON
    """A run-task that is right but for some keys of its payload or parameters, or for one that is missing."""
    payload: dict[str, Any] = {
        "task_group": "audio",
        "task": "tts",
        "function": "SpeechSynthesizer",
        "model": "cosyvoice-v3-flash",
        "parameters": {"voice": "tone", "format": "pcm", "sample_rate": 8000},
        "input": {},
    }
    for key, value in changes.items():
        place = payload if key in payload else payload["parameters"]
        place[key] = value
    payload.pop(drop, None)
    return message("run-task", payload)


def text(value: Any) -> str:  # noqa: ANN401  JSON
    return message("continue-task", {"input": {"text": value}})


def finish(**given: Any) -> str:  # noqa: ANN401  JSON
    return message("finish-task", {"input": given})


@dataclass(frozen=True)
class Row:
    """One line of the table of errors."""

    name: str
    messages: tuple[str, ...]
    code: str
    text: str
    closes: int = NORMAL


def _missing(key: str) -> str:
    return f"Missing required parameter 'payload.{key}'! Please follow the protocol!"


def _parameter(name: str, value: Any, wanted: str) -> Row:  # noqa: ANN401  JSON
    told = f"Parameter '{name}' must be {wanted}, not {value!r}"
    return Row(f"{name} {value!r:.12}", (run(**{name: value}),), INVALID, told)


_EMPTY = "Please ensure input text is valid."
_NULL = "task can not be null"
_SSML = "<speak>Hello.</speak>"
_NO_SSML = "SSML text is not supported at the moment!"

DOCUMENTED = (
    Row("unknown voice", (run(voice="nobody"),), INVALID, "[tts:]Engine return error code: 418"),
    Row(
        "voice of another generation",
        (run(voice="longxiaochun_v2"),),
        INVALID,
        "[tts:]Engine return error code: 418",
    ),
    Row(
        "system voice with v3.5",
        (run(voice="longanyang", model="cosyvoice-v3.5-plus"),),
        INVALID,
        "[tts:]Engine return error code: 418",
    ),
    Row("no voice", (run(voice=None),), INVALID, "Request voice is invalid!"),
    Row("empty voice", (run(voice=""),), INVALID, "Request voice is invalid!"),
    Row("no text at all", (run(), finish()), INVALID, _EMPTY),
    Row("empty text", (run(), text(""), finish()), INVALID, _EMPTY),
    Row("blank text", (run(), text(" \n "), finish()), INVALID, _EMPTY),
    Row("text is a number", (run(), text(5)), INVALID, _EMPTY, BAD_PAYLOAD),
    Row("text is a list", (run(), text(["Hello."])), INVALID, _EMPTY, BAD_PAYLOAD),
    *(
        Row(f"no {key}", (run(drop=key),), INVALID, _missing(key), BAD_PAYLOAD)
        for key in ("model", "task_group", "task", "function")
    ),
    Row("empty model", (run(model=""),), INVALID, _missing("model"), BAD_PAYLOAD),
    Row("model is a number", (run(model=3),), INVALID, _missing("model"), BAD_PAYLOAD),
    Row("run without input", (run(drop="input"),), INVALID, _NULL, BAD_PAYLOAD),
    Row("run with null for input", (run(input=None),), INVALID, _NULL, BAD_PAYLOAD),
    Row("finish without input", (run(), message("finish-task", {})), INVALID, _NULL, BAD_PAYLOAD),
    Row("continue without input", (run(), message("continue-task", {})), INVALID, _NULL, BAD_PAYLOAD),
    Row(
        "continue without text", (run(), message("continue-task", {"input": {}})), INVALID, _NULL, BAD_PAYLOAD
    ),
    Row(
        "second message with SSML",
        (run(enable_ssml=True), text("One."), text("Two.")),
        INVALID,
        "Text request limit violated, expected 1.",
    ),
    Row("SSML without enable_ssml", (run(), text(_SSML)), INVALID, _NO_SSML),
    Row(
        "SSML with a model that has none",
        (run(model="cosyvoice-v1", voice="tone", enable_ssml=True), text(_SSML)),
        INVALID,
        _NO_SSML,
    ),
    Row("unknown model", (run(model="cosyvoice-v9"),), "ModelNotFound", "Model not found"),
    Row(
        "message of 20,001 characters",
        (run(), text("x" * (limits.MESSAGE_CHARACTERS + 1))),
        INVALID,
        "The message has 20001 characters, 20000 are allowed",
    ),
    Row(
        "message of 10,001 hanzi",
        (run(), text("好" * 10_001)),
        INVALID,
        "The message has 20002 characters, 20000 are allowed",
    ),
    Row(
        "task of 200,001 characters",
        (run(), *(text("…" * 20_000) for _ in range(10)), text("…")),
        INVALID,
        "The task has 200001 characters, 200000 are allowed",
    ),
    Row(
        "instruction of 101 characters",
        (run(instruction="好" * 50 + "!"),),
        INVALID,
        "The instruction has 101 characters, 100 are allowed",
    ),
    Row(
        "another task of the same endpoint",
        (run(task="translation", function="recognition"),),
        INVALID,
        "No such task: audio/translation/recognition",
    ),
    Row(
        "another action",
        (message("pause-task", {}),),
        INVALID,
        "Unknown action 'pause-task'! Please follow the protocol!",
        BAD_PAYLOAD,
    ),
    Row("continue before run", (text("Hello."),), INVALID, "Task t is not running"),
    Row(
        "text after finish",
        (run(), text("Hello."), finish(), text("More.")),
        INVALID,
        "Task t is not running",
    ),
    _parameter("volume", 101, "an integer from 0 to 100"),
    _parameter("volume", -5, "an integer from 0 to 100"),
    _parameter("volume", 50.5, "an integer from 0 to 100"),
    _parameter("volume", "50", "an integer from 0 to 100"),
    _parameter("volume", True, "an integer from 0 to 100"),
    _parameter("rate", 0.4, "a number from 0.5 to 2.0"),
    _parameter("rate", 2.1, "a number from 0.5 to 2.0"),
    _parameter("rate", float("nan"), "a number from 0.5 to 2.0"),
    _parameter("pitch", "x", "a number from 0.5 to 2.0"),
    _parameter("seed", 65536, "an integer from 0 to 65535"),
    _parameter("format", "flac", "one of pcm, wav, mp3, opus"),
    _parameter("sample_rate", 11025, "one of 8000, 16000, 22050, 24000, 44100, 48000 for pcm"),
    _parameter("word_timestamp_enabled", "yes", "true or false"),
    _parameter("enable_ssml", 1, "true or false"),
    _parameter("language_hints", "en", "a list of strings"),
    _parameter("instruction", ["fast"], "a string"),
    _parameter("bit_rate", 5, "an integer from 6 to 510"),
    Row(
        "instruction to a voice that takes none",
        (run(instruction="slowly"),),
        INVALID,
        "Parameter 'instruction' is not supported by cosyvoice-v3-flash with the voice tone"
        " (voices: longanhuan, longanhuan_v3, longanyang, longhuhu_v3)",
    ),
    Row(
        "opus with a model that has none",
        (run(format="opus", model="cosyvoice-v1"),),
        INVALID,
        "Parameter 'format opus' is not supported by cosyvoice-v1 (models: cosyvoice-v3-flash)",
    ),
    Row(
        "hot_fix with a model that has none",
        (run(hot_fix={"replace": [{"a": "b"}]}, model="cosyvoice-v2"),),
        INVALID,
        "Parameter 'hot_fix' is not supported by cosyvoice-v2 (models: cosyvoice-v3-flash)",
    ),
    Row(
        "throttled",
        (run(x_fault="throttle"),),
        "Throttling.RateQuota",
        "Requests rate limit exceeded, please try again later.",
    ),
    Row("refused", (run(x_fault="refuse"),), "AccessDenied", "the fault refuse was asked for"),
    Row(
        "broken voice",
        (
            run(x_fault="fail_mid_word"),
            text("A sentence of many words, so that it breaks in the middle."),
            finish(),
        ),
        "InternalError",
        "the voice failed on this text",
    ),
)


@pytest.mark.parametrize("row", DOCUMENTED, ids=lambda row: row.name)
async def test_what_breaks_a_rule_fails_with_its_documented_text(server: TtsServer, row: Row) -> None:
    async with client_of(server) as other, client_of(server) as rude:
        await other.run("o")
        await other.hear(until=("task-started",))

        heard = await _hear_all_after(rude, *row.messages)

        assert heard.order[-1] == "task-failed"
        assert (heard.code, heard.message) == (row.code, row.text)
        assert heard.last["header"]["task_id"] == "t"
        assert heard.last["payload"] == {}
        assert heard.order.count("task-failed") == 1
        assert rude.socket.close_code == row.closes
        await _expect_both_served(server, other)


async def _hear_all_after(client: Client, *messages: str | bytes) -> Heard:
    """Send, and take everything until the service closes the connection."""
    for each in messages:
        try:
            await client.socket.send(each)
        except ConnectionClosed:
            break
    async with asyncio.timeout(10):
        return await client.hear(until=())


async def _expect_both_served(server: TtsServer, other: Client) -> None:
    """A task that ran meanwhile ends well, and so does one of the next client."""
    await other.text("o", "Still here.")
    await other.finish("o")
    assert (await other.hear()).order[-1] == "task-finished"
    async with client_of(server) as following:
        assert (await following.say("f", "Hello.")).order[-1] == "task-finished"


async def test_a_client_that_is_silent_for_23_seconds_is_told_so(
    server: TtsServer, clock: LeapingClock
) -> None:
    async with client_of(server) as client:
        await client.run("t")
        await client.hear(until=("task-started",))

        clock.leap_ns = 24 * S
        await client.text("t", "Half a sen")
        heard = await client.hear()
        clock.leap_ns = 0
        await client.hear(until=())

        assert (heard.code, heard.message) == ("CLIENT_ERROR", "request timeout after 23 seconds.")
        assert client.socket.close_code == NORMAL


async def test_a_connection_without_a_task_for_60_seconds_is_closed(
    server: TtsServer, clock: LeapingClock
) -> None:
    async with client_of(server) as client:
        await client.run("t")
        await client.text("t", "Hello. ")
        await client.hear(until=("sentence-end",))

        clock.leap_ns = 61 * S
        await client.finish("t")
        heard = await client.hear(until=())

        assert heard.order[-1] == "task-finished"
        assert client.socket.close_code == NORMAL
        assert client.socket.close_reason == "idle for 60 seconds"


ENVELOPE = '{"header":{"action":"run-task","task_id":%s},"payload":{}}'
GARBAGE: dict[str, tuple[str | bytes, int]] = {
    "nothing": ("", BAD_PAYLOAD),
    "no JSON": ("hello", BAD_PAYLOAD),
    "half of a message": (run()[:80], BAD_PAYLOAD),
    "two messages in one": (run() + run(), BAD_PAYLOAD),
    "a list": ("[]", BAD_PAYLOAD),
    "a number": ("1e999", BAD_PAYLOAD),
    "a long number": ("9" * 6000, BAD_PAYLOAD),
    "null": ("null", BAD_PAYLOAD),
    "a string": ('"run-task"', BAD_PAYLOAD),
    "an object without a header": ("{}", BAD_PAYLOAD),
    "a header that is a list": ('{"header":[]}', BAD_PAYLOAD),
    "a header without a task id": ('{"header":{"action":"run-task"},"payload":{}}', BAD_PAYLOAD),
    "an empty task id": (ENVELOPE % '""', BAD_PAYLOAD),
    "a task id of null": (ENVELOPE % "null", BAD_PAYLOAD),
    "a task id that is a number": (ENVELOPE % "7", BAD_PAYLOAD),
    "lists in lists": ("[" * 100_000, BAD_PAYLOAD),
    "objects in objects": ('{"a":' * 50_000, BAD_PAYLOAD),
    "zeros": ("\0" * 1000, BAD_PAYLOAD),
    "an event": ('{"header":{"event":"task-started"},"payload":{}}', BAD_PAYLOAD),
    "sound": (b"\x01\x02" * 400, BAD_PAYLOAD),
    "an empty binary frame": (b"", BAD_PAYLOAD),
    "JSON in a binary frame": (run().encode(), BAD_PAYLOAD),
    "more than a megabyte": ("x" * (1 << 21), BAD_PAYLOAD),
    "more than four": ("x" * (5 << 20), TOO_BIG),
}


@pytest.mark.parametrize("name", GARBAGE)
@pytest.mark.parametrize("is_running", [False, True], ids=["idle", "running"])
async def test_garbage_ends_its_own_connection_and_no_other(
    server: TtsServer, name: str, is_running: bool
) -> None:
    garbage, closes = GARBAGE[name]
    async with client_of(server) as other, client_of(server) as rude:
        await other.run("o")
        await other.hear(until=("task-started",))
        if is_running:
            await rude.run("t")
            await rude.hear(until=("task-started",))

        heard = await _hear_all_after(rude, garbage)

        assert rude.socket.close_code == closes
        if closes == BAD_PAYLOAD and is_running:
            assert heard.order == ["task-failed"]
            assert (heard.code, heard.message) == (INVALID, "Invalid payload data")
        elif closes == BAD_PAYLOAD:
            # There is no task that could be said to have failed.
            assert heard.order == []
        await _expect_both_served(server, other)


BYTES = {
    "text that is no UTF-8": b"\x81\x82\0\0\0\0\xff\xfe",
    "a reserved opcode": b"\x83\x80\0\0\0\0",
    "a frame without a mask": b"\x81\x02{}",
    "a continuation of nothing": b"\x80\x80\0\0\0\0",
    "a long ping": b"\x89\xfe\x00\xff\0\0\0\0" + bytes(255),
    "HTTP": b"GET / HTTP/1.1\r\n\r\n",
}


@pytest.mark.parametrize("name", BYTES)
async def test_bytes_that_are_no_websocket_end_their_own_connection_only(
    server: TtsServer, name: str
) -> None:
    async with client_of(server) as other, client_of(server) as rude:
        await other.run("o")
        await other.hear(until=("task-started",))
        await rude.run("t")
        await rude.hear(until=("task-started",))

        rude.socket.transport.write(BYTES[name])
        async with asyncio.timeout(10):
            await rude.hear(until=())

        await until_true(lambda: server.counters["connections_open"] == 1)
        assert server.counters["tasks_abandoned"] == 1
        await _expect_both_served(server, other)


HARMLESS = {
    "a finish of nothing": (message("finish-task", {"input": {}}, "nobody's"),),
    "a cancel of nothing": (message("finish-task", {"input": {"directive": "cancel"}}, "nobody's"),),
    "fields nobody knows": (
        json.dumps(
            {
                "header": {"action": "finish-task", "task_id": "x", "streaming": "duplex", "more": [1]},
                "payload": {"input": {"more": {}}, "even": "more"},
                "and": "more",
            }
        ),
    ),
    "a whole task with fields nobody knows": (
        run(unheard_of={"a": [1, None]}),
        message("continue-task", {"model": "m", "task": "tts", "input": {"text": "Hello. ", "x": 1}}),
        finish(directive="nothing we know"),
    ),
    "nulls for defaults": (
        run(volume=None, rate=None, seed=None, instruction=None),
        text("Hello."),
        finish(),
    ),
    "empty parts": (run(), text(""), text("Hello."), text(""), finish()),
    "text in the run-task": (run(input={"text": "Hello."}), finish()),
    "halves of a character": (run(), text("Hello \ud83d"), text("\ude00."), finish()),
    "a finish twice": (run(), text("Hello."), finish(), finish()),
    "a cancel after the end": (run(), text("Hello."), finish(), finish(directive="cancel")),
    "SSML as text type": (run(text_type="SSML"), text("Hello."), finish()),
    "the default format by name": (run(format="pcm", sample_rate=0), text("Hello."), finish()),
}


@pytest.mark.parametrize("name", HARMLESS)
async def test_what_is_odd_but_harmless_keeps_its_connection(server: TtsServer, name: str) -> None:
    async with client_of(server) as client:
        for each in HARMLESS[name]:
            await client.socket.send(each)
        if len(HARMLESS[name]) > 1:
            assert (await client.hear()).order[-1] == "task-finished"

        assert (await client.say("next", "Hello.")).order[-1] == "task-finished"
    assert server.counters["connections"] == 1


@pytest.mark.parametrize(
    "task_id",
    ["x", "-" * 36, "任务", "a b\n", '"', "x" * 10_000, "00000000-0000-0000-0000-000000000000"],
    ids=["short", "dashes", "hanzi", "blanks", "quote", "long", "uuid"],
)
async def test_any_string_is_a_task_id(server: TtsServer, task_id: str) -> None:
    async with client_of(server) as client:
        heard = await client.say(task_id, "Hello.")

    assert heard.order[-1] == "task-finished"
    assert {event["header"]["task_id"] for event in heard.events} == {task_id}
