"""A call as it is drawn, whole and in changes."""

from dataclasses import asdict

from bridge.app.api.answers import CallDetail, Line, Timeline
from bridge.call.timeline import Told, timeline_of, transcript_of
from bridge.call.trace import BargeInRecord, CallTrace, UtteranceRecord
from bridge.plane.events import Ducked, Flushed, VoiceStarted, VoiceStopped
from bridge.speech.budget import Budget

MS = 1_000_000
BUDGET = asdict(Budget())


def at(at_ms: int) -> dict[str, int]:
    return {"row": 0, "generation": 1, "at_ns": at_ms * MS}


def interrupted_call() -> CallTrace:
    """One sentence that the caller cuts off."""
    trace = CallTrace("a", "b", "inbound", 0, keeps_text=True, state="up", answered_ns=100 * MS)
    record = UtteranceRecord(
        start_sample=0,
        end_sample=8000,
        text="Good morning. How are you?",
        heard="Good morning.",
        unheard=" How are you?",
        interrupted=True,
        cause="speech",
        first_text_ns=110 * MS,
        first_audio_ns=200 * MS,
        is_over=True,
        ended_ns=1300 * MS,
    )
    trace.say(record)
    trace.lanes.note(VoiceStarted(**at(1050), onset_ns=1000 * MS))
    trace.lanes.note(Ducked(**at(1060), position=0, onset_ns=1000 * MS, gate_ns=1050 * MS))
    trace.lanes.note(Flushed(**at(1300), position=0, epoch=1, verdict_ns=1290 * MS, cause="speech"))
    ms = {"t0": 1000, "t1": 1050, "t2": 1160, "t3": 1290, "t4": 1300, "t5": 1301, "t6": 1302}
    trace.interrupt(BargeInRecord(**{name: value * MS for name, value in ms.items()}, cause="speech"))
    trace.understand("Stop, please.", began_ns=1000 * MS, ended_ns=1900 * MS)
    return trace


def test_a_call_is_drawn_with_both_voices_and_every_stage_against_its_budget() -> None:
    drawn = timeline_of(interrupted_call(), BUDGET)

    assert Timeline.model_validate(drawn)
    assert drawn["caller"] == [{"number": 1, "began_ns": 1000 * MS, "ended_ns": None}]
    assert drawn["ducks"][0]["outcome"] == "flushed"
    (sound,) = drawn["bot"]
    assert (sound["began_ns"], sound["ended_ns"], sound["cause"]) == (200 * MS, 1300 * MS, "speech")
    (interruption,) = drawn["barge_ins"]
    stages = {each["name"]: (each["took_ms"], each["over"]) for each in interruption["stages"]}
    assert stages["mute"] == (160.0, True)
    assert stages["cancel"] == (1.0, False)
    assert "next_audio" not in stages


def test_a_transcript_has_both_in_the_order_in_which_they_began() -> None:
    lines = transcript_of(interrupted_call())

    assert lines is not None
    assert [(line["who"], line["text"], line["unheard"]) for line in lines] == [
        ("bot", "Good morning. How are you?", " How are you?"),
        ("caller", "Stop, please.", None),
    ]
    assert all(Line.model_validate(line) for line in lines)


def test_a_call_that_keeps_no_texts_has_no_transcript() -> None:
    trace = interrupted_call()
    trace.keeps_text = False

    assert transcript_of(trace) is None


def test_what_was_told_is_told_again_only_when_it_changed() -> None:
    trace, told = interrupted_call(), Told()
    first = timeline_of(trace, BUDGET, told)
    assert first["caller"]
    assert first["barge_ins"]

    same = timeline_of(trace, BUDGET, told)
    assert [same[name] for name in ("caller", "bot", "ducks", "keys", "barge_ins")] == [[]] * 5

    trace.lanes.note(VoiceStopped(**at(2100), ended_ns=2000 * MS))
    trace.barge_ins[-1].next_text, trace.barge_ins[-1].t7 = 2100 * MS, 2300 * MS
    later = timeline_of(trace, BUDGET, told)
    assert later["caller"] == [{"number": 1, "began_ns": 1000 * MS, "ended_ns": 2000 * MS}]
    assert later["barge_ins"][0]["stages"][-1]["name"] == "next_audio"
    assert later["bot"] == []


def test_a_sentence_grows_in_a_transcript_while_it_is_heard() -> None:
    trace = CallTrace("a", "b", "inbound", 0, keeps_text=True, state="up")
    told = Told()
    trace.say(UtteranceRecord(0))  # a file that is played: nobody said it
    trace.utterances[-1].is_over = True
    trace.say(UtteranceRecord(0, text="One two.", first_text_ns=5))
    first = transcript_of(trace, told)
    assert first is not None
    assert [line["heard"] for line in first] == [""]

    assert transcript_of(trace, told) == []
    trace.utterances[-1].heard = "One"
    grown = transcript_of(trace, told)
    assert grown is not None
    assert [(line["number"], line["heard"]) for line in grown] == [(2, "One")]

    record = trace.utterances[-1]
    record.heard, record.is_over, record.ended_ns = "One two.", True, 9
    assert len(transcript_of(trace, told) or ()) == 1
    assert transcript_of(trace, told) == []


def test_what_is_older_than_what_is_kept_holds_nothing_up() -> None:
    trace, told = CallTrace("a", "b", "inbound", 0), Told()
    for number in range(300):
        trace.lanes.voices.begin(number)
    trace.lanes.close(1000)

    assert len(timeline_of(trace, BUDGET, told)["caller"]) == 256
    assert timeline_of(trace, BUDGET, told)["caller"] == []


def test_an_interruption_without_marks_is_not_drawn_and_one_that_nobody_answers_comes_to_rest() -> None:
    trace, told = interrupted_call(), Told()
    trace.interrupt(BargeInRecord())
    assert len(timeline_of(trace, BUDGET, told)["barge_ins"]) == 1
    trace.state = "ended"
    assert timeline_of(trace, BUDGET, told)["barge_ins"] == []


def test_a_call_comes_back_from_its_record() -> None:
    trace = interrupted_call()
    trace.state = "ended"

    again = CallTrace.revived(CallDetail(**trace.detail()).model_dump(mode="json"))

    assert timeline_of(again, BUDGET) == timeline_of(trace, BUDGET)
    assert transcript_of(again) == transcript_of(trace)
    assert again.detail() == trace.detail()


def test_a_record_that_an_older_bridge_wrote_is_drawn_as_far_as_it_goes() -> None:
    trace = interrupted_call()
    old = trace.detail()
    for name in ("voices", "ducks", "keys", "has_transcript", "words", "stages", "via"):
        del old[name]
    old["utterances"] = [
        {name: value for name, value in each.items() if name not in ("number", "ended_ns")}
        for each in old["utterances"]
    ]

    again = CallTrace.revived(old)

    drawn = timeline_of(again, BUDGET)
    assert drawn["caller"] == []
    # As long as its samples last: a second at 8 kHz.
    assert drawn["bot"][0]["ended_ns"] == 1200 * MS
    assert [line["who"] for line in transcript_of(again) or ()] == ["bot"]
    old["utterances"][0] |= {"text": None, "heard": None, "unheard": None}
    assert transcript_of(CallTrace.revived(old)) is None
