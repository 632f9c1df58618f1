from typing import Any

import pytest

from bridge.errors import RemoteProtocolError
from bridge.load.story import CallStory

TOLD: dict[str, Any] = {
    "utterances": [
        {
            "text": "ab",
            "heard": "a",
            "unheard": "b",
            "interrupted": True,
            "estimated": False,
            "first_text_ns": 5,
        }
    ],
    "barge_ins": [{"t1": 10, "t3": 20, "t4": 21, "t5": None, "cause": "speech"}, {"t1": 30, "cause": ""}],
    "breaches": ["mute 160 ms"],
    "media": {"tx_packets": 400, "name": "x"},
}


def test_the_bridge_s_account_is_read() -> None:
    story = CallStory.read(TOLD)

    assert story.utterances[0].first_text_ns == 5
    assert story.utterances[0].first_audio_ns is None
    assert [item.marks["t4"] for item in story.barge_ins] == [21, None]
    assert story.barge_ins[0].marks["t0"] is None
    assert story.counters == {"tx_packets": 400.0}


@pytest.mark.parametrize("missing", ["utterances", "barge_ins", "breaches", "media"])
@pytest.mark.parametrize("instead", [None, 3, "text"])
def test_an_account_that_is_none_is_the_bridge_s_fault(missing: str, instead: object) -> None:
    with pytest.raises(RemoteProtocolError):
        CallStory.read(TOLD | {missing: instead})


def test_a_missing_key_is_the_bridge_s_fault() -> None:
    with pytest.raises(RemoteProtocolError, match="media"):
        CallStory.read({key: value for key, value in TOLD.items() if key != "media"})
