from dataclasses import fields

import pytest

from bridge.speech.budget import STAGES, BargeInTrace, Breach, Budget
from tests.fakes import MS

QUICK = BargeInTrace(
    t0=0,
    t1=20 * MS,
    t2=40 * MS,
    t3=200 * MS,
    t4=202 * MS,
    t5=203 * MS,
    t6=204 * MS,
    next_text=900 * MS,
    t7=1100 * MS,
)


def test_a_good_interruption_breaks_no_budget() -> None:
    assert Budget().check(QUICK) == []
    assert QUICK.stages_ms() == {
        "mute": 40.0,
        "verdict": 180.0,
        "flush": 2.0,
        "cancel": 1.0,
        "spare_ready": 2.0,
        "next_audio": 200.0,
    }


def test_a_slow_stage_is_named_with_what_it_took() -> None:
    trace = BargeInTrace(t0=0, t2=151 * MS)

    (breach,) = Budget().check(trace)

    assert breach == Breach("mute", 151.0, 150.0)
    assert str(breach) == "mute took 151.0 ms, 150 ms are allowed"


def test_a_stage_whose_marks_are_missing_breaks_nothing() -> None:
    assert Budget().check(BargeInTrace(t4=0)) == []


def test_a_budget_is_read_from_the_configuration() -> None:
    budget = Budget.from_ms({"mute": 30, "spare_ready": 1})

    assert [breach.stage for breach in budget.check(QUICK)] == ["mute", "spare_ready"]


def test_a_stage_nobody_knows_is_refused() -> None:
    with pytest.raises(KeyError, match="no such stage: latency"):
        Budget.from_ms({"latency": 1})


def test_every_stage_has_a_budget_and_every_budget_a_stage() -> None:
    assert {stage.name for stage in STAGES} == {field.name for field in fields(Budget)}
