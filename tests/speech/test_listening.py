import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.speech.listening import Begin, End, ListenEvent, Listening, ListenState
from tests.fakes import MS, ManualClock

STARTED, STOPPED = ListenEvent.VOICE_STARTED, ListenEvent.VOICE_STOPPED


def test_an_utterance_begins_with_the_voice_and_ends_after_a_pause() -> None:
    clock, listening = ManualClock(), Listening()

    listening.receive(STOPPED, now_ns=clock.now_ns())
    assert listening.deadline_ns is None
    listening.receive(STARTED, now_ns=clock.advance(100))
    listening.receive(STARTED, now_ns=clock.advance(10))
    assert listening.drain() == [Begin(has_lead=True)]
    listening.receive(STOPPED, now_ns=clock.advance(900))
    listening.receive(STOPPED, now_ns=clock.advance(100))
    listening.handle_timeout(now_ns=clock.advance(399))
    assert listening.drain() == []
    listening.handle_timeout(now_ns=clock.advance(1))

    assert listening.drain() == [End()]
    assert listening.state is ListenState.IDLE
    listening.handle_timeout(now_ns=clock.advance(10_000))
    assert listening.drain() == []


def test_a_breath_does_not_end_an_utterance() -> None:
    clock, listening = ManualClock(), Listening()
    for event in (STARTED, STOPPED, STARTED):
        listening.receive(event, now_ns=clock.advance(300))

    listening.handle_timeout(now_ns=clock.advance(1000))

    assert listening.drain() == [Begin(has_lead=True)]


def test_who_speaks_on_and_on_is_cut_in_two_without_losing_a_word() -> None:
    listening = Listening(longest_ms=1000)
    listening.receive(STARTED, now_ns=0)
    assert listening.deadline_ns == 1000 * MS

    listening.handle_timeout(now_ns=1000 * MS)

    assert listening.drain() == [Begin(has_lead=True), End(), Begin(has_lead=False)]
    assert listening.deadline_ns == 2000 * MS


def test_a_long_utterance_that_pauses_at_its_end_is_over() -> None:
    listening = Listening(longest_ms=1000)
    listening.receive(STARTED, now_ns=0)
    listening.receive(STOPPED, now_ns=900 * MS)
    assert listening.deadline_ns == 1000 * MS

    listening.handle_timeout(now_ns=1000 * MS)

    assert listening.drain() == [Begin(has_lead=True), End()]
    assert listening.state is ListenState.IDLE


def test_what_only_time_may_say_is_no_event_of_a_voice() -> None:
    with pytest.raises(KeyError):
        Listening().receive(ListenEvent.PAUSED, now_ns=0)


@given(st.lists(st.tuples(st.sampled_from([STARTED, STOPPED, None]), st.integers(0, 2000))))
def test_begins_and_ends_take_turns_and_none_is_too_long(
    steps: list[tuple[ListenEvent | None, int]],
) -> None:
    clock, listening = ManualClock(), Listening(longest_ms=5000)
    is_open, begun_ns = False, 0
    for event, wait_ms in steps:
        until_ns = clock.now_ns() + wait_ms * MS
        while (due_ns := listening.deadline_ns) is not None and due_ns <= until_ns:
            listening.handle_timeout(now_ns=due_ns)
            for action in listening.drain():
                assert isinstance(action, Begin) is not is_open
                is_open = not is_open
                assert is_open or due_ns - begun_ns <= 5000 * MS
                begun_ns = due_ns if is_open else begun_ns
        clock.advance(wait_ms)
        if event is not None:
            listening.receive(event, now_ns=clock.now_ns())
            for action in listening.drain():
                assert action == Begin(has_lead=True)
                assert not is_open
                is_open, begun_ns = True, clock.now_ns()
    assert is_open is (listening.state is not ListenState.IDLE)
