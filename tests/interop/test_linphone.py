"""Linphone's telephone for the terminal, set up by the file of `sip_examples/linphone`."""

import os
import sys
import time
from pathlib import Path

import pytest

from tests.e2e import agents
from tests.e2e.running import RunningBridge
from tests.hearing import transcribe, word_errors
from tests.interop.foreign import EXAMPLES, Foreign, adapt
from tests.interop.network import OURS, THEIRS
from tests.interop.test_baresip import last_call, read, write_room

pytestmark = [pytest.mark.interop("linphonec"), pytest.mark.timeout(120)]

LINE = {"sip.listen": f"{OURS}:5060", "media.bind_ip": OURS, "media.standby": "false"}
CODECS = {"opus": "mime=opus\nrate=48000\nchannels=2", "G722": "mime=G722\nrate=8000\nchannels=1"}
CODECS["PCMU"] = "mime=PCMU\nrate=8000\nchannels=1"


def linphone(path: str, network: str, folder: Path, codec: str, *more: str) -> Foreign:
    """It, with one codec, in a network and a home of its own."""
    changes = {"sip_port=5070": "sip_port=5060", "caller@127.0.0.1": f"caller@{THEIRS}"}
    for name, lines in CODECS.items():
        text = f"{lines}\nenabled={int(name == 'opus')}"
        changes[text] = f"{lines}\nenabled={int(name == codec)}"
    config = adapt(EXAMPLES / "linphone" / "linphonerc", folder, changes)
    (folder / ".local/share/linphone").mkdir(parents=True)
    words = ["ip", "netns", "exec", network, "env", f"HOME={folder}", path, "-c", str(config)]
    return Foreign([*words, *more], folder)


def ready(phone: Foreign, folder: Path) -> None:
    phone.type("soundcard use files")
    phone.wait_for("Using wav files")
    phone.type(f"record {folder}/heard.wav")
    write_room(folder / "room.wav", 8000, 1, ())
    phone.type(f"play {folder}/room.wav")


def test_linphone_calls_and_hears_every_word(peer: str, network: str, tmp_path: Path) -> None:
    with RunningBridge(LINE | agents.routes(firm="")) as bridge:
        for codec in CODECS:
            folder = tmp_path / codec
            folder.mkdir()
            with linphone(peer, network, folder, codec) as phone:
                ready(phone, folder)
                phone.type(f"call sip:firm@{OURS} --audio-only")
                phone.wait_for("Media streams established")
                phone.wait_for("ended (No error)", within_s=30)
                phone.type("quit")
                phone.wait_for("Terminating")
            call = last_call(bridge)

            understood = transcribe(*read(folder / "heard.wav"))
            print(f"Linphone heard by {codec}: {understood!r}")
            assert word_errors(agents.FIRM, understood) <= 0.1, phone.output
            assert call["codec"] == codec
            assert call["reason"] == "agent finished"
            assert call["media"]["rx_packets"] > 50
            # It asks by ZRTP whether we encrypt, which is no RTP; nobody answers.
            assert call["media"]["rx_malformed"] < 20


def test_linphone_presses_keys_and_hangs_up(peer: str, network: str, tmp_path: Path) -> None:
    with (
        RunningBridge(LINE | agents.routes(ticker="tone")) as bridge,
        linphone(peer, network, tmp_path, "PCMU") as phone,
    ):
        ready(phone, tmp_path)
        phone.type(f"call sip:ticker@{OURS} --audio-only")
        phone.wait_for("Media streams established")
        for key in "4", "2", "#":
            phone.type(key)
            time.sleep(0.4)  # a person's pace
        phone.type("terminate")
        phone.wait_for("ended (No error)")
        call = last_call(bridge)

    assert call["digits"] == 3
    assert call["reason"] == "caller hung up"


def test_linphone_is_called_and_answers(peer: str, network: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bridge", "call", f"sip:caller@{THEIRS}", "-a", "tests.e2e.agents:firm"]
    settings = LINE | {
        "sip.listen": f"{OURS}:0",
        "sip.dial_allow": f"{THEIRS}/32",
        "tts_server.listen": "127.0.0.1:0",
        "tts_server.preload_chinese": "false",
    }
    for key, value in settings.items():
        command += ["--set", f"{key}={value}"]
    with linphone(peer, network, tmp_path, "PCMU", "-a") as phone:
        ready(phone, tmp_path)
        with Foreign(command, Path(os.curdir).absolute()) as calling:
            calling.process.wait(60)
        phone.wait_for("ended (No error)")
        phone.type("quit")
        phone.wait_for("Terminating")

    understood = transcribe(*read(tmp_path / "heard.wav"))
    print(f"Linphone heard: {understood!r}")
    assert calling.process.returncode == 0, calling.output
    assert word_errors(agents.FIRM, understood) <= 0.1
