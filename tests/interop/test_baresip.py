"""baresip calls the bridge through a network of its own and records the sentence that was asked for."""

import os
import subprocess
import sys
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.e2e.running import RunningBridge
from tests.hearing import transcribe, word_errors

pytestmark = [pytest.mark.interop("baresip"), pytest.mark.timeout(120)]

SENTENCE = "Thank you for calling. Your appointment is confirmed for Tuesday morning."
EXAMPLE = Path(__file__).parents[2] / "sip_examples" / "01_answer_and_speak.py"
OURS, THEIRS = "10.213.77.1", "10.213.77.2"

CONFIG = """\
poll_method epoll
sip_listen {theirs}:5060
call_local_timeout 20
audio_player aubridge,nowhere
audio_source aufile,{folder}/room.wav
audio_alert aubridge,nowhere
rtp_ports 30000-30100
snd_path {folder}
module_path {modules}
module g711.so
module aufile.so
module aubridge.so
module sndfile.so
module_tmp account.so
module_app menu.so
"""


@pytest.fixture
def network(peer: str) -> Iterator[str]:
    """A namespace joined to ours by a veth pair; yields its name."""
    name = f"cosy{os.getpid()}"
    link = f"cb{os.getpid() % 100_000}"

    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True)

    ip("netns", "add", name)
    try:
        ip("link", "add", link, "type", "veth", "peer", "name", "veth0", "netns", name)
        ip("addr", "add", f"{OURS}/30", "dev", link)
        ip("link", "set", link, "up")
        ip("-n", name, "addr", "add", f"{THEIRS}/30", "dev", "veth0")
        ip("-n", name, "link", "set", "veth0", "up")
        ip("-n", name, "link", "set", "lo", "up")
        yield name
    finally:
        ip("netns", "del", name)


def modules() -> str:
    found = subprocess.run(["dpkg", "-L", "baresip-core"], check=True, capture_output=True, text=True).stdout
    return str(Path(next(line for line in found.splitlines() if line.endswith("/g711.so"))).parent)


def write_room(path: Path) -> None:
    """Forty seconds of a quiet room; the end of the file would end the call."""
    noise = np.random.default_rng(1).normal(0, 30, 8000 * 40).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(noise.tobytes())


def recorded(folder: Path) -> NDArray[np.int16]:
    """What baresip decoded; it writes one file a direction."""
    path = next(folder.glob("dump-*-dec.wav"))
    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


def test_baresip_hears_the_sentence_that_was_asked_for(peer: str, network: str, tmp_path: Path) -> None:
    write_room(tmp_path / "room.wav")
    (tmp_path / "config").write_text(CONFIG.format(theirs=THEIRS, folder=tmp_path, modules=modules()))
    (tmp_path / "accounts").write_text(
        f"<sip:caller@{THEIRS}>;regint=0;audio_codecs=PCMU/8000/1,PCMA/8000/1;answermode=auto\n"
    )
    (tmp_path / "contacts").write_text("")
    settings = {"sip.listen": f"{OURS}:5060", "media.bind_ip": OURS}
    with RunningBridge(settings, command=[sys.executable, str(EXAMPLE)]) as bridge:
        command = ["ip", "netns", "exec", network, peer, "-f", str(tmp_path), "-t", "14"]
        command += ["-e", f"/dial sip:hello@{OURS}:5060"]
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=40,
            check=False,
        )
        call = bridge.get("/api/calls")["calls"][0]
        counters = bridge.get(f"/api/calls/{call['id']}")["media"]

    understood = transcribe(recorded(tmp_path))
    print(f"baresip heard: {understood!r}")
    assert word_errors(SENTENCE, understood) <= 0.1, done.stdout[-3000:]
    assert call["reason"] == "agent finished"
    assert counters["rx_packets"] > 100
