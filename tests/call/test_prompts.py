import wave
from pathlib import Path

import numpy as np
import pytest

from bridge.call.prompts import load
from bridge.errors import ConfigError


def write_wav(path: Path, rate: int, seconds: float) -> None:
    tone = (8000 * np.sin(2 * np.pi * 440 * np.arange(int(rate * seconds)) / rate)).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(tone.tobytes())


def test_a_prompt_comes_at_the_rate_of_the_leg(tmp_path: Path) -> None:
    write_wav(tmp_path / "hello.wav", 16_000, 0.5)

    samples = load(tmp_path, "hello.wav", rate=8000)

    assert samples.dtype == np.int16
    assert abs(samples.size - 4000) <= 32
    assert 5000 < np.abs(samples[400:-400]).max() < 9000


@pytest.mark.parametrize("name", ["missing.wav", "../secret.wav", "/etc/passwd", ""])
def test_a_name_cannot_lead_out_of_the_folder(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "prompts"
    folder.mkdir()
    write_wav(tmp_path / "secret.wav", 8000, 0.1)

    with pytest.raises(ConfigError, match="is not a file"):
        load(folder, name, rate=8000)


def test_what_is_not_sound_is_refused(tmp_path: Path) -> None:
    (tmp_path / "poem.wav").write_text("roses are red")

    with pytest.raises(ConfigError, match="cannot be decoded"):
        load(tmp_path, "poem.wav", rate=8000)
