import asyncio
import itertools
import socket
import time
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from websockets.exceptions import ConnectionClosed

from bridge.cosyvoice.formats import RATES
from bridge.ttsserver.server import TtsServer, TtsServerSettings
from tests.ttsserver.client import Client, Heard, client_of, until_true

LOCAL = ("127.0.0.1", 0)
LONG = "This sentence has quite a number of words, so that there is time to say something else. " * 20


def settings(**changes: object) -> TtsServerSettings:
    return TtsServerSettings(**({"listen": LOCAL, "warm": False} | changes))  # type: ignore[arg-type]


@pytest.fixture
async def server() -> AsyncIterator[TtsServer]:
    async with await TtsServer.start(settings()) as server:
        yield server


def narrow_socket(server: TtsServer) -> socket.socket:
    """A connection that takes little before its client reads."""
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 15)
    narrow.connect(server.listen)
    return narrow


@pytest.fixture
async def client(server: TtsServer) -> AsyncIterator[Client]:
    async with client_of(server) as client:
        yield client


async def test_events_and_sound_come_in_the_documented_order(client: Client) -> None:
    heard = await client.say("a", "One two three. ", "Four five.")

    kinds = [kind for kind, _ in itertools.groupby(heard.order)]
    pairs = len(heard.frames)
    assert heard.order.count("sentence-synthesis") == pairs
    assert all(
        heard.order[n + 1] == "sound" for n, name in enumerate(heard.order) if name == "sentence-synthesis"
    )
    sentence = ["sentence-begin", "sentence-end"]
    assert [kind for kind in kinds if kind not in ("sentence-synthesis", "sound")] == [
        "task-started",
        *sentence,
        *sentence,
        "task-finished",
    ]
    assert [end["sentence"]["index"] for end in heard.ends()] == [0, 1]
    assert [end["original_text"] for end in heard.ends()] == ["One two three. ", "Four five."]
    assert heard.last["payload"]["usage"]["characters"] == 25
    assert len(heard.last["header"]["attributes"]["request_uuid"]) == 32


async def test_the_same_words_last_the_same_at_every_rate(client: Client) -> None:
    lasted = set()
    for rate in RATES:
        heard = await client.say(f"at-{rate}", "One two three.", sample_rate=rate)
        lasted.add(len(heard.sound) / 2 / rate)

    assert max(lasted) - min(lasted) < 0.0005


async def test_word_times_run_forward_and_find_their_words(client: Client) -> None:
    texts = ["The first sentence, a short one. ", "The second."]
    heard = await client.say("a", *texts, word_timestamp_enabled=True)

    for end in heard.ends():
        words = end["sentence"]["words"]
        assert words
        assert all(end["original_text"][w["begin_index"] : w["end_index"]] == w["text"] for w in words)
        borders = [border for word in words for border in (word["begin_time"], word["end_time"])]
        assert borders == sorted(borders)


async def test_word_times_come_only_when_asked_for(client: Client) -> None:
    heard = await client.say("a", "One two.")

    assert heard.ends()[0]["sentence"]["words"] == []


async def test_the_english_voice_is_deterministic_over_the_wire(client: Client) -> None:
    spoken = [
        await client.say(
            f"a{n}", "Hello, and welcome to the bridge.", voice="longanyang", word_timestamp_enabled=True
        )
        for n in range(2)
    ]

    assert spoken[0].sound == spoken[1].sound
    assert len(spoken[0].sound) > 16000
    assert [word["text"] for word in spoken[0].ends()[0]["sentence"]["words"]] == [
        "Hello",
        "and",
        "welcome",
        "to",
        "the",
        "bridge",
    ]


async def test_a_wav_task_carries_one_header(client: Client) -> None:
    heard = await client.say("a", "One. ", "Two.", format="wav", sample_rate=16000)

    assert heard.frames[0].startswith(b"RIFF\xff\xff\xff\xffWAVE")
    assert heard.sound.count(b"RIFF") == 1


async def test_an_unfinished_sentence_waits_for_its_end_or_a_flush(client: Client) -> None:
    await client.run("a")
    await client.text("a", "Half a sen")
    heard = await client.hear(until=("task-started",))
    assert await client.silence(0.1) == []

    await client.flush("a")

    await client.hear(until=("sentence-end",), into=heard)
    assert heard.ends()[0]["original_text"] == "Half a sen"
    await client.finish("a")
    assert (await client.hear()).order == ["task-finished"]


async def test_a_cancel_is_answered_at_once_and_nothing_follows(client: Client) -> None:
    await client.run("a")
    await client.text("a", LONG)
    await client.hear(until=("sound",))

    asked = time.monotonic()
    await client.cancel("a")
    heard = await client.hear()

    assert time.monotonic() - asked < 0.3
    assert heard.order[-1] == "task-finished"
    assert await client.silence(0.2) == []


