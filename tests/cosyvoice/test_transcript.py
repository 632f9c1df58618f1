import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.cosyvoice.message import ResultGenerated, decode_event, encode_event
from bridge.cosyvoice.transcript import Transcript, transcript_of
from tests.cosyvoice.test_json_values import JSON

TRANSCRIPTS = st.builds(
    Transcript,
    st.text(),
    st.integers(0, 10**7),
    st.none() | st.integers(0, 10**7),
    is_final=st.booleans(),
    is_heartbeat=st.booleans(),
    duration_s=st.none() | st.integers(0, 10**5),
)


def result(sentence: object, usage: object = None) -> str:
    header = {"event": "result-generated", "task_id": "t", "attributes": {}}
    return json.dumps({"header": header, "payload": {"output": {"sentence": sentence}, "usage": usage}})


def heard(sentence: object, usage: object = None) -> Transcript | None:
    event = decode_event(result(sentence, usage))
    assert isinstance(event, ResultGenerated)
    return event.transcript


@given(TRANSCRIPTS)
def test_what_one_side_writes_the_other_reads(told: Transcript) -> None:
    event = ResultGenerated("t", "", transcript=told)

    assert decode_event(encode_event(event)) == event


def test_the_documented_sentence_is_read() -> None:
    words = [{"begin_time": 170, "end_time": 295, "text": "Okay", "punctuation": ","}]
    sentence = {"begin_time": 170, "end_time": None, "text": "Okay, I got it.", "heartbeat": False}

    partly = heard(sentence | {"sentence_end": False, "words": words})
    whole = heard(sentence | {"sentence_end": True, "words": words, "end_time": 920}, {"duration": 3})

    assert partly == Transcript("Okay, I got it.", 170)
    assert whole == Transcript("Okay, I got it.", 170, 920, is_final=True, duration_s=3)


@pytest.mark.parametrize(("end_time", "is_final"), [(None, False), (1200, True)])
def test_a_generation_without_sentence_end_says_by_its_end_time_that_a_sentence_is_over(
    end_time: int | None, is_final: bool
) -> None:
    told = heard({"begin_time": 0, "end_time": end_time, "text": "Yes."})

    assert told is not None
    assert told.is_final is is_final


def test_a_sentence_of_the_voice_is_none_of_a_recognition() -> None:
    assert heard({"index": 0, "words": []}) is None
    assert heard({"text": 7}) is None
    assert transcript_of({}) is None


@given(JSON, JSON, JSON)
def test_no_payload_is_too_strange(sentence: object, text: object, usage: object) -> None:
    decode_event(result(sentence, usage))
    told = heard({"text": text, "begin_time": sentence, "end_time": usage, "sentence_end": text}, usage)

    assert told is None or (told.begin_ms >= 0 and isinstance(told.text, str))
