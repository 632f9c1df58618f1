import asyncio
import itertools
import json
import socket
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
from aiohttp import ClientSession
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from bridge.cosyvoice.formats import RATES
from bridge.errors import SetupError
from bridge.ttsserver.server import PATH, TOKENS_PATH, TtsServer, TtsServerSettings, serve
from tests.fakes import ManualClock
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


@pytest.mark.parametrize("path", ["/", "/api-ws/v1/realtime", PATH + "/x"])
async def test_another_path_is_http_404(server: TtsServer, path: str) -> None:
    host, port = server.listen

    with pytest.raises(InvalidStatus) as refused:
        async with connect(f"ws://{host}:{port}{path}"):
            pass

    assert refused.value.response.status_code == 404
    assert json.loads(refused.value.response.body)["code"] == "NotFound"


@pytest.mark.parametrize("suffix", ["", "/", "?a=b"])
async def test_the_path_may_end_in_a_slash_or_a_query(server: TtsServer, suffix: str) -> None:
    async with connect(server.url + suffix, compression=None) as opened:
        heard = await Client(opened).say("a", "Hello.")

    assert heard.order[-1] == "task-finished"


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic right"}])
async def test_a_wrong_key_is_http_401_with_a_reason(header: dict[str, str]) -> None:
    async with await TtsServer.start(settings(api_keys=("right", "also"))) as server:
        with pytest.raises(InvalidStatus) as refused:
            async with connect(server.url, additional_headers=header):
                pass

        response = refused.value.response
        assert response.status_code == 401
        assert response.headers["Content-Type"].startswith("application/json")
        body = json.loads(response.body)
        assert (body["code"], body["message"]) == ("InvalidApiKey", "Invalid API-key provided.")
        assert server.counters["refused"] == 1


@pytest.mark.parametrize("value", ["Bearer right", "bearer also"])
async def test_a_right_key_is_let_in_whatever_the_case_of_its_scheme(value: str) -> None:
    async with (
        await TtsServer.start(settings(api_keys=("right", "also"))) as server,
        client_of(server, additional_headers={"Authorization": value}) as client,
    ):
        assert (await client.say("a", "Hello.")).order[-1] == "task-finished"


async def post(server: TtsServer, path: str, **headers: str) -> tuple[int, dict[str, Any]]:
    host, port = server.listen
    async with (
        ClientSession() as session,
        session.post(f"http://{host}:{port}{path}", headers=headers) as answer,
    ):
        return answer.status, await answer.json()


async def test_a_temporary_key_opens_a_connection_until_it_ends() -> None:
    clock = ManualClock()
    async with await TtsServer.start(settings(api_keys=("right",)), clock=clock) as server:
        status, body = await post(server, TOKENS_PATH + "?expire_in_seconds=90", Authorization="Bearer right")
        lent = {"Authorization": f"Bearer {body['token']}"}
        async with client_of(server, additional_headers=lent) as client:
            clock.advance(91_000)
            # Checked at the handshake only: what runs goes on.
            assert (await client.say("a", "Hello.")).order[-1] == "task-finished"
        with pytest.raises(InvalidStatus, match="401"):
            await connect(server.url, additional_headers=lent)

    assert status == 200
    assert body["token"].startswith("st-")
    assert 85 < body["expires_at"] - time.time() <= 91


@pytest.mark.parametrize("query", ["?expire_in_seconds=0", "?expire_in_seconds=1801", "?expire_in_seconds=x"])
async def test_a_temporary_key_lasts_from_a_second_to_half_an_hour(server: TtsServer, query: str) -> None:
    status, body = await post(server, TOKENS_PATH + query)

    assert status == 400
    assert body["code"] == "InvalidParameter"
    assert "expire_in_seconds must be an integer from 1 to 1800" in body["message"]
    assert len(body["request_id"]) == 32


async def test_only_a_permanent_key_makes_temporary_ones() -> None:
    async with await TtsServer.start(settings(api_keys=("right",))) as server:
        _, lent = await post(server, TOKENS_PATH, Authorization="Bearer right")
        status, body = await post(server, TOKENS_PATH, Authorization=f"Bearer {lent['token']}")

    assert (status, body["code"]) == (401, "InvalidApiKey")


async def test_a_request_that_is_no_handshake_is_answered_in_json(server: TtsServer) -> None:
    host, port = server.listen
    async with ClientSession() as session:
        async with session.get(f"http://{host}:{port}{PATH}") as answer:
            assert answer.status == 400
            assert (await answer.json())["code"] == "InvalidRequest"
        async with session.get(f"http://{host}:{port}{TOKENS_PATH}") as answer:
            assert answer.status == 405


async def test_a_client_that_leaves_in_its_handshake_is_no_error(
    server: TtsServer, caplog: pytest.LogCaptureFixture
) -> None:
    handshake = (
        f"GET {PATH} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    ).encode()
    for rest in (b"", b"\x81\xff garbage", b"\x00" * 500):
        reader, writer = await asyncio.open_connection(*server.listen)
        writer.write(handshake + rest)
        writer.write_eof()
        with suppress(ConnectionError):
            await reader.read()
        writer.close()

    await until_true(lambda: server.counters.get("connections_open", 0) == 0)
    assert not caplog.records


def test_keys_are_not_in_the_settings_text() -> None:
    assert "secret" not in repr(settings(api_keys=("secret",)))


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


async def test_a_taken_port_is_named_with_the_key_that_changes_it(server: TtsServer) -> None:
    with pytest.raises(
        SetupError, match=rf"tts_server\.listen 127\.0\.0\.1:{server.listen[1]} \(tcp\) is taken by"
    ):
        await TtsServer.start(settings(listen=server.listen))


async def test_closing_ends_every_task_before_its_connection(server: TtsServer) -> None:
    async with client_of(server) as client, client_of(server) as idle:
        await client.run("a", voice="longanyang")
        await client.text("a", LONG)
        await client.hear(until=("sound",))

        closing = asyncio.create_task(server.close())
        heard = await client.hear(until=("nothing",))
        await idle.hear(until=("nothing",))
        await closing

        assert heard.order[-1] == "task-failed"
        assert heard.code == "ServiceUnavailable"
        assert client.socket.close_code == idle.socket.close_code == 1001


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


async def test_more_clients_than_there_is_room_for_are_refused() -> None:
    async with await TtsServer.start(settings(max_connections=1)) as server, client_of(server) as first:
        with pytest.raises(InvalidStatus) as refused:
            await connect(server.url)
        assert (await first.say("a", "Hello.")).order[-1] == "task-finished"

    assert refused.value.response.status_code == 503
    assert json.loads(refused.value.response.body)["code"] == "Throttling.Concurrency"


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


async def test_the_process_serves_until_it_is_told_to_stop() -> None:
    address: asyncio.Future[tuple[str, int]] = asyncio.get_running_loop().create_future()

    running = asyncio.create_task(serve(settings(nice=0), ready=address.set_result))
    host, port = await address
    async with connect(f"ws://{host}:{port}{PATH}", compression=None) as opened:
        assert (await Client(opened).say("a", "Hello.")).order[-1] == "task-finished"
    running.cancel()

    with pytest.raises(asyncio.CancelledError):
        await running
