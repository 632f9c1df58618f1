"""sipp plays the other side of a trunk: it challenges, and checks our digests with its own arithmetic."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.running import RunningBridge, free_port

pytestmark = [pytest.mark.interop("sipp"), pytest.mark.timeout(120)]

SCENARIOS = Path(__file__).parent / "sipp"


def sipp(path: str, name: str, port: int, folder: Path) -> "subprocess.Popen[str]":
    command = [path, "-sf", str(SCENARIOS / name), "-i", "127.0.0.1", "-p", str(port), "-m", "1", "-nostdin"]
    command += ["-mi", "127.0.0.1", "-mp", str(free_port() // 2 * 2), "-timeout", "40", "-timeout_error"]
    command += ["-trace_err", "-error_file", str(folder / "errors")]
    return subprocess.Popen(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def ended_well(process: "subprocess.Popen[str]", folder: Path) -> None:
    printed, _ = process.communicate(timeout=60)
    errors = (folder / "errors").read_text() if (folder / "errors").exists() else ""
    assert process.returncode == 0, errors + printed[-3000:]


def trunk(port: int) -> dict[str, object]:
    return {
        "trunks.0.name": "sipp",
        "trunks.0.server": f"127.0.0.1:{port}",
        "trunks.0.domain": "sipp.example",
        "trunks.0.user": "4930999",
        "trunks.0.auth_user": "lena",
        "trunks.0.password": "open sesame",
    }


def test_the_bridge_registers_says_so_and_takes_it_back_when_it_ends(peer: str, tmp_path: Path) -> None:
    port = free_port()
    registrar = sipp(peer, "registrar.xml", port, tmp_path)

    with RunningBridge(trunk(port) | {"trunks.0.registers": "true"}) as bridge:
        registered = bridge.metric("cosybridge_trunk_registered", 'trunk="sipp"')
        failures = bridge.metric("cosybridge_trunk_registration_failures_total")
        printed = list(bridge.output)

    ended_well(registrar, tmp_path)
    (line,) = [line for line in printed if "trunk sipp" in line and "sip:" in line]
    assert line.strip() == f"trunk sipp: registered sip:4930999@sipp.example at 127.0.0.1:{port} for 60 s"
    assert (registered, failures) == (1.0, 0.0)
    assert "sesame" not in "".join(bridge.output)


def call(number: str, port: int, *more: str) -> "subprocess.CompletedProcess[str]":
    settings = trunk(port) | {
        "sip.listen": "127.0.0.1:0",
        "media.bind_ip": "127.0.0.1",
        "tts_server.preload_chinese": "false",
        "trunks.0.country_code": "49",
    }
    command = [sys.executable, "-m", "bridge", "call", number]
    for key, value in settings.items():
        command += ["--set", f"{key}={value}"]
    return subprocess.run(
        [*command, *more],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def test_a_number_is_called_through_the_trunk_which_challenges_us(peer: str, tmp_path: Path) -> None:
    port = free_port()
    other_side = sipp(peer, "trunk.xml", port, tmp_path)

    done = call("030 12345-0", port, "--set", "trunks.0.dials=+4930*")

    ended_well(other_side, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "call ended: callee hung up" in done.stdout


@pytest.mark.parametrize("dials", ["", "+43*"])
def test_a_number_that_is_not_among_the_dials_is_never_called(peer: str, dials: str) -> None:
    done = call("030 12345-0", free_port(), "--set", f"trunks.0.dials={dials}")

    assert done.returncode == 2
    assert "030 12345-0 may not be called: it is not among the dials of any trunk" in done.stderr
