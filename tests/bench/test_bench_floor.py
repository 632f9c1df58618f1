"""A small run of the floor's bench, with bounds that leave room: `make bench` has the figures."""

import numpy as np
import pytest

from bridge.engine.verdict import silero
from bridge.plane.spec import PlaneSettings, judged
from tests.bench.bench_floor import of_hour, of_interruptions
from tests.corpus.clips import CLIPS
from tests.corpus.labels import LABELS, onset_of
from tests.corpus.scenes import hour, interruptions
from tests.corpus.voices import render, say

pytestmark = pytest.mark.timeout(120)

SPOKEN_HERE = tuple(clip for clip in CLIPS if clip.engine == "hibari")[::4]
SETTINGS = judged(PlaneSettings())


def bot() -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
    return say(
        "Your parcel will be delivered on Thursday, between nine and eleven in the morning. Please be home."
    )


def test_every_clip_has_the_label_that_it_was_given() -> None:
    assert set(LABELS) == {clip.name for clip in CLIPS}
    for clip in SPOKEN_HERE:
        assert abs(onset_of(render(clip)) - LABELS[clip.name]["onset"]) <= 160


def test_callers_who_interrupt_hear_silence_soon_and_take_the_floor() -> None:
    results, _ = interruptions(
        SPOKEN_HERE, bot(), rows=24, snr_db=20, settings=SETTINGS, network=silero(), seed=1
    )

    told = of_interruptions(results)

    muted = told["onset_to_muted_all"]
    assert isinstance(muted, dict)
    assert muted["p50"] <= 80
    assert told["missed"] == 0


def test_coughs_doors_and_our_own_echo_do_not() -> None:
    silence, _ = hour(
        bot(),
        rows=12,
        seconds=25,
        settings=SETTINGS,
        network=silero(),
        seed=1,
        odd=True,
        kinds=("cough", "clicks", "door", "typing", "echo"),
    )

    told = of_hour(silence)

    assert sum(silence.stops.values()) <= 1
    assert isinstance(told["ducked_percent"], float)
    assert told["ducked_percent"] <= 4
