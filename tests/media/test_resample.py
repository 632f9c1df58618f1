import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.media.resample import Resampler

RATES = (8000, 16000, 22050, 24000, 44100, 48000)


def tone(rate: int, seconds: float = 1.0, hz: float = 440.0, size: float = 8000) -> bytes:
    times = np.arange(round(rate * seconds)) / rate
    return (np.sin(2 * np.pi * hz * times) * size).astype("<i2").tobytes()


@pytest.mark.parametrize(
    ("rate_in", "rate_out"),
    [(24000, rate) for rate in RATES if rate != 24000]
    + [(22050, rate) for rate in RATES if rate != 22050]
    + [(48000, 8000)],
)
def test_a_stream_keeps_its_length_and_its_pitch(rate_in: int, rate_out: int) -> None:
    resampler = Resampler(rate_in, rate_out)
    pcm = tone(rate_in)

    out = (
        b"".join(resampler.push(pcm[start : start + 960]) for start in range(0, len(pcm), 960))
        + resampler.flush()
    )
    samples = np.frombuffer(out, "<i2").astype(float)
    peak_hz = np.argmax(np.abs(np.fft.rfft(samples))) * rate_out / len(samples)

    assert abs(len(samples) - rate_out) <= 2
    assert abs(peak_hz - 440) <= 2
    assert 7000 < np.max(np.abs(samples)) < 9000


@pytest.mark.parametrize("rate_out", [8000, 16000, 22050])
@pytest.mark.parametrize("beyond", [1.001, 1.02, 1.05, 1.08])
def test_what_a_lower_rate_cannot_carry_is_removed_and_not_folded(beyond: float, rate_out: int) -> None:
    resampler = Resampler(24000, rate_out)
    hz = rate_out / 2 * beyond

    out = resampler.push(tone(24000, hz=hz, size=30000)) + resampler.flush()
    left = np.frombuffer(out, "<i2")[400:-400].astype(float)

    assert 20 * np.log10(np.sqrt(np.mean(left**2)) * np.sqrt(2) / 30000 + 1e-9) < -75


@pytest.mark.parametrize("hz", range(4250, 12000, 250))
def test_nothing_of_the_voice_s_upper_octaves_folds_into_a_telephone_line(hz: int) -> None:
    resampler = Resampler(24000, 8000)

    out = resampler.push(tone(24000, hz=hz, size=30000)) + resampler.flush()
    left = np.frombuffer(out, "<i2")[400:-400].astype(float)

    assert 20 * np.log10(np.sqrt(np.mean(left**2)) * np.sqrt(2) / 30000 + 1e-9) < -60


@pytest.mark.parametrize(
    ("rate_in", "rate_out"), [(24000, 8000), (24000, 16000), (24000, 44100), (8000, 48000)]
)
def test_what_telephones_carry_keeps_its_level(rate_in: int, rate_out: int) -> None:
    for hz in (300, 1000, 3000, 3400):
        resampler = Resampler(rate_in, rate_out)

        out = resampler.push(tone(rate_in, hz=hz)) + resampler.flush()
        left = np.frombuffer(out, "<i2")[400:-400].astype(float)

        assert abs(20 * np.log10(np.sqrt(np.mean(left**2)) * np.sqrt(2) / 8000)) < 0.1


def test_no_more_than_5_ms_are_held_back() -> None:
    resampler = Resampler(24000, 8000)

    assert len(resampler.push(tone(24000, 0.1))) >= 2 * (800 - 40)


def test_the_same_rate_passes_every_sample_through() -> None:
    resampler = Resampler(8000, 8000)

    assert resampler.push(b"\x01") == b""
    assert resampler.push(b"\x02\x03") == b"\x01\x02"
    assert resampler.flush() == b""
    assert resampler.push(b"\x05\x06") == b"\x05\x06"


def test_half_a_sample_alone_gives_nothing() -> None:
    assert Resampler(24000, 8000).push(b"\x01") == b""


def test_after_a_flush_another_stream_may_begin() -> None:
    resampler = Resampler(24000, 8000)
    first = resampler.push(tone(24000, 0.1)) + resampler.flush()

    assert resampler.flush() == b""
    assert resampler.push(tone(24000, 0.1)) + resampler.flush() == first


def test_a_rate_of_nothing_is_our_own_bug() -> None:
    with pytest.raises(ValueError, match="positive"):
        Resampler(0, 8000)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 3000), min_size=1, max_size=12))
def test_how_a_stream_is_torn_does_not_matter(sizes: list[int]) -> None:
    pcm = tone(24000, 0.2)
    whole, torn = Resampler(24000, 8000), Resampler(24000, 8000)
    pieces, at = [], 0
    for size in sizes:
        pieces.append(torn.push(pcm[at : at + size]))
        at += size

    assert b"".join(pieces) + torn.flush() == whole.push(pcm[:at]) + whole.flush()
