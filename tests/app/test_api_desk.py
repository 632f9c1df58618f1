"""The desk's WebSocket: how things stand, what changed, and who may see what."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMsgType

from bridge.app.api.desk_notes import DESK
from bridge.call.agent import Call
from bridge.plane.events import VoiceStarted, VoiceStopped
from tests.app.api_house import READER, house
from tests.app.test_api_records import over
from tests.call.fakes import ScriptedVoice
from tests.fakes import ManualClock

WHERE: dict[str, int] = {"row": 0, "generation": 7, "at_ns": 50_000_000}
LOOKING = {"Authorization": f"Bearer {READER}"}

Socket = aiohttp.ClientWebSocketResponse


async def next_of(socket: Socket) -> dict[str, Any]:
    async with asyncio.timeout(5):
        text = (await socket.receive()).data
    message = json.loads(text)
    assert DESK.validate_python(message)
    assert isinstance(message, dict)
    return message


async def until(socket: Socket, is_it: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """The next message of a kind; those before it have their shape checked."""
    while not is_it(message := await next_of(socket)):
        pass
    return message


def call_in(message: dict[str, Any], id: str) -> dict[str, Any]:
    return next((call for call in message.get("calls", ()) if call["id"] == id), {})


async def talk(call: Call) -> None:
    await call.say("Good morning.")
    await asyncio.Event().wait()


async def test_a_desk_begins_with_how_things_stand_and_goes_on_with_what_changes() -> None:
    async with house() as served, served.client.ws_connect("/api/desk") as socket:
        first = await next_of(socket)
        assert (first["type"], first["seq"], first["calls"], first["more"]) == ("snapshot", 1, [], 0)
        assert first["may"] == {"order": True, "recordings": True, "transcripts": True}
        assert first["budget_ms"]["mute"] == 150.0
        assert first["totals"]["engine"]["processes"][0]["place"] == 0

        id = await served.called()
        up = await until(socket, lambda message: call_in(message, id).get("state") == "up")
        assert up["type"] == "change"
        call = call_in(up, id)
        assert (call["via"], call["to"], call["floor"]) == ("phone", "bot", "nobody")
        assert set(call["silence_ms"]) == {"idle", "tts_late", "bridge_late", "held", "ducked", "keys"}

        served.media.legs[0].deliver(VoiceStarted(**WHERE, onset_ns=40_000_000))
        await until(socket, lambda message: call_in(message, id).get("floor") == "caller")
        served.media.legs[0].deliver(VoiceStopped(**WHERE, ended_ns=45_000_000))
        await until(socket, lambda message: call_in(message, id).get("floor") == "nobody")

        await served.ask("DELETE", f"/api/calls/{id}")
        await served.hung_up()
        ended = await until(socket, lambda message: call_in(message, id).get("state") == "ended")
        assert call_in(ended, id)["from"] is None


async def test_a_call_is_followed_whole_and_then_in_changes() -> None:
    voice = ScriptedVoice(ManualClock())
    async with house(agent=talk, voice=voice, keeps_text=True) as served:
        id = await served.called()
        served.media.legs[0].deliver(VoiceStarted(**WHERE, onset_ns=40_000_000))
        async with served.client.ws_connect("/api/desk") as socket:
            await next_of(socket)
            await socket.send_json({"type": "watch", "call": id})
            first = (await until(socket, lambda message: message.get("detail")))["detail"]
            assert first["timeline"]["caller"] == [{"number": 1, "began_ns": 40_000_000, "ended_ns": None}]
            assert first["transcript"] is not None

            served.media.legs[0].deliver(VoiceStopped(**WHERE, ended_ns=45_000_000))
            later = await until(
                socket, lambda message: (message.get("detail") or {"timeline": {}})["timeline"].get("caller")
            )
            assert later["detail"]["timeline"]["caller"][0]["ended_ns"] == 45_000_000

            await socket.send_json({"type": "watch", "call": None})
            await socket.send_json({"type": "ping"})
            await until(socket, lambda message: message["type"] == "pong")
            served.media.legs[0].deliver(VoiceStarted(**WHERE, onset_ns=60_000_000))
            assert "detail" not in await until(socket, lambda message: call_in(message, id))


async def test_calls_that_are_over_and_those_that_never_were_are_told_once() -> None:
    async with house() as served:
        id = await over(served)
        async with served.client.ws_connect("/api/desk") as socket:
            await next_of(socket)
            await socket.send_json({"type": "watch", "call": id})
            told = (await until(socket, lambda message: message.get("detail")))["detail"]
            assert (told["known"], told["timeline"]["state"], len(told["timeline"]["keys"])) == (
                True,
                "ended",
                1,
            )
            await socket.send_json({"type": "watch", "call": "nobody"})
            told = (await until(socket, lambda message: message.get("detail")))["detail"]
            assert told == {"call": "nobody", "known": False}


async def test_a_token_that_only_looks_sees_no_words() -> None:
    async with house(keeps_text=True) as served:
        id = await over(served)
        async with served.client.ws_connect("/api/desk", headers=LOOKING) as socket:
            first = await next_of(socket)
            assert first["may"] == {"order": False, "recordings": False, "transcripts": False}
            await socket.send_json({"type": "watch", "call": id})
            told = (await until(socket, lambda message: message.get("detail")))["detail"]
            assert told["transcript"] is None


async def test_more_calls_than_a_message_holds_follow_in_the_next_ones() -> None:
    async with house() as served:
        for _ in range(120):
            trace = served.exchange.ledger.begin("inbound", to="hello", give_up=lambda: None)
            served.exchange.ledger.forsake(trace, "given up")
        async with served.client.ws_connect("/api/desk") as socket:
            first = await next_of(socket)
            known = {call["id"] for call in first["calls"]}
            assert len(known) <= 50
            assert first["more"] == 100 - len(known)
            while len(known) < 100:
                message = await next_of(socket)
                assert len(message.get("calls", ())) <= 50
                known |= {call["id"] for call in message.get("calls", ())}


@pytest.mark.parametrize(
    "order",
    ["{}", "[]", "nonsense", '{"type":"watch"}', '{"type":"watch","call":5}', '{"type":"watch","call":""}',
     '{"type":"hang up","call":"a"}', '{"type":"watch","call":"a","more":1}', "[" * 900],
)  # fmt: skip
async def test_what_is_not_understood_closes_the_desk(order: str) -> None:
    async with house() as served, served.client.ws_connect("/api/desk") as socket:
        await socket.send_str(order)
        async with asyncio.timeout(5):
            while (await socket.receive()).type is not WSMsgType.CLOSE:
                pass
        assert socket.close_code == 1008
        assert len(served.desk) <= 1


async def test_no_more_desks_than_there_is_room_for_and_each_needs_a_token() -> None:
    async with house(event_clients=1) as served:
        status, _ = await served.ask("GET", "/api/desk")
        assert status == 426
        async with served.client.ws_connect("/api/desk") as socket:
            await next_of(socket)
            status, problem = await served.ask("GET", "/api/desk")
            assert (status, problem["fix"]) == (503, "raise api.event_clients, or close one")
        status, _ = await served.ask("GET", "/api/desk", headers={"Authorization": "Bearer wrong"})
        assert status == 401


async def test_when_the_last_one_leaves_nothing_is_read_any_more() -> None:
    async with house() as served:
        async with served.client.ws_connect("/api/desk") as socket:
            await next_of(socket)
        async with asyncio.timeout(5):
            while len(served.desk) or len(served.desk._tasks):  # noqa: ASYNC110  the server notices in its own time
                await asyncio.sleep(0)
        async with served.client.ws_connect("/api/desk") as socket:
            assert (await next_of(socket))["type"] == "snapshot"
            await served.desk.close()
            async with asyncio.timeout(5):
                while (await socket.receive()).type is not WSMsgType.CLOSE:
                    pass
            assert socket.close_code == 1001


async def test_who_reads_nothing_is_let_go_and_nobody_waits_for_it() -> None:
    async with house() as served:
        served.desk.write_within_s = 0.05
        host, port = served.server.listen
        reader, writer = await asyncio.open_connection(host, port, limit=1024)
        writer.write(
            f"GET /api/desk?token={served.server.token} HTTP/1.1\r\nHost: {host}:{port}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        await reader.readuntil(b"\r\n\r\n")
        reader._transport.pause_reading()  # type: ignore[attr-defined]  # as a page does whose tab sleeps

        ledger = served.exchange.ledger
        async with asyncio.timeout(15):
            while not served.desk.counters["slow"]:
                for _ in range(200):
                    trace = ledger.begin("inbound", to="hello" * 50, give_up=lambda: None)
                    ledger.forsake(trace, "given up " * 100)
                await asyncio.sleep(0.01)
        writer.close()
        async with asyncio.timeout(5):
            while len(served.desk):  # noqa: ASYNC110  the server notices in its own time
                await asyncio.sleep(0.01)
