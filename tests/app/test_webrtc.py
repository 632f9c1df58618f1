"""Offers of browsers over real HTTP; who serves the calls is played by the test."""

import asyncio
import inspect
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import aiohttp
import pytest

from bridge.aio.browser_call import BrowserCall
from bridge.aio.http import HttpServer, HttpSettings
from bridge.aio.tasks import Tasks
from bridge.app import webrtc
from bridge.app.metrics import Metrics
from bridge.app.webrtc import (
    CANDIDATES,
    ENDS,
    OFFERS,
    PATH,
    TOKENS,
    BrowserDesk,
    BrowserSettings,
    IceServer,
    holds,
)
from bridge.app.webrtc_meter import BrowserMeter
from bridge.errors import CallEnded
from tests.fakes import ManualClock, SeededIds

TOKEN = "only-for-this-test"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
OFFER = {"Content-Type": "application/sdp"}
SHOP = "https://shop.example"


@dataclass
class House:
    """A desk behind a server; its calls are answered, refused or left waiting."""

    clock: ManualClock = field(default_factory=ManualClock)
    mood: int = 0
    """Status to refuse with; 0 answers, -1 breaks, -2 waits."""
    calls: list[BrowserCall] = field(default_factory=list)
    asked: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    """Released for each token that is looked at."""
    desk: BrowserDesk = field(init=False)
    server: HttpServer = field(init=False)

    async def serve(self, call: BrowserCall) -> None:
        self.calls.append(call)
        if self.mood > 0:
            call.reject(self.mood)
            return
        if self.mood == -1:
            raise ZeroDivisionError("a bug of ours")
        if self.mood == 0:
            await call.answer(b"v=0 answer")
        await call.ended

    def is_key(self, token: str) -> bool:
        self.asked.release()
        return holds(TOKEN)(token)

    async def ask(
        self, method: str, path: str, *, data: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, str, dict[str, str]]:
        host, port = self.server.listen
        async with (
            aiohttp.ClientSession() as client,
            client.request(method, f"http://{host}:{port}{path}", data=data, headers=headers) as answer,
        ):
            links = answer.headers.getall("Link", [])
            return answer.status, await answer.text(), {**answer.headers, "Links": " | ".join(links)}

    async def offer(self, *, query: str = "", **headers: str) -> tuple[int, str, dict[str, str]]:
        given = OFFER | BEARER | {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.ask("POST", PATH + query, data=b"v=0 offer", headers=given)


async def opened(settings: BrowserSettings) -> House:
    house = House()
    house.desk = BrowserDesk(
        settings,
        serve=house.serve,
        is_key=house.is_key,
        local_ip=lambda _peer: "127.0.0.1",
        clock=house.clock,
        dice=SeededIds(),
    )
    http = HttpSettings(listen=("127.0.0.1", 0), token=TOKEN)
    house.server = await HttpServer.start(http, house.desk.routes(), dice=SeededIds(), own_doors=(PATH,))
    return house


@pytest.fixture
async def house() -> AsyncIterator[House]:
    ice = (
        IceServer(("stun:stun.example",)),
        IceServer(("turn:turn.example?transport=udp",), username="me", credential="secret"),
    )
    house = await opened(
        BrowserSettings(origins=(SHOP,), ice_servers=ice, max_calls_per_client=3, offers_per_s=50)
    )
    yield house
    await house.desk.close()
    await house.server.close()


async def test_an_offer_is_answered_and_hung_up_by_its_address(house: House) -> None:
    status, body, headers = await house.offer(query="?to=sales")
    assert (status, body) == (201, "v=0 answer")
    assert headers["Content-Type"] == "application/sdp"
    (call,) = house.calls
    assert (call.to_user, call.sdp, call.source[0]) == ("sales", b"v=0 offer", "127.0.0.1")
    assert headers["Links"].startswith('<stun:stun.example>; rel="ice-server" | <turn:turn.example')
    assert 'username="me"; credential="secret"; credential-type="password"' in headers["Links"]

    status, _, _ = await house.ask("DELETE", headers["Location"])
    assert status == 200
    assert await call.ended == "caller hung up"
    await asyncio.sleep(0)
    status, _, _ = await house.ask("DELETE", headers["Location"])
    assert status == 404


async def test_the_name_that_lists_and_events_tell_of_a_call_does_not_end_it(house: House) -> None:
    _, _, headers = await house.offer()
    (call,) = house.calls
    kind = {"Content-Type": "application/trickle-ice-sdpfrag"}
    place = headers["Location"]
    assert place.rpartition("/")[2] == call.call_id  # by that the page's server finds it

    for guess in (f"{PATH}/calls/{call.call_id}", f"{PATH}/calls/{call.call_id}/{call.call_id}"):
        assert (await house.ask("DELETE", guess))[0] in (404, 405)
        assert (await house.ask("PATCH", guess, data=b"x", headers=kind))[0] in (404, 405)

    assert not call.ended.done()
    assert (await house.ask("DELETE", place))[0] == 200


async def test_a_page_may_choose_who_speaks(house: House) -> None:
    await house.offer(query="?to=sales&voice=longanhuan&model=cosyvoice-v3-flash")
    (call,) = house.calls
    assert (call.to_user, call.voice, call.model) == ("sales", "longanhuan", "cosyvoice-v3-flash")


async def test_who_speaks_must_be_a_name(house: House) -> None:
    for query in ("?voice=a%0Ab", "?model=" + "x" * 65):
        status, body, _ = await house.offer(query=query)
        assert (status, "voice and model" in body) == (400, True)
    assert house.calls == []


async def test_a_visitor_leaves_the_voice_to_the_number(house: House) -> None:
    _, body, _ = await house.ask("POST", PATH + "/tokens", headers=BEARER)
    token = json.loads(body)["token"]
    status, body, _ = await house.offer(query="?voice=longanhuan", Authorization=f"Bearer {token}")
    assert status == 403
    assert "join token" in body
    assert (await house.offer(Authorization=f"Bearer {token}"))[0] == 201  # it was not used up


async def test_servers_are_told_beforehand_to_whoever_may_call(house: House) -> None:
    status, _, headers = await house.ask("OPTIONS", PATH, headers=BEARER)
    assert status == 204
    assert headers["Links"].startswith('<stun:stun.example>; rel="ice-server" | <turn:turn.example')

    _, _, headers = await house.ask("OPTIONS", PATH)
    assert headers["Links"] == ""


async def test_candidates_are_taken_and_a_restart_is_refused(house: House) -> None:
    _, _, headers = await house.offer()
    place, kind = headers["Location"], {"Content-Type": "application/trickle-ice-sdpfrag"}
    status, _, _ = await house.ask(
        "PATCH", place, data=b"a=candidate:1 1 udp 1 x.local 9 typ host", headers=kind
    )
    assert status == 204
    status, body, _ = await house.ask(
        "PATCH", place, data=b"a=ice-ufrag:new", headers=kind | {"If-Match": "*"}
    )
    assert status == 422
    assert "call again" in body
    assert (await house.ask("PATCH", place, data=b"x"))[0] == 415
    assert (await house.ask("PATCH", place + "0", data=b"x", headers=kind))[0] == 404


async def test_a_join_token_opens_one_call_to_its_number(house: House) -> None:
    status, body, _ = await house.ask("POST", PATH + "/tokens?to=support", headers=BEARER)
    assert status == 201
    token = body.split('"token":"')[1].split('"')[0]
    given = OFFER | {"Authorization": f"Bearer {token}"}
    status, _, headers = await house.ask("POST", PATH + "?to=boss", data=b"v=0", headers=given)
    assert status == 201
    assert house.calls[0].to_user == "support"
    assert (await house.ask("DELETE", headers["Location"]))[0] == 200
    status, body, _ = await house.ask("POST", PATH, data=b"v=0", headers=given)
    assert status == 401
    assert "used already" in body
    assert (await house.ask("POST", PATH + "/tokens", headers=given))[0] == 401
    assert (await house.ask("POST", PATH + "/tokens?to=%0d%0a", headers=BEARER))[0] == 400


async def test_a_stranger_gets_no_call(house: House) -> None:
    status, body, headers = await house.ask("POST", PATH, data=b"v=0", headers=OFFER)
    assert status == 401
    assert headers["WWW-Authenticate"] == "Bearer"
    assert "no join token" in body
    assert not house.calls
    assert house.desk.counters["strangers"] == 1


async def test_pages_of_listed_origins_may_call_and_others_not(house: House) -> None:
    status, _, headers = await house.offer(Origin=SHOP)
    assert status == 201
    assert headers["Access-Control-Allow-Origin"] == SHOP
    status, _, headers = await house.ask("OPTIONS", PATH, headers={"Origin": SHOP})
    assert status == 204
    assert "PATCH" in headers["Access-Control-Allow-Methods"]
    status, _, headers = await house.offer(Origin="https://evil.example")
    assert status == 403
    assert "Access-Control-Allow-Origin" not in headers
    host, port = house.server.listen
    assert (await house.offer(Origin=f"http://{host}:{port}"))[0] == 201


@pytest.mark.parametrize(
    ("data", "kind", "query", "status"),
    [
        (b"", "application/sdp", "", 400),
        (b"v=0", "text/plain", "", 415),
        (b"v=0", "application/sdp", "?to=%00", 400),
        (b"v=0" * 40_000, "application/sdp", "", 413),
    ],
)
async def test_broken_offers_are_refused(
    house: House, data: bytes, kind: str, query: str, status: int
) -> None:
    answer = await house.ask("POST", PATH + query, data=data, headers=BEARER | {"Content-Type": kind})
    assert answer[0] == status
    assert not house.calls


@pytest.mark.parametrize(("sip", "http"), [(404, 404), (488, 422), (503, 503), (500, 500), (420, 422)])
async def test_a_refusal_of_the_exchange_has_a_status_of_http(house: House, sip: int, http: int) -> None:
    house.mood = sip
    status, body, headers = await house.offer()
    assert status == http
    assert "no call" in body
    assert ("Retry-After" in headers) is (sip == 503)


async def test_a_bug_in_a_call_is_a_500_and_harms_no_other(house: House) -> None:
    house.mood = -1
    assert (await house.offer())[0] == 500
    house.mood = 0
    assert (await house.offer())[0] == 201


async def test_limits_by_client_and_when_draining(house: House) -> None:
    for _ in range(3):
        assert (await house.offer())[0] == 201
    status, _, headers = await house.offer()
    assert (status, headers["Retry-After"]) == (503, "10")
    house.calls[0].leave()
    await asyncio.sleep(0)
    assert (await house.offer())[0] == 201
    house.calls[1].leave()
    await asyncio.sleep(0)
    house.desk.is_draining = True
    assert (await house.offer())[0] == 503


async def test_offers_that_arrive_slowly_pass_no_limit_together(house: House) -> None:
    everybody_is_in = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b"v=0"
        await everybody_is_in.wait()
        yield b" offer"

    host, port = house.server.listen
    async with aiohttp.ClientSession() as client:

        async def offer() -> int:
            async with client.post(
                f"http://{host}:{port}{PATH}", data=body(), headers=OFFER | BEARER
            ) as answer:
                return answer.status

        async with Tasks("slow pages") as tasks:
            offers = [tasks.start(offer(), name=str(number)) for number in range(8)]
            for _ in offers:
                await house.asked.acquire()
            everybody_is_in.set()
            statuses = sorted([await each for each in offers])

    assert statuses == [201] * 3 + [503] * 5
    assert len(house.calls) == 3


async def test_too_many_offers_of_one_client() -> None:
    house = await opened(BrowserSettings(offers_per_s=2))
    statuses = [(await house.ask("POST", PATH, data=b"v=0", headers=OFFER))[0] for _ in range(8)]
    assert statuses == [401] * 4 + [429] * 4
    await house.desk.close()
    await house.server.close()


async def test_a_call_that_ended_cannot_be_answered() -> None:
    call = BrowserCall("one", to_user="hello", sdp=b"v=0", source=("127.0.0.1", 1), local_ip="127.0.0.1")
    call.leave()
    with pytest.raises(CallEnded):
        await call.answer(b"v=0")
    assert (call.status, await call.ended) == (487, "rejected")


async def test_closing_ends_every_call(house: House) -> None:
    await house.offer()
    await house.desk.close()
    assert await house.calls[0].ended == "bridge stopped"


async def test_what_happens_at_the_desk_is_told_to_prometheus(house: House) -> None:
    metrics = Metrics()
    BrowserMeter(metrics, house.desk)
    _, body, _ = await house.ask("POST", PATH + "/tokens", headers=BEARER)
    visitor = f"Bearer {json.loads(body)['token']}"
    _, _, headers = await house.offer(Authorization=visitor)
    await house.offer(Authorization=visitor)
    await house.offer(Origin="https://evil.example")
    kind = {"Content-Type": "application/trickle-ice-sdpfrag"}
    await house.ask("PATCH", headers["Location"], data=b"a=candidate:1", headers=kind)
    await house.ask("PATCH", headers["Location"] + "0", data=b"a=candidate:1", headers=kind)

    told = dict(
        line.removeprefix("cosybridge_browser_").rsplit(" ", 1)
        for line in metrics.scrape().decode().splitlines()
        if line.startswith("cosybridge_browser_")
    )

    assert told.pop("calls_active") == "1.0"
    once = {name for name, value in told.items() if value == "1.0"}
    assert once == {
        'offers_total{outcome="calls"}',
        'offers_total{outcome="strangers"}',
        'offers_total{outcome="foreign"}',
        'candidates_total{outcome="taken"}',
        'candidates_total{outcome="refused"}',
        'tokens_total{outcome="issued"}',
        'tokens_total{outcome="redeemed"}',
        'tokens_total{outcome="refused"}',
    }
    assert {value for name, value in told.items() if name not in once} == {"0.0"}


async def test_every_count_of_the_desk_has_a_series() -> None:
    counted = set(re.findall(r'counters\["(\w+)"', inspect.getsource(webrtc)))
    counted |= {"candidates_refused"}  # the other half of a choice

    assert counted == {*OFFERS, *CANDIDATES, *TOKENS}


@pytest.mark.parametrize(
    ("reason", "how"),
    [
        ("caller hung up", "ended_page"),
        ("peer closed its media", "ended_page"),
        ("no media", "ended_vanished"),
        ("no usable answer", "ended_unconnected"),
        ("agent finished", "ended_bridge"),
    ],
)
async def test_how_a_call_ended_is_counted(house: House, reason: str, how: str) -> None:
    await house.offer()
    await house.calls[0].hangup(reason)
    await house.desk.close()

    assert {name: house.desk.counters[name] for name in ENDS if house.desk.counters[name]} == {how: 1}


async def test_a_call_that_was_refused_has_no_end(house: House) -> None:
    house.mood = 404
    await house.offer()
    await house.desk.close()

    assert not any(house.desk.counters[name] for name in ENDS)
