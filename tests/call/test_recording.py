import asyncio
import wave
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bridge.call.hearing import Hearing
from bridge.call.recording import Recorder, record_message
from bridge.plane.columns import Columns
from bridge.plane.events import Digit, VoiceStarted, VoiceStopped
from bridge.plane.ring import CaptureReader
from tests.fakes import ManualClock


def captured(columns: Columns, caller: int, bot: int, samples: int) -> None:
    """Do what the plane does: both lanes, then the index."""
    write = int(columns.capture_write[0])
    columns.capture[0, 0, write : write + samples] = caller
    columns.capture[0, 1, write : write + samples] = bot
    columns.capture_write[0] = write + samples


async def test_caller_and_bot_are_side_by_side_in_a_private_file(tmp_path: Path) -> None:
    columns = Columns(memoryview(bytearray(Columns.size_bytes(1))), 1)
    columns.generation[0] = 3
    recorder = Recorder(tmp_path / "calls" / "a.wav", CaptureReader(columns, 0, 3), rate=8000)
    running = asyncio.create_task(recorder.run())
    await asyncio.sleep(0)

    captured(columns, 111, -222, 320)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    path = tmp_path / "calls" / "a.wav"
    assert path.stat().st_mode & 0o777 == 0o600
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getframerate(), file.getnframes()) == (2, 8000, 320)
        frames = np.frombuffer(file.readframes(320), "<i2").reshape(-1, 2)
    assert set(frames[:, 0]) == {111}
    assert set(frames[:, 1]) == {-222}


def test_a_recording_never_replaces_another(tmp_path: Path) -> None:
    columns = Columns(memoryview(bytearray(Columns.size_bytes(1))), 1)
    (tmp_path / "a.wav").write_bytes(b"older")

    with pytest.raises(FileExistsError):
        Recorder(tmp_path / "a.wav", CaptureReader(columns, 0, 1), rate=8000)


async def message(tmp_path: Path, *, max_s: float = 5.0, silence_s: float = 5.0, then: str = "") -> float:
    """Record a message of 320 samples of the caller; `then` is a key, or silence."""
    clock = ManualClock()
    columns = Columns(memoryview(bytearray(Columns.size_bytes(1))), 1)
    columns.generation[0] = 3
    hearing = Hearing(clock)
    recorder = Recorder(tmp_path / "m.wav", CaptureReader(columns, 0, 3), rate=8000, channels=1)
    recording = asyncio.create_task(
        record_message(recorder, hearing, max_s=max_s, silence_s=silence_s, stop_keys="#*")
    )
    await asyncio.sleep(0.01)
    captured(columns, 111, -222, 320)
    hearing.on_event(VoiceStarted(0, 3, 0, onset_ns=0))
    for key in then:
        hearing.on_event(Digit(0, 3, 0, digit=key, duration_ms=80))
    if not then:
        hearing.on_event(VoiceStopped(0, 3, 0, ended_ns=clock.now_ns()))
        clock.advance(60_000)
        hearing.on_event(VoiceStopped(0, 3, 0, ended_ns=0))
    async with asyncio.timeout(5):
        return await recording


@pytest.mark.parametrize("then", ["1*", "#", ""])
async def test_a_message_ends_with_a_key_or_with_silence(tmp_path: Path, then: str) -> None:
    assert await message(tmp_path, then=then) == 0.04

    with wave.open(str(tmp_path / "m.wav")) as file:
        assert (file.getnchannels(), file.getframerate(), file.getnframes()) == (1, 8000, 320)
        assert set(np.frombuffer(file.readframes(320), "<i2")) == {111}


async def test_a_message_is_no_longer_than_it_may_be(tmp_path: Path) -> None:
    assert await message(tmp_path, max_s=0.05, then="1") == 0.04


async def test_a_message_is_whole_though_its_caller_hangs_up(tmp_path: Path) -> None:
    columns = Columns(memoryview(bytearray(Columns.size_bytes(1))), 1)
    columns.generation[0] = 3
    recorder = Recorder(tmp_path / "m.wav", CaptureReader(columns, 0, 3), rate=8000, channels=1)
    recording = asyncio.create_task(
        record_message(recorder, Hearing(ManualClock()), max_s=9, silence_s=9, stop_keys="#")
    )
    await asyncio.sleep(0.01)
    captured(columns, 111, -222, 320)

    recording.cancel()
    with pytest.raises(asyncio.CancelledError):
        await recording

    with wave.open(str(tmp_path / "m.wav")) as file:
        assert file.getnframes() == 320


async def test_a_message_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    class Broken:
        def read(self, max_samples: int) -> NDArray[np.int16]:
            raise OSError("no space left")

    recorder = Recorder(tmp_path / "m.wav", Broken(), rate=8000, channels=1)

    with pytest.raises(OSError, match="no space"):
        await record_message(recorder, Hearing(ManualClock()), max_s=5, silence_s=5, stop_keys="#")
