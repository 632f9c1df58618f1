import asyncio

from bridge.cosyvoice.voices import VOICES
from bridge.ttsserver.hibari import HibariEngine
from bridge.ttsserver.studio import Studio, accepts, shared_hibari
from bridge.ttsserver.tone import ToneEngine


def test_every_documented_voice_is_accepted_by_the_models_that_have_it() -> None:
    assert accepts("cosyvoice-v3-flash", "longanyang")
    assert accepts("cosyvoice-v2", "longxiaochun_v2")
    assert not accepts("cosyvoice-v3-flash", "longxiaochun_v2")
    assert not accepts("cosyvoice-v3-flash", "nobody")
    models = ("cosyvoice-v1", "cosyvoice-v2", "cosyvoice-v3-flash", "cosyvoice-v3-plus")
    assert all(any(accepts(model, voice) for model in models) for voice in VOICES)


def test_every_model_has_the_tone() -> None:
    assert accepts("cosyvoice-v1", "tone")


async def test_two_who_ask_at_the_same_time_share_one_voice() -> None:
    studio = Studio(2)

    first, second = await asyncio.gather(studio.engine("longanyang"), studio.engine("longanhuan"))

    assert first is second is shared_hibari()
    assert isinstance(first, HibariEngine)
    assert isinstance(await studio.engine("tone"), ToneEngine)
    studio.close()
