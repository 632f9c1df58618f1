"""sipp presses keys as telephone events and by INFO, and hears them back as telephone events."""

import subprocess
from pathlib import Path

import pytest

from bridge.rtp.dtmf import DtmfReceiver, KeyUp, parse_event
from tests.e2e import agents
from tests.e2e.running import RunningBridge, free_port
from tests.wire import RtpTap

pytestmark = [pytest.mark.interop("sipp"), pytest.mark.timeout(120)]

SCENARIO = Path(__file__).parent / "sipp" / "uac_keys.xml"
CAPTURES = "/usr/share/sip-tester"


def test_keys_of_sipp_are_understood_and_pressed_back(peer: str, tmp_path: Path) -> None:
    scenario = tmp_path / "uac.xml"
    scenario.write_text(SCENARIO.read_text().replace("[captures]", CAPTURES))
    media_port = free_port() // 2 * 2
    with RunningBridge(agents.routes(mirror="tone")) as bridge, RtpTap(media_port) as tap:
        command = [peer, f"127.0.0.1:{bridge.sip_port}", "-s", "mirror", "-sf", str(scenario), "-m", "1"]
        command += ["-i", "127.0.0.1", "-p", str(free_port()), "-mi", "127.0.0.1", "-mp", str(media_port)]
        command += ["-nostdin", "-timeout", "40", "-timeout_error", "-trace_err"]
        command += ["-error_file", str(tmp_path / "errors")]
        done = subprocess.run(
            command,
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        errors = (tmp_path / "errors").read_text() if (tmp_path / "errors").exists() else ""
        call = bridge.get("/api/calls")["calls"][0]
        told = bridge.get(f"/api/calls/{call['id']}")

    receiver = DtmfReceiver()
    for at, packet in enumerate(tap.packets):
        if packet.payload_type == 101:
            event = parse_event(packet.payload)
            receiver.receive(event, timestamp=packet.timestamp, now_ns=at * 20_000_000)
    assert done.returncode == 0, errors + done.stdout[-2000:]
    assert told["digits"] == 4, told["media"]
    assert "".join(step.digit for step in receiver.drain() if isinstance(step, KeyUp)) == "1*9"
