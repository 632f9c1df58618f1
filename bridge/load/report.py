"""The result of one judged call, and its three faces: a table, `report.json` and `transcript.json`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

__all__ = ["Report", "Sentence", "print_report", "write_json"]

_STAGES = {
    "mute": ("caller's onset to silence at the caller", "t2 - t0"),
    "verdict": ("gate to the decision that it is speech", "t3 - t1"),
    "flush": ("decision to the emptied playout", "t4 - t3"),
    "cancel": ("flush to the cancel on its way", "t5 - t4"),
    "spare_ready": ("flush to an open connection bound", "t6 - t4"),
    "next_audio": ("next reply's first text to its first sound", "to t7"),
}


@dataclass(frozen=True, slots=True)
class Sentence:
    """One thing the bot said, and how it arrived."""

    text: str
    heard: str
    unheard: str
    estimated: bool
    interrupted: bool
    outcome: str
    """Good: ``whole``, ``late`` (whole, with a short silence that a busy machine put in), ``cut`` (the
    interrupted one), ``hung up``, ``not compared``. Bad: ``paused``, ``damaged``, ``missing``."""
    span: tuple[int, int]
    """Where it stands in what the caller heard, in samples; (-1, -1) when it does not."""
    matched_samples: int
    expected_samples: int
    paused_ms: float


@dataclass(frozen=True, slots=True)
class Report:
    """One call, judged; see `bridge.load.judge`."""

    first_audio_ms: float | None
    """From the answer to the first sound at the caller."""
    stages_ms: Mapping[str, float | None]
    """By the names of ``[bargein.budget_ms]``."""
    heard_text: str
    unheard_text: str
    packets_sent: int
    packets_received: int
    late_packets: int
    faults: tuple[str, ...]
    """Why it is not `ok`, in sentences; empty when it is."""
    sentences: tuple[Sentence, ...]
    marks: Mapping[str, int | None]
    """t0 to t7, monotonic ns."""
    budget_ms: Mapping[str, float]
    script: str
    """What the caller said."""
    script_ms: float
    answered_ns: int

    @property
    def ok(self) -> bool:
        """Whether it was a good call."""
        return not self.faults

    def as_json(self) -> dict[str, object]:
        """The keys that `report.json` promises, and no other."""
        stages = self.stages_ms
        return {
            "ok": self.ok,
            "first_audio_ms": _rounded(self.first_audio_ms),
            "mute_ms": _rounded(stages["mute"]),
            "verdict_ms": _rounded(stages["verdict"]),
            "spare_ready_ms": _rounded(stages["spare_ready"]),
            "next_audio_ms": _rounded(stages["next_audio"]),
            "heard_text": self.heard_text,
            "unheard_text": self.unheard_text,
            "packets_sent": self.packets_sent,
            "packets_received": self.packets_received,
            "late_packets": self.late_packets,
        }

    def transcript(self) -> dict[str, object]:
        """Who said what, and what of it was heard; the caller's part is its script."""
        lines: list[dict[str, object]] = [
            {
                "who": "bot",
                "text": sentence.text,
                "heard": sentence.heard,
                "unheard": sentence.unheard,
                "outcome": sentence.outcome,
                "estimated": sentence.estimated,
            }
            for sentence in self.sentences
        ]
        cut = next((i for i, sentence in enumerate(self.sentences) if sentence.interrupted), len(lines) - 1)
        lines.insert(cut + 1, {"who": "caller", "text": self.script})
        return {"lines": lines, "faults": list(self.faults)}


def write_json(report: Report, folder: Path) -> None:
    """Write `report.json` and `transcript.json` into `folder`."""
    _dump(report.as_json(), folder / "report.json")
    _dump(report.transcript(), folder / "transcript.json")


def print_report(report: Report, console: Console) -> None:
    """Print the table that `make demo` ends with."""
    console.print(_table(report))


def _table(report: Report) -> RenderableType:
    stages = Table(title="One call, interrupted", title_justify="left", title_style="bold")
    stages.add_column("stage")
    stages.add_column("marks", style="dim")
    stages.add_column("ms", justify="right")
    stages.add_column("budget", justify="right", style="dim")
    stages.add_row("answer to the first sound at the caller", "", _shown(report.first_audio_ms), "")
    for name, (meaning, marks) in _STAGES.items():
        took_ms, limit_ms = report.stages_ms[name], report.budget_ms.get(name)
        over = took_ms is None or (limit_ms is not None and took_ms > limit_ms)
        stages.add_row(
            meaning,
            marks,
            Text(_shown(took_ms), style="red" if over else "green"),
            "" if limit_ms is None else f"{limit_ms:.0f}",
        )
    said = Table(show_header=False, box=None, padding=(0, 1))
    said.add_column(style="dim", no_wrap=True)
    said.add_column()
    for sentence in report.sentences:
        if sentence.interrupted:
            said.add_row("heard", Text(sentence.heard))
            said.add_row("not heard", Text(sentence.unheard, style="strike dim"))
            said.add_row("caller", Text(report.script, style="italic"))
        else:
            said.add_row(sentence.outcome, Text(sentence.text))
    packets = (
        f"packets from the bridge: {report.packets_sent} sent, {report.packets_received} received,"
        f" {report.late_packets} more than 20 ms after they were due"
    )
    verdict = Text("a good call", style="bold green")
    if not report.ok:
        verdict = Text("not a good call:\n" + "\n".join(f"  {fault}" for fault in report.faults), style="red")
    return Group(stages, Text(), said, Text(), Text(packets), verdict)


def _shown(value_ms: float | None) -> str:
    return "never" if value_ms is None else f"{value_ms:.1f}"


def _rounded(value_ms: float | None) -> float | None:
    return None if value_ms is None else round(value_ms, 3)


def _dump(content: Mapping[str, object], path: Path) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
