"""The document describes what is served, and its examples are understood."""

import asyncio
import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from aiohttp import web

from bridge.app.api.answers import CallDetail, CallSummary, Interruption, Utterance
from bridge.app.api.document import document
from bridge.app.api.notes import EVENT
from bridge.app.webrtc import PATH, BrowserDesk, BrowserSettings
from bridge.app.webrtc_document import WHIP
from bridge.call.trace import BargeInRecord, CallTrace, UtteranceRecord
from tests.app.api_house import House, house
from tests.fakes import ManualClock, SeededIds


async def described(served: House) -> dict[str, Any]:
    status, told = await served.ask("GET", "/api/openapi.json")
    assert status == 200
    assert isinstance(told, dict)
    return told


async def test_every_route_is_described_and_nothing_else() -> None:
    async with house() as served:
        told = await described(served)
        served_routes = {
            (route.method, route.resource.canonical)
            for route in served.server._runner.app.router.routes()
            if route.resource is not None and route.method != "HEAD"
        }

    in_document = {(method.upper(), path) for path, methods in told["paths"].items() for method in methods}
    assert in_document == served_routes
    assert len(in_document) == len(
        {m["operationId"] for each in told["paths"].values() for m in each.values()}
    )


async def test_calls_from_browsers_are_described_as_they_are_served() -> None:
    desk = BrowserDesk(
        BrowserSettings(),
        serve=lambda _: asyncio.sleep(0),
        is_key=lambda _: False,
        local_ip=str,
        clock=ManualClock(),
        dice=SeededIds(),
    )
    served = {(each.method, each.path) for each in desk.routes() if isinstance(each, web.RouteDef)}
    async with house(also=WHIP) as house_:
        told = await described(house_)

    in_document = {
        (method.upper(), path)
        for path, methods in told["paths"].items()
        for method in methods
        if path.startswith(PATH)
    }
    assert in_document == {each for each in served if each[0] != "OPTIONS"}
    offer = told["paths"][PATH]["post"]
    assert list(offer["requestBody"]["content"]) == ["application/sdp"]
    assert list(offer["responses"]["201"]["content"]) == ["application/sdp"]
    assert {each["name"] for each in offer["parameters"]} == {"to", "voice", "model"}
    await desk.close()


async def test_every_reference_leads_somewhere() -> None:
    async with house() as served:
        told = await described(served)

    references = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(told)))
    assert references <= set(told["components"]["schemas"])
    assert {"PlaceCall", "CallDetail", "Event", "Message", "ProblemDetails"} <= references | {"Event"}
    assert "$defs" not in json.dumps(told)


async def test_every_example_is_understood() -> None:
    async with house() as served:
        for operation in served.api.operations():
            assert bool(operation.examples) == (operation.body is not None)
            for example in operation.examples:
                assert operation.body is not None
                operation.body.model_validate(example)


async def test_every_status_that_is_answered_in_tests_is_described() -> None:
    async with house() as served:
        told = await described(served)

    place = told["paths"]["/api/calls"]["post"]["responses"]
    assert set(place) == {"201", "400", "401", "403", "415", "422", "429", "503"}
    for status, answer in place.items():
        kind = "application/json" if status == "201" else "application/problem+json"
        assert list(answer["content"]) == [kind]


def test_the_models_have_the_fields_of_the_records() -> None:
    trace = CallTrace("a", "b", "inbound", 0)
    trace.utterances.append(UtteranceRecord(start_sample=0))
    trace.barge_ins.append(BargeInRecord())

    assert CallSummary(**trace.summary())
    detail = CallDetail(**trace.detail())
    assert detail.model_dump(mode="json")["id"] == "a"
    assert set(trace.detail()["utterances"][0]) == set(Utterance.model_fields)
    assert set(Interruption.model_fields) <= set(trace.detail()["barge_ins"][0])


def test_every_kind_of_event_has_a_description() -> None:
    schemas = document([])["components"]["schemas"]

    kinds = schemas["Event"]["discriminator"]["mapping"]
    assert "call.started" in kinds
    assert "from" in schemas["CallStarted"]["properties"]
    for reference in kinds.values():
        assert schemas[reference.rpartition("/")[2]]["description"]
    with pytest.raises(ValueError, match="type"):
        EVENT.validate_python({"type": "call.exploded"})


class Anchors(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.targets: set[str] = set()
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.add(str(value))
            if name in ("href", "src"):
                self.targets.add(str(value))


async def test_the_page_is_one_file_whose_links_lead_to_its_own_parts() -> None:
    async with house() as served, served.client.get("/api/docs") as answer:
        text = await answer.text()
        policy = answer.headers["Content-Security-Policy"]

    assert "default-src 'none'" in policy
    anchors = Anchors()
    anchors.feed(text)
    assert {target.removeprefix("#") for target in anchors.targets} <= anchors.ids
    assert "script" not in anchors.tags
    assert "POST /api/calls" in text
    assert "api.play_hosts" in text
