"""What a record of a call holds, and what it must not."""

from bridge.call.archive import moved
from bridge.call.trace import CallTrace
from tests.call.records import MS, OFFSET_NS, ended, kept


def test_a_record_has_what_lists_show() -> None:
    record = kept(ended())

    assert record.started_unix_ns == OFFSET_NS + 1000 * MS
    assert (record.duration_ms, record.mos) == (10_000, 3.9)
    assert (record.mute_p50_ms, record.mute_p95_ms) == (40, 60)
    assert record.summary["codec"] == "PCMA"


def test_numbers_are_kept_only_if_they_are_to_be() -> None:
    assert (kept(ended()).called, kept(ended()).caller) == ("", "")
    assert (kept(ended(), keeps_numbers=True).called, kept(ended(), keeps_numbers=True).caller) == (
        "100",
        "sip:lena@192.0.2.2",
    )
    assert "lena" not in str(kept(ended(), keeps_numbers=True).detail)


def test_words_are_kept_only_with_the_transcript() -> None:
    assert "secret" not in str(kept(ended()).detail)
    assert kept(ended(keeps_text=True)).detail["utterances"][0]["heard"] == "secret"


def test_a_call_that_came_to_nothing_has_no_figures() -> None:
    trace = CallTrace(id="a", sip_call_id="", direction="outbound", started_ns=5, status=486)

    record = kept(trace)

    assert (record.duration_ms, record.mos, record.mute_p50_ms, record.mute_p95_ms) == (None,) * 4
    assert record.status == 486


def test_times_move_to_another_start_of_the_machine_and_nothing_else_does() -> None:
    before = ended().detail()

    after = moved(before, 7)

    assert after["started_ns"] == before["started_ns"] + 7
    assert after["utterances"][0]["first_audio_ns"] == before["utterances"][0]["first_audio_ns"] + 7
    assert after["barge_ins"][0]["t5"] == before["barge_ins"][0]["t5"] + 7
    assert after["barge_ins"][0]["t7"] is None
    assert after["barge_ins"][0]["stages_ms"] == before["barge_ins"][0]["stages_ms"]
    assert moved(after, -7) == before
    assert moved(ended().summary(), 7)["utterances"] == 1


def test_the_times_of_the_callers_words_move_with_the_others() -> None:
    trace = ended(keeps_text=True)
    trace.understand("yes", began_ns=2000, ended_ns=3000)
    trace.lanes.voices.begin(2000)

    told = moved(dict(kept(trace).detail), 1000)

    assert told["words"] == [{"text": "yes", "began_ns": 3000, "ended_ns": 4000, "number": 1}]
    assert told["voices"] == [{"number": 1, "began_ns": 3000, "ended_ns": None, "outcome": ""}]
    assert kept(ended()).detail["words"] == []
