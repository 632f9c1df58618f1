"""baresip makes its keys by DTLS and finds the way by ICE, calling and called."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.e2e import agents
from tests.e2e.running import RunningBridge
from tests.interop.network import OURS, THEIRS
from tests.interop.test_baresip import baresip, call_by_baresip, last_call, recorded

pytestmark = [pytest.mark.interop("baresip"), pytest.mark.timeout(120)]

HANDSHAKE = ";mediaenc=dtls_srtp"


@pytest.mark.parametrize("account", [HANDSHAKE, HANDSHAKE + ";medianat=ice"], ids=["dtls", "dtls and ice"])
def test_baresip_calls_by_handshake(peer: str, network: str, tmp_path: Path, account: str) -> None:
    settings = {"sip.listen": f"{OURS}:5060", "media.bind_ip": OURS, "media.srtp": "required"}
    with RunningBridge(settings | agents.routes(chapters="tone")) as bridge:
        printed = call_by_baresip(
            peer, network, tmp_path, "chapters", at_most_s=24, account=account, shares_port=True
        )
        call = last_call(bridge)

    media = call["media"]
    print(printed[-6000:])
    print({name: value for name, value in media.items() if "srt" in name or name.startswith(("rtcp", "rx"))})
    assert call["reason"] == "agent finished"
    assert np.abs(recorded(tmp_path)[0].astype(np.int32)).max() > 3000, printed[-3000:]
    assert media["rx_packets"] > 100
    assert media["srtp_rx_end"] > 0
    assert media["rx_srtp_auth"] <= 2
    assert media["rx_srtp_replay"] == media["tx_srtp_failed"] == media["lost_out"] == 0
    assert media["rtcp_received"] >= 1
    # baresip rounds how long it held our report, by more than this line takes: 0 is right, too.
    assert 0 <= media["round_trip_ms"] < 100


def test_baresip_calls_in_the_clear_by_ice(peer: str, network: str, tmp_path: Path) -> None:
    settings = {"sip.listen": f"{OURS}:5060", "media.bind_ip": OURS, "media.ice": "always"}
    with RunningBridge(settings | agents.routes(chapters="tone")) as bridge:
        printed = call_by_baresip(
            peer, network, tmp_path, "chapters", at_most_s=24, account=";medianat=ice", shares_port=True
        )
        call = last_call(bridge)

    print(printed[-6000:])
    assert call["reason"] == "agent finished"
    assert np.abs(recorded(tmp_path)[0].astype(np.int32)).max() > 3000, printed[-3000:]
    assert call["media"]["rx_packets"] > 100
    assert call["media"]["rx_malformed"] == 0


@pytest.mark.parametrize("account", [HANDSHAKE, HANDSHAKE + ";medianat=ice"], ids=["dtls", "dtls and ice"])
def test_baresip_is_called_by_handshake(peer: str, network: str, tmp_path: Path, account: str) -> None:
    command = baresip(peer, network, tmp_path, account=account, shares_port=True, at_most_s=30)
    ours = [sys.executable, "-m", "bridge", "call", f"sip:caller@{THEIRS}", "-a", "tests.e2e.agents:chapters"]
    for setting in (
        f"sip.listen={OURS}:5061",
        f"sip.dial_allow={THEIRS}/32",
        f"media.bind_ip={OURS}",
        "media.ice=always",
        "media.srtp=required",
        "media.srtp_keys=dtls",
        "routes.0.voice=tone",
    ):
        ours += ["--set", setting]

    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as phone:
        assert phone.stdout is not None
        called = subprocess.run(ours, capture_output=True, text=True, timeout=60, check=False)
        phone.terminate()
        printed = phone.stdout.read()

    print(called.stdout, called.stderr, printed[-6000:])
    assert called.returncode == 0, printed[-3000:]
    assert np.abs(recorded(tmp_path)[0].astype(np.int32)).max() > 3000
