import wave
from pathlib import Path

import av
import pytest

from bridge.app.config import load
from bridge.app.say import say
from bridge.errors import ConfigError, SetupError, SynthesisError
from bridge.ttsserver.server import TtsServer, TtsServerSettings


async def test_the_voice_of_this_machine_speaks_though_no_service_is_running(tmp_path: Path) -> None:
    out = tmp_path / "hello.wav"
    config = load(environ={}, sets=["tts_server.listen=127.0.0.1:0", "tts_server.api_keys=a-key-of-mine"])

    spoken = await say(config, "Hello there.", out, voice="", rate=8000, language="en")

    with wave.open(str(out)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (8000, 1, 2)
        assert spoken.duration_s is not None
        assert file.getnframes() / 8000 == spoken.duration_s > 0.4
    assert spoken.first_audio_ms > 0


async def test_a_service_that_is_running_is_used(tmp_path: Path) -> None:
    server = await TtsServer.start(TtsServerSettings(listen=("127.0.0.1", 0), warm=False))
    host, port = server.listen
    config = load(environ={}, sets=[f"tts_server.listen={host}:{port}"])

    await say(config, "a tone", tmp_path / "tone.wav", voice="tone", rate=16000, language="")

    assert server.counters["connections"] > 1  # the knock at the door, and the pool
    await server.close()


@pytest.mark.parametrize(("name", "codec"), [("a.mp3", "mp3"), ("a.opus", "opus"), ("a.OGG", "opus")])
async def test_the_ending_of_the_file_says_how_it_is_packed(tmp_path: Path, name: str, codec: str) -> None:
    config = load(environ={}, sets=["tts_server.listen=127.0.0.1:0"])

    spoken = await say(config, "a tone", tmp_path / name, voice="tone", rate=16000)

    with av.open(str(tmp_path / name), "r") as file:
        assert file.streams.audio[0].codec_context.name.startswith(codec)
    assert spoken.size_bytes == (tmp_path / name).stat().st_size
    assert str(spoken).startswith(f"{spoken.size_bytes} bytes of speech")


async def test_markup_is_known_by_its_tag(tmp_path: Path) -> None:
    config = load(environ={}, sets=["tts_server.listen=127.0.0.1:0"])

    plain = await say(config, "one two", tmp_path / "a.wav", voice="tone")
    marked = await say(config, '<speak>one<break time="2s"/>two</speak>', tmp_path / "b.wav", voice="tone")

    assert plain.duration_s is not None
    assert marked.duration_s is not None
    assert marked.duration_s == pytest.approx(plain.duration_s + 2, abs=0.1)


@pytest.mark.parametrize(
    ("name", "rate", "message"),
    [
        ("a.flac", 8000, r"the file must end in \.wav, \.pcm, \.mp3, \.opus, \.ogg"),
        ("a.wav", 11025, "must be one of 8000, 16000, 22050, 24000, 44100, 48000 for .wav"),
        ("a.opus", 22050, "must be one of 8000, 16000, 24000, 48000 for .opus"),
    ],
)
async def test_what_cannot_be_written_is_said_before_anything_is_asked(
    tmp_path: Path, name: str, rate: int, message: str
) -> None:
    config = load(environ={}, sets=["tts_server.listen=127.0.0.1:0"])

    with pytest.raises(ConfigError, match=message):
        await say(config, "x", tmp_path / name, rate=rate)


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


async def test_the_model_is_the_one_that_has_the_voice(tmp_path: Path) -> None:
    config = load(environ={}, sets=["tts_server.listen=127.0.0.1:0"])

    spoken = await say(config, "Hello.", tmp_path / "a.wav", voice="longxiaochun")

    assert spoken.duration_s is not None


async def test_a_cloud_out_of_reach_is_said_to_be_the_cloud(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No name of the cloud is looked up: its connections go to a proxy that is not there.
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    config = load(environ={"DASHSCOPE_API_KEY": "sk-nothing"})

    with pytest.raises(SynthesisError, match="the cloud is asked since a key is set: --local"):
        await say(config, "Hello.", tmp_path / "a.wav")
