"""The bridge calls a domain whose servers are sipp: DNS says where they are, and one of them goes away."""

import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.dns_server import dns_thread
from tests.e2e.running import RunningBridge, free_port
from tests.interop.foreign import ended_well, sipp

pytestmark = [pytest.mark.interop("sipp"), pytest.mark.timeout(120)]


@contextmanager
def running(*ports: int) -> Iterator[RunningBridge]:
    """A bridge for which these ports of ours are the TCP servers of example.test, the first one preferred."""
    zone = {
        ("_sip._tcp.example.test", "SRV"): [
            f"{at} 0 {port} pbx.example.test." for at, port in enumerate(ports)
        ],
        ("pbx.example.test", "A"): ["127.0.0.1"],
    }
    with dns_thread(zone) as (host, port):
        settings = {"sip.dns_servers": f"{host}:{port}", "media.standby": "false", "sip.ring_timeout_s": "10"}
        with RunningBridge(settings) as bridge:
            yield bridge


def call(bridge: RunningBridge, to: str, **order: object) -> None:
    """Place a call, wait until it stands, hang up."""
    id = bridge.post("/api/calls", {"to": to, **order})["id"]
    end_s = time.monotonic() + 15
    while (state := bridge.get(f"/api/calls/{id}")["state"]) != "up":
        assert state in ("calling", "ringing"), bridge.get(f"/api/calls/{id}")
        assert time.monotonic() < end_s, state
        time.sleep(0.05)
    ask(bridge, f"/api/calls/{id}", "DELETE")


def ask(bridge: RunningBridge, path: str, method: str = "GET") -> str:
    request = urllib.request.Request(
        f"http://127.0.0.1:{bridge.http_port}{path}",
        headers={"Authorization": f"Bearer {bridge.token}"},
        method=method,
    )
    with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310  our own child
        return str(answer.read().decode())


def serving(peer: str, folder: Path, port: int, name: str, *more: str) -> "subprocess.Popen[str]":
    return sipp(peer, "uas", folder, "-p", str(port), "-m", "1", "-timeout", "60", *more, name=name)


def test_calls_go_to_the_second_server_of_a_domain_when_the_first_is_gone(peer: str, tmp_path: Path) -> None:
    ports = free_port(), free_port()
    with running(*ports) as bridge:
        first = serving(peer, tmp_path, ports[0], "first", "-t", "t1")
        second = serving(peer, tmp_path, ports[1], "second", "-t", "t1")
        time.sleep(1)  # sipp says nothing when it listens
        call(bridge, "sip:hello@example.test")
        ended_well(first, tmp_path, name="first")
        call(bridge, "sip:hello@example.test")
        ended_well(second, tmp_path, name="second")
        metrics = ask(bridge, "/metrics").splitlines()

    assert any("failovers" in line and line.endswith(" 1.0") for line in metrics), metrics


@pytest.mark.parametrize("transport", ["t1", "u1"])
def test_a_long_invite_reaches_who_has_tcp_and_who_has_not(peer: str, tmp_path: Path, transport: str) -> None:
    port = free_port()
    with running() as bridge:
        served = serving(peer, tmp_path, port, "long", "-t", transport)
        time.sleep(1)
        call(bridge, f"sip:hello@127.0.0.1:{port}", headers={"X-Long": "x" * 900})
        ended_well(served, tmp_path, name="long")
