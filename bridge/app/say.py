"""Speak one text into a sound file, with the service that calls would use."""

import asyncio
import contextlib
import io
import wave
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

from bridge.aio.cosyvoice import CosyVoice
from bridge.app.settings import Config
from bridge.clock import SystemClock
from bridge.cosyvoice.formats import OPUS_RATES, RATES
from bridge.cosyvoice.voices import MODELS, matches
from bridge.errors import (
    ConfigError,
    ConnectionLostError,
    SetupError,
    SynthesisError,
    SynthesisTimeoutError,
)
from bridge.text.ssml import is_ssml

__all__ = ["Spoken", "say"]

_KNOCK_S = 1.0
_FORMATS = {".wav": "pcm", ".pcm": "pcm", ".mp3": "mp3", ".opus": "opus", ".ogg": "opus"}
"""What the service is asked for; a wav file gets its header here, where its length is known."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """What came of it."""

    size_bytes: int
    duration_s: float | None
    """None where only a decoder could tell."""
    first_audio_ms: float
    """From the text to the first sound from the service, on an open connection."""

    def __str__(self) -> str:
        amount = f"{self.size_bytes} bytes" if self.duration_s is None else f"{self.duration_s:.2f} s"
        return f"{amount} of speech, the first of it after {self.first_audio_ms:.0f} ms"


async def say(
    config: Config,
    text: str,
    out: Path,
    *,
    voice: str = "",
    rate: int = 24000,
    language: str = "",
    instruction: str = "",
) -> Spoken:
    """Speak `text` and write it to `out`.

    Args:
        config: Names the service, the model, and the voice where `voice` is empty.
        text: What to say, plain or as SSML.
        out: Sound file, its ending says the format; replaced if it exists, not touched when the voice fails.
        voice: Name of the voice.
        rate: Sampling frequency in Hz.
        language: Language hint; empty for none.
        instruction: How to speak, for voices that follow instructions.

    Raises:
        ConfigError: If the file's ending or the rate is none that can be made.
        SynthesisError: If the service refuses or fails.
        SetupError: If the file cannot be written.
    """
    packed = _packing(out, rate)
    clock = SystemClock()
    async with _service(config) as url:
        key = config.tts.api_key
        client = CosyVoice(
            url=url,
            api_key=key.get_secret_value() if key is not None else "",
            model=_model_of(voice, config.tts.model),
            voice=voice or config.tts.voice,
            format=packed,
            sample_rate=rate,
            language_hints=(language,) if language else (),
            instruction=instruction,
            enable_ssml=is_ssml(text),
        )
        async with client:
            await _answering(client, config)
            began_ns = first_ns = clock.now_ns()
            pieces: list[bytes] = []
            async for chunk in client.stream(text):
                first_ns = first_ns if pieces else clock.now_ns()
                pieces.append(chunk.data)
    if not pieces:
        raise SynthesisError("the service made no sound of this text", code="Empty", retryable=False)
    sound = b"".join(pieces)
    _write(out, _with_header(sound, rate) if out.suffix.lower() == ".wav" else sound)
    duration_s = len(sound) / 2 / rate if packed == "pcm" else None
    return Spoken(len(sound), duration_s, (first_ns - began_ns) / 1e6)


async def _answering(client: CosyVoice, config: Config) -> None:
    try:
        await client.ready()
    except (ConnectionLostError, SynthesisTimeoutError) as error:
        if config.tts_kind != "cloud":
            raise
        hint = "the cloud is asked since a key is set: --local asks the voice of this machine"
        message = f"{error.message}; {hint}"
        raise SynthesisError(message, code=error.code, retryable=True) from None


def _model_of(voice: str, usual: str) -> str:
    """The model that has `voice`; the usual one, if that does or if nobody has."""
    if not voice or matches(usual, voice):
        return usual
    return next((model for model in MODELS if matches(model, voice)), usual)


def _packing(out: Path, rate: int) -> str:
    packed = _FORMATS.get(out.suffix.lower())
    if packed is None:
        raise ConfigError(f"{out}: the file must end in {', '.join(_FORMATS)}")
    rates = OPUS_RATES if packed == "opus" else RATES
    if rate not in rates:
        raise ConfigError(f"--rate {rate}: must be one of {', '.join(map(str, rates))} for {out.suffix}")
    return packed


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


def _with_header(pcm: bytes, rate: int) -> bytes:
    made = io.BytesIO()
    with wave.open(made, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(pcm)
    return made.getvalue()


def _write(out: Path, sound: bytes) -> None:
    try:
        out.write_bytes(sound)
    except OSError as error:
        raise SetupError(f"cannot write {out}: {error.strerror or error}") from None
