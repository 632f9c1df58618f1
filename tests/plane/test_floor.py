import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.plane.columns import Columns
from bridge.plane.floor import (
    ACTION,
    DUCKED,
    NEXT,
    SPEAKING,
    TRANSITIONS,
    Floor,
    FloorAction,
    FloorEvent,
    FloorState,
)
from bridge.plane.spec import PlaneSettings
from tests.fakes import MS, ManualClock

ROWS = np.array([1])


def speaking(*, vain_ducks_a_minute: int = 100) -> Floor:
    settings = PlaneSettings(vain_ducks_a_minute=vain_ducks_a_minute)
    floor = Floor(Columns(bytearray(Columns.size_bytes(3)), 3), settings)
    floor.restart(1)
    floor.apply(ROWS, FloorEvent.STARTED, now_ns=0)
    return floor


@pytest.mark.parametrize("event", FloorEvent)
@pytest.mark.parametrize("state", FloorState)
def test_the_columns_say_what_the_table_says(state: FloorState, event: FloorEvent) -> None:
    to, action = TRANSITIONS.get((state, event), (state, FloorAction.NONE))

    assert NEXT[state, event] == to
    assert ACTION[state, event] == action


def test_every_flush_leaves_us_silent_and_every_duck_can_end() -> None:
    assert all(to is FloorState.IDLE for to, action in TRANSITIONS.values() if action is FloorAction.FLUSH)
    assert {to for (state, _), (to, _) in TRANSITIONS.items() if state is FloorState.DUCKED} == {
        FloorState.IDLE,
        FloorState.SPEAKING,
    }


def test_a_duck_is_overdue_after_a_quarter_of_a_second() -> None:
    floor = speaking()

    floor.apply(ROWS, FloorEvent.VOICE, now_ns=100 * MS)

    assert floor.unannounced[1]
    assert not floor.is_overdue(ROWS, now_ns=349 * MS)[0]
    assert floor.is_overdue(ROWS, now_ns=350 * MS)[0]


def duck_in_vain(floor: Floor, clock: ManualClock) -> None:
    floor.apply(ROWS, FloorEvent.VOICE, now_ns=clock.now_ns())
    floor.apply(ROWS, FloorEvent.NOISE, now_ns=clock.advance(250))


def rest_ms(floor: Floor, clock: ManualClock) -> int:
    rested = 0
    while not floor.may_duck(ROWS, now_ns=clock.now_ns())[0]:
        clock.advance(10)
        rested += 10
    return rested


def test_ducks_in_vain_are_followed_by_longer_rests() -> None:
    floor, clock, rests = speaking(), ManualClock(10_000 * MS), []

    for _ in range(7):
        duck_in_vain(floor, clock)
        rests.append(rest_ms(floor, clock))

    assert rests == [300, 600, 1200, 2400, 4800, 4800, 4800]


@pytest.mark.parametrize("calming", [FloorEvent.SPEECH, None])
def test_no_minute_holds_more_than_its_share_of_ducks_in_vain(calming: FloorEvent | None) -> None:
    floor, clock = speaking(vain_ducks_a_minute=3), ManualClock(100_000 * MS)
    begins_ns = []

    for _ in range(12):
        rest_ms(floor, clock)
        begins_ns.append(clock.now_ns())
        duck_in_vain(floor, clock)
        if calming is not None:
            floor.apply(ROWS, calming, now_ns=clock.now_ns())
            floor.apply(ROWS, FloorEvent.STARTED, now_ns=clock.now_ns())

    assert all(later - first >= 60_000 * MS for first, later in zip(begins_ns, begins_ns[3:], strict=False))


@pytest.mark.parametrize("calming", [FloorEvent.SPEECH, None])
def test_after_speech_or_a_long_calm_rests_are_short_again(calming: FloorEvent | None) -> None:
    floor, clock = speaking(), ManualClock(10_000 * MS)
    for _ in range(4):
        duck_in_vain(floor, clock)
        rest_ms(floor, clock)

    if calming is None:
        clock.advance(10_000)
    else:
        floor.apply(ROWS, FloorEvent.VOICE, now_ns=clock.now_ns())
        floor.apply(ROWS, calming, now_ns=clock.now_ns())
        floor.apply(ROWS, FloorEvent.STARTED, now_ns=clock.now_ns())
        assert floor.may_duck(ROWS, now_ns=clock.now_ns())[0]
    duck_in_vain(floor, clock)

    assert rest_ms(floor, clock) == 300


@given(st.lists(st.tuples(st.sampled_from(list(FloorEvent)), st.integers(0, 400)), max_size=60))
def test_all_rows_at_once_go_where_each_would_go_alone(steps: list[tuple[FloorEvent, int]]) -> None:
    floor, state, now_ns = speaking(), FloorState.SPEAKING, 0
    both = np.array([0, 1])
    floor.apply(both[:1], FloorEvent.STARTED, now_ns=0)
    for event, wait_ms in steps:
        now_ns += wait_ms * MS
        expected = TRANSITIONS.get((state, event), (state, FloorAction.NONE))

        actions = floor.apply(both, event, now_ns=now_ns)

        state = expected[0]
        assert actions.tolist() == [expected[1]] * 2
        assert floor.state.tolist() == [state, state, FloorState.IDLE]


@given(st.lists(st.integers(0, 900), max_size=60))
def test_we_are_silent_for_less_than_half_of_the_time(waits_ms: list[int]) -> None:
    floor, clock, ducked_ms = speaking(), ManualClock(10_000 * MS), 0
    for wait_ms in waits_ms:
        clock.advance(wait_ms)
        if floor.may_duck(ROWS, now_ns=clock.now_ns())[0]:
            duck_in_vain(floor, clock)
            ducked_ms += 250
    elapsed_ms = clock.now_ns() // MS - 10_000

    assert ducked_ms <= elapsed_ms / 2 + 250
    assert floor.state[1] in (SPEAKING, DUCKED)
