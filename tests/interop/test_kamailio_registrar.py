"""The bridge as a subscriber of Kamailio, run with the files of `sip_examples/kamailio`."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e import agents
from tests.e2e.running import RunningBridge, free_port
from tests.interop.foreign import EXAMPLES, Foreign, adapt, ended_well, run_sipp, sipp

pytestmark = [pytest.mark.interop("kamailio", "sipp"), pytest.mark.timeout(120)]

FILES = EXAMPLES / "kamailio"
CALL, ANSWER = EXAMPLES / "sipp" / "call.xml", EXAMPLES / "sipp" / "answer.xml"
LIGHT = {"media.standby": "false", "bargein.neural": "false"}


@contextmanager
def registrar(
    path: str, folder: Path, port: int, carrier: int, *, is_changed: bool = False
) -> Iterator[None]:
    changes = {
        "udp:127.0.0.1:5060": f"udp:127.0.0.1:{port}",
        "sip:127.0.0.1:5070": f"sip:127.0.0.1:{carrier}",
        "open sesame": "quite another" if is_changed else "open sesame",
    }
    config = adapt(FILES / "registrar.cfg", folder, changes)
    command = [path, "-DD", "-E", "-f", str(config), "-P", str(folder / "pid"), "-Y", str(folder)]
    with Foreign([*command, "-m", "64", "-M", "8"], folder) as kamailio:
        kamailio.wait_for("udp: 127.0.0.1")
        yield


def trunk(folder: Path, port: int) -> str:
    return str(adapt(FILES / "trunk.toml", folder, {"127.0.0.1:5060": f"127.0.0.1:{port}"}))


def test_the_bridge_registers_and_calls_to_its_number_come_to_it(peer: str, tmp_path: Path) -> None:
    port = free_port()
    whither = [f"127.0.0.1:{port}", "-s", "4930999", "-d", "500", "-m", "2"]
    command = [sys.executable, "-m", "bridge", "serve", "--config", trunk(tmp_path, port)]
    settings = LIGHT | agents.routes(ticker="tone") | {"routes.0.to": "4930999"}
    with registrar(peer, tmp_path, port, free_port()):
        before = sipp("sipp", CALL, tmp_path, *whither, "-p", str(free_port()), name="before")
        before.communicate(timeout=20)
        with RunningBridge(settings, command=command) as bridge:
            registered = bridge.metric("cosybridge_trunk_registered", 'trunk="pbx"')
            run_sipp("sipp", CALL, tmp_path, *whither, name="meanwhile")
            taken = bridge.metric("cosybridge_calls_started_total")
            printed = list(bridge.output)
        after = sipp("sipp", CALL, tmp_path, *whither, "-p", str(free_port()), name="after")
        after.communicate(timeout=20)

    assert registered == 1.0
    assert any("trunk pbx: registered sip:4930999@pbx.example" in line for line in printed)
    assert taken == 2.0
    # Nobody is there before it comes, nor after it has taken its registration back.
    for process, name in ((before, "before"), (after, "after")):
        assert process.returncode == 1
        assert "404 Nobody Registered" in (tmp_path / f"{name}.errors").read_text()
    assert "sesame" not in "".join(bridge.output)


def call(number: str, config: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "bridge", "call", number, "--config", config]
    for setting in ("sip.listen=127.0.0.1:0", "trunks.0.registers=false", "tts_server.preload_chinese=false"):
        command += ["--set", setting]
    return subprocess.run(
        [*command, "--set", "tts_server.listen=127.0.0.1:0", "--set", "routes.0.voice=tone"],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def test_the_bridge_calls_a_number_through_it_with_its_password(peer: str, tmp_path: Path) -> None:
    port, carrier = free_port(), free_port()
    with registrar(peer, tmp_path, port, carrier):
        answering = sipp(
            "sipp", ANSWER, tmp_path, "-p", str(carrier), "-m", "1", "-d", "1500", "-timeout", "40"
        )
        done = call("030 12345-0", trunk(tmp_path, port))
        ended_well(answering, tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "call ended: callee hung up" in done.stdout


def test_a_wrong_password_calls_nobody(peer: str, tmp_path: Path) -> None:
    port = free_port()
    with registrar(peer, tmp_path, port, free_port(), is_changed=True):
        done = call("030 12345-0", trunk(tmp_path, port))

    assert done.returncode == 1
    assert "407" in done.stdout + done.stderr
