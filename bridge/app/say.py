"""Speak one text into a WAV file, with the service that calls would use."""

import asyncio
import contextlib
import wave
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

from bridge.aio.cosyvoice_pool import CosyVoicePool, TtsSettings
from bridge.app.settings import Config
from bridge.audio import PcmFormat
from bridge.clock import SystemClock
from bridge.dice import SystemDice
from bridge.errors import SetupError, SynthesisError
from bridge.ports import Voice

__all__ = ["Spoken", "say"]

_KNOCK_S = 1.0


@dataclass(frozen=True, slots=True)
class Spoken:
    """What came of it."""

    duration_s: float
    first_audio_ms: float
    """From the text to the first sound from the service, on an open connection."""


async def say(config: Config, text: str, out: Path, *, voice: str, rate: int, language: str) -> Spoken:
    """Speak `text` and write it to `out`.

    Args:
        config: Names the service, the model, and the voice where `voice` is empty.
        text: What to say.
        out: WAV file, replaced if it exists; not touched when the voice fails.
        voice: Name of the voice.
        rate: Sampling frequency in Hz.
        language: Language hint; empty for none.

    Raises:
        SynthesisError: If the service refuses or fails.
        SetupError: If the file cannot be written.
    """
    clock = SystemClock()
    async with _service(config) as url:
        key = config.tts.api_key
        settings = TtsSettings(url, key.get_secret_value() if key is not None else "")
        synthesizer = CosyVoicePool(settings, clock=clock, dice=SystemDice())
        await synthesizer.start()
        try:
            await synthesizer.ready()
            began_ns = clock.now_ns()
            speech = synthesizer.speak(
                Voice(config.tts.model, voice or config.tts.voice, language), PcmFormat(rate)
            )
            await speech.send_text(text)
            await speech.finish()
            pieces: list[bytes] = []
            first_ns = began_ns
            async for piece in speech.audio():
                first_ns = first_ns if pieces else clock.now_ns()
                pieces.append(piece)
        finally:
            await synthesizer.close()
    if not pieces:
        raise SynthesisError("the service made no sound of this text", code="Empty", retryable=False)
    samples = b"".join(pieces)
    _write(out, samples, rate)
    return Spoken(len(samples) / 2 / rate, (first_ns - began_ns) / 1e6)


@contextlib.asynccontextmanager
async def _service(config: Config) -> AsyncIterator[str]:
    """Yield the service's address; start the embedded one if it is meant and nobody has."""
    host, port = config.tts_server.listen
    if config.tts_kind != "embedded" or await _answers("127.0.0.1" if host == "0.0.0.0" else host, port):
        yield config.tts.url
        return
    from bridge.app.assembly import voice_settings
    from bridge.ttsserver.server import TtsServer

    # Any free port: a bridge that is about to start must find its own free.
    server = await TtsServer.start(replace(voice_settings(config), listen=("127.0.0.1", 0)))
    try:
        yield server.url
    finally:
        await server.close()


async def _answers(host: str, port: int) -> bool:
    if not port:
        return False
    try:
        async with asyncio.timeout(_KNOCK_S):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True


def _write(out: Path, samples: bytes, rate: int) -> None:
    try:
        with out.open("wb") as opened, wave.open(opened, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(rate)
            file.writeframes(samples)
    except OSError as error:
        raise SetupError(f"cannot write {out}: {error.strerror or error}") from None
