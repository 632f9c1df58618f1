from dataclasses import replace

import numpy as np
import pytest

from bridge.load.judge import Evidence, judge
from bridge.load.listen import Heard
from bridge.load.report import Report
from bridge.load.story import BargeInStory, CallStory, UtteranceStory
from tests.load.synthetic import FRAME_NS, MS, received, silence, speech

BUDGET_MS = {"mute": 150, "verdict": 350, "flush": 50, "cancel": 100, "spare_ready": 100, "next_audio": 1000}
GREETING, TOUR, RECAP, REST = speech(1, 8_000), speech(2, 32_000), speech(3, 8_000), speech(4, 16_000)
CUT = 12_960
"""Sample of the tour at which the bot fell silent."""
BEGIN_NS = 5_000 * MS
ONSET_PACKET = 10 + 50 + 5 + 78
ONSET_NS = BEGIN_NS + ONSET_PACKET * FRAME_NS + 8 * MS


def call(*, stale: int = 0, tour: np.ndarray = TOUR) -> np.ndarray:
    """Greeting, tour cut at `CUT`, recap, and a last sentence into which the caller hangs up."""
    return np.concatenate(
        (
            silence(10),
            GREETING,
            silence(5),
            tour[:CUT],
            silence(8),
            tour[CUT : CUT + stale],
            silence(60),
            RECAP,
            silence(3),
            REST[:4_000],
        )
    )


def said(text: str, *, heard: str | None = None, first_text_ns: int = 1) -> UtteranceStory:
    heard = text if heard is None else heard
    return UtteranceStory(text, heard, text[len(heard) :], heard != text, False, first_text_ns, first_text_ns)


def marks(**others: int | None) -> dict[str, int | None]:
    found: dict[str, int | None] = {f"t{n}": ONSET_NS + n * 20 * MS for n in range(8)}
    return found | others


def evidence(codes: np.ndarray | None = None, *, later_packets: int = 0) -> Evidence:
    """The proof of a call; `later_packets` shifts all that follows the greeting."""
    codes = call() if codes is None else codes
    shift_ns = later_packets * FRAME_NS
    told = {mark: None if at is None else at + shift_ns for mark, at in marks().items()}
    reply_ns = shift_ns + BEGIN_NS + (10 + 50 + 5 + 81 + 68) * FRAME_NS - 300 * MS
    return Evidence(
        heard=Heard(received(codes, begin_ns=BEGIN_NS), 0),
        answered_ns=BEGIN_NS + 40 * MS,
        onset_ns=ONSET_NS + shift_ns,
        script="Hold on.",
        script_ms=900.0,
        story=CallStory(
            utterances=(
                said("greeting"),
                said("a long tour", heard="a long"),
                said("recap", first_text_ns=reply_ns),
                UtteranceStory("the rest", "", "", False, False, reply_ns, reply_ns),
            ),
            barge_ins=(BargeInStory(told, "speech"),),
            breaches=(),
            counters={"tx_packets": len(codes) / 160},
        ),
        rendered={"greeting": GREETING, "a long tour": TOUR, "recap": RECAP, "the rest": REST},
        budget_ms=BUDGET_MS,
    )


def test_a_good_call_is_ok_and_measured_at_the_caller() -> None:
    report = judge(evidence())

    assert report.faults == ()
    assert [sentence.outcome for sentence in report.sentences] == ["whole", "cut", "whole", "hung up"]
    # The onset is 8 ms into packet 143; packet 146 is the first silent one.
    assert report.as_json() == {
        "ok": True,
        "first_audio_ms": 160.0,
        "mute_ms": 52.0,
        "verdict_ms": 40.0,
        "spare_ready_ms": 40.0,
        "next_audio_ms": 300.0,
        "heard_text": "a long",
        "unheard_text": " tour",
        "packets_sent": 292,
        "packets_received": 292,
        "late_packets": 0,
    }


def test_one_altered_sample_of_a_whole_sentence_is_not_ok() -> None:
    codes = call()
    codes[10 * 160 + 4_000] ^= 0x20

    report = judge(evidence(codes))

    assert not report.ok
    assert "only 4000 of 8000 samples" in report.faults[0]


def test_sound_of_the_cut_sentence_after_the_flush_is_not_ok() -> None:
    report = judge(evidence(call(stale=160)))

    assert any("20 ms of sound after the flush" in fault for fault in report.faults)


def test_an_interrupted_sentence_that_came_whole_was_not_interrupted() -> None:
    codes = np.concatenate((silence(10), GREETING, silence(5), TOUR, silence(60), RECAP, silence(9)))
    proof = evidence(codes)
    proof = replace(proof, story=replace(proof.story, utterances=proof.story.utterances[:3]))

    report = judge(proof)

    assert any("arrived whole" in fault for fault in report.faults)


