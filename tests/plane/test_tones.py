from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.plane.columns import FRAME_SAMPLES
from bridge.plane.tones import HIGH_HZ, LOW_HZ, PAD, ZERO_DBM0_PEAK, ToneChange, Tones
from tests.plane.dialling import Sound, downs, listen, noise, quiet, tone
from tests.plane.rig import hiss, slam, speech_onsets, speech_sentence, speech_stops

PHASES = [step * 2.7 for step in range(10)]
"""Places of a key's begin in its frame, in ms: ten of them, all different."""


def every_key(**how: Any) -> list[tuple[str, Sound]]:  # noqa: ANN401  whatever `tone` takes
    """All sixteen keys at ten places each, with room before and after."""
    return [
        (key, np.concatenate((quiet(60 + at), tone(key, phase=at, **how), quiet(100))))
        for key in PAD
        for at in PHASES
    ]


def heard(keys: list[tuple[str, Sound]]) -> float:
    """Part of the keys of which exactly they were found."""
    found = listen([sound for _, sound in keys])
    return float(np.mean([downs(changes) == key for (key, _), changes in zip(keys, found, strict=True)]))


@pytest.mark.parametrize("ms", [40, 50, 100, 1000])
def test_every_key_of_40_ms_and_more_goes_down_once_and_up_after_as_long(ms: int) -> None:
    keys = every_key(ms=ms)

    found = listen([sound for _, sound in keys])

    for (key, _), (down, up) in zip(keys, found, strict=True):
        assert (down.digit, down.is_down, up.digit, up.is_down) == (key, True, key, False)
        assert abs(up.duration_ms - ms) <= 15


@pytest.mark.parametrize(("ms", "most"), [(10, 0.0), (15, 0.0), (20, 0.0), (23, 0.02)])
def test_shorter_tones_than_24_ms_are_no_keys(ms: int, most: float) -> None:
    assert heard(every_key(ms=ms)) <= most


@pytest.mark.parametrize("low_off", [-0.018, -0.015, 0.0, 0.015, 0.018])
@pytest.mark.parametrize("high_off", [-0.018, -0.015, 0.0, 0.015, 0.018])
def test_a_telephone_that_is_a_little_out_of_tune_is_understood(low_off: float, high_off: float) -> None:
    assert heard(every_key(ms=40, low_off=low_off, high_off=high_off)) == 1.0


@pytest.mark.parametrize("off", [-0.05, -0.035, 0.035, 0.05])
@pytest.mark.parametrize("which", ["low_off", "high_off"])
def test_a_tone_that_is_off_by_a_thirtieth_is_no_key(off: float, which: str) -> None:
    assert heard(every_key(ms=60, **{which: off})) <= 0.01


@pytest.mark.parametrize("low_over_high_db", [-4, 0, 4, 8])
def test_twist_that_lines_make_is_allowed(low_over_high_db: float) -> None:
    half = low_over_high_db / 2

    assert heard(every_key(ms=40, low_dbm0=-10 + half, high_dbm0=-10 - half)) == 1.0


@pytest.mark.parametrize("low_over_high_db", [-12, -9, 12, 15])
def test_more_twist_is_no_key(low_over_high_db: float) -> None:
    half = low_over_high_db / 2

    assert heard(every_key(ms=60, low_dbm0=-10 + half, high_dbm0=-10 - half)) == 0.0


@pytest.mark.parametrize("dbm0", [-25, -20, -10, -3])
def test_keys_are_heard_however_loud_they_are(dbm0: float) -> None:
    assert heard(every_key(ms=40, low_dbm0=dbm0, high_dbm0=dbm0)) == 1.0


def test_a_key_at_the_top_of_the_range_clips_and_is_heard() -> None:
    assert heard(every_key(ms=40, low_dbm0=0, high_dbm0=0)) == 1.0


@pytest.mark.parametrize("dbm0", [-45, -36])
def test_what_is_fainter_is_no_key(dbm0: float) -> None:
    assert heard(every_key(ms=60, low_dbm0=dbm0, high_dbm0=dbm0)) == 0.0


@pytest.mark.parametrize(("snr_db", "least"), [(24, 1.0), (15, 1.0), (12, 0.99)])
def test_noise_does_not_hide_a_key(snr_db: float, least: float) -> None:
    keys = [
        (key, noise(sound, dbm0=-10 - snr_db, seed=seed))
        for seed, (key, sound) in enumerate(every_key(ms=45, low_dbm0=-10, high_dbm0=-10))
    ]

    assert heard(keys) >= least


@pytest.mark.parametrize(("ms", "keys"), [(40, 2), (60, 2), (12, 1), (8, 1), (4, 1)])
def test_a_pause_of_40_ms_parts_two_keys_and_a_hole_of_12_does_not(ms: int, keys: int) -> None:
    sounds = [
        np.concatenate((quiet(60 + at), tone(key, ms=50), quiet(ms), tone(key, ms=50), quiet(100)))
        for key in PAD
        for at in PHASES
    ]

    assert {len(downs(changes)) for changes in listen(sounds)} == {keys}


