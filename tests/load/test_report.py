import io
import json
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from bridge.load.judge import judge
from bridge.load.report import Report, print_report, write_json
from tests.load.test_judge import evidence

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


def printed(report: Report) -> str:
    out = io.StringIO()
    print_report(report, Console(file=out, width=120))
    return out.getvalue()


def test_the_files_hold_what_they_promise(tmp_path: Path) -> None:
    write_json(judge(evidence()), tmp_path)

    report = json.loads((tmp_path / "report.json").read_text())
    lines = json.loads((tmp_path / "transcript.json").read_text())["lines"]
    assert set(report) == KEYS
    assert report["ok"] is True
    assert [line["who"] for line in lines] == ["bot", "bot", "caller", "bot", "bot"]
    assert lines[2]["text"] == "Hold on."


def test_the_table_names_every_stage_and_the_verdict() -> None:
    text = printed(judge(evidence()))

    assert "a good call" in text
    for shown in ("52.0", "160.0", "300.0", "a long", " tour", "292 sent, 292 received, 0 more than 20 ms"):
        assert shown in text


def test_the_table_says_what_is_wrong() -> None:
    text = printed(replace(judge(evidence()), faults=("the bot is rude",)))

    assert "not a good call" in text
    assert "the bot is rude" in text
