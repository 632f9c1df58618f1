import wave
from pathlib import Path

import numpy as np
import pytest

from bridge.load.listen import Heard
from bridge.load.mixdown import Mixdown
from bridge.plane.g711 import decode_ulaw
from tests.load.synthetic import FRAME_NS, MS, received, sent, silence, speech


def test_both_sides_stand_where_they_were_spoken_and_heard() -> None:
    spoken, answered = speech(1, 320), speech(2, 320)
    heard = Heard(received(answered, begin_ns=50 * MS, late_ns={1: 7 * MS}), 0)

    mix = Mixdown.of(sent(spoken, begin_ns=10 * MS), heard)

    assert mix.begin_ns == 10 * MS
    assert np.array_equal(mix.caller[:320], decode_ulaw(spoken))
    assert not mix.bot[:320].any()
    # A late packet is heard late by some phones; the recording keeps the grid.
    assert np.array_equal(mix.bot[320:640], decode_ulaw(answered))
    assert mix.duration_s == pytest.approx(0.08)
    assert mix.second_of(50 * MS) == pytest.approx(0.04)


def test_the_recording_has_the_caller_left_and_the_bot_right(tmp_path: Path) -> None:
    mix = Mixdown.of(sent(speech(1, 320)), Heard(received(silence(2), begin_ns=FRAME_NS), 0))

    mix.write_wav(tmp_path / "call.wav")

    with wave.open(str(tmp_path / "call.wav")) as file:
        assert (file.getnchannels(), file.getframerate(), file.getsampwidth()) == (2, 8000, 2)
        frames = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
    assert np.array_equal(frames[:, 0], mix.caller)
    assert not frames[:, 1].any()


def test_a_call_without_packets_is_not_recorded() -> None:
    with pytest.raises(ValueError, match="both sides"):
        Mixdown.of((), Heard([], 0))
