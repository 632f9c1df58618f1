from itertools import pairwise

import numpy as np
import pytest

from bridge.plane.conceal import FUTURE_TICKS, HISTORY_TICKS, Concealer, find_periods
from bridge.plane.samples import PIECE_SAMPLES
from tests.plane.rig import Pcm

ROWS = np.array([1])


def tone(samples: int, period: float, *, begin: int = 0) -> Pcm:
    at = np.arange(begin, begin + samples)
    wave = np.sin(2 * np.pi * at / period) + 0.5 * np.sin(4 * np.pi * at / period)
    pcm: Pcm = np.rint(6000 * wave).astype(np.int16)
    return pcm


def steepest(pcm: Pcm) -> int:
    return int(np.abs(np.diff(pcm.astype(int))).max())


def in_gap(period: float = 100) -> Concealer:
    concealer = Concealer(2)
    concealer.run[ROWS] = 0
    concealer.remember(ROWS, tone(HISTORY_TICKS, period)[None, :])
    return concealer


@pytest.mark.parametrize("period", [40, 64, 100, 133, 150])
def test_the_pitch_of_a_voice_is_found(period: int) -> None:
    history = tone(HISTORY_TICKS, period)[None, :].astype(np.float32)

    found = int(find_periods(history)[0])

    assert found % period == 0


def test_a_gap_goes_on_as_the_sound_before_it_went() -> None:
    concealer = in_gap()

    made = np.concatenate([concealer.fill(ROWS)[0] for _ in range(2)])

    assert np.abs(made.astype(int) - tone(80, 100, begin=HISTORY_TICKS)).max() <= 2


def test_a_gap_goes_on_without_a_step_even_where_nothing_repeats() -> None:
    concealer = Concealer(2)
    concealer.run[ROWS] = 0
    history = (np.arange(HISTORY_TICKS) * 20).astype(np.int16)
    concealer.remember(ROWS, history[None, :])

    made = concealer.fill(ROWS)[0].astype(int)

    assert abs(made[0] - int(history[-1])) < 100


def test_a_gap_fades_to_silence_within_60_ms_without_steps() -> None:
    concealer = in_gap()

    pieces = [concealer.fill(ROWS)[0] for _ in range(16)]

    peaks = [int(np.abs(np.concatenate(pair)).max()) for pair in zip(pieces[::2], pieces[1::2], strict=True)]
    assert all(later < before for before, later in pairwise(peaks[:7]))
    assert peaks[6:] == [0, 0]
    assert steepest(np.concatenate(pieces)) <= steepest(tone(400, 100)) * 1.1
    assert not concealer.sounds(ROWS)[0]


@pytest.mark.parametrize(("lost", "lead"), [(3, 1), (10, 2)])
def test_the_real_sound_takes_over_within_5_or_10_ms(lost: int, lead: int) -> None:
    concealer = in_gap()
    for _ in range(lost):
        concealer.fill(ROWS)
    real = tone(PIECE_SAMPLES * 3, 100, begin=HISTORY_TICKS + lost * PIECE_SAMPLES + 50)
    merged = real.copy()

    for number in range(3):
        piece = merged[number * PIECE_SAMPLES : (number + 1) * PIECE_SAMPLES]
        if concealer.run[1]:
            concealer.merge(ROWS, piece[None, :])

    changed = np.flatnonzero(merged != real)
    assert PIECE_SAMPLES * (lead - 1) < changed.max() < PIECE_SAMPLES * lead
    assert concealer.needs_history(ROWS)[0]


def test_a_gap_whose_end_is_known_is_bridged() -> None:
    concealer = in_gap(period=97.3)
    future = tone(FUTURE_TICKS, 97.3, begin=HISTORY_TICKS + 160)
    concealer.bridge(ROWS, future[None, :], np.array([160]))

    made = np.concatenate([concealer.fill(ROWS)[0] for _ in range(4)])
    landed = future[None, :PIECE_SAMPLES].copy()
    concealer.merge(ROWS, landed)

    truth = tone(160, 97.3, begin=HISTORY_TICKS).astype(int)
    error = np.sqrt(np.mean((made - truth) ** 2) / np.mean(truth**2))
    assert error < 0.25
    assert np.array_equal(landed[0], future[:PIECE_SAMPLES])
    assert abs(int(made[-1]) - int(future[0])) <= steepest(future) * 1.5
    assert concealer.needs_history(ROWS)[0]


def test_sound_after_silence_is_left_as_it_is() -> None:
    concealer = Concealer(2)
    real = tone(PIECE_SAMPLES, 100)[None, :]
    merged = real.copy()

    concealer.merge(ROWS, merged)

    assert np.array_equal(merged, real)


def test_a_sender_who_is_quiet_on_purpose_is_not_repeated() -> None:
    concealer = in_gap()

    concealer.silence(ROWS)

    assert not concealer.fill(ROWS).any()
