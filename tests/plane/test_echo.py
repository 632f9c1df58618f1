import numpy as np
import pytest

from bridge.plane.columns import FRAME_SAMPLES
from bridge.plane.events import Ducked, Flushed, VoiceStarted
from bridge.plane.g711 import decode_ulaw
from bridge.plane.spec import PlaneSettings
from tests.plane.rig import Pcm, Rig, hiss, slam, speech_onsets, speech_sentence

FRAMES = 8
"""Length of the longest delay below, in frames."""


def chatter(seed: int = 3) -> Pcm:
    """Four seconds of speech."""
    words = speech_onsets()
    order = np.random.default_rng(seed).permutation(len(words) * 4) % len(words)
    return np.concatenate([words[at] for at in order])[:32000]


class Returned:
    """A call whose line gives back what we send."""

    def __init__(
        self, *, delay_samples: int = 700, loss: float = 0.15, settings: PlaneSettings | None = None
    ) -> None:
        self.rig = Rig(settings=settings)
        self.delay_samples, self.loss = delay_samples, loss
        self.rig.wait(400)
        self.rig.say(chatter())

    def tick(self, voice: Pcm | None = None) -> None:
        """20 ms, with a caller's voice over the echo if there is one."""
        sent = np.concatenate((np.zeros(8000, np.int16), decode_ulaw(self.rig.sound())))
        # What leaves at one tick is heard there during the next one.
        end = len(sent) + FRAME_SAMPLES - self.delay_samples
        echo = sent[end - FRAME_SAMPLES : end] * self.loss
        line = hiss(seed=len(self.rig.heard)) + echo
        if voice is not None:
            line[: len(voice)] += voice
        self.rig.tick(line.clip(-32768, 32767).astype(np.int16))

    def run(self, ticks: int) -> None:
        for _ in range(ticks):
            self.tick()


@pytest.mark.parametrize("delay_samples", [300, 700, 1900, 3300])
@pytest.mark.parametrize("loss", [0.1, 0.3])
def test_a_line_that_returns_us_never_takes_the_floor(delay_samples: int, loss: float) -> None:
    call = Returned(delay_samples=delay_samples, loss=loss)

    call.run(160)

    assert not [event for event in call.rig.events if isinstance(event, Flushed)]
    assert len([event for event in call.rig.events if isinstance(event, Ducked)]) <= 1


def test_a_voice_over_an_echo_still_interrupts() -> None:
    call = Returned()
    call.run(60)
    before = len(call.rig.events)

    words = speech_sentence()[:12480].reshape(-1, FRAME_SAMPLES)
    for voice in words:
        call.tick(voice)

    assert any(isinstance(event, Flushed) for event in call.rig.events[before:])


def test_without_an_echo_gate_that_line_would_interrupt_us() -> None:
    """The line above is a hard one: the same sound from a stranger opens the gate."""
    call, stranger = Returned(loss=0.3), Rig()
    call.run(100)
    stranger.wait(400)
    stranger.drone()

    for frame in (chatter() * 0.3).astype(np.int16)[:16000].reshape(-1, FRAME_SAMPLES):
        stranger.tick(frame)

    assert any(isinstance(event, Flushed) for event in stranger.events)
    assert any(isinstance(event, VoiceStarted) for event in stranger.events)


def test_a_click_is_not_taken_for_one_of_ours() -> None:
    rig = Rig()
    rig.wait(400)
    clicks = np.zeros(16000, np.int16)
    clicks[::800] = 20000
    rig.say(clicks)
    rig.wait(400)
    click = hiss().copy()
    click[80] = 15000

    rig.tick(click)

    assert any(isinstance(event, VoiceStarted) for event in rig.events)


def test_a_noisy_line_is_compared_ever_less_often() -> None:
    rig = Rig()
    rig.wait(400)
    rig.say(chatter())
    rig.wait(100)

    rig.talk(slam(ms=1500, decay_ms=50_000))

    assert [event for event in rig.events if isinstance(event, VoiceStarted)]


@pytest.mark.parametrize("ptime", [80, 240, 480])
def test_any_ptime_is_remembered(ptime: int) -> None:
    rig = Rig()
    rig.wait(400)
    rig.say(chatter())
    rig.wait(200)

    for at in range(6):
        rig.deliver(rig.packet(hiss(ptime, level_db=-30, seed=at)))
        rig.now_ns += ptime * 125_000

    assert any(isinstance(event, VoiceStarted) for event in rig.events)
