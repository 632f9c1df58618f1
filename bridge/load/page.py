"""`report.html`: one call on one page, self-contained, readable by day and by night."""

from html import escape
from pathlib import Path

from bridge.load.drawing import Band, Mark, draw_call
from bridge.load.mixdown import RATE, Mixdown
from bridge.load.report import Report, Sentence

__all__ = ["write_page"]

_MARKS = {
    "t0": "the caller's voice begins (caller)",
    "t1": "the voice gate opens (bridge)",
    "t2": "first silent packet arrives (caller)",
    "t3": "verdict: it is speech (bridge)",
    "t4": "playout flushed (bridge)",
    "t5": "cancel written to the voice service (bridge)",
    "t6": "a warm connection is bound for the reply (bridge)",
    "t7": "first sound of the next reply (caller)",
}
_STAGES = (
    ("mute", "t2 − t0", "From the caller's onset until silence reaches the caller."),
    ("verdict", "t3 − t1", "From the gate until it is decided that it is speech. The bot is already silent."),
    ("flush", "t4 − t3", "From the decision to the emptied playout."),
    ("cancel", "t5 − t4", "From there to the cancel on its way to the voice service."),
    ("spare_ready", "t6 − t4", "From the flush to an open connection bound for the next reply."),
    ("next_audio", "→ t7", "From the reply's first text handed over to its first sound at the caller."),
)
_STYLE = """
:root {
  color-scheme: light dark;
  --paper: #fbfaf7; --ink: #1d1b18; --soft: #6b655c; --rule: #e3dfd6; --card: #ffffff; --cut: #8a7f72;
  --caller: #b4530a; --bot: #0b6b8f; --good: #2d7a3e; --bad: #b3261e;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #16181b; --ink: #eae6df; --soft: #a09a90; --rule: #2f3338; --card: #1e2125; --cut: #8d867c;
    --caller: #f2a05c; --bot: #5cc0e6; --good: #79c98a; --bad: #ff8a80;
  }
}
* { box-sizing: border-box }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif }
main { max-width: 1180px; margin: 0 auto; padding: 32px 20px 56px }
h1 { font-size: 26px; margin: 0 0 4px }
h2 { font-size: 17px; margin: 36px 0 6px }
p { margin: 4px 0 12px; max-width: 78ch }
s, .soft, .who, figcaption { color: var(--soft) }
.verdict { font-weight: 600 }
.good { color: var(--good) }
.bad { color: var(--bad) }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px }
.tiles { margin: 22px 0 }
.tile, figure { background: var(--card); border: 1px solid var(--rule); border-radius: 10px }
.tile { padding: 12px 14px }
.tile b { display: block; font-size: 24px; font-variant-numeric: tabular-nums }
.tile span { color: var(--soft); font-size: 13px }
figure { margin: 0; padding: 12px; overflow-x: auto }
figcaption { font-size: 13px; padding-top: 6px }
audio { width: 100%; margin-top: 8px }
table { border-collapse: collapse; width: 100% }
td, th { text-align: left; padding: 7px 12px 7px 0 }
td, th { border-bottom: 1px solid var(--rule); vertical-align: top }
td.n { text-align: right; font-variant-numeric: tabular-nums }
td.n, .who { white-space: nowrap }
th { color: var(--soft); font-weight: 500; font-size: 13px }
svg { display: block; width: 100%; min-width: 720px; height: auto }
svg text { font: 12px system-ui, sans-serif; fill: var(--soft) }
svg .lane { font-size: 13px; font-weight: 600 }
svg .zero, svg .grid { stroke: var(--rule) }
svg path.caller, svg text.caller { fill: var(--caller) }
svg path.bot, svg text.bot { fill: var(--bot) }
svg .mark path { fill: none; stroke: var(--ink); stroke-width: 1.2; opacity: .75 }
svg .mark text { fill: var(--ink); font-weight: 600 }
svg .band text { fill: var(--ink) }
svg .wash { fill: none }
svg .bar { fill: var(--bot); opacity: .18 }
svg .caller .bar { fill: var(--caller); opacity: .25 }
svg .cut .bar { fill: var(--cut); opacity: .35 }
"""


