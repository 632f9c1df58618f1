"""Volume, rate and pitch, measured on the sound of both voices over the documented ranges."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from bridge.ttsserver.casting import cast_of
from bridge.ttsserver.instruction import style_of
from bridge.ttsserver.kokoro import KokoroEngine
from bridge.ttsserver.studio import shared_hibari, shared_kokoro
from bridge.ttsserver.voice import Delivery, Engine, Rendered, Timbre
from tests.ttsserver.measure import active_level_db, f0_track_hz

ENGLISH = "Your appointment is confirmed for Tuesday the fourteenth of March."
CHINESE = "您的预约已经确认，时间是星期二上午。"

Voice = Callable[[Delivery], Rendered]


def speaking(engine: Engine, text: str, timbre: Timbre) -> Voice:
    @cache
    def render(delivery: Delivery) -> Rendered:
        return engine.render(text, delivery)

    return lambda delivery: render(Delivery(
        delivery.rate, delivery.pitch, delivery.volume, timbre=timbre, style=delivery.style
    ))  # fmt: skip


VOICES: dict[str, Callable[[], Voice]] = {
    "hibari, woman": lambda: speaking(shared_hibari(), ENGLISH, Timbre()),
    "hibari, man": lambda: speaking(shared_hibari(), ENGLISH, cast_of("longanyang").english),
    "kokoro, woman": lambda: speaking(KokoroEngine(shared_kokoro, "zf_xiaoxiao"), CHINESE, Timbre()),
    "kokoro, man": lambda: speaking(KokoroEngine(shared_kokoro, "zm_yunxi"), CHINESE, Timbre()),
}


@pytest.fixture(scope="module", params=list(VOICES))
def voice(request: pytest.FixtureRequest) -> Voice:
    return VOICES[request.param]()


def level(rendered: Rendered) -> float:
    return active_level_db(rendered.samples, rendered.rate)


def lasts_s(rendered: Rendered) -> float:
    return len(rendered.samples) / rendered.rate


def octaves_moved(track: NDArray[np.float64]) -> float:
    """How far the pitch goes up and down; whole octaves off the middle are the estimator's own leaps."""
    octaves = np.log2(track / np.nanmedian(track))
    low, high = np.nanpercentile(octaves[np.abs(octaves) < 0.7], [15, 85])
    return float(high - low)


@pytest.mark.e2e
@pytest.mark.timeout(60)
@pytest.mark.parametrize("volume", [5, 20, 75, 100])
def test_the_level_is_linear_in_the_volume(voice: Voice, volume: int) -> None:
    louder_db = level(voice(Delivery(volume=volume))) - level(voice(Delivery()))

    assert abs(louder_db - 20 * np.log10(volume / 50)) < 0.5


@pytest.mark.e2e
@pytest.mark.timeout(60)
@pytest.mark.parametrize("rate", [0.5, 0.75, 1.3, 2.0])
def test_the_duration_is_one_over_the_rate(voice: Voice, rate: float) -> None:
    ratio = lasts_s(voice(Delivery(rate=rate))) / lasts_s(voice(Delivery()))

    assert abs(ratio * rate - 1) < 0.03


@pytest.mark.e2e
@pytest.mark.timeout(60)
@pytest.mark.parametrize("pitch", [0.5, 0.75, 1.3, 2.0])
def test_the_pitch_is_the_one_asked_for_and_the_duration_stays(voice: Voice, pitch: float) -> None:
    plain, other = voice(Delivery()), voice(Delivery(pitch=pitch))

    before, after = (f0_track_hz(sound.samples, sound.rate) for sound in (plain, other))
    # The same text at the same rate: frame by frame the same sounds.
    count = min(len(before), len(after))
    ratio = np.nanmedian(after[:count] / before[:count])
    assert np.isfinite(before).sum() > 80
    assert abs(ratio / pitch - 1) < 0.03
    assert abs(lasts_s(other) / lasts_s(plain) - 1) < 0.03


@pytest.mark.e2e
@pytest.mark.timeout(60)
def test_an_instruction_is_heard(voice: Voice) -> None:
    plain, sad, excited = (voice(Delivery(style=style_of(text))) for text in ("", "very sad", "非常激动地说"))

    assert lasts_s(excited) < 0.9 * lasts_s(plain) < 0.8 * lasts_s(sad)
    assert level(sad) < level(plain) - 2
    assert level(excited) > level(plain) + 1
    tracks = [f0_track_hz(sound.samples, sound.rate) for sound in (sad, plain, excited)]
    means = [float(np.nanmedian(track)) for track in tracks]
    assert means == sorted(means)
    moves = list(map(octaves_moved, tracks))
    assert moves[0] < moves[1] < moves[2]


@pytest.mark.e2e
@pytest.mark.timeout(60)
def test_all_voices_are_about_as_loud() -> None:
    levels = [level(open_voice()(Delivery())) for open_voice in VOICES.values()]

    assert max(levels) - min(levels) < 4
    assert -26 < min(levels) < max(levels) < -19
