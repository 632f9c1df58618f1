"""sipp and the bridge give up on each other while they answer: every race of a CANCEL (RFC 3261 §9)."""

import asyncio
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import agents
from tests.e2e.lab import ended, eventually, nothing_left
from tests.e2e.running import RunningBridge, free_port
from tests.interop.foreign import adapt, ended_well, run_sipp, sipp

pytestmark = [pytest.mark.interop("sipp"), pytest.mark.timeout(120)]

SCENARIOS = Path(__file__).parent / "sipp"
CALLS = 15
PATIENCE_MS = (30, 48, 52, 500)
"""Around the time after which the bridge answers."""


def call_bridge(peer: str, scenario: Path, bridge: RunningBridge, folder: Path, *more: str) -> None:
    target = f"127.0.0.1:{bridge.sip_port}"
    run_sipp(peer, scenario, folder, target, "-s", "holding", "-timeout", "60", *more)


async def test_a_cancel_after_the_answer_is_answered_and_has_no_effect(peer: str, tmp_path: Path) -> None:
    with RunningBridge(agents.routes(holding="tone")) as bridge:
        async with nothing_left(bridge):
            await asyncio.to_thread(
                call_bridge, peer, SCENARIOS / "uac_cancels_too_late.xml", bridge, tmp_path, "-m", "1"
            )
        (call,) = bridge.get("/api/calls")["calls"]

    # It went on until sipp's BYE, as the scenario insists.
    assert call["reason"] == "caller hung up"


async def test_a_cancel_that_crosses_the_answer_ends_the_call_or_leaves_it_whole(
    peer: str, tmp_path: Path
) -> None:
    settings = {**agents.routes(holding="tone"), "sip.answer_after_ms": 50}
    outcomes: list[str] = []
    with RunningBridge(settings) as bridge:
        async with nothing_left(bridge):
            for patience_ms in PATIENCE_MS:
                folder = tmp_path / str(patience_ms)
                folder.mkdir()
                scenario = adapt(SCENARIOS / "uac_crosses.xml", folder, {"1050": patience_ms})
                paced = ("-m", str(CALLS), "-r", "20", "-default_behaviors", "all,-abortunexp")
                await asyncio.to_thread(call_bridge, peer, scenario, bridge, folder, *paced)
                outcomes += (folder / "sipp.log").read_text().splitlines()
        reasons = [call["reason"] for call in bridge.get("/api/calls")["calls"]]

    told = Counter(outcomes)
    print(told)
    assert len(outcomes) == len(reasons) == CALLS * len(PATIENCE_MS)
    # Each has happened, and both sides agree on every call.
    answered = told["crossed"] + told["answered before"]
    assert min(told["in time"], answered) > 0
    assert reasons.count("caller gave up") == told["in time"]
    assert reasons.count("caller hung up") == answered


@pytest.mark.parametrize(
    ("name", "answers"),
    [
        ("uas_cancelled.xml", "487"),
        ("uas_answers_late.xml", "200 before that to the CANCEL"),
        ("uas_answers_after.xml", "200 after that to the CANCEL"),
        ("uas_knows_no_cancel.xml", "200 after 481 to the CANCEL"),
    ],
)
async def test_who_is_hung_up_on_while_it_rings_may_end_it_with(
    peer: str, tmp_path: Path, name: str, answers: str
) -> None:
    port = free_port()
    with RunningBridge() as bridge:
        async with nothing_left(bridge):
            phone = sipp(peer, SCENARIOS / name, tmp_path, "-m", "1", "-timeout", "30", "-p", str(port))
            try:
                placed = await asyncio.to_thread(
                    bridge.post, "/api/calls", {"to": f"sip:late@127.0.0.1:{port}"}
                )
                path = f"/api/calls/{placed['id']}"

                async def rings() -> bool:
                    return bool((await asyncio.to_thread(bridge.get, path))["state"] == "ringing")

                await eventually(rings, timeout_s=10, what=lambda: f"{answers}: it never rang")
                await asyncio.to_thread(hang_up, bridge, path)
                await asyncio.to_thread(ended_well, phone, tmp_path)
            finally:
                phone.kill()
                phone.wait()
            told: dict[str, Any] = await ended(bridge, placed["id"])

    assert told["reason"] == "changed our mind"


def hang_up(bridge: RunningBridge, path: str) -> None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{bridge.http_port}{path}?reason=changed+our+mind",
        headers={"Authorization": f"Bearer {bridge.token}"},
        method="DELETE",
    )
    with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310  our own child
        assert answer.status == 204