async def test_a_cancel_overtakes_a_finish(client: Client) -> None:
    await client.run("a", voice="longanyang")
    await client.text("a", LONG)
    await client.finish("a")
    await client.cancel("a")

    heard = await client.hear()

    assert heard.order[-1] == "task-finished"
    assert heard.last["payload"]["usage"]["characters"] < len(LONG)
    assert await client.silence(0.2) == []


async def test_a_connection_carries_one_task_after_another(client: Client, server: TtsServer) -> None:
    await client.run("a")
    await client.text("a", LONG)
    await client.hear(until=("sound",))
    await client.cancel("a")
    await client.hear()

    second = await client.say("b", "One two.")
    third = await client.say("c", "One two.")

    assert {event["header"]["task_id"] for event in second.events} == {"b"}
    assert second.sound == third.sound
    assert server.counters["connections"] == 1
    assert server.counters["tasks_finished"] == 3


async def test_a_second_task_while_one_runs_fails_and_ends_the_connection(client: Client) -> None:
    await client.run("a")
    await client.hear(until=("task-started",))
    await client.run("b")

    heard = await client.hear(until=("nothing",))

    failed = [
        event["header"]["task_id"] for event in heard.events if event["header"]["event"] == "task-failed"
    ]
    assert "b" in failed
    with pytest.raises(ConnectionClosed):
        await client.text("a", "more")


@pytest.mark.parametrize(
    ("parameters", "code", "message"),
    [
        ({"voice": "nobody"}, "InvalidParameter", "[tts:]Engine return error code: 418"),
        ({"voice": "longxiaochun_v2"}, "InvalidParameter", "[tts:]Engine return error code: 418"),
        ({"voice": None}, "InvalidParameter", "Request voice is invalid!"),
        ({"model": "cosyvoice-v9"}, "ModelNotFound", "Model not found"),
        ({"rate": 9}, "InvalidParameter", "Parameter 'rate' must be a number from 0.5 to 2.0, not 9"),
        (
            {"instruction": "Sing it in Cantonese."},
            "InvalidParameter",
            "Parameter 'instruction' is not supported by cosyvoice-v3-flash with the voice tone",
        ),
    ],
)
async def test_what_cannot_be_done_is_refused_in_words(
    client: Client, parameters: dict[str, object], code: str, message: str
) -> None:
    await client.run("a", **parameters)  # type: ignore[arg-type]

    heard = await client.hear()

    assert heard.code == code
    assert message in heard.message
    assert heard.sound == b""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("བོད་ཡིག", "no voice here reads Tibetan letters"),
        ("Hello. ᏣᎳᎩ.", "Cherokee"),
        ("…", "Please ensure input text is valid."),
        ("<speak>Hello</speak>", "SSML text is not supported at the moment!"),
    ],
)
async def test_what_the_voice_cannot_speak_fails_and_is_never_silence(
    client: Client, text: str, message: str
) -> None:
    heard = await client.say("a", text, voice="longanyang")

    assert heard.order[-1] == "task-failed"
    assert message in heard.message
    assert heard.code == "InvalidParameter"


async def test_what_was_said_before_a_failure_is_heard_whole(client: Client) -> None:
    alone = await client.say("a", "Hello, and welcome. ", voice="longanyang")

    # No voice here knows runes.
    heard = await client.say("b", "Hello, and welcome. ", "ᚠᚢᚦᚨᚱᚲ.", voice="longanyang")

    assert heard.order[-1] == "task-failed"
    assert "Runic" in heard.message
    assert heard.sound == alone.sound


async def test_plain_text_is_spoken_even_when_ssml_was_announced(client: Client) -> None:
    heard = await client.say("a", "3 < 5 & so on.", enable_ssml=True)

    assert heard.order[-1] == "task-finished"
    assert heard.sound


@pytest.mark.parametrize("garbage", ["not JSON", "[]", "{}", b"\x00\x01", '{"header":{"action":"run-task"}}'])
async def test_garbage_costs_its_sender_the_connection_and_nobody_else(
    server: TtsServer, garbage: str | bytes
) -> None:
    async with client_of(server) as other, client_of(server) as rude:
        await other.run("a")
        await other.hear(until=("task-started",))

        await rude.socket.send(garbage)
        await rude.hear(until=("nothing",))

        assert rude.socket.close_code == 1007
        await other.text("a", "Still here.")
        await other.finish("a")
        assert (await other.hear()).order[-1] == "task-finished"
    assert server.counters["malformed"] == 1


async def test_garbage_inside_a_task_fails_the_task_first(client: Client) -> None:
    await client.run("a")
    await client.hear(until=("task-started",))

    await client.socket.send(b"sound from a client")
    heard = await client.hear(until=("nothing",))

    assert heard.order == ["task-failed"]
    assert heard.message == "Invalid payload data"


