"""The control API of a whole bridge, with a telephone on real sockets at the other end."""

import asyncio
import io
import json
import wave
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from aiohttp import web

from bridge.load.listen import Heard
from tests.e2e import agents
from tests.e2e.callee import callee
from tests.e2e.lab import calling, ended, matches, rendered
from tests.e2e.running import RunningBridge, free_port
from tests.hearing import transcribe, word_errors

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

GREETING = "Good morning, this call was placed by a program."
NOTICE = "Your parcel will arrive between nine and eleven."
LONG = agents.READING


def tone(hz: float, seconds: float, rate: int = 16_000) -> bytes:
    samples = np.sin(np.arange(round(seconds * rate)) * 2 * np.pi * hz / rate) * 12_000
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(samples.astype("<i2").tobytes())
    return file.getvalue()


def loudest_hz(heard: Heard, begin: int, end: int) -> float:
    pcm = heard.pcm[begin:end].astype(float)
    return float(np.argmax(np.abs(np.fft.rfft(pcm))) * 8000 / len(pcm))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("prompts")
    (made / "ping.wav").write_bytes(tone(1000, 0.6))
    return made


@pytest.fixture(scope="module")
def sounds_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def bridge(folder: Path, sounds_port: int) -> Iterator[RunningBridge]:
    settings = agents.routes(ticker="tone", holding="tone") | {
        "prompts.folder": str(folder),
        "api.play_hosts": f"127.0.0.1:{sounds_port}",
    }
    with RunningBridge(settings) as running:
        yield running


