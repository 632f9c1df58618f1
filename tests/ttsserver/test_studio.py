import asyncio

from bridge.cosyvoice.voices import VOICES
from bridge.ttsserver.studio import Studio, accepts, shared_hibari
from bridge.ttsserver.tone import ToneEngine
from bridge.ttsserver.upstream import Upstream, UpstreamEngine
from bridge.ttsserver.voice import Delivery


def test_every_documented_voice_is_accepted_by_the_models_that_have_it() -> None:
    assert accepts("cosyvoice-v3-flash", "longanyang")
    assert accepts("cosyvoice-v2", "longxiaochun_v2")
    assert not accepts("cosyvoice-v3-flash", "longxiaochun_v2")
    assert not accepts("cosyvoice-v3-flash", "nobody")
    models = ("cosyvoice-v1", "cosyvoice-v2", "cosyvoice-v3-flash", "cosyvoice-v3-plus")
    assert all(any(accepts(model, voice) for model in models) for voice in VOICES)


def test_every_model_has_the_tone() -> None:
    assert accepts("cosyvoice-v1", "tone")


async def test_asking_for_a_voice_loads_nothing_and_rendering_loads_it_once() -> None:
    studio = Studio(2)
    loop = asyncio.get_running_loop()

    man, woman = studio.engine("longanyang"), studio.engine("longanhuan")
    rendered = await asyncio.gather(
        *(loop.run_in_executor(None, engine.render, "Yes.", Delivery()) for engine in (man, woman))
    )

    assert all(len(sound.samples) for sound in rendered)
    assert shared_hibari() is shared_hibari()
    assert isinstance(studio.engine("tone"), ToneEngine)
    studio.close()


async def test_a_server_of_ones_own_speaks_for_every_voice_but_the_tone() -> None:
    studio = Studio(1, Upstream("http://127.0.0.1:9"))
    await studio.warm()

    voice = studio.engine("longanyang")

    assert isinstance(voice, UpstreamEngine)
    assert isinstance(studio.engine("tone"), ToneEngine)
    studio.close()