def write_page(report: Report, mix: Mixdown, *, bot_begin_s: float, path: Path) -> None:
    """Write the page beside `call.wav`, which it plays when it is there.

    Args:
        report: The judged call.
        mix: Both its sides on one axis.
        bot_begin_s: Second of the mixdown at which the bot's first packet stands.
        path: The file to write.
    """
    bands = [_band(sentence, bot_begin_s) for sentence in report.sentences if sentence.span[0] >= 0]
    if (onset_ns := report.marks.get("t0")) is not None:
        begin_s = mix.second_of(onset_ns)
        bands.append(Band("caller", report.script, begin_s, begin_s + report.script_ms / 1e3))
    marks = [
        Mark(name, f"{name}: {meaning}", mix.second_of(at_ns))
        for name, meaning in _MARKS.items()
        if (at_ns := report.marks.get(name)) is not None
    ]
    title = "A good call" if report.ok else "Not a good call"
    page = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport"
content="width=device-width,initial-scale=1">
<title>{title}: one call, interrupted</title><style>{_STYLE}</style></head><body><main>
<h1>One call, interrupted</h1>
<p class="verdict {"good" if report.ok else "bad"}">{title}{"." if report.ok else ":"}</p>
{_faults(report)}{_tiles(report)}
{_close_up(report, mix, marks, bands)}
<h2>The whole call</h2>
<figure>{_overview(mix, marks, bands)}<audio controls preload="none" src="call.wav"></audio>
<figcaption>Caller above and on the left channel, bot below and on the right. Both are drawn on a
square-root scale, so that
soft sounds show; the recording itself is untouched. The bot stands where its packets reached the caller,
without any jitter
buffer of the caller's own.</figcaption></figure>
<h2>The stages</h2>{_stage_table(report)}
<h2>What was said</h2>{_conversation(report)}
<h2>How this was measured</h2>
<p class="soft">A real SIP call over UDP on this machine, with real G.711 packets every 20 ms. The caller
is a recording of
synthetic speech in another voice than the bot's; its onset is the first sample at −40 dBFS. t0, t2 and
t7 are taken at the
caller: t0 is when that sample was spoken, t2 and t7 are the kernel's receive times. t1 and t3 to t6 are
the bridge's own marks on
the same clock. Network delay and the caller's jitter buffer are not in these numbers: a real line adds
both. The
bot's words were compared, sample by sample, with what the voice service makes of the same text. No
recogniser was used: the
caller's words are its script.</p>
</main></body></html>
"""
    path.write_text(page, encoding="utf-8")


def _close_up(report: Report, mix: Mixdown, marks: list[Mark], bands: list[Band]) -> str:
    onset_ns = report.marks.get("t0")
    if onset_ns is None:
        return ""
    onset_s = mix.second_of(onset_ns)
    muted_ns, next_ns = report.marks.get("t2"), report.marks.get("t7")
    end_s = mix.second_of(next_ns) + 0.4 if next_ns is not None else onset_s + 3
    near = draw_call(
        mix,
        begin_s=onset_s - 0.15,
        end_s=onset_s + 0.45,
        marks=marks,
        bands=[],
        origin_s=onset_s,
        unit="ms",
        description="Both waveforms around the interruption, with the marks t0 to t6",
    )
    far = draw_call(
        mix,
        begin_s=onset_s - 0.8,
        end_s=end_s,
        marks=[mark for mark in marks if mark.name in ("t0", "t2", "t7")],
        bands=bands,
        origin_s=onset_s,
        unit="s",
        description="Both waveforms from the interruption to the next reply",
    )
    took = (
        ""
        if muted_ns is None
        else f" {(muted_ns - onset_ns) / 1e6:.1f} ms later no sound reaches the caller."
    )
    return f"""<h2>The interruption</h2>
