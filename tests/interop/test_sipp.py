"""sipp calls the bridge with its own G.711 and hears the sentence that was asked for."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from bridge.hosts import spot
from bridge.plane import g711
from tests.e2e.running import RunningBridge, free_port
from tests.hearing import transcribe, word_errors
from tests.wire import RtpTap

pytestmark = [pytest.mark.interop("sipp"), pytest.mark.timeout(120)]

SENTENCE = "Thank you for calling. Your appointment is confirmed for Tuesday morning."
SCENARIO = Path(__file__).parent / "sipp" / "uac_speaks.xml"
EXAMPLE = Path(__file__).parents[2] / "sip_examples" / "01_answer_and_speak.py"


def quiet_room(path: Path) -> None:
    """Ten seconds of a quiet room: noise at -60 dBFS."""
    noise = np.random.default_rng(1).normal(0, 30, 80_000).astype(np.int16)
    path.write_bytes(g711.encode_ulaw(noise).tobytes())


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_sipp_hears_the_sentence_that_was_asked_for(peer: str, tmp_path: Path, host: str) -> None:
    import sys

    in_ipv6 = host == "::1"
    quiet_room(tmp_path / "room.ulaw")
    scenario = tmp_path / "uac.xml"
    scenario.write_text(SCENARIO.read_text().replace("[audio_file]", str(tmp_path / "room.ulaw")))
    media_port = free_port() // 2 * 2
    with (
        RunningBridge(command=[sys.executable, str(EXAMPLE)], in_ipv6=in_ipv6) as bridge,
        RtpTap(media_port, in_ipv6=in_ipv6) as tap,
    ):
        command = [peer, spot(host, bridge.sip_port), "-s", "hello", "-sf", str(scenario), "-m", "1"]
        command += ["-i", host, "-p", str(free_port()), "-mi", host, "-mp", str(media_port)]
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
        counters = bridge.get(f"/api/calls/{call['id']}")["media"]

    understood = transcribe(tap.pcm())
    print(f"sipp heard: {understood!r}")
    assert done.returncode == 0, errors + done.stdout[-2000:]
    assert word_errors(SENTENCE, understood) <= 0.1
    assert counters["rx_packets"] > 100
    assert counters["rx_stranger"] == 0
