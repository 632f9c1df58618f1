import numpy as np

from tests.bench.web_seeds import burst_of, seeded


def test_the_longest_burst_before_a_moment_is_found() -> None:
    line = np.arange(0, 2000, 20, dtype=np.float64)
    line[[40, 50, 51, 52, 60]] = np.inf

    assert burst_of(line, at_ms=1100) == 3
    assert burst_of(line, at_ms=1300) == 1
    assert burst_of(line, at_ms=100) == 0


def test_every_line_is_played_with_error_correction_and_without() -> None:
    at = np.arange(48_000) / 48_000
    pcm = (6000 * np.sin(2 * np.pi * 200 * at)).astype(np.int16)

    calm = seeded(pcm, seeds=1, seconds=3, loss=0.0, jitter_ms=20)
    dead = seeded(pcm, seeds=1, seconds=3, loss=0.9, jitter_ms=20)

    assert [each["has_fec"] for each in calm] == [True, False]
    assert all(each["silences"] == 0 and not each["over_60"] for each in calm)
    assert all(each["longest_ms"] > 60 and each["over_60"][0]["burst"] > 3 for each in dead)
