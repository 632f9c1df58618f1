import numpy as np
import pytest

from bridge.errors import SetupError
from bridge.load.clip import INTERRUPTION, render_clip, render_clip_apart, trim_to_onset


def test_the_onset_is_the_first_sample_of_one_hundredth_of_full_scale() -> None:
    pcm = np.zeros(2000, np.int16)
    pcm[500:1200] = 100
    pcm[700] = -328
    pcm[1100] = 5000

    clip = trim_to_onset("ah", pcm)

    assert clip.pcm[clip.onset_sample] == -328
    assert clip.onset_sample == 80
    assert len(clip.pcm) == 80 + 401
    assert clip.duration_ms == pytest.approx(401 / 8)


def test_a_clip_that_starts_loud_has_its_onset_at_once() -> None:
    assert trim_to_onset("ah", np.full(100, 900, np.int16)).onset_sample == 0


def test_silence_is_no_clip() -> None:
    with pytest.raises(ValueError, match="without a sound"):
        trim_to_onset("", np.zeros(100, np.int16))


async def test_the_interruption_is_clear_speech_and_the_same_in_a_child() -> None:
    here = render_clip()

    there = await render_clip_apart()

    assert here.text == INTERRUPTION
    assert 1500 < here.duration_ms < 5000
    assert int(np.abs(here.pcm).max()) > 12_000
    assert here.onset_sample == there.onset_sample
    assert np.array_equal(here.pcm, there.pcm)


async def test_a_child_that_fails_says_why() -> None:
    with pytest.raises(SetupError, match="Latin letters only"):
        await render_clip_apart("你好")
