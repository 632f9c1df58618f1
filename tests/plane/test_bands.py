import numpy as np
import pytest
from numpy.typing import NDArray

from bridge.plane.bands import BANDS, SUB_FRAME_SAMPLES, Bands

ROW = np.array([1])


def noise(sub_frames: int, *, level: float = 60, seed: int = 1) -> NDArray[np.float32]:
    """White, ``[1, s, 80]``."""
    dice = np.random.default_rng(seed)
    made: NDArray[np.float32] = dice.normal(0, level, (1, sub_frames, SUB_FRAME_SAMPLES)).astype(np.float32)
    return made


def tone(hz: float, amplitude: float, sub_frames: int = 2) -> NDArray[np.float32]:
    at = np.arange(sub_frames * SUB_FRAME_SAMPLES)
    wave = amplitude * np.sin(2 * np.pi * hz / 8000 * at)
    blocks: NDArray[np.float32] = wave.astype(np.float32).reshape(1, sub_frames, SUB_FRAME_SAMPLES)
    return blocks


def learnt(*, level: float = 60) -> Bands:
    bands = Bands(2)
    bands.restart(1)
    for seed in range(100):
        bands.learn(ROW, bands.of(noise(2, level=level, seed=seed)))
    return bands


@pytest.mark.parametrize(("hz", "band"), [(100, 0), (700, 1), (2250, 4), (3900, 7)])
def test_each_band_is_a_sixteenth_of_the_rate_wide(hz: float, band: int) -> None:
    logs = Bands.of(tone(hz, 1000))

    assert logs.shape == (1, 2, BANDS)
    assert (logs.argmax(axis=2) == band).all()


def test_the_bands_hold_all_the_energy_there_is() -> None:
    blocks = noise(4)

    energy = np.exp(Bands.of(blocks)).sum(axis=2)

    assert energy == pytest.approx((blocks**2).sum(axis=2), rel=1e-4, abs=BANDS)


def test_mere_noise_is_hardly_any_evidence() -> None:
    bands = learnt()

    heard = np.array([bands.evidence(ROW, bands.of(noise(2, seed=1000 + at))) for at in range(2000)])

    assert 1 < heard.mean() < 6
    assert heard.max() < 35


@pytest.mark.parametrize("hz", [120, 760, 1250, 2260, 3900])
def test_a_tone_hardly_stronger_than_all_the_noise_is_clear_evidence(hz: float) -> None:
    bands = learnt()
    twice_the_noise = 60 * np.sqrt(2) * np.sqrt(2)

    evidence = bands.evidence(ROW, bands.of(noise(2, seed=9) + tone(hz, twice_the_noise)))

    assert (evidence > 35).all()


def test_one_band_counts_for_no_more_than_forty_however_loud() -> None:
    bands = learnt()

    evidence = bands.evidence(ROW, bands.of(noise(2, level=20_000, seed=9)))

    assert evidence == pytest.approx(np.full((1, 2), 40.0 * BANDS))


def test_a_line_that_was_not_heard_long_enough_says_nothing() -> None:
    bands = Bands(2)
    bands.restart(1)
    for _ in range(7):
        bands.learn(ROW, bands.of(noise(2)))
        assert not bands.evidence(ROW, bands.of(noise(2, level=3000))).any()

    bands.learn(ROW, bands.of(noise(2)))

    assert bands.evidence(ROW, bands.of(noise(2, level=3000))).all()


def test_noise_that_comes_to_stay_is_learnt_within_a_second() -> None:
    bands = learnt(level=60)
    louder = [bands.of(noise(2, level=300, seed=at)) for at in range(50)]
    assert (bands.evidence(ROW, louder[0]) > 60).all()

    for logs in louder:
        bands.learn(ROW, logs)

    assert (bands.evidence(ROW, bands.of(noise(2, level=300, seed=99))) < 28).all()


def test_noise_that_goes_is_learnt_within_a_fifth_of_a_second() -> None:
    bands = learnt(level=300)

    for at in range(10):
        bands.learn(ROW, bands.of(noise(2, level=60, seed=at)))

    assert (bands.evidence(ROW, bands.of(noise(2, level=300, seed=99))) > 60).all()


def test_after_digital_silence_a_single_step_of_the_code_is_no_sound() -> None:
    bands = Bands(2)
    bands.restart(1)
    silence = np.zeros((1, 2, SUB_FRAME_SAMPLES), np.float32)
    for _ in range(20):
        bands.learn(ROW, bands.of(silence))

    steps = silence.copy()
    steps[0, :, ::7] = 4

    assert not (bands.evidence(ROW, bands.of(steps)) > 28).any()
