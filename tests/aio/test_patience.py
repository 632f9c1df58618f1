"""A service that comes back is waited for, one that does not is given up."""

import pytest

from bridge.aio.patience import PAUSES_S, Patience
from bridge.errors import SynthesisError, ThrottledError

S = 1_000_000_000
GONE = SynthesisError("the connection is gone", code="Closed", retryable=True)


def pauses(patience: Patience, count: int) -> list[float]:
    return [patience.pause_s(GONE, has_progress=False, now_ns=0) for _ in range(count)]


def test_the_first_new_try_is_made_at_once_and_the_others_wait_longer_each() -> None:
    found = pauses(Patience(), len(PAUSES_S))

    assert found[0] == 0
    assert found == sorted(found)
    assert sum(found) > 5, "the embedded voice needs seconds to come back"


def test_after_the_last_pause_the_failure_is_the_agents_to_know() -> None:
    patience = Patience((0.0, 0.5))
    pauses(patience, 2)

    with pytest.raises(SynthesisError, match="the connection is gone"):
        patience.pause_s(GONE, has_progress=False, now_ns=0)


def test_words_that_were_spoken_in_between_begin_it_anew() -> None:
    patience = Patience((0.0, 0.5))
    pauses(patience, 2)

    assert patience.pause_s(GONE, has_progress=True, now_ns=60 * S) == 0
    assert patience.pause_s(GONE, has_progress=False, now_ns=61 * S) == 0.5


def test_a_refusal_is_not_tried_again() -> None:
    refused = SynthesisError("answered 401", code="Refused", retryable=False)

    with pytest.raises(SynthesisError, match="401"):
        Patience().pause_s(refused, has_progress=False, now_ns=0)


def test_a_service_that_answers_nothing_is_not_waited_for_in_every_try() -> None:
    patience = Patience()
    patience.pause_s(GONE, has_progress=False, now_ns=5 * S)

    with pytest.raises(SynthesisError):
        patience.pause_s(GONE, has_progress=False, now_ns=16 * S)


def test_who_asked_for_too_much_does_not_ask_again_at_once() -> None:
    throttled = ThrottledError("slower", code="Throttling.RateQuota", retryable=True)
    patience = Patience()

    found = [patience.pause_s(throttled, has_progress=False, now_ns=0) for _ in PAUSES_S]

    assert found[0] == 0.5
    assert found == [max(pause_s, 0.5) for pause_s in PAUSES_S]
