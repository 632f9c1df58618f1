import numpy as np

from bridge.ttsserver.pitch import intoned, repitched

FRAMES = 20


def spectrum() -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    falling = np.linspace(2, -6, 601, dtype=np.float32)[:, None]
    return np.repeat(falling, FRAMES, axis=1)


def test_the_same_pitch_changes_nothing() -> None:
    f0 = np.full(FRAMES, 200, np.float32)

    harmonic, residue = repitched(spectrum(), spectrum(), f0, intoned(f0, 1.0))

    assert (harmonic == spectrum()).all()
    assert (residue == spectrum()).all()


def test_frames_without_pitch_are_left_alone() -> None:
    f0 = np.zeros(FRAMES, np.float32)

    after = intoned(f0, 0.6, 2.0)
    harmonic, residue = repitched(spectrum(), spectrum(), f0, after)

    assert (harmonic == spectrum()).all()
    assert (residue == spectrum()).all()
    assert (after == 0).all()


def test_a_lower_pitch_is_not_louder_and_leaves_little_of_the_old() -> None:
    f0 = np.full(FRAMES, 200, np.float32)

    after = intoned(f0, 0.5)
    harmonic, residue = repitched(spectrum(), spectrum(), f0, after)

    assert np.allclose(after, 100)
    # Twice as many harmonics: each has to give up about 3 dB (0.35) to keep the energy.
    assert 0.2 < float((spectrum() - harmonic).mean()) < 0.5
    assert float(residue[10, 0]) < float(spectrum()[10, 0]) - 1
    assert float(residue[400, 0]) == float(spectrum()[400, 0])


def test_a_lively_voice_moves_further_around_the_same_mean() -> None:
    f0 = np.array([0, 100, 200, 400, 0], np.float32)

    lively, monotone = intoned(f0, 1.0, 2.0), intoned(f0, 1.5, 0.0)

    assert np.allclose(lively, [0, 50, 200, 800, 0])
    assert np.allclose(monotone, [0, 300, 300, 300, 0])
