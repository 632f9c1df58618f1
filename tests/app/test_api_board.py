"""The board behind the desk: what changes has a number, and nothing is read that need not be."""

import json
from collections.abc import Iterator
from typing import Any

from bridge.app.api.board import RECENT, Board
from bridge.app.api.totals import Figures, Totals
from bridge.call.bus import Bus
from bridge.call.ledger import Ledger
from bridge.call.trace import BargeInRecord, CallTrace, UtteranceRecord
from bridge.engine.shared import EngineGauges
from tests.app.api_house import StillEngine, StillVoice
from tests.fakes import ManualClock, SeededIds


class Archived:
    """Calls of the days before."""

    def __init__(self, summaries: list[dict[str, Any]]) -> None:
        self.summaries = summaries
        self.counters: dict[str, int] = {}

    def keep(self, record: object) -> None:
        """It is not read again here."""

    async def latest(self, most: int) -> list[dict[str, Any]]:
        return self.summaries[:most]

    async def find(self, call_id: str) -> dict[str, Any] | None:
        return None


def ledger_of(archive: Archived | None = None, *, keeps_numbers: bool = False) -> Ledger:
    clock = ManualClock()
    return Ledger(
        clock=clock,
        dice=SeededIds(),
        bus=Bus(clock),
        keeps_text=False,
        archive=archive,
        keeps_numbers=keeps_numbers,
    )


def begun(ledger: Ledger) -> CallTrace:
    return ledger.begin("inbound", to="hello", caller="anna", give_up=lambda: None)


def told(board: Board, since: int = 0) -> dict[str, dict[str, Any]]:
    calls: Iterator[dict[str, Any]] = (json.loads(text) for _, text in board.news(since))
    return {call["id"]: call for call in calls}


def test_what_did_not_change_is_not_told_again() -> None:
    ledger = ledger_of()
    board = Board(ledger, dict)
    one, two = begun(ledger), begun(ledger)
    board.look()
    assert list(told(board)) == [two.id, one.id]

    since = board.number
    for _ in range(8):
        board.look()
    assert board.number == since

    one.state = "calling"
    board.look()
    assert list(told(board, since)) == [one.id]
    assert told(board, board.number) == {}


def test_numbers_are_shown_while_they_talk_and_then_only_if_they_are_kept() -> None:
    for keeps_numbers, shown in ((False, None), (True, "anna")):
        ledger = ledger_of(keeps_numbers=keeps_numbers)
        board, trace = Board(ledger, dict), begun(ledger)
        board.look()
        assert told(board)[trace.id]["from"] == "anna"
        ledger.forsake(trace, "given up")
        board.look()
        assert told(board)[trace.id]["from"] == shown
        assert told(board)[trace.id]["state"] == "ended"


async def test_calls_of_the_days_before_are_shown_after_those_of_today() -> None:
    old = [CallTrace(f"old{number}", "", "inbound", 0, state="ended").summary() for number in range(200)]
    ledger = ledger_of(Archived(old))
    await ledger.restore()
    board, trace = Board(ledger, dict), begun(ledger)

    for _ in range(4):
        board.look()
        if not board.unread:
            break

    shown = told(board)
    assert len(shown) == RECENT + 1
    assert shown["old0"]["floor"] == "nobody"
    assert shown[trace.id]["state"] == "ringing"


def test_many_calls_are_read_in_several_beats_and_events_come_first() -> None:
    ledger = ledger_of()
    board = Board(ledger, dict)
    traces = [begun(ledger) for _ in range(100)]
    board.look()
    assert (len(told(board)), board.unread) == (40, 60)
    for _ in range(2):
        board.look()
    assert (len(told(board)), board.unread) == (100, 0)

    since = board.number
    traces[5].state = "up"
    board.look()
    assert list(told(board, since)) == [traces[5].id]


def test_who_leaves_the_list_is_told_as_long_as_that_is_known() -> None:
    ledger = ledger_of()
    board = Board(ledger, dict)
    first = begun(ledger)
    board.look()
    start = board.number
    ledger.forsake(first, "given up")
    for _ in range(RECENT):
        ledger.forsake(begun(ledger), "given up")
    board.look()
    assert board.gone(start) == [first.id]
    assert first.id not in told(board)

    for _ in range(12):
        for _ in range(RECENT):
            ledger.forsake(begun(ledger), "given up")
        for _ in range(4):
            board.look()
    assert board.gone(start) is None
    assert board.gone(board.number) == []


def test_totals_are_read_once_a_second_and_at_once_after_a_rest() -> None:
    counts = iter(range(10))
    board = Board(ledger_of(), lambda: {"count": next(counts)})
    for _ in range(4):
        board.look()
    assert json.loads(board.totals) == {"count": 0}
    board.look()
    assert json.loads(board.totals) == {"count": 1}
    board.rest()
    board.look()
    assert json.loads(board.totals) == {"count": 2}
    assert board.totals_number == board.number


def test_totals_have_percentiles_of_calls_and_the_load_of_each_core() -> None:
    clock, figures, engine = ManualClock(start_ns=10**9), Figures(), StillEngine()
    ledger = ledger_of()
    totals = Totals(ledger, figures, engine, StillVoice(), clock=clock)
    assert totals.read()["engine"]["processes"][0]["load"] is None
    assert totals.read()["first_audio_ms"] == {"count": 0, "p50": None, "p95": None}

    begun(ledger)
    for took_ms in range(1, 101):
        trace = CallTrace("a", "", "inbound", 0, answered_ns=0)
        trace.say(UtteranceRecord(0, first_audio_ns=took_ms * 1_000_000, failure="" if took_ms > 2 else "Oh"))
        figures.call_started(trace)
        figures.call_ended(trace)
    figures.call_ended(CallTrace("b", "", "inbound", 0))
    figures.barge_in({"mute": 61.04}, [])
    clock.advance(1000)
    gauges = EngineGauges.zero()
    gauges.cpu_ns, gauges.rows = 42_000_000, 1
    engine.readings = [gauges, EngineGauges.zero()]

    told_now = totals.read()
    assert told_now["calls"] == {"up": 0, "ringing": 1, "ended": 101, "room": 480}
    assert told_now["first_audio_ms"] == {"count": 100, "p50": 50.0, "p95": 95.0}
    assert told_now["stages_ms"] == {"mute": {"count": 1, "p50": 61.0, "p95": 61.0}}
    assert [each["load"] for each in told_now["engine"]["processes"]] == [0.042, None]
    assert told_now["voice"] == {"idle": 2, "busy": 0, "warm_starts": 3, "cold_starts": 0, "failures": 2}
    assert totals.read()["engine"]["processes"][0]["load"] is None  # no time has passed


def test_a_barge_in_is_seen_at_once() -> None:
    ledger = ledger_of()
    board, trace = Board(ledger, dict), begun(ledger)
    board.look()
    since = board.number
    trace.interrupt(BargeInRecord())
    board.look()
    assert told(board, since)[trace.id]["barge_ins"] == 1
