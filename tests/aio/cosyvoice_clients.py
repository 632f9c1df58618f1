"""A client of a service, and the few words tests say with it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from bridge.aio.cosyvoice_pool import CosyVoicePool, TtsSettings
from bridge.aio.cosyvoice_speech import PooledSpeech
from bridge.audio import PcmFormat
from bridge.clock import SystemClock
from bridge.dice import SystemDice
from bridge.ports import Voice
from tests.aio.cosyvoice_fake import FakeService

VOICE = Voice("cosyvoice-v3-flash", "longanyang", "en")
FORMAT = PcmFormat(8000)


@asynccontextmanager
async def pool(service: FakeService, **changes: object) -> AsyncIterator[CosyVoicePool]:
    settings = replace(TtsSettings(service.url, "sk-secret"), **changes)  # type: ignore[arg-type]
    tts = CosyVoicePool(settings, clock=SystemClock(), dice=SystemDice())
    await tts.start()
    try:
        yield tts
    finally:
        await tts.close()


async def heard_from(speech: PooledSpeech) -> bytes:
    return b"".join([pcm async for pcm in speech.audio()])


async def say(tts: CosyVoicePool, text: str, voice: Voice = VOICE) -> bytes:
    speech = tts.speak(voice, FORMAT)
    await speech.send_text(text)
    await speech.finish()
    return await heard_from(speech)
