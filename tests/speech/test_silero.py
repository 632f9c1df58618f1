import numpy as np
import pytest

from bridge.speech.silero import CONTEXT_SAMPLES, STATE_WIDTH, WINDOW_SAMPLES, Opinion, Streams, opinion


@pytest.mark.parametrize(
    ("likelihoods", "expected"),
    [
        ([], Opinion.OPEN),
        ([0.95], Opinion.OPEN),
        ([0.95, 0.97], Opinion.SPEECH),
        ([0.90, 0.93, 0.95], Opinion.SPEECH),
        ([0.1, 0.2, 0.95, 0.97], Opinion.SPEECH),
        ([0.02, 0.03, 0.05], Opinion.OPEN),
        ([0.02, 0.03, 0.05, 0.1], Opinion.NOISE),
        ([0.3, 0.3, 0.3, 0.3, 0.3], Opinion.OPEN),
        ([0.3, 0.3, 0.3, 0.3, 0.3, 0.3], Opinion.NOISE),
    ],
)
def test_two_sure_windows_make_it_speech_and_four_hopeless_ones_do_not(
    likelihoods: list[float], expected: Opinion
) -> None:
    assert opinion(likelihoods, sensitivity=1) is expected


@pytest.mark.parametrize(
    ("likelihoods", "expected"),
    [
        ([0.8, 0.9, 0.9], Opinion.OPEN),
        ([0.8, 0.9, 0.9, 0.8, 0.6], Opinion.OPEN),
        ([0.8, 0.9, 0.9, 0.8, 0.6, 0.4], Opinion.NOISE),
        ([0.8, 0.9, 0.9, 0.8, 0.85], Opinion.SPEECH),
        ([0.8, 0.9, 0.9, 0.8, 0.6, 0.85], Opinion.SPEECH),
    ],
)
def test_what_is_almost_surely_speech_must_not_die_away_like_a_note(
    likelihoods: list[float], expected: Opinion
) -> None:
    assert opinion(likelihoods, sensitivity=1) is expected


@pytest.mark.parametrize(
    ("last", "expected"), [(0.85, Opinion.SPEECH), (0.6, Opinion.OPEN), (0.45, Opinion.NOISE)]
)
def test_a_voice_that_has_only_begun_to_be_heard_is_speech_or_left_open(
    last: float, expected: Opinion
) -> None:
    rising = [0.2, 0.1, 0.2, 0.3, 0.4, last]

    assert opinion(rising, sensitivity=1) is expected
    assert opinion(rising, sensitivity=1, is_doubted=True) is Opinion.NOISE


def test_what_is_speech_to_the_sensitive_is_not_to_the_others() -> None:
    doubtful = [0.1, 0.7, 0.7, 0.1, 0.1, 0.68]

    assert [opinion(doubtful, sensitivity=level) for level in range(3)] == [
        Opinion.NOISE,
        Opinion.NOISE,
        Opinion.SPEECH,
    ]


def test_where_voices_were_none_before_more_is_asked_of_the_next() -> None:
    assert opinion([0.9, 0.95], sensitivity=1, is_doubted=True) is Opinion.OPEN
    assert opinion([0.97, 0.99], sensitivity=1, is_doubted=True) is Opinion.SPEECH


def test_each_window_stands_behind_the_end_of_the_one_before() -> None:
    streams, slots = Streams(3), np.array([2, 0])
    windows = np.arange(2 * WINDOW_SAMPLES, dtype=np.int16).reshape(2, -1)

    first, _ = streams.inputs(slots, windows)
    second, _ = streams.inputs(slots[:1], windows[:1])

    assert first.shape == (2, CONTEXT_SAMPLES + WINDOW_SAMPLES)
    assert not first[:, :CONTEXT_SAMPLES].any()
    assert (second[0, :CONTEXT_SAMPLES] == first[0, -CONTEXT_SAMPLES:]).all()
    assert first[1, -1] == np.float32(511 / 32768)


def test_a_voice_that_begins_anew_knows_nothing_of_the_last() -> None:
    streams, slot = Streams(2), np.array([1])
    streams.inputs(slot, np.full((1, WINDOW_SAMPLES), 9, np.int16))
    streams.keep(slot, np.ones((2, 1, STATE_WIDTH), np.float32))

    kept = streams.inputs(slot, np.zeros((1, WINDOW_SAMPLES), np.int16))[1]
    streams.restart(1)
    sound, state = streams.inputs(slot, np.zeros((1, WINDOW_SAMPLES), np.int16))

    assert kept.all()
    assert not sound.any()
    assert not state.any()
