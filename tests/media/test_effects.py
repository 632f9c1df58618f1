import itertools
import math
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.media.effects import EQ_HZ, Effect, Samples, effect
from tests.media.listening import level_db, tone, voice

ALL: list[tuple[str, tuple[int, ...]]] = [
    ("robot", ()),
    ("lowpass", ()),
    ("echo", ()),
    ("eq", (6, -20, 3, 0, 12, -9, 20, -1)),
    ("lpfilter", (900,)),
    ("hpfilter", (900,)),
    ("lpfilter", (8000,)),
    ("hpfilter", (8000,)),
]


def gain_db(machine: Effect, hz: float, rate: int) -> float:
    """What is left of a tone once it rings evenly."""
    said = tone(hz, rate, size=3000)
    heard = machine.process(said)
    return level_db(heard[rate // 2 :]) - level_db(said[rate // 2 :])


def whole(machine: Effect, pieces: Iterable[Samples]) -> Samples:
    return np.concatenate([*(machine.process(piece) for piece in pieces), machine.tail()])


def butterworth_db(hz: float, cutoff_hz: float, rate: int) -> float:
    """Gain of a low-pass of order 4 after the bilinear transform, which bends the frequency axis."""
    ratio = math.tan(math.pi * hz / rate) / math.tan(math.pi * cutoff_hz / rate)
    return -10 * math.log10(1 + ratio**8)


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 48000])
@pytest.mark.parametrize("hz", [250, 1000, 1500, 2000])
def test_a_low_pass_loses_3_db_at_its_cut_off_and_24_an_octave_above(hz: int, rate: int) -> None:
    gain = gain_db(effect("lpfilter", (1000,), rate), hz, rate)

    assert gain == pytest.approx(butterworth_db(hz, 1000, rate), abs=0.1)


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 48000])
@pytest.mark.parametrize("hz", [500, 700, 1000, 3500])
def test_a_high_pass_loses_3_db_at_its_cut_off_and_24_an_octave_below(hz: int, rate: int) -> None:
    gain = gain_db(effect("hpfilter", (1000,), rate), hz, rate)

    # The mirror image: what a low-pass would do at the frequency turned over around the cut-off.
    mirrored = (
        math.atan(math.tan(math.pi * 1000 / rate) ** 2 / math.tan(math.pi * hz / rate)) * rate / math.pi
    )
    assert gain == pytest.approx(butterworth_db(mirrored, 1000, rate), abs=0.1)


def test_a_cut_off_at_half_the_rate_leaves_all_or_nothing() -> None:
    said = voice(8000, 0.1)

    low, high = effect("lpfilter", (4000,), 8000), effect("hpfilter", (4000,), 8000)

    assert np.array_equal(whole(low, [said]), said)
    assert not whole(high, [said]).any()


def test_lowpass_keeps_the_tune_and_loses_the_consonants() -> None:
    gains = [gain_db(effect("lowpass", (), 24000), hz, 24000) for hz in (200, 1200, 4000)]

    assert gains[:2] == pytest.approx([0, -3], abs=0.1)
    assert gains[2] < -35


@pytest.mark.parametrize("rate", [8000, 24000, 48000])
@pytest.mark.parametrize(
    "gains_db",
    [(0, 0, 0, 6, 0, 0, 0, 0), (20, -20, 20, -20, 20, -20, 20, -20), (-6,) * 8, (3, 6, 9, 12, 9, 6, 3, 0)],
)
def test_the_equalizer_gives_each_band_the_gain_asked_for(gains_db: tuple[int, ...], rate: int) -> None:
    bands = [(hz, gain) for hz, gain in zip(EQ_HZ, gains_db, strict=True) if hz < rate / 2]

    heard = [gain_db(effect("eq", gains_db, rate), hz, rate) for hz, _ in bands]

    assert heard == pytest.approx([gain for _, gain in bands], abs=0.3)


def test_an_equalizer_that_changes_nothing_changes_nothing() -> None:
    said = voice(24000, 0.1)

    assert np.array_equal(whole(effect("eq", (0,) * 8, 24000), [said]), said)


def test_bands_beyond_half_the_rate_have_no_effect() -> None:
    said = voice(24000, 0.1)

    assert np.array_equal(whole(effect("eq", (0, 0, 0, 0, 0, 0, 0, 20), 24000), [said]), said)


