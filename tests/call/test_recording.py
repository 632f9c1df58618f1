import asyncio
import wave
from pathlib import Path

import numpy as np
import pytest

from bridge.call.recording import Recorder
from bridge.plane.columns import Columns
from bridge.plane.ring import CaptureReader


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