async def test_a_slow_reader_is_not_rendered_ahead_for(server: TtsServer) -> None:
    # At 24 kHz this is some 10 MB of sound, beyond what the sockets' own buffers hold.
    async with client_of(server, max_queue=2, sock=narrow_socket(server)) as slow:
        await slow.run("a", sample_rate=24000)
        await slow.text("a", LONG * 2)
        await slow.finish("a")
        rendered = -1
        async with asyncio.timeout(15):
            while (present := server.counters.get("frames", 0)) != rendered:
                rendered = present
                await asyncio.sleep(0.5)

        heard = await slow.hear()

    assert heard.order[-1] == "task-finished"
    assert len(heard.frames) > 1.5 * rendered


async def test_a_cancel_frees_a_connection_whose_client_does_not_read(server: TtsServer) -> None:
    async with client_of(server, max_queue=2) as slow:
        await slow.run("a", sample_rate=24000)
        await slow.text("a", LONG * 5)
        await asyncio.sleep(0.3)

        await slow.cancel("a")
        heard = await slow.hear()

        assert heard.order[-1] == "task-finished"
        assert (await slow.say("b", "Next.")).order[-1] == "task-finished"


async def test_a_client_that_takes_nothing_is_dropped_in_the_end() -> None:
    async with await TtsServer.start(settings(stall_limit_s=0.2)) as server:
        async with client_of(server, max_queue=2, sock=narrow_socket(server)) as dead:
            await dead.run("a", sample_rate=24000)
            await dead.text("a", LONG * 2)
            await until_true(lambda: server.counters.get("stalled") == 1)
            dead.socket.transport.abort()
        await until_true(lambda: server.counters["connections_open"] == 0)


async def test_a_client_that_asks_and_asks_and_never_reads_is_dropped(server: TtsServer) -> None:
    async with client_of(server, max_queue=1, sock=narrow_socket(server)) as flood:
        with suppress(ConnectionClosed):
            for number in range(1000):
                task_id = f"{number} " + "x" * 100_000
                await flood.run(task_id)
                await flood.cancel(task_id)
        assert server.counters["flooded"] == 1
    await until_true(lambda: server.counters["connections_open"] == 0)
    async with client_of(server) as next_client:
        assert (await next_client.say("a", "Hello.")).order[-1] == "task-finished"


async def test_a_client_that_leaves_in_mid_word_leaves_nothing_behind(server: TtsServer) -> None:
    async with client_of(server) as leaver:
        await leaver.run("a", voice="longanyang")
        await leaver.text("a", LONG)
        await leaver.hear(until=("sound",))
        leaver.socket.transport.abort()

    await until_true(lambda: server.counters["connections_open"] == 0)
    assert server.counters["tasks_abandoned"] == 1


async def test_many_clients_are_served_at_once(server: TtsServer) -> None:
    async def one(number: int) -> Heard:
        async with client_of(server) as client:
            return await client.say(f"t{number}", "One two three. Four five.")

    heard = await asyncio.gather(*(one(number) for number in range(30)))

    assert {each.order[-1] for each in heard} == {"task-finished"}
    assert len({each.sound for each in heard}) == 1


async def test_a_message_too_large_for_any_text_ends_its_task_too(client: Client) -> None:
    await client.run("a")
    await client.hear(until=("task-started",))

    await client.text("a", "x" * (1 << 20))
    heard = await client.hear(until=("nothing",))

    assert heard.order == ["task-failed"]
    assert client.socket.close_code == 1007


async def test_a_close_reason_is_never_cut_inside_a_character(client: Client) -> None:
    task_id = "一二三四五六七八九十" * 9
    await client.run(task_id)
    await client.hear(until=("task-started",))
    await client.run(task_id + "二")

    await client.hear(until=("nothing",))

    assert client.socket.close_code == 1000
    assert "cannot start while" in str(client.socket.close_reason) or task_id[:10] in str(
        client.socket.close_reason
    )


@pytest.mark.parametrize("container", ["pcm", "wav"])
async def test_an_aigc_tag_too_large_is_its_senders_fault(client: Client, container: str) -> None:
    heard = await client.say(
        "a", "Hello.", format=container, enable_aigc_tag=True, aigc_propagator="你" * 6000
    )

    assert heard.code == "InvalidParameter"
    assert "tags may have" in heard.message


async def test_one_written_word_said_at_length_is_one_word(client: Client) -> None:
    text = '<speak><sub alias="the organisation of the world that looks after all its trade, and after whatever is traded in it, every day and every night of every year">WTO</sub> said.</speak>'  # noqa: E501

    heard = await client.say("a", text, enable_ssml=True, word_timestamp_enabled=True)

    words = heard.ends()[0]["sentence"]["words"]
    assert [word["text"] for word in words] == ["WTO", "said"]
    assert words[0]["end_time"] <= words[1]["begin_time"]