def test_a_sentence_that_never_came_is_not_ok() -> None:
    proof = evidence()
    assert proof.rendered is not None
    report = judge(replace(proof, rendered={**proof.rendered, "recap": speech(9, 8_000)}))

    assert any("nothing arrived of the sentence 'recap'" in fault for fault in report.faults)
    assert any("belong to no later sentence" in fault for fault in report.faults)


def test_silence_inside_a_sentence_is_not_ok() -> None:
    codes = np.concatenate((call()[: 10 * 160 + 3_200], silence(12), call()[10 * 160 + 3_200 :]))

    report = judge(evidence(codes, later_packets=12))

    assert report.faults == ("240 ms of silence inside the sentence 'greeting'",)
    assert report.sentences[0].outcome == "paused"


def test_a_short_silence_that_a_busy_machine_put_in_is_shown_and_forgiven() -> None:
    codes = np.concatenate((call()[: 10 * 160 + 3_200], silence(10), call()[10 * 160 + 3_200 :]))

    report = judge(evidence(codes, later_packets=10))

    assert report.ok
    assert (report.sentences[0].outcome, report.sentences[0].paused_ms) == ("late", 200.0)


def test_a_duck_that_nobody_asked_for_is_not_forgiven() -> None:
    codes = np.concatenate((call()[: 10 * 160 + 3_200], silence(2), call()[10 * 160 + 3_200 :]))
    codes[10 * 160 + 3_200 + 320 : 10 * 160 + 3_200 + 360] = 0xF0

    report = judge(evidence(codes, later_packets=2))

    assert report.faults == ("40 ms of silence inside the sentence 'greeting'",)


def test_text_that_is_neither_heard_nor_unheard_is_not_ok() -> None:
    proof = evidence()
    wrong = (said("greeting"), replace(said("a long tour", heard="a long"), unheard="tour"))
    report = judge(replace(proof, story=replace(proof.story, utterances=wrong + proof.story.utterances[2:])))

    assert any("do not make up" in fault for fault in report.faults)


def test_a_stage_over_its_budget_is_not_ok() -> None:
    report = judge(replace(evidence(), budget_ms=BUDGET_MS | {"mute": 50}))

    assert report.faults == ("mute took 52.0 ms, budget 50 ms",)


def test_what_the_bridge_itself_reports_is_said() -> None:
    proof = evidence()
    report = judge(replace(proof, story=replace(proof.story, breaches=("flush took 60 ms",))))

    assert report.faults == ("the bridge reports: flush took 60 ms",)


def test_a_bot_that_never_stopped_is_not_ok() -> None:
    codes = np.concatenate((silence(10), TOUR, TOUR[:0]))
    proof = evidence(codes)
    story = replace(proof.story, utterances=(said("a long tour"),), barge_ins=())

    report = judge(replace(proof, story=story, onset_ns=BEGIN_NS + 100 * FRAME_NS))

    assert report.as_json()["mute_ms"] is None
    assert "the bridge never gave the caller the floor" in report.faults
    assert "mute never happened" in report.faults


def test_an_onset_into_silence_interrupts_nothing() -> None:
    report = judge(replace(evidence(), onset_ns=BEGIN_NS + 3 * FRAME_NS))

    assert "the bot was not talking when the caller began: nothing was interrupted" in report.faults


def test_lost_packets_are_not_ok() -> None:
    proof = evidence()
    packets = received(call(), begin_ns=BEGIN_NS, lost=frozenset({7}))

    report = judge(replace(proof, heard=Heard(packets, 0)))

    assert report.faults == ("1 packets never arrived",)


@pytest.mark.parametrize("mark", ["t3", "t4", "t5", "t6"])
def test_a_stage_that_never_happened_is_not_ok(mark: str) -> None:
    proof = evidence()
    told = BargeInStory(marks(**{mark: None}), "speech")

    report = judge(replace(proof, story=replace(proof.story, barge_ins=(told,))))

    assert any("never" in fault for fault in report.faults)


def test_the_report_is_the_caller_s_and_the_bridge_s_marks_together() -> None:
    report: Report = judge(evidence())

    assert report.marks["t0"] == ONSET_NS
    assert report.marks["t2"] == BEGIN_NS + 146 * FRAME_NS
    assert report.marks["t3"] == ONSET_NS + 60 * MS
    assert report.marks["t7"] == BEGIN_NS + (146 + 68) * FRAME_NS


def test_a_service_that_never_repeats_itself_is_measured_but_not_compared() -> None:
    report = judge(replace(evidence(), rendered=None))

    assert report.ok
    assert {sentence.outcome for sentence in report.sentences} == {"not compared"}
    assert report.as_json()["mute_ms"] == 52.0
