import io
import os
import wave
from pathlib import Path
from typing import cast

import av
import numpy as np
import pytest

from bridge.call.prompts import bed_name, decode, load, load_bed
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


def encoded(container: str, codec: str, seconds: float, *, rate: int = 48_000) -> bytes:
    """A tone of 1 kHz, or silence where it is long, as a file in memory."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as out:
        stream = cast("av.AudioStream", out.add_stream(codec, rate=rate, layout="mono"))
        samples = np.sin(np.arange(round(min(seconds, 1.0) * rate)) * 2 * np.pi * 1000 / rate) * 10_000
        pcm = samples.astype(np.int16) if seconds <= 1 else np.zeros(rate, np.int16)
        resampler = av.AudioResampler(format=stream.codec_context.format, layout="mono", rate=rate)
        for _ in range(max(1, round(seconds))):
            frame = av.AudioFrame.from_ndarray(pcm.reshape(1, -1), format="s16", layout="mono")
            frame.sample_rate = rate
            for piece in resampler.resample(frame):
                out.mux(stream.encode(piece))
        out.mux(stream.encode(None))
    return file.getvalue()


@pytest.mark.parametrize(
    ("container", "codec"),
    [("wav", "pcm_s16le"), ("flac", "flac"), ("ogg", "libopus"), ("mp3", "libmp3lame")],
)
def test_a_file_that_was_sent_is_decoded_whatever_it_is(container: str, codec: str) -> None:
    pcm = decode(encoded(container, codec, 0.5), rate=8000)

    assert 3900 <= len(pcm) <= 4500
    loudest = np.argmax(np.abs(np.fft.rfft(pcm[400:3600].astype(float)))) * 8000 / 3200
    assert loudest == pytest.approx(1000, abs=5)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"#EXTM3U\nhttp://127.0.0.1/secret",
        b"ffconcat version 1.0\nfile /etc/passwd",
        b"RIFF\x00\x00\x00\x00AVI LIST",
        b"RIFF\x04\x00\x00\x00WAVE",
        b"fLaC" + bytes(100),
        b"ID3" + bytes(100),
        b"OggS" + bytes(100),
    ],
)
def test_what_is_no_sound_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"the file is neither|cannot be decoded"):
        decode(data, rate=8000)


def test_hours_in_a_small_file_are_not_unpacked() -> None:
    data = encoded("flac", "flac", 700, rate=8000)
    assert len(data) < 200_000

    with pytest.raises(ValueError, match="longer than 600 s"):
        decode(data, rate=8000)
