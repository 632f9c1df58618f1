import numpy as np

from bridge.ttsserver.pace import paced, paced_f0


def test_the_same_number_of_frames_is_the_same_frames() -> None:
    frames = np.arange(12, dtype=np.float32).reshape(3, 4)

    assert paced(frames, 4) is frames
    assert paced_f0(frames, 4, unvoiced_hz=40) is frames


def test_a_slower_reading_passes_through_the_middle() -> None:
    frames = np.array([[0, 2, 4, 6]], np.float32)

    slow, fast = paced(frames, 8), paced(frames, 2)

    assert slow.tolist() == [[0, 0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6]]
    assert fast.tolist() == [[1, 5]]


def test_a_voice_begins_at_its_pitch_and_does_not_glide_up_from_none() -> None:
    f0 = np.array([0, 0, 200, 200], np.float32)

    slow = paced_f0(f0, 7, unvoiced_hz=40)

    assert set(slow.tolist()) == {0, 200}