def test_an_echo_comes_back_softer_every_200_ms() -> None:
    click = np.zeros(800, np.int16)
    click[0] = 10000

    heard = whole(effect("echo", (), 8000), [click])

    (at,) = np.nonzero(heard)
    assert at.tolist() == [0, 1600, 3200, 4800, 6400, 8000]
    assert heard[at].tolist() == [10000, 3500, 1225, 429, 150, 53]
    assert len(heard) == 800 + 8000


@pytest.mark.parametrize("rate", [8000, 16000, 24000, 48000])
@pytest.mark.parametrize("pitch_hz", [87.0, 131.0, 217.0])
def test_a_robot_has_one_pitch_whatever_it_was(pitch_hz: float, rate: int) -> None:
    said = sum(tone(n * pitch_hz, rate, seconds=1.04, size=600) for n in range(1, 12))

    heard = whole(effect("robot", (), rate), [np.asarray(said, np.int16)])
    spectrum = np.abs(np.fft.rfft(heard[rate // 50 : rate // 50 + rate].astype(float))) ** 2
    on_the_note = sum(spectrum[hz - 2 : hz + 3].sum() for hz in range(100, rate // 2, 100))

    assert on_the_note / spectrum[50:].sum() > 0.9


def test_a_robot_is_as_loud_as_the_voice_and_20_ms_late() -> None:
    said = np.concatenate((np.zeros(4800, np.int16), voice(24000, 1.0)))

    heard = whole(effect("robot", (), 24000), [said])

    assert abs(level_db(heard[480:]) - level_db(said)) < 2.5
    assert len(heard) == len(said) + 480
    assert not heard[:4800].any()
    assert heard[4800 : 4800 + 960].any()


@pytest.mark.parametrize(("name", "values"), ALL)
def test_as_many_samples_come_out_as_go_in(name: str, values: tuple[int, ...]) -> None:
    machine = effect(name, values, 16000)

    assert [len(machine.process(np.ones(size, np.int16))) for size in (0, 1, 777, 0, 5000)] == [
        0,
        1,
        777,
        0,
        5000,
    ]
    assert len(machine.tail()) <= 16000


@pytest.mark.parametrize(("name", "values"), ALL)
@settings(max_examples=20)
@given(cuts=st.lists(st.integers(0, 4000), max_size=6))
def test_how_a_stream_is_torn_does_not_matter(name: str, values: tuple[int, ...], cuts: list[int]) -> None:
    said = voice(16000, 0.25)

    torn = whole(effect(name, values, 16000), np.split(said, np.cumsum(cuts)))

    assert np.array_equal(torn, whole(effect(name, values, 16000), [said]))


@pytest.mark.parametrize(("name", "values"), [*ALL, ("eq", (20,) * 8)])
def test_what_grows_too_loud_stops_at_full_scale(name: str, values: tuple[int, ...]) -> None:
    quiet = tone(400, 16000, seconds=0.2, size=1500) + tone(1300, 16000, seconds=0.2, size=120)
    loud = np.asarray(quiet * 20, np.int16)

    heard = whole(effect(name, values, 16000), [loud]).astype(int)

    expected = np.clip(20 * whole(effect(name, values, 16000), [quiet]).astype(int), -32768, 32767)
    assert np.abs(heard - expected).max() <= 20


@pytest.mark.parametrize(
    ("name", "values", "complaint"),
    [
        ("lolita", (), "no effect 'lolita'; there are robot, lowpass, echo, eq, lpfilter, hpfilter"),
        ("", (), "no effect ''"),
        ("robot", (1,), "robot takes no values, not .1,."),
        ("eq", (1,) * 7, "eq takes 8 gains of -20 to 20 dB"),
        ("eq", (21,) * 8, "eq takes 8 gains"),
        ("lpfilter", (), "above 0 and up to 4000 Hz"),
        ("lpfilter", (0,), "above 0 and up to 4000 Hz, not .0,."),
        ("hpfilter", (4001,), "hpfilter takes a frequency above 0"),
    ],
)
def test_what_does_not_exist_is_refused(name: str, values: tuple[int, ...], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        effect(name, values, 8000)


def test_every_corner_of_the_equalizer_holds() -> None:
    centres = [hz for hz in EQ_HZ if hz < 8000]

    for corner in itertools.product((-20, 20), repeat=3):
        gains = (0, 0, *corner, 0, 0, 0)
        heard = [gain_db(effect("eq", gains, 16000), hz, 16000) for hz in centres[2:5]]
        assert heard == pytest.approx(list(corner), abs=0.3)
