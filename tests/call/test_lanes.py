"""Who sounded when, out of what the media process tells."""

from bridge.call.lanes import Lanes, Span
from bridge.call.trace import CallTrace, UtteranceRecord
from bridge.plane.events import Digit, Ducked, Flushed, Latched, Resumed, VoiceStarted, VoiceStopped


def at(at_ns: int) -> dict[str, int]:
    return {"row": 0, "generation": 1, "at_ns": at_ns}


def test_a_voice_lasts_from_its_onset_to_its_real_end() -> None:
    lanes = Lanes()

    lanes.note(VoiceStarted(**at(50), onset_ns=40))
    assert lanes.voices.open == Span(1, 40)
    lanes.note(VoiceStopped(**at(100), ended_ns=80))

    assert lanes.voices.open is None
    assert list(lanes.voices.spans) == [Span(1, 40, 80)]


def test_a_duck_ends_in_what_became_of_it() -> None:
    lanes = Lanes()
    duck = {"position": 0, "onset_ns": 0, "gate_ns": 0}

    lanes.note(Ducked(**at(10), **duck))
    lanes.note(Resumed(**at(20), position=0))
    lanes.note(Ducked(**at(30), **duck))
    lanes.note(Flushed(**at(40), position=0, epoch=1, verdict_ns=39, cause="speech"))
    # Another flush without a duck before it means nothing here.
    lanes.note(Flushed(**at(50), position=0, epoch=2, verdict_ns=49, cause="command"))

    assert list(lanes.ducks.spans) == [Span(1, 10, 20, "resumed"), Span(2, 30, 40, "flushed")]


def test_a_key_was_held_before_it_is_told_and_which_one_is_not_kept() -> None:
    lanes = Lanes()

    lanes.note(Digit(**at(500_000_000), digit="5", duration_ms=120))
    lanes.note(Latched(**at(1), remote_key=1))

    assert lanes.told() == {
        "voices": [],
        "ducks": [],
        "keys": [{"number": 1, "began_ns": 380_000_000, "ended_ns": 500_000_000, "outcome": ""}],
    }


def test_what_goes_on_ends_with_the_call_and_a_report_that_was_lost_ends_with_the_next() -> None:
    lanes = Lanes()

    lanes.note(VoiceStarted(**at(10), onset_ns=10))
    lanes.note(VoiceStarted(**at(30), onset_ns=25))
    lanes.note(Ducked(**at(40), position=0, onset_ns=0, gate_ns=0))
    lanes.close(5)  # by another clock perhaps: never before it began

    assert list(lanes.voices.spans) == [Span(1, 10, 25), Span(2, 25, 25)]
    assert lanes.ducks.spans[0].ended_ns == 40


def test_lanes_are_bounded_and_go_on_counting() -> None:
    lanes = Lanes()

    for number in range(300):
        lanes.voices.begin(number)

    assert len(lanes.voices.spans) == 256
    assert lanes.voices.spans[-1].number == 300


def test_lanes_come_back_from_a_record_and_are_empty_in_an_older_one() -> None:
    lanes = Lanes()
    lanes.note(VoiceStarted(**at(50), onset_ns=40))
    told = lanes.told()

    assert Lanes.revived(lambda name: told[name]).told() == told
    assert not Lanes.revived(lambda _: []).voices.spans


def test_the_floor_is_with_whoever_sounds() -> None:
    trace = CallTrace("a", "b", "inbound", 0)
    assert trace.floor == "nobody"
    trace.state = "up"
    assert trace.floor == "nobody"

    record = UtteranceRecord(0)
    trace.say(record)
    assert trace.floor == "nobody"  # it has no sound yet
    record.first_audio_ns = 5
    assert trace.floor == "bot"
    trace.lanes.note(VoiceStarted(**at(10), onset_ns=10))
    assert trace.floor == "both"
    trace.lanes.note(Ducked(**at(11), position=0, onset_ns=0, gate_ns=0))
    assert trace.floor == "caller"
    record.is_over = True
    trace.lanes.close(12)
    assert trace.floor == "nobody"
