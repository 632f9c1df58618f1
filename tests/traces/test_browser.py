import numpy as np
import pytest
from numpy.typing import NDArray

from bridge.media.resample import Resampler
from tests.plane.rig import speech_sentence
from tests.traces.browser import Heard, carry, lossy_line, silences, spoken

SECONDS = 20.0
UNTIL_MS = 1000 * SECONDS - 500


def packets(*, has_fec: bool) -> list[bytes]:
    """A sentence without its pauses, so that whoever falls silent was made to."""
    resampler = Resampler(8000, 48_000)
    pcm = np.frombuffer(resampler.push(speech_sentence().tobytes()) + resampler.flush(), "<i2")
    frames = pcm[: len(pcm) // 960 * 960].reshape(-1, 960)
    levels = np.sqrt(np.square(frames, dtype=float).mean(axis=1))
    return spoken(frames[levels >= 300].ravel(), has_fec=has_fec)


@pytest.fixture(scope="module", params=[False, True], ids=["without FEC", "with FEC"])
def speech(request: pytest.FixtureRequest) -> list[bytes]:
    return packets(has_fec=request.param)


def longest_ms(speech: list[bytes], arrive_ms: NDArray[np.float64], *, phase_ms: float) -> int:
    heard = carry(speech, arrive_ms, phase_ms=phase_ms)
    found = silences(heard, speech, from_ms=1000, until_ms=UNTIL_MS)
    return max((silence.lasted_ms for silence in found), default=0)


def bursts(burst: int) -> NDArray[np.float64]:
    """When packets come over a line that loses so many in a row, twice a second."""
    line = lossy_line(7, SECONDS, loss=0.0, jitter_ms=60)
    for at in range(100, len(line) - 50, 23):
        line[at : at + burst] = np.inf
    return line


def delay_ms(heard: Heard, after_ms: float) -> float:
    """Of what is heard from then on: how far it is behind what was sent, in the mean of a second."""
    chosen = (heard.at_ms >= after_ms) & (heard.at_ms < after_ms + 1000)
    return float(np.mean(heard.at_ms[chosen] - heard.play[chosen] / 8))


@pytest.mark.parametrize("seed", range(1, 6))
def test_with_5_percent_lost_and_60_ms_of_jitter_no_silence_is_longer_than_60_ms(
    speech: list[bytes], seed: int
) -> None:
    line = lossy_line(seed, SECONDS, loss=0.05, jitter_ms=60)

    assert longest_ms(speech, line, phase_ms=4.7 * seed % 20) <= 60


@pytest.mark.parametrize("burst", [2, 3, 4])
def test_a_burst_of_four_packets_is_no_silence_of_60_ms(speech: list[bytes], burst: int) -> None:
    assert longest_ms(speech, bursts(burst), phase_ms=3.0) <= 60


def test_a_line_that_stands_still_is_a_silence(speech: list[bytes]) -> None:
    line = lossy_line(7, SECONDS, loss=0.0, jitter_ms=0)
    line[500:520] = np.inf

    assert longest_ms(speech, line, phase_ms=3.0) > 60


@pytest.mark.parametrize("jitter_ms", [0, 60])
def test_two_seconds_after_a_single_loss_the_delay_is_what_it_was(
    speech: list[bytes], jitter_ms: int
) -> None:
    line = lossy_line(7, SECONDS, loss=0.0, jitter_ms=jitter_ms)
    line[400] = np.inf

    heard = carry(speech, line, phase_ms=3.0)

    assert delay_ms(heard, 10_000) <= delay_ms(heard, 6900) + 5


def test_the_same_seed_sounds_the_same(speech: list[bytes]) -> None:
    line = lossy_line(3, 2.0, loss=0.05, jitter_ms=60)

    once, again = (carry(speech, line, phase_ms=3.0) for _ in range(2))

    assert np.array_equal(once.sound, again.sound)