<figure>{near}<figcaption>Zero is the caller's onset.{took} Where marks share a line, they are within a
pixel of each
other.</figcaption></figure>
<h2>To the next reply</h2>
<figure>{far}<figcaption>The bot waits until the caller has been silent for half a second; that wait is
manners, not
delay.</figcaption></figure>"""


def _overview(mix: Mixdown, marks: list[Mark], bands: list[Band]) -> str:
    return draw_call(
        mix,
        begin_s=0,
        end_s=mix.duration_s,
        marks=[mark for mark in marks if mark.name in ("t0", "t7")],
        bands=bands,
        origin_s=0,
        unit="s",
        description="Both waveforms of the whole call with what the bot said",
    )


def _band(sentence: Sentence, bot_begin_s: float) -> Band:
    begin, end = sentence.span
    kind = "cut" if sentence.outcome in ("cut", "hung up") else "said"
    return Band(kind, sentence.heard or sentence.text, bot_begin_s + begin / RATE, bot_begin_s + end / RATE)


def _faults(report: Report) -> str:
    if report.ok:
        return ""
    return "<ul>" + "".join(f'<li class="bad">{escape(fault)}</li>' for fault in report.faults) + "</ul>"


def _tiles(report: Report) -> str:
    stages = report.stages_ms
    tiles = (
        ("muted after", _ms(stages["mute"])),
        ("verdict", _ms(stages["verdict"])),
        ("warm connection", _ms(stages["spare_ready"])),
        ("next sound", _ms(stages["next_audio"])),
        ("first sound after the answer", _ms(report.first_audio_ms)),
        ("packets received of sent", f"{report.packets_received} / {report.packets_sent}"),
        ("late by over 20 ms", str(report.late_packets)),
    )
    drawn = "".join(f'<div class="tile"><b>{value}</b><span>{name}</span></div>' for name, value in tiles)
    return f'<div class="tiles">{drawn}</div>'


def _stage_table(report: Report) -> str:
    rows = []
    for name, marks, meaning in _STAGES:
        took_ms, limit_ms = report.stages_ms[name], report.budget_ms.get(name)
        over = took_ms is None or (limit_ms is not None and took_ms > limit_ms)
        limit = "" if limit_ms is None else f"{limit_ms:.0f} ms"
        rows.append(
            f'<tr><td>{name.replace("_", " ")}</td><td class="soft">{marks}</td><td>{meaning}</td>'
            f'<td class="n {"bad" if over else "good"}">{_ms(took_ms)}</td>'
            f'<td class="n soft">{limit}</td></tr>'
        )
    head = "<tr><th>stage</th><th>marks</th><th>what it is</th><th>took</th><th>budget</th></tr>"
    return f"<table>{head}{''.join(rows)}</table>"


def _conversation(report: Report) -> str:
    rows = []
    for sentence in report.sentences:
        if sentence.interrupted:
            note = " (estimated)" if sentence.estimated else ""
            words = f"{escape(sentence.heard)}<s>{escape(sentence.unheard)}</s>"
            rows.append(_line("bot", words, f"cut: what is struck out was never heard{note}"))
            rows.append(_line("caller", escape(report.script), "its script"))
        else:
            share = f"{sentence.matched_samples} of {sentence.expected_samples} samples, bit for bit"
            rows.append(_line("bot", escape(sentence.text), f"{sentence.outcome}: {share}"))
    return f"<table>{''.join(rows)}</table>"


def _line(who: str, words: str, note: str) -> str:
    return f'<tr><td class="who">{who}</td><td>{words}</td><td class="soft">{escape(note)}</td></tr>'


def _ms(value_ms: float | None) -> str:
    return "never" if value_ms is None else f"{value_ms:.1f} ms"
