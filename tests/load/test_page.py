import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

from bridge.load.judge import judge
from bridge.load.mixdown import Mixdown
from bridge.load.page import write_page
from bridge.load.report import Report
from tests.load.synthetic import sent, silence, speech
from tests.load.test_judge import BEGIN_NS, ONSET_PACKET, evidence


def page(report: Report, folder: Path) -> str:
    spoken = silence(320)
    spoken[ONSET_PACKET * 160 : ONSET_PACKET * 160 + 16_000] = speech(9, 16_000)
    mix = Mixdown.of(sent(spoken, begin_ns=BEGIN_NS), evidence().heard)
    path = folder / "report.html"
    write_page(report, mix, bot_begin_s=mix.second_of(BEGIN_NS), path=path)
    return path.read_text(encoding="utf-8")


def test_the_page_needs_nothing_but_itself_and_the_recording(tmp_path: Path) -> None:
    text = page(judge(evidence()), tmp_path)

    assert set(re.findall(r'(?:src|href)="([^"]*)"', text)) == {"call.wav"}
    assert "http" not in text
    assert "prefers-color-scheme: dark" in text


def test_every_drawing_is_well_formed_and_every_mark_is_drawn(tmp_path: Path) -> None:
    text = page(judge(evidence()), tmp_path)

    drawings = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert len(drawings) == 3
    for drawing in drawings:
        ElementTree.fromstring(drawing)  # noqa: S314  our own drawing
    for mark in ("t0", "t1", "t2", "t3", "t4", "t5", "t6", "t7"):
        assert f">{mark}</text>" in text


def test_what_was_said_cannot_break_the_page(tmp_path: Path) -> None:
    report = judge(evidence())
    sentence = replace(report.sentences[0], text="<script>alert(1)</script>", heard="<b>")

    text = page(replace(report, sentences=(sentence, *report.sentences[1:])), tmp_path)

    assert "<script" not in text
    assert "&lt;script&gt;" in text


def test_a_bad_call_says_why(tmp_path: Path) -> None:
    text = page(replace(judge(evidence()), faults=("mute took 1 s & more",)), tmp_path)

    assert "Not a good call" in text
    assert "mute took 1 s &amp; more" in text


def test_a_call_without_an_interruption_has_a_page_too(tmp_path: Path) -> None:
    report = judge(evidence())

    text = page(replace(report, marks=dict.fromkeys(report.marks)), tmp_path)

    assert text.count("<svg") == 1
