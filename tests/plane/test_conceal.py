from itertools import pairwise

import numpy as np
import pytest

from bridge.plane.conceal import HISTORY_SLOTS, SLOT_SAMPLES, Concealer, find_periods
from tests.plane.rig import Pcm

ROWS = np.array([1])
HISTORY = HISTORY_SLOTS * SLOT_SAMPLES


def tone(samples: int, period: float, *, begin: int = 0) -> Pcm:
    at = np.arange(begin, begin + samples)
    wave = np.sin(2 * np.pi * at / period) + 0.5 * np.sin(4 * np.pi * at / period)
    pcm: Pcm = np.rint(6000 * wave).astype(np.int16)
    return pcm


def in_gap(period: float = 100) -> Concealer:
    concealer = Concealer(2)
    concealer.run[ROWS] = 0
    concealer.remember(ROWS, tone(HISTORY, period)[None, :])
    return concealer


@pytest.mark.parametrize("period", [45, 64, 100, 133, 160])
def test_the_pitch_of_a_voice_is_found(period: int) -> None:
    history = tone(HISTORY, period)[None, :].astype(np.float32)

    found = int(find_periods(history)[0])

    assert found % period == 0


def test_a_gap_goes_on_as_the_sound_before_it_went() -> None:
    concealer = in_gap()

    made = concealer.fill(ROWS)[0]

    assert np.array_equal(made, tone(SLOT_SAMPLES, 100, begin=HISTORY))


def test_a_gap_fades_to_silence_within_60_ms_without_steps() -> None:
    concealer = in_gap()

    slots = [concealer.fill(ROWS)[0] for _ in range(8)]

    peaks = [int(np.abs(slot).max()) for slot in slots]
    assert all(later < before for before, later in pairwise(peaks[:7]))
    assert peaks[6:] == [0, 0]
    joined = np.concatenate(slots).astype(int)
    assert np.abs(np.diff(joined)).max() <= np.abs(np.diff(tone(400, 100).astype(int))).max() * 1.05
    assert not concealer.sounds(ROWS)[0]


def test_the_real_sound_takes_over_within_4_ms() -> None:
    concealer = in_gap()
    for _ in range(3):
        concealer.fill(ROWS)
    real = tone(SLOT_SAMPLES, 100, begin=HISTORY + 3 * SLOT_SAMPLES)[None, :]
    merged = real.copy()

    concealer.merge(ROWS, merged)

    assert np.array_equal(merged[0, 32:], real[0, 32:])
    assert not np.array_equal(merged[0, :32], real[0, :32])
    assert concealer.needs_history(ROWS)[0]


def test_sound_after_silence_is_left_as_it_is() -> None:
    concealer = Concealer(2)
    real = tone(SLOT_SAMPLES, 100)[None, :]
    merged = real.copy()

    concealer.merge(ROWS, merged)

    assert np.array_equal(merged, real)


def test_a_sender_who_is_quiet_on_purpose_is_not_repeated() -> None:
    concealer = in_gap()

    concealer.silence(ROWS)

    assert not concealer.fill(ROWS).any()
