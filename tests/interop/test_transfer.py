"""Calls are handed on, by us and by others: sipp plays whoever sends or is sent, strictly."""

import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import agents
from tests.e2e.running import RunningBridge, free_port

pytestmark = [pytest.mark.interop("sipp"), pytest.mark.timeout(120)]

SCENARIOS = Path(__file__).parent / "sipp"


def sipp(peer: str, name: str, bridge: RunningBridge, user: str, folder: Path, **words: str) -> None:
    """Run a scenario to its good end; `words` replace what stands in brackets."""
    text = (SCENARIOS / name).read_text()
    for word, value in words.items():
        text = text.replace(f"[{word}]", value)
    (folder / name).write_text(text)
    command = [peer, f"127.0.0.1:{bridge.sip_port}", "-s", user, "-sf", str(folder / name), "-m", "1"]
    command += [
        "-i",
        "127.0.0.1",
        "-p",
        str(free_port()),
        "-mi",
        "127.0.0.1",
        "-mp",
        str(free_port() // 2 * 2),
    ]
    command += ["-nostdin", "-timeout", "40", "-timeout_error", "-trace_err"]
    command += ["-error_file", str(folder / "errors")]
    done = subprocess.run(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    errors = (folder / "errors").read_text() if (folder / "errors").exists() else ""
    assert done.returncode == 0, errors + done.stdout[-3000:]


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
        sipp(peer, "uac_transferred.xml", bridge, "sender", tmp_path)
        (call,) = calls(bridge)

    assert (call["state"], call["reason"]) == ("ended", "transferred")


def test_sipp_sends_us_to_somebody_else(peer: str, tmp_path: Path) -> None:
    settings = agents.routes(ticker="tone") | {"sip.refer": "follow"}
    with RunningBridge(settings) as bridge:
        target = f"sip:ticker@127.0.0.1:{bridge.sip_port}"
        sipp(peer, "uac_transfers.xml", bridge, "ticker", tmp_path, target=target)
        states = until_one_has_ended(bridge)

    assert states == [
        ("inbound", "ended", "caller hung up"),
        ("inbound", "up", ""),
        ("outbound", "up", ""),
    ]


def waiting(peer: str, scenario: list[str], port: int, folder: Path) -> "subprocess.Popen[str]":
    command = [peer, *scenario, "-i", "127.0.0.1", "-p", str(port), "-m", "1", "-nostdin"]
    command += ["-mi", "127.0.0.1", "-mp", str(free_port() // 2 * 2), "-timeout", "40", "-timeout_error"]
    return subprocess.Popen(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_a_call_of_ours_is_sent_on_by_one_sipp_and_answered_by_another(peer: str, tmp_path: Path) -> None:
    moved, there = free_port(), free_port()
    scenario = (SCENARIOS / "uas_redirects.xml").read_text()
    (tmp_path / "uas.xml").write_text(scenario.replace("[target]", f"sip:ann@127.0.0.1:{there}"))
    with RunningBridge(agents.routes(chapters="tone")) as bridge:
        phones = [
            waiting(peer, ["-sf", str(tmp_path / "uas.xml")], moved, tmp_path),
            waiting(peer, ["-sn", "uas"], there, tmp_path),
        ]
        bridge.post("/api/calls", {"to": f"sip:lena@127.0.0.1:{moved}", "route": "chapters"})
        printed = [phone.communicate(timeout=60)[0] for phone in phones]
        (call,) = calls(bridge)

    for phone, text in zip(phones, printed, strict=True):
        assert phone.returncode == 0, text[-3000:]
    assert (call["state"], call["reason"]) == ("ended", "agent finished")
