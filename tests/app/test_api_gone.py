"""Calls of before the bridge was started: they are known, and nothing can be asked of them any more."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bridge.call.archive_sqlite import SqliteArchive
from bridge.call.retention import Retention
from tests.app.api_house import House, house
from tests.call.records import ended, kept
from tests.fakes import ManualClock

OLD = ended("c0ffee0123456789")
ORDERS = {
    "say": {"text": "Hello?"},
    "play": {"name": "welcome.wav"},
    "stop": {},
    "dtmf": {"digits": "1"},
    "hold": {},
    "resume": {},
    "transfer": {"to": "sip:1@127.0.0.1"},
}


def records(path: Path) -> SqliteArchive:
    return SqliteArchive(
        path, recordings=None, retention=Retention(), clock=ManualClock(), offset_ns=lambda: 0
    )


@asynccontextmanager
async def restarted(path: Path) -> AsyncIterator[House]:
    """A house that begins after another one has kept the record of a call."""
    before = records(path)
    before.keep(kept(OLD))
    await before.close()
    after = records(path)
    try:
        async with house(archive=after) as served:
            await served.exchange.ledger.restore()
            yield served
    finally:
        await after.close()


def places(name: str) -> list[str]:
    return [f"/api/calls/{id}/{name}".removesuffix("/") for id in (OLD.id, OLD.sip_call_id)]


@pytest.mark.parametrize(("name", "order"), [*ORDERS.items(), ("", None)])
async def test_a_call_of_before_is_gone_and_not_unknown(tmp_path: Path, name: str, order: object) -> None:
    async with restarted(tmp_path / "calls.sqlite") as served:
        method = "POST" if name else "DELETE"
        answers = [await served.ask(method, place, order) for place in places(name)]
        unknown, _ = await served.ask(method, f"/api/calls/none/{name}".removesuffix("/"), order)
        _, told = await served.ask("GET", "/api/openapi.json")

    assert [(status, problem["detail"]) for status, problem in answers] == [(410, "the call is over")] * 2
    assert unknown == 404
    path = f"/api/calls/{{id}}/{name}".removesuffix("/")
    assert {"404", "410"} <= set(told["paths"][path][method.lower()]["responses"])


async def test_nothing_happens_any_more_in_a_call_of_before_and_its_record_is_where_to_look(
    tmp_path: Path,
) -> None:
    async with restarted(tmp_path / "calls.sqlite") as served:
        status, problem = await served.ask("GET", f"/api/events?call={OLD.id}")
        unknown, _ = await served.ask("GET", "/api/events?call=none")
        found, told = await served.ask("GET", problem["fix"].split()[2])

    assert (status, problem["detail"], unknown) == (410, "the call is over", 404)
    assert (found, told["reason"]) == (200, "caller hung up")
