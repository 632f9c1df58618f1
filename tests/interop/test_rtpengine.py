"""rtpengine between a phone that encrypts and a bridge that does not, by `sip_examples/rtpengine`."""

import contextlib
import socket
import time
from pathlib import Path

import numpy as np
import pytest

from tests.e2e import agents
from tests.e2e.running import RunningBridge
from tests.hearing import transcribe, word_errors
from tests.interop.foreign import EXAMPLES, Foreign, adapt
from tests.interop.network import OURS
from tests.interop.test_baresip import call_by_baresip, last_call, recorded

pytestmark = [pytest.mark.interop("rtpengine", "kamailio", "baresip"), pytest.mark.timeout(120)]

FILES = EXAMPLES / "rtpengine"
BRIDGE, CONTROL = 5062, 22222


def command(path: str, folder: Path) -> list[str]:
    """The line of the README that starts it, here."""
    (line,) = [
        line for line in (FILES / "README.md").read_text().splitlines() if line.startswith("    rtpengine ")
    ]
    return [path, *line.replace("127.0.0.1", OURS).split()[1:]]


def wait_for_control() -> None:
    """Ping rtpengine until it answers: a Kamailio that starts before it does refuses calls for a minute."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        control.connect((OURS, CONTROL))
        control.settimeout(0.2)
        for _ in range(100):
            with contextlib.suppress(TimeoutError, ConnectionRefusedError):
                control.send(b"1 d7:command4:pinge")
                assert control.recv(2048) == b"1 d6:result4:ponge"
                return
            time.sleep(0.05)
    pytest.fail("rtpengine does not answer")


@pytest.mark.parametrize(
    ("encryption", "sign"), [("srtp-mand", "SRTP is Enabled"), ("dtls_srtp", "DTLS-SRTP complete")]
)
def test_an_encrypted_phone_speaks_through_it_to_a_bridge_that_does_not_encrypt(
    peer: str, network: str, tmp_path: Path, encryption: str, sign: str
) -> None:
    settings = {"sip.listen": f"{OURS}:{BRIDGE}", "media.bind_ip": OURS, "media.ports": "20000-20199"}
    config = adapt(FILES / "kamailio.cfg", tmp_path, {"127.0.0.1": OURS})
    front = ["kamailio", "-DD", "-E", "-f", str(config), "-P", str(tmp_path / "pid"), "-Y", str(tmp_path)]
    # The agent waits before it speaks: a handshake takes a moment, and nothing is heard before it.
    with (
        RunningBridge(settings | agents.routes(musing="")) as bridge,
        Foreign(command(peer, tmp_path), tmp_path) as anchor,
        contextlib.ExitStack() as later,
    ):
        wait_for_control()
        kamailio = later.enter_context(Foreign([*front, "-m", "64", "-M", "8"], tmp_path))
        kamailio.wait_for("udp: ")
        printed = call_by_baresip(
            "baresip",
            network,
            tmp_path,
            "musing",
            at_most_s=10,
            account=f";mediaenc={encryption}",
            tones_hz=(440,),
        )
        call = last_call(bridge)

    understood = transcribe(*recorded(tmp_path))
    print(f"baresip heard: {understood!r}")
    assert word_errors(" ".join(agents.CHAPTERS[:2]), understood) <= 0.1, (
        printed[-3000:],
        anchor.output[-20:],
    )
    assert call["media"]["rx_packets"] > 100
    assert call["media"]["srtp_rx_end"] == 0
    assert call["media"]["lost_out"] == 0
    assert sign in printed, printed[-3000:]
    # The ports of rtpengine are from 31000 to 31999, those of the bridge never.
    assert f"receiving from {OURS}:31" in printed
    assert np.abs(recorded(tmp_path)[0].astype(np.int32)).max() > 3000
