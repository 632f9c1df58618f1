"""Kamailio in front of two bridges, run with the files of `sip_examples/kamailio`: no call is lost."""

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e import agents
from tests.e2e.running import RunningBridge, free_port
from tests.interop.foreign import EXAMPLES, Foreign, adapt, ended_well, run_sipp, sipp

pytestmark = [pytest.mark.interop("kamailio", "sipp"), pytest.mark.timeout(120)]

FILES = EXAMPLES / "kamailio"
CALL, HEAR_OUT = EXAMPLES / "sipp" / "call.xml", EXAMPLES / "sipp" / "hear_out.xml"
TALKATIVE = {"media.standby": "false", "bargein.neural": "false"} | agents.routes(ticker="tone", firm="tone")


def node(name: str, port: int | None = None) -> RunningBridge:
    """A bridge with the node's own file; ports are taken that are free."""
    config = str(FILES / f"node_{name}.toml")
    at = {"sip.listen": f"127.0.0.1:{port}"} if port else {}
    bridge = RunningBridge(
        TALKATIVE | at, command=[sys.executable, "-m", "bridge", "serve", "--config", config]
    )
    bridge.sip_port = port or bridge.sip_port
    return bridge


class Dispatcher:
    """Kamailio between callers and two nodes."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.socket = str(folder / "rpc.sock")

    def states(self) -> dict[int, str]:
        """What it thinks of each node, by port: AP is active and probed, IP is out."""
        mine = self.folder / f"ask{time.monotonic_ns()}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
            line.bind(str(mine))
            line.settimeout(5)
            line.sendto(b'{"jsonrpc":"2.0","id":1,"method":"dispatcher.list"}', self.socket)
            told = json.loads(line.recv(65_536))
        mine.unlink()
        (group,) = told["result"]["RECORDS"]
        found = (each["DEST"] for each in group["SET"]["TARGETS"])
        return {int(each["URI"].rsplit(":", 1)[1]): each["FLAGS"] for each in found}

    def wait_for(self, port: int, flags: str) -> None:
        end_s = time.monotonic() + 10
        while self.states()[port] != flags:
            assert time.monotonic() < end_s, f"{port} is never {flags}: {self.states()}"
            time.sleep(0.1)


class Site:
    """Two nodes and what is in front of them; `whole` brings back a node that a test has ended."""

    def __init__(self, path: str, folder: Path) -> None:
        with ThreadPoolExecutor() as pool:
            self.one, self.two = pool.map(RunningBridge.__enter__, (node("one"), node("two")))
        self.dispatcher = Dispatcher(folder, free_port())
        self.whither = f"127.0.0.1:{self.dispatcher.port}"
        listed = adapt(
            FILES / "dispatcher.list",
            folder,
            {
                "127.0.0.1:5062": f"127.0.0.1:{self.one.sip_port}",
                "127.0.0.1:5064": f"127.0.0.1:{self.two.sip_port}",
            },
        )
        config = adapt(
            FILES / "dispatcher.cfg",
            folder,
            {
                "udp:127.0.0.1:5060": f"udp:{self.whither}",
                "/tmp/kamailio_rpc.sock": self.dispatcher.socket,  # noqa: S108  it is replaced
                '"dispatcher.list")': f'"{listed}")',
            },
        )
        command = [path, "-DD", "-E", "-f", str(config), "-P", str(folder / "pid"), "-Y", str(folder)]
        self.kamailio = Foreign([*command, "-m", "64", "-M", "8"], folder)

    def begin(self) -> None:
        self.kamailio.__enter__()
        end_s = time.monotonic() + 10
        while not os.path.exists(self.dispatcher.socket):
            assert time.monotonic() < end_s, self.kamailio.output
            time.sleep(0.05)

    def end(self) -> None:
        self.kamailio.__exit__(None, None, None)
        for bridge in (self.one, self.two):
            bridge.stop()

    def whole(self) -> "Site":
        """Wait until both nodes take calls."""
        if self.one.process.poll() is not None:
            self.one.stop()
            self.one = node("one", self.one.sip_port).__enter__()
        for bridge in (self.one, self.two):
            self.dispatcher.wait_for(bridge.sip_port, "AP")
        return self

    def begun(self) -> tuple[float, float]:
        """Calls that each node has ever taken."""
        return begun(self.one), begun(self.two)


@pytest.fixture(scope="module")
def sites() -> Iterator[list[Site]]:
    """The one site of all tests here, once there is one."""
    made: list[Site] = []
    try:
        yield made
    finally:
        for site in made:
            site.end()


@pytest.fixture
def site(peer: str, sites: list[Site], tmp_path_factory: pytest.TempPathFactory) -> Site:
    if not sites:
        sites.append(Site(peer, tmp_path_factory.mktemp("kamailio")))
        sites[0].begin()
    return sites[0].whole()


def begun(bridge: RunningBridge) -> float:
    return bridge.metric("cosybridge_calls_started_total")


def test_calls_are_split_between_the_nodes(site: Site, tmp_path: Path) -> None:
    before = site.begun()

    run_sipp("sipp", CALL, tmp_path, site.whither, "-s", "ticker", "-d", "500", "-m", "20", "-r", "10")

    assert [now - then for now, then in zip(site.begun(), before, strict=True)] == [10, 10]


def test_what_the_bridge_says_within_a_call_goes_by_the_recorded_route(site: Site, tmp_path: Path) -> None:
    run_sipp("sipp", HEAR_OUT, tmp_path, site.whither, "-s", "firm", "-m", "2")

    ended = [bridge.get("/api/calls")["calls"][0]["reason"] for bridge in (site.one, site.two)]
    came = [line for line in (tmp_path / "sipp.log").read_text().splitlines() if "BYE came by" in line]
    assert len(came) == 2
    assert all(f"{site.whither};" in line for line in came)
    assert ended == ["agent finished", "agent finished"]


def test_a_node_that_drains_loses_no_call_and_gets_no_new_one(site: Site, tmp_path: Path) -> None:
    before = site.begun()
    whither = [site.whither, "-s", "ticker"]
    long = sipp("sipp", CALL, tmp_path, *whither, "-d", "5000", "-m", "8", "-r", "20", name="long")
    while sum(site.begun()) < sum(before) + 8:
        time.sleep(0.05)
    split = site.begun()
    site.one.process.send_signal(signal.SIGTERM)
    # The first of these come before a ping has told Kamailio: the 503 sends them on.
    run_sipp("sipp", CALL, tmp_path, *whither, "-d", "200", "-m", "20", "-r", "20", name="new")
    after = site.begun()
    site.dispatcher.wait_for(site.one.sip_port, "IP")
    is_still_there = site.one.process.poll() is None
    ended_well(long, tmp_path, name="long")
    code = site.one.process.wait(10)

    assert [now - then for now, then in zip(split, before, strict=True)] == [4, 4]
    assert [now - then for now, then in zip(after, split, strict=True)] == [0, 20]
    assert is_still_there
    assert code == 0, site.one.output[-20:]


def test_when_a_node_dies_new_calls_go_to_the_other(site: Site, tmp_path: Path) -> None:
    before = begun(site.two)
    site.one.process.send_signal(signal.SIGKILL)
    site.one.process.wait()

    run_sipp("sipp", CALL, tmp_path, site.whither, "-s", "ticker", "-d", "500", "-m", "20", "-r", "10")

    assert begun(site.two) == before + 20
    site.dispatcher.wait_for(site.one.sip_port, "IP")
