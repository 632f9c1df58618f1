"""Calls are handed on, by us and by others: sipp plays whoever sends or is sent, strictly."""

import time
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import agents
from tests.e2e.running import RunningBridge, free_port
from tests.interop.foreign import adapt, ended_well, run_sipp, sipp

pytestmark = [pytest.mark.interop("sipp"), pytest.mark.timeout(120)]

SCENARIOS = Path(__file__).parent / "sipp"


def run(peer: str, name: str, bridge: RunningBridge, user: str, folder: Path, **words: str) -> None:
    """Run a scenario to its good end; `words` replace what stands in brackets."""
    scenario = adapt(SCENARIOS / name, folder, {f"[{word}]": value for word, value in words.items()})
    run_sipp(peer, scenario, folder, f"127.0.0.1:{bridge.sip_port}", "-s", user, "-m", "1", "-timeout", "40")


def calls(bridge: RunningBridge) -> list[dict[str, Any]]:
    found = bridge.get("/api/calls")["calls"]
    assert isinstance(found, list)
    return found


def until_one_has_ended(bridge: RunningBridge) -> list[tuple[str, str, str]]:
    """How the bridge's calls are, once one of them is over."""
    for _ in range(100):
        states = sorted((call["direction"], call["state"], call["reason"]) for call in calls(bridge))
        if any(state == "ended" for _, state, _ in states):
            break
        time.sleep(0.05)
    return states


def test_sipp_is_sent_to_somebody_else(peer: str, tmp_path: Path) -> None:
    with RunningBridge(agents.routes(sender="tone")) as bridge:
        run(peer, "uac_transferred.xml", bridge, "sender", tmp_path)
        (call,) = calls(bridge)

    assert (call["state"], call["reason"]) == ("ended", "transferred")


def test_sipp_sends_us_to_somebody_else(peer: str, tmp_path: Path) -> None:
    settings = agents.routes(ticker="tone") | {"sip.refer": "follow"}
    with RunningBridge(settings) as bridge:
        target = f"sip:ticker@127.0.0.1:{bridge.sip_port}"
        run(peer, "uac_transfers.xml", bridge, "ticker", tmp_path, target=target)
        states = until_one_has_ended(bridge)

    assert states == [
        ("inbound", "ended", "caller hung up"),
        ("inbound", "up", ""),
        ("outbound", "up", ""),
    ]


def test_a_call_of_ours_is_sent_on_by_one_sipp_and_answered_by_another(peer: str, tmp_path: Path) -> None:
    moved, there = free_port(), free_port()
    target = {"[target]": f"sip:ann@127.0.0.1:{there}"}
    scenario = adapt(SCENARIOS / "uas_redirects.xml", tmp_path, target)
    with RunningBridge(agents.routes(chapters="tone")) as bridge:
        phones = {
            name: sipp(peer, plays, tmp_path, "-p", str(port), "-m", "1", "-timeout", "40", name=name)
            for name, plays, port in (("redirecting", scenario, moved), ("answering", "uas", there))
        }
        bridge.post("/api/calls", {"to": f"sip:lena@127.0.0.1:{moved}", "route": "chapters"})
        for name, phone in phones.items():
            ended_well(phone, tmp_path, name=name)
        (call,) = calls(bridge)

    assert (call["state"], call["reason"]) == ("ended", "agent finished")
