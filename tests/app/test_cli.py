import os
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.app.cli import run

COMMANDS = ("serve", "demo", "call", "say", "tts", "config", "doctor")


def test_without_arguments_the_commands_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 0

    text = capsys.readouterr().out
    assert "Start with: cosybridge serve." in text
    assert all(f"\n  {command} " in text for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_teaches_with_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, "--help"]) == 0

    text = capsys.readouterr().out
    assert "Example: " in text
    assert f"cosybridge {command}" in text
    assert "--config" in text
    assert "--set" in text


def test_the_voices_are_listed_with_who_speaks_for_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["tts", "--voices"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert any(line.split()[:1] == ["longanyang"] and "man, Chinese, English" in line for line in lines)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["bogus"], "No such command 'bogus' (cosybridge --help shows how)"),
        (["serve", "--bogus"], "No such option: --bogus (cosybridge --help shows how)"),
        (["say"], "Missing argument 'text' (cosybridge --help shows how)"),
        (["serve", "--set", "sip.listn=1"], "--set: there is no key sip.listn; did you mean sip.listen?"),
        (["config", "-s", "sip.listen"], "--set sip.listen: write it as section.key=value"),
        (["serve", "--config", "/nowhere.toml"], "cannot read the settings file /nowhere.toml: No such file"),
        (["call", "100"], '"100" must be a SIP address such as sip:100@127.0.0.1:5070'),
        (
            ["call", "sip:100@192.0.2.1"],
            "192.0.2.1 may not be called: sip.dial_allow is 127.0.0.0/8; to admit it:",
        ),
        (["call", "sip:100@127.0.0.1", "-a", "a b"], '--set: routes.0.agent = "a b": must be "default" or'),
        (["say", "hello", "--rate", "11025"], "--rate 11025: must be one of 8000, 16000, 22050"),
    ],
)
def test_a_wrong_command_is_one_line_and_exit_code_2(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2

    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"cosybridge: {complaint}")
    assert printed.err.count("\n") == 1


def test_a_service_that_is_not_there_is_one_line_and_exit_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "x.wav"

    assert run(["say", "hello", "-o", str(out), "--set", "tts.url=ws://127.0.0.1:9/"]) == 1

    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("cosybridge: ")
    assert "ws://127.0.0.1:9/" in last
    assert not out.exists()


def test_the_settings_are_printed_with_their_places_and_without_secrets(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DASHSCOPE_API_KEY", "sk-do-not-print-me")
    monkeypatch.setenv("COSYBRIDGE_HTTP__TOKEN", "do-not-print-me-either")
    monkeypatch.setenv("COSYBRIDGE_TTS_SERVER__API_KEYS", "do-not-print-me-either")

    assert run(["config", "-s", 'routes.0.greeting=Say "hello"', "-s", "call.drain_s=5"]) == 0

    text = capsys.readouterr().out
    lines = {line.partition(" = ")[0]: " ".join(line.split()) for line in text.splitlines()}
    assert "do-not-print-me" not in text
    assert lines["sip.listen"] == 'sip.listen = "0.0.0.0:5060" # built-in'
    assert lines["media.ports"] == 'media.ports = "16384-20479" # built-in'
    assert lines["http.token"] == "http.token = (hidden) # COSYBRIDGE_HTTP__TOKEN"
    assert lines["tts.api_key"] == "tts.api_key = (hidden) # DASHSCOPE_API_KEY"
    assert (
        lines["tts_server.api_keys"] == "tts_server.api_keys = [(hidden)] # COSYBRIDGE_TTS_SERVER__API_KEYS"
    )
    assert lines["sip.advertised_ip"] == 'sip.advertised_ip = "" # built-in'
    assert lines["call.drain_s"] == "call.drain_s = 5 # --set"
    assert lines["recording.enabled"] == "recording.enabled = false # built-in"
    assert lines["routes.0.greeting"] == 'routes.0.greeting = "Say \\"hello\\"" # --set'


def test_the_doctor_fails_where_a_bridge_could_not_start(capsys: pytest.CaptureFixture[str]) -> None:
    free = ["-s", "sip.listen=127.0.0.1:0", "-s", "http.listen=127.0.0.1:0", "-s", "tts_server.enabled=no"]

    assert run(["doctor", *free, "-s", "media.ports=22000-22003", "-s", "tts.url=ws://127.0.0.1:9/"]) == 1

    text = capsys.readouterr().out
    assert "fail  the voice service 127.0.0.1:9 cannot be reached: Connection refused" in text
    assert "→ check tts.url and the network" in text


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)

    done = subprocess.run(
        [sys.executable, "-m", "bridge", "config"],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writer)

    assert done.stderr == ""
