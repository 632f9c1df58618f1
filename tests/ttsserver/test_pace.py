import numpy as np

from bridge.ttsserver.pace import paced, paced_f0, shared_pace


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


def test_a_much_faster_voice_is_made_at_an_easy_tempo_and_shortened_after() -> None:
    assert shared_pace(0.5) == (0.5, 1.0)
    assert shared_pace(1.1) == (1.1, 1.0)
    own, rest = shared_pace(2.0)
    assert own < 1.2
    assert abs(own * rest - 2.0) < 1e-9


def test_no_tempo_is_beyond_what_can_be_called_speech() -> None:
    own, rest = shared_pace(100.0)

    assert own * rest < 3.01
    assert shared_pace(0.0)[0] > 0.2
