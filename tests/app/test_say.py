import wave
from pathlib import Path

import pytest

from bridge.app.config import load
from bridge.app.say import say
from bridge.errors import SetupError, SynthesisError
from bridge.ttsserver.server import TtsServer, TtsServerSettings


async def test_the_voice_of_this_machine_speaks_though_no_service_is_running(tmp_path: Path) -> None:
    out = tmp_path / "hello.wav"
    config = load(environ={}, sets=["tts_server.listen=127.0.0.1:0", "tts_server.api_keys=a-key-of-mine"])

    spoken = await say(config, "Hello there.", out, voice="", rate=8000, language="en")

    with wave.open(str(out)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (8000, 1, 2)
        assert file.getnframes() / 8000 == spoken.duration_s > 0.4
    assert spoken.first_audio_ms > 0


async def test_a_service_that_is_running_is_used(tmp_path: Path) -> None:
    server = await TtsServer.start(TtsServerSettings(listen=("127.0.0.1", 0), warm=False))
    host, port = server.listen
    config = load(environ={}, sets=[f"tts_server.listen={host}:{port}"])

    await say(config, "a tone", tmp_path / "tone.wav", voice="tone", rate=16000, language="")

    assert server.counters["connections"] > 1  # the knock at the door, and the pool
    await server.close()


async def test_a_refused_voice_leaves_the_file_alone(tmp_path: Path) -> None:
    out = tmp_path / "kept.wav"
    out.write_bytes(b"mine")
    config = load(environ={}, sets=["tts_server.listen=127.0.0.1:0"])

    with pytest.raises(SynthesisError, match="418"):
        await say(config, "Hello.", out, voice="nobody", rate=8000, language="")

    assert out.read_bytes() == b"mine"


async def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    config = load(environ={}, sets=["tts_server.listen=127.0.0.1:0"])

    with pytest.raises(SetupError, match=r"cannot write .*gone/x\.wav: No such file or directory"):
        await say(config, "x", tmp_path / "gone" / "x.wav", voice="tone", rate=8000, language="")
