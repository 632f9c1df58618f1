"""What a trace viewer draws of a call."""

from bridge.call.spans import SpanFacts, spans_of
from bridge.call.trace import BargeInRecord, CallTrace, UtteranceRecord
from tests.call.records import MS, ended


def names(facts: SpanFacts) -> list[str]:
    return [child.name for child in facts.children]


def test_a_call_holds_its_utterances_and_interruptions_with_their_stages() -> None:
    call = spans_of(ended())

    assert names(call) == ["speech", "bargein", "bargein"]
    assert (call.begin_ns, call.end_ns) == (1000 * MS, 11_500 * MS)
    assert call.events == (("answered", 1500 * MS),)
    assert names(call.children[0]) == ["speech.first_audio"]
    assert call.children[0].end_ns == (1800 + 1000) * MS
    assert names(call.children[1]) == [
        "bargein.mute",
        "bargein.verdict",
        "bargein.flush",
        "bargein.cancel",
    ]
    assert [name for name, _ in call.children[1].events] == ["t0", "t1", "t2", "t3", "t4", "t5"]


def test_no_words_and_no_numbers_get_in() -> None:
    told = repr(spans_of(ended(keeps_text=True)))

    assert "secret" not in told
    assert "lena" not in told


def test_speech_that_failed_is_a_failure_without_sound() -> None:
    trace = ended()
    trace.utterances.append(UtteranceRecord(0, first_text_ns=5, failure="Throttling"))
    trace.utterances.append(UtteranceRecord(0))  # a prompt: nobody spoke it
    trace.barge_ins.append(BargeInRecord())

    call = spans_of(trace)

    failed = call.children[1]
    assert names(call) == ["speech", "speech", "bargein", "bargein"]
    assert (failed.failure, failed.begin_ns, failed.end_ns, failed.children) == ("Throttling", 5, 5, ())


def test_a_call_that_came_to_nothing_has_one_span() -> None:
    call = spans_of(CallTrace(id="a", sip_call_id="", direction="inbound", started_ns=9))

    assert (call.begin_ns, call.end_ns, call.events, call.children) == (9, 9, (), ())
