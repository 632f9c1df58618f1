"""A busy day at the desk, in the shapes of docs/api.md: what a bridge under test cannot bring about."""

from typing import Any

__all__ = ["BUDGET_MS", "NOW_NS", "RECORD", "SNAPSHOT", "detail"]

S = 1_000_000_000
MS = 1_000_000
NOW_NS = 500 * S
ANSWERED_NS = 440 * S
TIME = "2026-11-26T09:00:07.400Z"
BUDGET_MS = {"mute": 150, "verdict": 350, "flush": 50, "cancel": 50, "spare_ready": 50, "next_audio": 1000}
REASONS = ("caller hung up", "agent finished", "media failed", "bridge stopped", "maximum duration reached")


def _quality(mos: float | None) -> dict[str, float | None]:
    known = {"mos_in": mos, "mos_in_lowest": mos, "jitter_in_ms": 1.5, "loss_in": 0.002}
    return known | dict.fromkeys(("mos_out", "mos_out_lowest", "jitter_out_ms", "loss_out", "round_trip_ms"))


def _call(number: int, state: str, started_s: int, **rest: object) -> dict[str, Any]:
    return {
        "id": f"{number:016x}",
        "sip_call_id": "",
        "direction": "inbound",
        "codec": "opus",
        "rate_hz": 24_000,
        "state": state,
        "reason": "",
        "cause": "",
        "status": 0,
        "started_ns": started_s * S,
        "answered_ns": started_s * S,
        "ended_ns": None,
        "first_audio_ns": started_s * S + 240 * MS,
        "utterances": 4,
        "barge_ins": 2,
        "false_alarms": 1,
        "digits": 1,
        "breaches": [],
        "has_recording": False,
        "via": "browser",
        "from": "browser:127.0.0.1",
        "to": "hello",
        "floor": "bot",
        "quality": _quality(4.3),
        "silence_ms": {"idle": 3120, "tts_late": 120, "bridge_late": 0, "held": 0, "ducked": 350, "keys": 0},
        "stages": {"mute": {"count": 2, "last_ms": 62.0, "worst_ms": 62.0, "over": 0}},
    } | rest


def _ended(number: int) -> dict[str, Any]:
    began_s = 400 - 20 * number
    return _call(
        16 + number,
        "ended",
        began_s,
        ended_ns=(began_s + 13 + 300 * number) * S,
        reason=REASONS[number % len(REASONS)],
        breaches=["mute", "cancel"] if number == 2 else [],
        floor="nobody",
        via="phone" if number % 2 else "browser",
        **(
            {"from": "sip:bob@a-rather-long-name.example.org", "to": "hello"}
            if number < 4
            else {"from": None, "to": None}
        ),
    )