class Steering:
    """A client of the API."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session
        self.socket: aiohttp.ClientWebSocketResponse
        self.events: list[dict[str, Any]] = []

    async def ask(self, method: str, path: str, body: object = None, **parts: Any) -> tuple[int, Any]:  # noqa: ANN401
        if body is not None:
            parts["json"] = body
        async with self.session.request(method, path, **parts) as answer:
            return answer.status, json.loads(await answer.text() or "null")

    async def order(self, path: str, body: object) -> str:
        status, told = await self.ask("POST", path, body)
        assert status == 202, told
        return str(told["id"])

    async def until(
        self,
        kind: str,
        *,
        is_it: Callable[[dict[str, Any]], bool] = lambda event: True,
        timeout_s: float = 20,
    ) -> dict[str, Any]:
        async with asyncio.timeout(timeout_s):
            while True:
                event = json.loads((await self.socket.receive()).data)
                self.events.append(event)
                if event["type"] == kind and is_it(event):
                    return dict(event)

    async def spoken(self, label: str) -> dict[str, Any]:
        return await self.until("speech.ended", is_it=lambda event: event["id"] == label)


@asynccontextmanager
async def steering(bridge: RunningBridge) -> AsyncIterator[Steering]:
    base = f"http://127.0.0.1:{bridge.http_port}"
    async with aiohttp.ClientSession(base, headers={"Authorization": f"Bearer {bridge.token}"}) as session:
        made = Steering(session)
        async with session.ws_connect("/api/events") as made.socket:
            await made.until("hello")
            yield made


async def test_a_call_is_placed_steered_and_ended_and_every_step_is_told(bridge: RunningBridge) -> None:
    codes = await rendered(bridge, [GREETING, NOTICE])
    async with callee(picks_up=False) as phone, steering(bridge) as api:
        status, placed = await api.ask(
            "POST",
            "/api/calls",
            {"to": phone.uri, "from": "4930", "greeting": GREETING, "headers": {"X-Case": "17"}},
        )
        id, path = placed["id"], f"/api/calls/{placed['id']}"
        assert (status, placed["state"]) == (201, "calling")
        await api.until("call.ringing")
        assert (await api.ask("GET", path))[1]["state"] == "ringing"
        phone.picks_up.set()
        assert (await api.until("call.answered"))["codec"] == "PCMU"
        assert (await api.until("speech.ended"))["heard"] == GREETING

        label = await api.order(f"{path}/say", {"text": NOTICE})
        notice = await api.spoken(label)
        await asyncio.to_thread(phone.phone.press("5").result, 5)
        digit = await api.until("digit")
        keys = await api.order(f"{path}/dtmf", {"digits": "123", "duration_ms": 80, "pause_ms": 80})
        assert (await api.until("keys.sent"))["id"] == keys
        assert (await api.ask("DELETE", f"{path}?reason=all+said"))[0] == 204
        over = await api.until("call.ended")
        assert phone.call is not None
        await asyncio.wait_for(phone.call.ended, 5)
        told = await ended(bridge, id)

    assert (phone.headers["X-Case"], phone.from_uri.startswith("sip:4930@")) == ("17", True)
    assert all(match.is_complete for match in matches(phone.heard(), codes.values()))
    assert (notice["heard"], notice["interrupted"]) == (NOTICE, False)
    assert digit["digit"] == "5"
    assert phone.keys() == 3
    assert over["reason"] == told["reason"] == "all said"
    mine = [event for event in api.events if event.get("call") == id]
    assert [event["seq"] for event in mine] == sorted(event["seq"] for event in mine)
    assert [
        event["type"] for event in mine if event["type"].startswith(("call", "speech", "digit", "keys"))
    ] == [
        "call.started",
        "call.ringing",
        "call.answered",
        "speech.started",
        "speech.ended",
        "speech.started",
        "speech.ended",
        "digit",
        "keys.sent",
        "call.ended",
    ]


async def test_what_is_said_by_order_is_understood(bridge: RunningBridge) -> None:
    async with callee() as phone, steering(bridge) as api:
        _, placed = await api.ask("POST", "/api/calls", {"to": phone.uri})
        await api.until("call.answered")
        await api.spoken(await api.order(f"/api/calls/{placed['id']}/say", {"text": NOTICE}))
        await api.ask("DELETE", f"/api/calls/{placed['id']}")
        await api.until("call.ended")

    understood = await asyncio.to_thread(transcribe, phone.heard().pcm)
    assert word_errors(NOTICE, understood) <= 0.25, understood


async def test_an_order_that_cannot_wait_cuts_the_agent_where_it_was(bridge: RunningBridge) -> None:
    async with calling(bridge, "holding") as caller, steering(bridge) as api:
        (call,) = [c for c in (await api.ask("GET", "/api/calls"))[1]["calls"] if c["state"] == "up"]
        path = f"/api/calls/{call['id']}"
        first = await api.order(f"{path}/say", {"text": LONG})
        await api.until("speech.started", is_it=lambda event: event["id"] == first)
        await asyncio.sleep(2)
        last = await api.order(f"{path}/say", {"text": "never said"})
        urgent = await api.order(f"{path}/say", {"text": "Fire.", "mode": "now", "interruptible": "none"})
        cut = await api.spoken(first)
        said = await api.spoken(urgent)
        stopped = (await api.ask("POST", f"{path}/stop"))[1]
        dropped = [event for event in api.events if event["type"] == "speech.dropped"]
        ending = await api.until(
            "speech.ended" if stopped["was_speaking"] else "speech.dropped",
            is_it=lambda event: event["id"] == last,
        )

        assert (cut["interrupted"], cut["cause"]) == (True, "command")
        assert cut["heard"] + cut["unheard"] == LONG
        assert 1500 < cut["played_ms"] < 3000
        assert (said["heard"], said["interrupted"]) == ("Fire.", False)
        assert not dropped
        assert ending["id"] == last
        await caller.hang_up()
        told = await ended(bridge, call["id"])
        assert [u["label"] for u in told["utterances"]][1:3] == [first, urgent]


async def test_sound_is_played_from_the_folder_and_from_a_listed_host(
    bridge: RunningBridge, sounds_port: int
) -> None:
    async def serve(request: web.Request) -> web.Response:
        return web.Response(body=tone(1500, 0.6))

    app = web.Application()
    app.router.add_get("/news.wav", serve)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", sounds_port).start()
    try:
        async with callee() as phone, steering(bridge) as api:
            _, placed = await api.ask("POST", "/api/calls", {"to": phone.uri})
            path = f"/api/calls/{placed['id']}/play"
            await api.until("call.answered")
            ping = await api.order(path, {"name": "ping.wav"})
            url = f"http://127.0.0.1:{sounds_port}/news.wav"
            news = await api.order(path, {"url": url})
            assert abs((await api.spoken(ping))["played_ms"] - 600) < 10
            assert abs((await api.spoken(news))["played_ms"] - 600) < 10
            refused = await api.ask("POST", path, {"url": "http://127.0.0.1:9/x.wav"})
            await api.ask("DELETE", f"/api/calls/{placed['id']}")
            await api.until("call.ended")
    finally:
        await runner.cleanup()

    assert (refused[0], "api.play_hosts" in refused[1]["fix"]) == (403, True)
    heard = phone.heard()
    runs = [run for run in heard.runs(gap_ms=10) if run.end_sample - run.begin_sample > 2000]
    assert loudest_hz(heard, runs[0].begin_sample + 400, runs[0].begin_sample + 4400) == pytest.approx(
        1000, abs=5
    )
    assert loudest_hz(heard, runs[-1].end_sample - 4400, runs[-1].end_sample - 400) == pytest.approx(
        1500, abs=5
    )


async def test_a_call_is_held_taken_back_and_sent_on(bridge: RunningBridge) -> None:
    async with callee() as phone, steering(bridge) as api:
        _, placed = await api.ask("POST", "/api/calls", {"to": phone.uri})
        path = f"/api/calls/{placed['id']}"
        await api.until("call.answered")
        held = await api.ask("POST", f"{path}/hold")
        assert (await api.until("call.held"))["by"] == "us"
        resumed = await api.ask("POST", f"{path}/resume")
        assert (await api.until("call.resumed"))["by"] == "us"
        sent = await api.ask("POST", f"{path}/transfer", {"to": "sip:200@127.0.0.1:9"})
        done = await api.until("transfer.ended")
        assert (await api.until("call.ended"))["reason"] == "transferred"

    assert (held, resumed) == ((200, {"holding": True}), (200, {"holding": False}))
    assert [b"a=sendonly" in offer for offer in phone.offers] == [True, False]
    assert sent[0] == 202
    assert (done["status"], done["succeeded"]) == (200, True)
    assert [referral.target for referral in phone.referrals] == ["sip:200@127.0.0.1:9"]
    assert [event["status"] for event in api.events if event["type"] == "transfer.progress"][-1] == 180


async def test_two_calls_are_joined(bridge: RunningBridge) -> None:
    async with callee() as one, callee() as other, steering(bridge) as api:
        calls = []
        for phone in (one, other):
            _, placed = await api.ask("POST", "/api/calls", {"to": phone.uri})
            await api.until("call.answered", is_it=lambda event, id=placed["id"]: event["call"] == id)  # type: ignore[misc]
            calls.append(placed["id"])
        assert (await api.ask("POST", f"/api/calls/{calls[0]}/transfer", {"call": calls[1]}))[0] == 202
        assert (await api.until("transfer.ended"))["succeeded"]
        reasons = [(await api.until("call.ended"))["reason"] for _ in calls]

    (referral,) = one.referrals
    assert other.call is not None
    assert other.call.call_id in referral.replaces
    assert reasons == ["transferred", "transferred"]


async def test_a_call_that_nobody_takes_is_given_up_and_told(bridge: RunningBridge) -> None:
    async with callee(picks_up=False) as phone, steering(bridge) as api:
        _, placed = await api.ask("POST", "/api/calls", {"to": phone.uri, "ring_timeout_s": 1})
        assert (await api.until("call.ended"))["reason"] == "no answer"
        _, again = await api.ask("POST", "/api/calls", {"to": phone.uri})
        await api.until("call.ringing")
        await api.ask("DELETE", f"/api/calls/{again['id']}")
        assert (await api.until("call.ended"))["reason"] == "ended by the API"

    assert (await ended(bridge, placed["id"]))["reason"] == "no answer"


async def test_only_whoever_has_the_token_and_the_right_page_may_order(bridge: RunningBridge) -> None:
    async with callee(picks_up=False) as phone, steering(bridge) as api:
        order = {"to": phone.uri}
        answers = [
            await api.ask("POST", "/api/calls", order, headers={"Authorization": "Bearer no"}),
            await api.ask("POST", "/api/calls", order, headers={"Origin": "http://evil.example"}),
            await api.ask("POST", "/api/calls", order, headers={"Host": "evil.example"}),
            await api.ask("POST", "/api/calls", {"to": "sip:1@192.0.2.1"}),
            await api.ask("POST", "/api/calls", {"to": "sip:1@127.0.0.1", "agent": "os:abort"}),
            await api.ask("GET", "/api/events", headers={"Authorization": "Bearer no"}),
        ]

        assert [status for status, _ in answers] == [401, 403, 403, 403, 422, 401]
        assert all(problem["fix"] for _, problem in answers)
        assert not phone.rang.is_set()
        assert bridge.metric("cosybridge_api_answers_total", 'status="403"') >= 1
        assert bridge.metric("cosybridge_api_event_clients") == 1


async def test_a_bridge_that_stops_ends_its_placed_calls_and_its_streams() -> None:
    with RunningBridge({"media.standby": "false", "call.drain_s": "0"}) as running:
        async with callee() as phone, steering(running) as api:
            await api.ask("POST", "/api/calls", {"to": phone.uri})
            await api.until("call.answered")
            stopping = asyncio.create_task(asyncio.to_thread(running.stop))
            assert (await api.until("call.ended"))["reason"] == "bridge stopped"
            async with asyncio.timeout(5):
                while not api.socket.closed:
                    await api.socket.receive()
            assert await stopping == 0
        assert api.socket.close_code == 1001
        assert not [line for line in running.output if "ERROR" in line or "Traceback" in line]
