"""baresip calls from a network that may not call, and is served because it knows a password."""

import subprocess
from pathlib import Path

import pytest

from tests.e2e import agents
from tests.e2e.running import RunningBridge
from tests.interop.network import OURS, THEIRS
from tests.interop.test_baresip import configure, last_call, write_room

pytestmark = [pytest.mark.interop("baresip"), pytest.mark.timeout(120)]

SETTINGS = {
    "sip.listen": f"{OURS}:5060",
    "sip.allow": "127.0.0.0/8",
    "sip.digests": "MD5",  # this baresip gives up at a SHA-256 that stands beside it
    "media.bind_ip": OURS,
    "accounts.0.user": "lena",
    "accounts.0.password": "open-sesame",
}


def call_with(peer: str, network: str, folder: Path, login: str, *, at_most_s: int) -> str:
    """Let baresip call with a password; returns what it printed."""
    write_room(folder / "room.wav", 8000, 1, ())
    configure(folder)
    (folder / "accounts").write_text(
        f"<sip:caller@{THEIRS}>;regint=0;{login};audio_codecs=PCMU/8000/1;answermode=auto\n"
    )
    (folder / "contacts").write_text("")
    command = ["ip", "netns", "exec", network, peer, "-f", str(folder), "-t", str(at_most_s)]
    command += ["-e", f"/dial sip:chapters@{OURS}:5060"]
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=at_most_s + 26,
        check=False,
    )
    return done.stdout


def test_a_phone_from_outside_is_served_when_it_knows_the_password(
    peer: str, network: str, tmp_path: Path
) -> None:
    with RunningBridge(SETTINGS | agents.routes(chapters="tone")) as bridge:
        printed = call_with(peer, network, tmp_path, "auth_user=lena;auth_pass=open-sesame", at_most_s=6)
        admitted = bridge.metric("cosybridge_sip_total", 'kind="digest_admitted"')
        asked = bridge.metric("cosybridge_sip_total", 'kind="digest_missing"')
        assert (asked, admitted) == (1, 1), printed[-3000:]
        call = last_call(bridge)

    assert call["media"]["rx_packets"] > 50


def test_a_phone_from_outside_is_not_served_when_it_does_not(peer: str, network: str, tmp_path: Path) -> None:
    with RunningBridge(SETTINGS | agents.routes(chapters="tone")) as bridge:
        printed = call_with(peer, network, tmp_path, "auth_user=lena;auth_pass=guess", at_most_s=4)
        wrong = bridge.metric("cosybridge_sip_total", 'kind="digest_wrong"')
        calls = bridge.get("/api/calls")["calls"]

    assert wrong >= 1, printed[-3000:]
    assert calls == []
