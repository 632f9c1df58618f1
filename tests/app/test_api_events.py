"""The event stream: in order, bounded, and open only to whoever has the token."""

import asyncio
import json
from contextlib import suppress
from datetime import datetime
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMsgType

from bridge.app.api.answers import CallSummary
from bridge.app.api.notes import EVENT
from bridge.plane.events import Digit, Ducked, Flushed, Resumed, SpeechStarted, VoiceStarted, VoiceStopped
from tests.app.api_house import house
from tests.call.fakes import ScriptedVoice
from tests.fakes import ManualClock


async def told(socket: aiohttp.ClientWebSocketResponse, count: int) -> list[dict[str, Any]]:
    async with asyncio.timeout(5):
        return [json.loads((await socket.receive()).data) for _ in range(count)]


async def closed(socket: aiohttp.ClientWebSocketResponse) -> int | None:
    async with asyncio.timeout(5):
        while (await socket.receive()).type not in (WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.CLOSING):
            pass
    return socket.close_code


async def test_a_call_is_told_from_its_beginning_to_its_end_in_order() -> None:
    async with house() as served, served.client.ws_connect("/api/events") as socket:
        assert await told(socket, 1) == [{"type": "hello", "seq": 0, "calls": []}]
        call = await served.called()
        leg = served.media.legs[0]
        where: dict[str, int] = {"row": 0, "generation": 7, "at_ns": 0}
        leg.deliver(VoiceStarted(**where, onset_ns=0))
        leg.deliver(Ducked(**where, position=800, onset_ns=0, gate_ns=0))
        leg.deliver(Resumed(**where, position=800))
        leg.deliver(Flushed(**where, position=1600, epoch=1, verdict_ns=0, cause="speech"))
        leg.deliver(VoiceStopped(**where, ended_ns=0))
        leg.deliver(Digit(**where, digit="#", duration_ms=90))
        leg.deliver(SpeechStarted(**where, position=0))
        await served.ask("DELETE", f"/api/calls/{call}?reason=enough")
        await served.hung_up()

        events = await told(socket, 10)

    assert [event["type"] for event in events] == [
        "call.started",
        "call.ringing",
        "call.answered",
        "voice.started",
        "speech.ducked",
        "speech.resumed",
        "speech.flushed",
        "voice.stopped",
        "digit",
        "call.ended",
    ]
    assert [event["seq"] for event in events] == list(range(1, 11))
    assert {event["call"] for event in events} == {call}
    assert (events[4]["at_ms"], events[6]["cause"], events[8]["digit"]) == (100, "speech", "#")
    assert events[-1]["reason"] == "enough"
    for event in events:
        assert EVENT.validate_python(event)
        assert event["time"].endswith("Z")


async def test_a_clock_that_is_set_while_we_run_is_followed() -> None:
    offset_s = [0]
    async with (
        house(offset_ns=lambda: offset_s[0] * 10**9) as served,
        served.client.ws_connect("/api/events") as socket,
    ):
        call = await served.called()
        _, before, *_ = await told(socket, 4)
        offset_s[0] = 3600  # a laptop slept for an hour
        await served.ask("DELETE", f"/api/calls/{call}")
        await served.hung_up()
        (after,) = await told(socket, 1)

    ahead_s = [
        datetime.fromisoformat(event["time"]).timestamp() - event["at_ns"] / 1e9 for event in (before, after)
    ]
    assert [round(ahead) for ahead in ahead_s] == [0, 3600]


async def test_orders_are_told_as_they_are_documented() -> None:
    async with house(voice=ScriptedVoice(ManualClock())) as served:
        call = await served.called()
        async with served.client.ws_connect(f"/api/events?call={call}") as socket:
            (hello,) = await told(socket, 1)
            for text in ("one", "two"):
                await served.ask("POST", f"/api/calls/{call}/say", {"text": text})
            await served.ask("POST", f"/api/calls/{call}/dtmf", {"digits": "1"})
            await served.ask("POST", f"/api/calls/{call}/stop")
            leg = served.media.legs[0]
            leg.deliver(leg.flushed(0, cause="command"))
            events = await told(socket, 4)

    assert [CallSummary(**each).state for each in hello["calls"]] == ["up"]
    assert sorted(event["type"] for event in events) == [
        "keys.sent",
        "speech.dropped",
        "speech.ended",
        "speech.flushed",
    ]
    for event in events:
        assert EVENT.validate_python(event)
        assert "heard" not in event  # transcripts are off


