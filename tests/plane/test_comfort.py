import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.plane.comfort import ComfortNoise
from tests.plane.rig import Pcm

ROWS = np.array([1])


def listen(noise: ComfortNoise, pieces: int = 100) -> Pcm:
    return np.concatenate([noise.next(ROWS)[0] for _ in range(pieces)])


def level_db(pcm: Pcm) -> float:
    return float(20 * np.log10(np.sqrt(np.mean(pcm.astype(float) ** 2)) / 32768))


def test_without_a_description_silence_is_silence() -> None:
    assert not listen(ComfortNoise(2)).any()


@pytest.mark.parametrize("octet", [30, 55, 70])
def test_noise_is_as_loud_as_the_sender_says(octet: int) -> None:
    noise = ComfortNoise(2)

    noise.describe(1, bytes([octet]))

    assert level_db(listen(noise)) == pytest.approx(-octet, abs=0.5)


def test_noise_is_coloured_as_the_sender_says() -> None:
    noise = ComfortNoise(2)
    # A first reflection coefficient near -1 leaves the low frequencies.
    noise.describe(1, bytes([40, 27]))
    power = np.abs(np.fft.rfft(listen(noise))) ** 2

    low, high = power[: len(power) // 4].sum(), power[-len(power) // 4 :].sum()

    assert low > 20 * high
    assert level_db(listen(noise)) == pytest.approx(-40, abs=0.5)


def test_an_empty_description_changes_nothing_and_a_restart_everything() -> None:
    noise = ComfortNoise(2)
    noise.describe(1, bytes([40]))

    noise.describe(1, b"")
    assert listen(noise).any()

    noise.restart(1)
    noise.restart(1)
    assert not listen(noise).any()


@given(st.binary(max_size=40))
def test_any_description_is_some_noise_that_fits(payload: bytes) -> None:
    noise = ComfortNoise(2)

    noise.describe(1, payload)
    noise.describe(1, payload)

    assert np.isfinite(listen(noise, 3)).all()
