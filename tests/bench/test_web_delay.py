import numpy as np
import pytest
from numpy.typing import NDArray

from tests.bench.ear_file import EarFile, Piece, load
from tests.bench.web_delay import curve, judge, recovery_ms
from tests.fakes import MS

SECONDS = 8
BEGAN_NS = 1_000_000 * MS
END_NS = BEGAN_NS + SECONDS * 1000 * MS


@pytest.fixture(scope="module")
def said() -> NDArray[np.int16]:
    """Noise of a voice's band, that is nowhere like itself."""
    thin = np.random.default_rng(3).normal(0, 3000, SECONDS * 8000)
    return np.repeat(thin, 6).astype(np.int16)


def come_out(
    said: NDArray[np.int16], delay_ms: int, *, first: int = 0, last: int = SECONDS * 50
) -> list[Piece]:
    """Frames of 20 ms, each so late."""
    return [
        (BEGAN_NS + (number * 20 + delay_ms) * MS, said[number * 960 : (number + 1) * 960])
        for number in range(first, last)
    ]


def test_a_steady_delay_is_found(said: NDArray[np.int16]) -> None:
    found = curve(said, BEGAN_NS, come_out(said, 70), 48_000)

    judged = judge(found, from_ns=BEGAN_NS + 1000 * MS, until_ns=END_NS - 500 * MS)

    assert judged.delay_p50_ms == pytest.approx(70, abs=0.5)
    assert judged.delay_end_ms == pytest.approx(70, abs=0.5)
    assert (judged.stalls, judged.silences, judged.heard_share) == (0, 0, 1.0)
    assert judged.longest_stall_ms < 20


def test_sound_at_another_rate_is_compared_as_well(said: NDArray[np.int16]) -> None:
    pieces = [(at_ns, samples[::2]) for at_ns, samples in come_out(said, 40)]

    judged = judge(curve(said, BEGAN_NS, pieces, 24_000), from_ns=BEGAN_NS + 1000 * MS, until_ns=END_NS)

    assert judged.delay_p50_ms == pytest.approx(40, abs=0.5)


def test_a_receiver_that_falls_silent_stalls_and_stays_late(said: NDArray[np.int16]) -> None:
    before = come_out(said, 80, last=200)
    after = come_out(said, 280, first=204)
    lost_ns = BEGAN_NS + 200 * 20 * MS

    found = curve(said, BEGAN_NS, before + after, 48_000)
    judged = judge(found, from_ns=BEGAN_NS + 1000 * MS, until_ns=END_NS)

    assert judged.stalls == judged.silences == 1
    assert judged.longest_stall_ms == judged.longest_silence_ms == pytest.approx(280, abs=1)
    assert judged.delay_end_ms == pytest.approx(280, abs=0.5)
    assert recovery_ms(found, lost_ns=lost_ns, until_ns=END_NS) is None


def test_a_delay_that_goes_back_is_back_from_then_on(said: NDArray[np.int16]) -> None:
    late = come_out(said, 140, first=200, last=250)
    pieces = come_out(said, 60, last=200) + late + come_out(said, 60, first=254)
    lost_ns = BEGAN_NS + 200 * 20 * MS

    found = curve(said, BEGAN_NS, pieces, 48_000)

    taken = recovery_ms(found, lost_ns=lost_ns, until_ns=END_NS - 500 * MS)
    assert taken is not None
    assert taken == pytest.approx(54 * 20 + 60, abs=45)


def test_a_delay_that_never_changed_is_back_at_once(said: NDArray[np.int16]) -> None:
    found = curve(said, BEGAN_NS, come_out(said, 60), 48_000)

    assert recovery_ms(found, lost_ns=BEGAN_NS + 4000 * MS, until_ns=END_NS - 500 * MS) == 0.0


def test_made_up_sound_is_not_what_was_said(said: NDArray[np.int16]) -> None:
    pieces = come_out(said, 60)
    noise = np.random.default_rng(4).normal(0, 3000, 960).astype(np.int16)
    for number in range(200, 206):
        pieces[number] = (pieces[number][0], noise)

    judged = judge(curve(said, BEGAN_NS, pieces, 48_000), from_ns=BEGAN_NS + 1000 * MS, until_ns=END_NS)

    assert judged.longest_stall_ms == pytest.approx(120, abs=1)
    assert (judged.stalls, judged.silences) == (1, 0)


def test_sound_that_has_faded_is_a_silence_though_something_comes_out(said: NDArray[np.int16]) -> None:
    pieces = come_out(said, 60)
    for number in range(200, 204):
        pieces[number] = (pieces[number][0], pieces[number][1] // 10)

    judged = judge(curve(said, BEGAN_NS, pieces, 48_000), from_ns=BEGAN_NS + 1000 * MS, until_ns=END_NS)

    assert judged.longest_silence_ms == pytest.approx(75, abs=6)
    assert judged.silences == 1


def test_a_file_gives_back_what_was_heard(tmp_path) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    path = tmp_path / "ear"
    ear = EarFile(str(path), 24_000)
    ear.take(np.arange(5, dtype=np.int16))
    ear.take(np.zeros(0, np.int16))
    ear.take(np.arange(3, dtype=np.int16))
    ear.save()

    rate_hz, pieces = load(path)

    assert rate_hz == 24_000
    assert [samples.tolist() for _, samples in pieces] == [[0, 1, 2, 3, 4], [0, 1, 2]]
    assert pieces[0][0] <= pieces[1][0]
