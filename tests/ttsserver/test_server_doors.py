import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
from aiohttp import ClientSession
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from bridge.errors import SetupError
from bridge.ttsserver.server import PATH, TOKENS_PATH, TtsServer, TtsServerSettings, serve
from tests.fakes import ManualClock
from tests.ttsserver.client import Client, client_of, until_true

LOCAL = ("127.0.0.1", 0)
LONG = "This sentence has quite a number of words, so that there is time to say something else. " * 20


def settings(**changes: object) -> TtsServerSettings:
    return TtsServerSettings(**({"listen": LOCAL, "warm": False} | changes))  # type: ignore[arg-type]


@pytest.fixture
async def server() -> AsyncIterator[TtsServer]:
    async with await TtsServer.start(settings()) as server:
        yield server


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


async def test_more_clients_than_there_is_room_for_are_refused() -> None:
    async with await TtsServer.start(settings(max_connections=1)) as server, client_of(server) as first:
        with pytest.raises(InvalidStatus) as refused:
            await connect(server.url)
        assert (await first.say("a", "Hello.")).order[-1] == "task-finished"

    assert refused.value.response.status_code == 503
    assert json.loads(refused.value.response.body)["code"] == "Throttling.Concurrency"


async def test_the_process_serves_until_it_is_told_to_stop() -> None:
    address: asyncio.Future[tuple[str, int]] = asyncio.get_running_loop().create_future()

    running = asyncio.create_task(serve(settings(nice=0), ready=address.set_result))
    host, port = await address
    async with connect(f"ws://{host}:{port}{PATH}", compression=None) as opened:
        assert (await Client(opened).say("a", "Hello.")).order[-1] == "task-finished"
    running.cancel()

    with pytest.raises(asyncio.CancelledError):
        await running
