"""Calls that are placed, shown and ended by the API."""

import asyncio
from typing import Any

import pytest

from bridge.app.config import Config
from bridge.audio import OpusFormat, PcmFormat
from bridge.call.bus import Subscription
from bridge.ports import Voice
from tests.app.api_house import House, house
from tests.call.fakes import ScriptedSpeech, ScriptedVoice
from tests.call.test_exchange import heard
from tests.fakes import ManualClock
from tests.sip.messages import parsed_request, reply

TRUNKED = {
    "trunks": [
        {"name": "one", "server": "127.0.0.1:9", "dials": ["+49*"]},
        {"name": "two", "server": "127.0.0.1:9", "dials": ["+43*"]},
    ]
}


class Attended(ScriptedVoice):
    """A voice that says when it is first asked for."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.asked = asyncio.Event()

    def speak(self, voice: Voice, format: PcmFormat | OpusFormat) -> ScriptedSpeech:
        self.asked.set()
        return super().speak(voice, format)


async def until(subscription: Subscription, kind: str) -> dict[str, Any]:
    async with asyncio.timeout(5):
        while (notice := await subscription.next()) is not None:
            if notice.kind == kind:
                return dict(notice.data)
    raise AssertionError("closed")


async def placed(served: House, **order: Any) -> str:  # noqa: ANN401
    status, body = await served.ask("POST", "/api/calls", {"to": served.number, **order})
    assert status == 201, body
    assert body["state"] == "calling"
    return str(body["id"])


async def test_a_call_is_placed_with_what_was_ordered_and_stays_until_it_is_ended() -> None:
    voice = ScriptedVoice(ManualClock())
    async with house(voice=voice) as served:
        listening = served.exchange.bus.subscribe()
        order = {"from": "4930", "headers": {"X-Case": "17"}, "greeting": "Good morning.", "voice": "tone"}
        id = await placed(served, **order)
        invite = parsed_request(await served.picked_up())
        assert (await until(listening, "call.answered"))["codec"] == "PCMA"
        status, told = await served.ask("GET", f"/api/calls/{id}")

        assert invite.headers.get("X-Case") == "17"
        assert "sip:4930@" in str(invite.headers.get("From"))
        assert (status, told["state"], told["direction"]) == (200, "up", "outbound")
        assert voice.speeches

        assert await served.ask("DELETE", f"/api/calls/{id}?reason=enough") == (204, "")
        await served.hung_up()
        assert await until(listening, "call.ended") == {"reason": "enough", "status": None}
        _, told = await served.ask("GET", f"/api/calls/{id}")
        assert (told["state"], told["reason"]) == ("ended", "enough")


async def test_where_a_new_call_is_found_is_said() -> None:
    async with house() as served:
        async with served.client.post("/api/calls", json={"to": served.number}) as answer:
            body = await answer.json()

        assert answer.headers["Location"] == f"/api/calls/{body['id']}"


@pytest.mark.parametrize(
    "body",
    [
        b'{"to": "sip:1@127.0.0.1", "headers": {"X-Case": "\\ud800"}}',
        b'{"to": "sip:1@127.0.0.1", "headers": {"\\ud800": "17"}}',
        b'{"to": "sip:1@127.0.0.1", "\\ud800": 17}',
        b'{"to": "sip:\\udcff@127.0.0.1"}',
        b'{"to": "sip:1@127.0.0.1", "greeting": "\\ud800"}',
        b'{"to": "sip:1@127.0.0.1", "agent": "\\ud800:x"}',
    ],
)
async def test_half_a_character_is_refused_wherever_it_stands(body: bytes) -> None:
    async with house() as served:
        json = {"Content-Type": "application/json"}
        status, told = await served.ask("POST", "/api/calls", body, headers=json)

        assert (status, told["status"]) == (422, 422)
        assert served.exchange.calls() == []


async def test_a_call_that_still_rings_is_given_up() -> None:
    async with house() as served:
        id = await placed(served)
        served.phone.peer = served.sip.listen
        invite = parsed_request(await heard(served.phone, b"INVITE "))
        served.phone.say(bytes(reply(invite, 180)))
        listening = served.exchange.bus.subscribe()

        assert await served.ask("DELETE", f"/api/calls/{id}") == (204, "")

        assert await heard(served.phone, b"CANCEL ")
        served.phone.say(bytes(reply(invite, 487)))
        assert await until(listening, "call.ended") == {"reason": "ended by the API", "status": None}


async def test_why_a_call_was_declined_is_told() -> None:
    async with house() as served:
        listening = served.exchange.bus.subscribe()
        id = await placed(served)
        served.phone.peer = served.sip.listen
        served.phone.say(bytes(reply(parsed_request(await heard(served.phone, b"INVITE ")), 486)))

        assert await until(listening, "call.ended") == {"reason": "declined with 486", "status": 486}
        assert (await served.ask("GET", f"/api/calls/{id}"))[1]["status"] == 486


@pytest.mark.parametrize("order", [{"agent": "default"}, {"route": "17"}])
async def test_an_agent_may_speak_on_a_placed_call(order: dict[str, str]) -> None:
    routes = [{"to": "17", "agent": "tests.e2e.agents:story", "greeting": "Hi."}, {"to": "*"}]
    voice = Attended(ManualClock())
    async with house(Config.model_validate({"routes": routes}), voice=voice) as served:
        await placed(served, **order)
        await served.picked_up()

        async with asyncio.timeout(5):
            await voice.asked.wait()
            await voice.speeches[0].finished.wait()
        beginning = {"default": "Hello, this is the cosy bridge.", "17": "My grandmother"}
        assert voice.speeches[0].text.startswith(beginning[next(iter(order.values()))])


@pytest.mark.parametrize(
    ("order", "status", "says"),
    [
        ({"to": "sip:1@192.0.2.9"}, 403, "sip.dial_allow=127.0.0.0/8,192.0.2.9"),
        ({"to": "+493012345"}, 422, "no telephone number that a trunk could call"),
        ({"to": "sip:1@127.0.0.1:99999"}, 422, "port"),
        ({"to": "sip:1@nowhere.invalid"}, 422, "has no address"),
        ({"to": "sip:1@127.0.0.1", "trunk": "none"}, 422, "there is no trunk none"),
        ({"to": "sip:1@127.0.0.1", "agent": "os:abort"}, 422, "[[routes]]"),
        ({"to": "sip:1@127.0.0.1", "agent": "no module"}, 422, "agent"),
        ({"to": "sip:1@127.0.0.1", "route": "9"}, 422, "no route answers 9"),
        ({"to": "sip:1@127.0.0.1", "route": "1", "agent": "default"}, 422, "not both"),
        ({"to": "sip:1@127.0.0.1", "headers": {"Via": "x"}}, 422, "own to set"),
        ({"to": "sip:1@127.0.0.1", "headers": {"X-A": "b\r\nVia: c"}}, 422, "line break"),
        ({"to": "sip:1@127.0.0.1", "headers": {f"X-{n}": "b" for n in range(17)}}, 422, "16 headers"),
        ({"to": "sip:1@127.0.0.1", "from": "a b"}, 422, "from"),
        ({"to": "sip:1@127.0.0.1", "ring_timeout_s": 0}, 422, "ring_timeout_s"),
        ({"to": "sip:1@127.0.0.1", "tO": "x"}, 422, "tO"),
        ({"to": 7}, 422, "to"),
        ({}, 422, "to"),
    ],
)
async def test_what_may_not_be_called_is_refused_with_a_reason(
    order: dict[str, Any], status: int, says: str
) -> None:
    async with house(Config.model_validate({"routes": [{"to": "1"}]})) as served:
        answered, problem = await served.ask("POST", "/api/calls", order)

        assert (answered, problem["status"]) == (status, status)
        assert says in f"{problem['detail']} {problem.get('fix', '')}"
        assert served.exchange.calls() == []


@pytest.mark.parametrize(
    ("order", "status", "says"),
    [
        ({"to": "+4312345678"}, 201, ""),
        ({"to": "+493012345", "trunk": "one"}, 201, ""),
        ({"to": "+493012345", "trunk": "two"}, 403, "the dials of trunk two"),
        ({"to": "+15551234567"}, 403, "the dials of any trunk"),
        ({"to": "hello", "trunk": "one"}, 422, "no telephone number"),
        # A number at a trunk's domain is a number, whatever dial_allow says of the address.
        ({"to": "sip:+15551234567@127.0.0.1:9"}, 403, "the dials of any trunk"),
    ],
)
async def test_numbers_go_by_the_dial_plan_of_the_trunks(
    order: dict[str, str], status: int, says: str
) -> None:
    async with house(Config.model_validate(TRUNKED)) as served:
        answered, body = await served.ask("POST", "/api/calls", order)

        assert answered == status
        assert says in body.get("detail", "")


async def test_a_trunk_that_is_full_ends_the_call_with_a_reason() -> None:
    settings = {"trunks": [{"name": "one", "server": "127.0.0.1:9", "dials": ["+49*"], "max_calls_per_s": 1}]}
    async with house(Config.model_validate(settings)) as served:
        listening = served.exchange.bus.subscribe()
        for _ in range(3):
            await served.ask("POST", "/api/calls", {"to": "+493012345"})

        assert (await until(listening, "call.ended"))["reason"] == "refused by its trunk"


async def test_a_bridge_that_shuts_down_places_no_calls() -> None:
    async with house() as served:
        listening = served.exchange.bus.subscribe()
        await placed(served)
        served.switchboard.give_up("bridge stopped")

        assert await until(listening, "call.ended") == {"reason": "bridge stopped", "status": None}
        status, problem = await served.ask("POST", "/api/calls", {"to": served.number})
        assert (status, "shutting down" in problem["detail"]) == (503, True)


async def test_one_key_is_one_call() -> None:
    async with house() as served:
        order, key = {"to": served.number}, {"Idempotency-Key": "a7"}
        first = await served.ask("POST", "/api/calls", order, headers=key)
        again = await served.ask("POST", "/api/calls", order, headers=key)
        other = await served.ask("POST", "/api/calls", order, headers={"Idempotency-Key": "a8"})
        misused = await served.ask("POST", "/api/calls", {"to": "sip:2@127.0.0.1"}, headers=key)
        too_long = await served.ask("POST", "/api/calls", order, headers={"Idempotency-Key": "k" * 129})

        assert first[0] == 201
        assert again == first
        assert other[1]["id"] != first[1]["id"]
        assert (misused[0], too_long[0]) == (422, 400)
        assert len(served.exchange.calls()) == 2


async def test_orders_are_limited_and_looking_is_not() -> None:
    async with house(orders_per_s=2) as served:
        for _ in range(4):
            assert (await served.ask("DELETE", "/api/calls/none"))[0] == 404
        async with served.client.delete("/api/calls/none") as answer:
            problem = await answer.json()
        assert (answer.status, answer.headers["Retry-After"]) == (429, "1")
        assert "api.orders_per_s" in problem["fix"]

        for _ in range(10):
            assert (await served.ask("GET", "/api/calls"))[0] == 200
        served.clock.advance(1000)
        assert (await served.ask("DELETE", "/api/calls/none"))[0] == 404


async def test_the_calls_are_listed_and_drawn() -> None:
    async with house() as served:
        assert await served.ask("GET", "/api/calls") == (200, {"calls": []})
        id = await served.called()

        _, body = await served.ask("GET", "/api/calls")
        status, drawing = await served.ask("GET", f"/api/calls/{id}/path")

        assert [(call["id"], call["state"]) for call in body["calls"]] == [(id, "up")]
        assert (status, "jitter" in drawing) == (200, True)


async def test_a_call_that_came_is_hung_up() -> None:
    async with house() as served:
        id = await served.called()
        assert await served.ask("DELETE", f"/api/calls/{id}?reason=enough") == (204, "")
        await served.hung_up()

        await served.exchange.empty()
        assert (await served.ask("GET", f"/api/calls/{id}"))[1]["reason"] == "enough"
        assert (await served.ask("DELETE", f"/api/calls/{id}"))[0] == 410
        assert (await served.ask("DELETE", f"/api/calls/{id}?reason=a%0Ab"))[0] == 422


@pytest.mark.parametrize(
    ("body", "kind", "status", "says"),
    [
        (b"{", "application/json", 400, "no JSON"),
        (b"[" * 40_000, "application/json", 400, "no JSON"),
        (b"[]", "application/json", 400, "object"),
        (b'{"to": "sip:1@127.0.0.1"}', "text/plain", 415, "application/json"),
        (b"", "application/json", 400, "no JSON"),
        (b"\xff\xfe", "application/json", 400, "no JSON"),
        (b'{"to": "' + b"1" * 70_000 + b'"}', "application/json", 413, "larger"),
    ],
)
async def test_a_body_that_is_none_is_refused(body: bytes, kind: str, status: int, says: str) -> None:
    async with house() as served:
        answered, problem = await served.ask("POST", "/api/calls", body, headers={"Content-Type": kind})

        assert answered == status
        assert says in problem["detail"]


async def test_nobody_without_a_token_or_from_a_foreign_page_is_served() -> None:
    async with house() as served:
        order = {"to": served.number}
        stranger = await served.ask("POST", "/api/calls", order, headers={"Authorization": "Bearer wrong"})
        foreign = await served.ask("POST", "/api/calls", order, headers={"Origin": "http://evil.example"})
        rebound = await served.ask("POST", "/api/calls", order, headers={"Host": "evil.example"})

        assert [answer[0] for answer in (stranger, foreign, rebound)] == [401, 403, 403]
        assert all(answer[1]["fix"] for answer in (stranger, foreign, rebound))
        assert served.exchange.calls() == []
