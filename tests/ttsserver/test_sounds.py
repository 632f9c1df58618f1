import io
import wave
from pathlib import Path

import numpy as np
import pytest

from bridge.ttsserver.sounds import Sounds
from bridge.ttsserver.voice import UnspeakableError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(np.full(1600, 1000, "<i2").tobytes())
    (tmp_path / "ding dong.wav").write_bytes(content.getvalue())
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    (tmp_path / "secret.txt").write_text("x")
    (tmp_path.parent / "outside.wav").write_bytes(content.getvalue())
    return tmp_path


@pytest.mark.parametrize(
    "src", ["ding dong.wav", "https://example.com/a/ding%20dong.wav?x=1", "file:///anywhere/ding dong.wav"]
)
def test_a_sound_is_found_by_the_last_part_of_its_name(folder: Path, src: str) -> None:
    samples = Sounds(folder).load(src, 8000)

    assert abs(len(samples) - 800) <= 2
    assert samples[400] == pytest.approx(1000, abs=5)


@pytest.mark.parametrize(
    "src",
    ["", "nothing.wav", "../outside.wav", "..%2Foutside.wav", "secret.txt", ".wav", "http://[", "x" * 200],
)
def test_nothing_but_the_folders_own_wav_files_is_ever_read(folder: Path, src: str) -> None:
    with pytest.raises(UnspeakableError, match=r"the folder of tts_server\.sounds has no such wav file"):
        Sounds(folder).find(src)


def test_without_a_folder_there_are_no_sounds() -> None:
    with pytest.raises(UnspeakableError, match=r"tts_server\.sounds names no folder"):
        Sounds().find("ding.wav")


def test_a_folder_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(UnspeakableError, match=r"the folder of tts_server\.sounds does not exist"):
        Sounds(tmp_path / "gone").find("ding.wav")


def test_a_broken_file_is_named(folder: Path) -> None:
    with pytest.raises(UnspeakableError, match=r"the sound broken\.wav cannot be played"):
        Sounds(folder).load("broken.wav", 8000)
