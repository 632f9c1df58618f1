"""baresip is sent to somebody else by the bridge, and sends the bridge to somebody else."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import agents
from tests.e2e.running import RunningBridge
from tests.interop.network import OURS, THEIRS
from tests.interop.test_baresip import baresip, call_by_baresip

pytestmark = [pytest.mark.interop("baresip"), pytest.mark.timeout(120)]

LINE = {"sip.listen": f"{OURS}:5060", "media.bind_ip": OURS, "sip.dial_allow": f"{OURS}/32"}

ORDER = """\
import socket, sys
with socket.create_connection(("127.0.0.1", 4444), 3) as line:
    line.settimeout(3)
    line.sendall(sys.argv[1].encode())
    heard = b""
    while b'"response":true' not in heard:  # events come between
        heard += line.recv(4096)
print(heard.decode())
"""
"""Gives an order, in a netstring, and waits for its answer."""


def states(bridge: RunningBridge) -> list[tuple[str, str, str]]:
    found: list[dict[str, Any]] = bridge.get("/api/calls")["calls"]
    return sorted((call["direction"], call["state"], call["reason"]) for call in found)


def until(bridge: RunningBridge, is_so: Callable[[list[tuple[str, str, str]]], bool]) -> None:
    for _ in range(200):
        if is_so(states(bridge)):
            return
        time.sleep(0.1)
    raise AssertionError(f"the calls are {states(bridge)}")


def test_baresip_is_sent_to_somebody_else(peer: str, network: str, tmp_path: Path) -> None:
    settings = agents.routes(sender="tone", ticker="tone") | LINE
    settings["routes.0.greeting"] = f"sip:ticker@{OURS}:5060"
    with RunningBridge(settings) as bridge:
        printed = call_by_baresip(peer, network, tmp_path, "sender", at_most_s=8)
        found = states(bridge)

    assert ("inbound", "ended", "transferred") in found, printed[-3000:]
    assert len(found) == 2
    assert found[1] != found[0]


@contextmanager
def steered(peer: str, network: str, folder: Path) -> Iterator[Callable[..., None]]:
    """A baresip that takes orders over TCP; yields what gives one."""
    command = baresip(peer, network, folder, at_most_s=30)
    config = (folder / "config").read_text()
    config += "module_app ctrl_tcp.so\nctrl_tcp_listen 127.0.0.1:4444\n"
    (folder / "config").write_text(config)

    def order(word: str, parameter: str) -> None:
        text = json.dumps({"command": word, "params": parameter, "token": "t"})
        netstring = f"{len(text)}:{text},"
        done = subprocess.run(
            ["ip", "netns", "exec", network, "python3", "-c", ORDER, netstring],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        assert '"ok":true' in done.stdout, done.stdout + done.stderr

    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        time.sleep(2)
        yield order
    finally:
        process.terminate()
        printed, _ = process.communicate(timeout=20)
        print(printed.decode("utf-8", "replace")[-3000:])


def test_baresip_sends_us_to_somebody_else(peer: str, network: str, tmp_path: Path) -> None:
    settings = agents.routes(holding="tone", ticker="tone") | LINE | {"sip.refer": "follow"}
    with RunningBridge(settings) as bridge, steered(peer, network, tmp_path) as order:
        order("dial", f"sip:holding@{OURS}:5060")
        until(bridge, lambda found: found == [("inbound", "up", "")])

        order("transfer", f"sip:ticker@{OURS}:5060")

        # It hangs up by itself when it hears that somebody has answered.
        until(bridge, lambda found: len(found) == 3 and found[0][1] == "ended")
        found = states(bridge)

    assert found[1:] == [("inbound", "up", ""), ("outbound", "up", "")]
    assert found[0][2] in ("caller hung up", "transferred")
    assert THEIRS