@given(st.text(PAD, min_size=1, max_size=8), st.floats(0, 20), st.integers(45, 120), st.integers(45, 120))
def test_whatever_is_dialled_comes_in_order(digits: str, begin_ms: float, on_ms: int, off_ms: int) -> None:
    sound = [quiet(begin_ms)]
    for digit in digits:
        sound += [tone(digit, ms=on_ms), quiet(off_ms)]

    (changes,) = listen([np.concatenate(sound)])

    assert downs(changes) == digits
    assert [change.is_down for change in changes] == [True, False] * len(digits)


def test_two_keys_without_a_pause_between_them_are_two() -> None:
    (changes,) = listen([np.concatenate((quiet(30), tone("1", ms=60), tone("9", ms=60), quiet(100)))])

    assert [(change.digit, change.is_down) for change in changes] == [
        ("1", True),
        ("1", False),
        ("9", True),
        ("9", False),
    ]


@pytest.mark.parametrize("lost_at", range(1, 5))
@pytest.mark.parametrize("fill", ["silence", "noise", "repetition"])
def test_a_lost_packet_makes_no_second_key_of_one(lost_at: int, fill: str) -> None:
    sounds = []
    for key in PAD:
        sound = np.concatenate((quiet(40), tone(key, ms=120), quiet(120)))
        begin = (2 + lost_at) * FRAME_SAMPLES
        hole = sound[begin : begin + FRAME_SAMPLES]
        before = sound[begin - FRAME_SAMPLES : begin].copy()
        fills = {
            "silence": hole * 0,
            "noise": np.random.default_rng(1).permutation(before),
            "repetition": before,
        }
        hole[:] = fills[fill]
        sounds.append(sound)

    assert [downs(changes) for changes in listen(sounds)] == list(PAD)


def test_a_disturbance_that_stays_is_no_key_for_ever() -> None:
    hum = ZERO_DBM0_PEAK / 4 * np.sin(np.arange(8000) * 2 * np.pi * 400 / 8000)

    (changes,) = listen([np.concatenate((quiet(30), tone("5", ms=100), hum))])

    assert [change.is_down for change in changes] == [True, False]
    assert changes[1].duration_ms == pytest.approx(100, abs=15)


def test_speech_is_no_key() -> None:
    speech = [*speech_onsets(), *speech_stops(), speech_sentence()]
    louder = [piece.astype(float) * gain for piece in speech for gain in (0.5, 1.0, 2.0, 4.0)]

    assert [downs(changes) for changes in listen(louder) if changes] == []


@pytest.mark.parametrize("second", [1.5, 1.0, 0.5])
def test_no_note_and_its_second_harmonic_are_a_key(second: float) -> None:
    times_s = np.arange(4000) / 8000
    notes = [
        6000 * (np.sin(2 * np.pi * hz * times_s) + second * np.sin(4 * np.pi * hz * times_s + 1))
        for hz in np.arange(600, 1000, 2.0)
    ]

    assert [downs(changes) for changes in listen(notes) if changes] == []


def test_noise_slams_and_single_tones_are_no_keys() -> None:
    times_s = np.arange(8000) / 8000
    single = [
        10_000 * np.sin(2 * np.pi * hz * times_s) for hz in (*LOW_HZ, *HIGH_HZ, 350.0, 440.0, 480.0, 620.0)
    ]
    dial = [one + other for one in single[8:] for other in single[8:]]
    # A voice's second harmonic, or a low tone's own: the pair is there, and more than the pair.
    rich = [
        np.sum([8000 / n * np.sin(2 * np.pi * hz * n * times_s) for n in (1, 2, 3)], axis=0)
        for hz in (697.0, 770.0, 668.0)
    ]
    others = [hiss(8000, level_db=-12).astype(float), slam(ms=400, decay_ms=500).astype(float)]

    assert [downs(changes) for changes in listen([*single, *dial, *rich, *others]) if changes] == []


def test_a_row_that_stops_says_that_its_key_is_up_and_begins_anew() -> None:
    tones, rows = Tones(2), np.array([1])
    pcm = tone("8", ms=60).astype(np.int16).reshape(3, 1, FRAME_SAMPLES)
    for frame in pcm:
        tones.hear(rows, frame)

    released = tones.stop(1)

    assert released == [ToneChange(1, "8", is_down=False, duration_ms=released[0].duration_ms)]
    assert tones.stop(1) == []
    assert tones.down.tolist() == [-1, -1]


def test_rows_hear_only_themselves() -> None:
    tones = Tones(3)
    frames = tone("4", ms=80).astype(np.int16).reshape(4, 1, FRAME_SAMPLES)
    silence = np.zeros((1, FRAME_SAMPLES), np.int16)

    found = []
    for at, frame in enumerate(frames):
        # Every second tick serves another set of rows.
        rows = np.array([2, 0]) if at % 2 else np.array([0, 2])
        found += tones.hear(rows, np.concatenate((silence, frame) if rows[1] == 2 else (frame, silence)))

    assert [(change.row, change.digit) for change in found] == [(2, "4")]
