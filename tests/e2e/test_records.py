"""A bridge that is started again knows its calls; a collector is told of them."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.app.test_otel import collector
from tests.e2e.lab import eventually
from tests.e2e.running import RunningBridge

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


def ended(bridge: RunningBridge) -> list[dict[str, Any]]:
    return [call for call in bridge.get("/api/calls")["calls"] if call["state"] == "ended"]


async def test_a_bridge_that_is_started_again_knows_its_calls(tmp_path: Path) -> None:
    settings = {"records.enabled": "true", "records.path": tmp_path / "calls.sqlite"}
    with collector() as (endpoint, bodies):
        told = settings | {"start.self_call": "true", "otel.enabled": "true", "otel.endpoint": endpoint}
        with RunningBridge(told) as first:
            await eventually(lambda: asyncio.to_thread(ended, first), timeout_s=30)
            (call,) = ended(first)
            before = first.get(f"/api/calls/{call['id']}")
    assert any(b"bargein.mute" in body for body in bodies)

    with RunningBridge(settings) as second:
        (again,) = ended(second)
        after = second.get(f"/api/calls/{call['sip_call_id']}")

    assert again["id"] == call["id"]
    # Whoever sets the clock of the wall meanwhile moves it, by little.
    assert after["started_ns"] == pytest.approx(before["started_ns"], abs=50_000_000)
    assert after["media"] == before["media"]
    assert [each["cause"] for each in after["barge_ins"]] == [each["cause"] for each in before["barge_ins"]]
    assert after["barge_ins"]
