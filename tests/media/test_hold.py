import numpy as np
import pytest
from numpy.typing import NDArray

from bridge.media.hold import Hold

RATE_HZ = 24000
MS = RATE_HZ // 1000


def tone(level: float, ms: float) -> NDArray[np.int16]:
    at = np.arange(int(ms * MS))
    sound: NDArray[np.int16] = np.rint(level * np.sqrt(2) * np.sin(2 * np.pi * at / 48)).astype(np.int16)
    return sound


def levels(sound: NDArray[np.int16]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.sqrt(np.square(sound.reshape(-1, 5 * MS), dtype=float).mean(axis=1))
    return found


def after(level: float) -> Hold:
    hold = Hold(RATE_HZ)
    hold.hear(tone(level, 20))
    return hold


def test_sound_that_died_away_is_held_near_the_level_before_it() -> None:
    made = after(4000).carry(tone(400, 60), begin=0)

    assert levels(made)[2:] == pytest.approx(2000, rel=0.02)


def test_sound_is_never_lifted_by_more_than_20_db() -> None:
    made = after(8000).carry(tone(10, 40), begin=0)

    assert levels(made)[2:] == pytest.approx(100, rel=0.05)


def test_sound_that_has_not_faded_stays_as_it_is() -> None:
    faithful = tone(4000, 20)

    assert np.array_equal(after(4000).carry(faithful, begin=0), faithful)


def test_with_nothing_behind_it_a_gap_fades_to_what_the_decoder_makes_within_120_ms() -> None:
    hold = after(4000)

    made = hold.carry(tone(300, 60), begin=0)
    more = levels(hold.carry(tone(300, 80), begin=60 * MS))

    assert levels(made)[-1] == pytest.approx(2000, rel=0.02)
    assert (np.diff(more) <= 1).all()
    assert more[-4:] == pytest.approx(300, rel=0.05)


def test_a_gap_leads_from_the_level_before_it_to_the_level_behind_it() -> None:
    made = levels(after(8000).bridge(tone(400, 80), tone(800, 20)))

    assert (np.diff(made[3:]) < 0).all()
    assert made[-1] == pytest.approx(400, rel=0.3)


def test_silence_on_both_sides_stays_silence() -> None:
    made = after(0).bridge(tone(1, 40), tone(0, 20))

    assert np.abs(made).max() <= 2


def test_what_is_heard_next_is_led_to_within_5_ms() -> None:
    hold = after(4000)
    hold.carry(tone(400, 40), begin=0)
    real = tone(4000, 20)

    led = hold.hear(real)

    assert not np.array_equal(led[: 5 * MS], real[: 5 * MS])
    assert np.array_equal(led[5 * MS :], real[5 * MS :])
    assert np.array_equal(hold.hear(real), real)


def test_a_lift_beyond_the_loudest_sample_is_cut_off() -> None:
    hold = after(30000 / np.sqrt(2))
    spiky = tone(100, 20)
    spiky[::240] = 20000

    assert hold.carry(spiky, begin=0).max() <= 32767


def test_a_piece_of_2_5_ms_counts_as_any_other() -> None:
    assert len(after(4000).carry(tone(400, 22.5), begin=0)) == 540


def test_it_can_be_again_as_it_was() -> None:
    hold = after(4000)
    state = hold.save()
    first = hold.carry(tone(400, 40), begin=0)

    hold.hear(tone(100, 20))
    hold.restore(state)

    assert np.array_equal(hold.carry(tone(400, 40), begin=0), first)
