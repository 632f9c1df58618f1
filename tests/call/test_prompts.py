import os
import wave
from pathlib import Path

import numpy as np
import pytest

from bridge.call.prompts import bed_name, load, load_bed
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


def test_a_file_that_is_cut_out_of_a_sound_begins_and_ends_in_a_fade(tmp_path: Path) -> None:
    sound = np.full(800, 9000, "<i2")
    for name, samples in (("cut.wav", sound), ("whole.wav", np.r_[0, sound, 0]), ("short.wav", sound[:3])):
        with wave.open(str(tmp_path / name), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(8000)
            file.writeframes(samples.astype("<i2").tobytes())

    cut, whole, short = (load(tmp_path, f"{name}.wav", rate=8000) for name in ("cut", "whole", "short"))

    assert cut[[0, 1, -2, -1]].tolist() == [0, 225, 225, 0]
    assert set(cut[40:-40].tolist()) == {9000}
    assert whole.tolist() == [0, *sound.tolist(), 0]
    assert short[0] == short[-1] == 0


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


def test_a_bed_is_a_loop_a_little_shorter_than_its_file(tmp_path: Path) -> None:
    write_wav(tmp_path / "rain.wav", 16_000, 1.0)

    loop = load_bed(tmp_path, "rain.wav", rate=8000)

    assert 7500 < loop.size < 7900


def test_a_file_that_is_no_bed_is_refused_by_its_name(tmp_path: Path) -> None:
    write_wav(tmp_path / "blip.wav", 8000, 0.01)

    with pytest.raises(ConfigError, match=r"prompt 'blip.wav': a bed lasts 0.04 to 60 s"):
        load_bed(tmp_path, "blip.wav", rate=8000)


def test_a_bed_goes_by_another_name_once_its_file_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "rain.wav"
    write_wav(path, 8000, 0.1)
    before = bed_name(tmp_path, "rain.wav", rate=8000)
    os.utime(path, ns=(1, 1))

    assert bed_name(tmp_path, "rain.wav", rate=8000) != before
    assert bed_name(tmp_path, "rain.wav", rate=16_000) != bed_name(tmp_path, "rain.wav", rate=8000)
    with pytest.raises(ConfigError, match="is not a file"):
        bed_name(tmp_path, "snow.wav", rate=8000)