CALLS = [
    _call(1, "up", ANSWERED_NS // S),
    _call(
        2, "up", 470, via="phone", floor="caller", codec="PCMA", rate_hz=8000, quality=_quality(3.2),
        **{"from": "sip:anna@192.0.2.7", "to": "4930123456"},
    ),
    _call(
        3, "ringing", 497, direction="outbound", answered_ns=None, floor="nobody", quality=_quality(None),
        via="phone", **{"from": None, "to": "sip:100@127.0.0.1:5070"},
    ),
    *(_ended(number) for number in range(12)),
]  # fmt: skip
RECORD = CALLS[0] | {"utterances": [], "barge_ins": [], "media": {}}
"""The first call as ``GET /api/calls/{id}`` tells it."""

SNAPSHOT: dict[str, Any] = {
    "type": "snapshot",
    "seq": 1,
    "at_ns": NOW_NS,
    "time": TIME,
    "may": {"order": True, "recordings": True, "transcripts": True},
    "budget_ms": BUDGET_MS,
    "totals": {
        "calls": {"up": 2, "ringing": 1, "ended": 17, "room": 480},
        "first_audio_ms": {"count": 17, "p50": 240.0, "p95": 310.0},
        "stages_ms": {"mute": {"count": 9, "p50": 61.0, "p95": 92.0}},
        "engine": {
            "running": 2,
            "restarts": 0,
            "takeovers": 0,
            "has_standby": True,
            "processes": [
                {"place": place, "load": load, "legs": 1, "stalls": 0, "late_p99_ms": 0.4}
                for place, load in enumerate((0.042, 0.87))
            ],
        },
        "voice": {"idle": 2, "busy": 1, "warm_starts": 31, "cold_starts": 2, "failures": 0},
    },
    "calls": CALLS,
    "more": 0,
    "gone": [],
    "detail": None,
}


def _span(number: int, began_ms: int, ended_ms: int | None, **rest: object) -> dict[str, Any]:
    ended_ns = None if ended_ms is None else ANSWERED_NS + ended_ms * MS
    return {"number": number, "began_ns": ANSWERED_NS + began_ms * MS, "ended_ns": ended_ns} | rest


def _interruption(number: int, at_ms: int, *, spare_ready_ms: int) -> dict[str, Any]:
    marks = {
        "mute": (0, 62),
        "verdict": (20, 231),
        "flush": (231, 232),
        "cancel": (232, 236),
        "spare_ready": (232, 232 + spare_ready_ms),
        "next_audio": (900, 1180),
    }
    stages = [
        _span(0, at_ms + begins, at_ms + ends)
        | {
            "name": name,
            "took_ms": ends - begins,
            "budget_ms": BUDGET_MS[name],
            "over": ends - begins > BUDGET_MS[name],
        }
        for name, (begins, ends) in marks.items()
    ]
    for stage in stages:
        del stage["number"]
    return {"number": number, "began_ns": ANSWERED_NS + at_ms * MS, "cause": "speech", "stages": stages}


def _line(who: str, span: dict[str, Any], text: str, heard: str | None = None) -> dict[str, Any]:
    unheard = None if heard is None else text.removeprefix(heard)
    told = {"who": who, "text": text, "heard": heard, "unheard": unheard, "interrupted": bool(unheard)}
    return span | told


def detail(call: str) -> dict[str, Any]:
    """What is told of a call that is watched: only the first is known."""
    if call != RECORD["id"]:
        return {"call": call, "known": False, "timeline": {}, "transcript": [], "media": {}}
    timeline = {
        "caller": [_span(1, 5000, 7000), _span(2, 14_000, 17_000), _span(3, 30_000, 30_300)],
        "bot": [
            _span(1, 500, 5232, interrupted=True, cause="speech"),
            _span(2, 8000, 14_232, interrupted=True, cause="speech"),
            _span(3, 18_000, 34_000, interrupted=False, cause=None),
            _span(4, 45_000, None, interrupted=False, cause=None),
        ],
        "ducks": [
            _span(1, 5062, 5232, outcome="flushed"),
            _span(2, 14_062, 14_232, outcome="flushed"),
            _span(3, 30_050, 30_300, outcome="resumed"),
        ],
        "keys": [_span(1, 40_000, 40_100)],
        "barge_ins": [
            _interruption(1, 5000, spare_ready_ms=8),
            _interruption(2, 14_000, spare_ready_ms=68),
        ],
    }
    transcript = [
        _line("bot", _span(1, 500, 5232), "Good morning. I have your parcel.", "Good morning."),
        _line("caller", _span(1, 5000, 7000), "Stop, please. I would like to change my appointment."),
        _line("bot", _span(2, 8000, 14_232), "Of course. It is on Tuesday at nine.", "Of course. It is"),
        _line("caller", _span(2, 14_000, 17_000), "Can we make it Thursday?"),
        _line("bot", _span(3, 18_000, 34_000), "Thursday at nine it is.", "Thursday at nine it is."),
        _line("bot", _span(4, 45_000, None), "Is there anything else that"),
    ]
    return {
        "call": call,
        "known": True,
        "timeline": timeline,
        "transcript": transcript,
        "media": {"rx_packets": 370},
    }
