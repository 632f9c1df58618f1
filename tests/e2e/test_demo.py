"""The demo as a user starts it: what it prints, writes and returns."""

import json
import os
import subprocess
import sys
import wave
from pathlib import Path

import pytest

from tests.e2e.undisturbed import undisturbed

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

KEYS = {
    "ok",
    "first_audio_ms",
    "mute_ms",
    "verdict_ms",
    "spare_ready_ms",
    "next_audio_ms",
    "heard_text",
    "unheard_text",
    "packets_sent",
    "packets_received",
    "late_packets",
}


def demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    # A key in the environment must change nothing: without --cloud nothing may bill.
    return subprocess.run(
        [sys.executable, "-m", "bridge", "demo", *arguments],
        env={**os.environ, "DASHSCOPE_API_KEY": "not-a-key", "COSYBRIDGE_TTS__API_KEY": "not-a-key"},
        capture_output=True,
        text=True,
        timeout=140,
        check=False,
    )


@undisturbed
def test_the_demo_places_a_good_call_and_leaves_its_proof(tmp_path: Path) -> None:
    done = demo("--json", "--out", str(tmp_path / "demo"))

    assert done.stdout, done.stderr
    report = json.loads(done.stdout)
    transcript = json.loads((tmp_path / "demo" / "transcript.json").read_text())
    assert set(report) == KEYS
    assert report == json.loads((tmp_path / "demo" / "report.json").read_text())
    assert transcript["faults"] == []
    assert report["ok"] is True
    assert done.returncode == 0
    assert report["heard_text"]
    assert report["unheard_text"]
    assert report["packets_received"] == report["packets_sent"]
    with wave.open(str(tmp_path / "demo" / "call.wav")) as recording:
        assert (recording.getnchannels(), recording.getframerate()) == (2, 8000)
        assert recording.getnframes() > 10 * 8000
    page = (tmp_path / "demo" / "report.html").read_text()
    assert page.count("<svg") == 3
    assert "A good call" in page


def test_a_demo_that_cannot_start_says_why_in_one_line(tmp_path: Path) -> None:
    done = demo("--json", "--out", str(tmp_path), "--set", "tts_server.threds=2")

    assert done.returncode != 0
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert "threds" in done.stderr


def test_a_folder_that_cannot_be_written_is_named_before_the_call(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    done = demo("--json", "--out", str(tmp_path / "file" / "demo"))

    assert done.returncode != 0
    assert "file/demo" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
