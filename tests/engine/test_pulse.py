from bridge.engine.pulse import Pulse
from tests.fakes import MS


def look(pulse: Pulse, beats: int, at_ms: int, *, is_busy: bool = True) -> int:
    return pulse.still_ns(beats, is_busy=is_busy, now_ns=at_ms * MS) // MS


def test_a_process_that_beats_is_never_still() -> None:
    pulse = Pulse()

    assert [look(pulse, at, at * 100) for at in range(10)] == [0] * 10


def test_a_process_that_stops_is_still_from_the_last_look_at_which_it_beat() -> None:
    pulse = Pulse()
    look(pulse, 1, 0)
    look(pulse, 2, 100)

    assert [look(pulse, 2, at) for at in (200, 300, 420)] == [100, 200, 320]
    assert look(pulse, 3, 500) == 0


def test_a_process_without_work_may_be_still() -> None:
    pulse = Pulse()
    look(pulse, 1, 0)

    assert look(pulse, 1, 100, is_busy=False) == 0
    assert look(pulse, 1, 200) == 100


def test_whoever_was_away_saw_nothing() -> None:
    pulse = Pulse()
    look(pulse, 1, 0)
    look(pulse, 1, 100)

    assert look(pulse, 1, 5000) == 0
    assert look(pulse, 1, 5100) == 100