async def test_a_stream_of_one_call_tells_of_no_other() -> None:
    async with house() as served:
        call = await served.called()
        async with served.client.ws_connect(f"/api/events?call={call}") as socket:
            await told(socket, 1)
            await served.ask("POST", "/api/calls", {"to": served.number})
            await served.ask("DELETE", f"/api/calls/{call}")

            (event,) = await told(socket, 1)

            assert (event["type"], event["call"]) == ("call.ended", call)
        assert (await served.ask("GET", "/api/events?call=none"))[0] == 404


async def test_a_ping_is_answered_and_anything_else_ends_the_stream() -> None:
    async with house() as served, served.client.ws_connect("/api/events") as socket:
        await told(socket, 1)
        await socket.send_str('{"type": "ping"}')
        assert await told(socket, 1) == [{"type": "pong"}]

        await socket.send_str("nonsense")

        assert await closed(socket) == 1008


async def test_what_is_longer_than_a_ping_ends_the_stream() -> None:
    async with house() as served, served.client.ws_connect("/api/events") as socket:
        await told(socket, 1)
        await socket.send_str('{"type": "ping"}' + " " * 2000)

        assert await closed(socket) == 1009


async def test_a_slow_reader_is_told_how_much_it_missed_and_let_go() -> None:
    async with house(event_backlog=16) as served, served.client.ws_connect("/api/events") as socket:
        await told(socket, 1)
        for _ in range(40):
            served.exchange.bus.tell("a", "voice.started")

        events = await told(socket, 17)

        assert [event.get("seq") for event in events[:16]] == list(range(1, 17))
        assert events[16] == {"type": "dropped", "count": 24}
        assert await closed(socket) == 1013
        assert served.stream.counters == {"clients": 1, "events": 16, "dropped": 24}


async def test_a_client_that_reads_nothing_at_all_is_cut_off() -> None:
    async with house(event_backlog=5000) as served:
        served.stream.write_within_s = 0.2
        reader, writer = await asyncio.open_connection(*served.server.listen, limit=1024)
        lines = [
            "GET /api/events HTTP/1.1",
            "Host: localhost",
            f"Authorization: Bearer {served.server.token}",
            *(f"{name}: {value}" for name, value in upgrade().items()),
        ]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        assert b"101" in await reader.readline()
        for _ in range(4000):
            served.exchange.bus.tell("a", "text", {"text": "x" * 10_000})

        async with asyncio.timeout(5):
            while len(served.stream):  # noqa: ASYNC110  the server gives up in its own time
                await asyncio.sleep(0.02)

        assert served.stream.counters["events"] < 4000
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def test_there_is_room_for_so_many_streams_and_no_more() -> None:
    async with house(event_clients=1) as served:
        async with served.client.ws_connect("/api/events") as socket:
            await told(socket, 1)
            status, problem = await served.ask("GET", "/api/events", headers=upgrade())

            assert (status, "api.event_clients" in problem["fix"]) == (503, True)
        async with asyncio.timeout(5):
            while len(served.stream):  # noqa: ASYNC110  the server notices in its own time
                await asyncio.sleep(0.01)
        async with served.client.ws_connect("/api/events") as socket:
            await told(socket, 1)
        assert len(served.exchange.bus) <= 1


async def test_a_bridge_that_stops_lets_its_streams_go() -> None:
    async with house() as served, served.client.ws_connect("/api/events") as socket:
        await told(socket, 1)

        closing = asyncio.create_task(served.stream.close())

        assert await closed(socket) == 1001
        await closing


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Origin": "http://evil.example"}, 403),
        ({}, 426),
    ],
)
async def test_who_may_not_listen_is_refused_before_anything_is_told(
    headers: dict[str, str], status: int
) -> None:
    async with house() as served:
        answered, _ = await served.ask("GET", "/api/events", headers=headers)

        assert answered == status
        assert len(served.exchange.bus) == 0


def upgrade() -> dict[str, str]:
    return {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }


async def test_what_was_said_is_told_only_where_texts_are_kept() -> None:

    async with house(voice=ScriptedVoice(ManualClock())) as served:
        call = await served.called()
        session = served.exchange.ledger.session(call)
        assert session is not None
        session.trace.keeps_text = True
        async with served.client.ws_connect("/api/events") as socket:
            await told(socket, 1)
            await served.ask("POST", f"/api/calls/{call}/say", {"text": "one two"})
            leg = served.media.legs[0]
            async with asyncio.timeout(5):
                while leg.written < 1600:  # noqa: ASYNC110  the ring tells nobody
                    await asyncio.sleep(0)
            leg.deliver(leg.started(0))
            leg.deliver(leg.play_all(0))
            started, ended = await told(socket, 2)

    assert (started["type"], started["id"]) == ("speech.started", ended["id"])
    assert (ended["heard"], ended["unheard"], ended["interrupted"]) == ("one two", "", False)
