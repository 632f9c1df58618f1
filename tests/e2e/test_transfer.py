"""Two bridges: one of them joins two calls that it has with the other."""

import asyncio
from typing import Any

import pytest

from tests.e2e import agents
from tests.e2e.lab import eventually
from tests.e2e.running import RunningBridge

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


def calls(bridge: RunningBridge) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = bridge.get("/api/calls")["calls"]
    return sorted(found, key=lambda call: (call["direction"], call["state"]))


async def until_both_stand(bridge: RunningBridge, count: int) -> None:
    async def look() -> bool:
        found = await asyncio.to_thread(calls, bridge)
        return [call["state"] for call in found] == ["up"] * count

    await eventually(look, timeout_s=15)


async def test_two_parties_are_joined_and_hear_each_other() -> None:
    theirs = agents.routes(ticker="tone", musing="tone") | {"sip.refer": "follow"}
    ours = agents.routes(keeper="tone", joiner="tone")
    with RunningBridge(theirs) as other, RunningBridge(ours) as bridge:
        await asyncio.to_thread(bridge.post, "/api/calls", {"to": other.uri("ticker"), "route": "keeper"})
        await until_both_stand(bridge, 1)
        await asyncio.to_thread(bridge.post, "/api/calls", {"to": other.uri("musing"), "route": "joiner"})

        async def joined() -> bool:
            found = await asyncio.to_thread(calls, bridge)
            return [call["state"] for call in found] == ["ended", "ended"]

        await eventually(joined, timeout_s=20)
        await asyncio.sleep(1.5)
        found = await asyncio.to_thread(calls, other)
        media = [
            (await asyncio.to_thread(other.get, f"/api/calls/{call['id']}"))["media"]
            for call in found
            if call["state"] == "up"
        ]
        left = [call["reason"] for call in await asyncio.to_thread(calls, bridge)]

    assert "transferred" in left
    assert set(left) <= {"transferred", "callee hung up"}
    assert found[0]["reason"] in ("caller hung up", "transferred")
    assert [(call["direction"], call["state"]) for call in found] == [
        ("inbound", "ended"),
        ("inbound", "up"),
        ("outbound", "up"),
    ]
    for counters in media:
        assert counters["rx_packets"] > 50
        assert counters["tx_packets"] > 50
