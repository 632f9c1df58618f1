"""Hundreds of utterances, many of them cut: nothing of them stays behind."""

import asyncio
import random
import threading
from pathlib import Path

import pytest

from bridge.aio.cosyvoice import CosyVoice
from bridge.cosyvoice.client_patience import Deadlines
from bridge.errors import SynthesisError
from bridge.ttsserver.server import TtsServer, TtsServerSettings
from tests.aio.cosyvoice_fake import Behaviour, FakeService, eventually, pause, pcm_of, running

UTTERANCES = 300
AT_A_TIME = 8
RATE = 8000


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def utter(tts: CosyVoice, seed: int) -> bool:
    """Speak something and leave in one of the ways there are; tell whether all of it was heard."""
    dice = random.Random(seed)  # noqa: S311  the same in every run
    text = f"Number {seed} says something. It says a little more."
    way = dice.choice(["listen", "listen", "break", "cancel", "at once", "never"])
    stream = tts.stream(text, words=dice.random() < 0.5)
    if way == "never":
        return False
    if way in ("cancel", "at once"):
        listening = asyncio.create_task(tts.synthesize(text))
        for _ in range(0 if way == "at once" else dice.randrange(30)):
            await asyncio.sleep(0)  # one turn of the loop
        listening.cancel()
        await asyncio.wait({listening})
        return False
    count = 0
    async for _ in stream:
        count += 1
        if way == "break" and count > dice.randrange(4):
            return False
    return True


async def run_all(tts: CosyVoice) -> int:
    """Speak everything, some at a time; return how many were heard to their end."""
    numbers = iter(range(UTTERANCES))

    async def speaker() -> int:
        return sum([await utter(tts, number) for number in numbers])

    return sum(await asyncio.gather(*(speaker() for _ in range(AT_A_TIME))))


async def test_hundreds_of_utterances_leave_nothing_behind() -> None:
    # A machine that stands still for 300 ms is no fault of the connection.
    deadlines = Deadlines(cancel_s=10)
    tasks, threads, files = len(asyncio.all_tasks()), threading.active_count(), open_files()
    async with running(Behaviour(frame_bytes=800)) as service:
        async with CosyVoice(url=service.url, sample_rate=RATE, deadlines=deadlines) as tts:
            heard = await run_all(tts)
            assert heard >= UTTERANCES // 6
            await eventually(lambda: tts.pool.busy == 0)

            assert tts.pool.counters["lost"] == tts.pool.counters["replaced"] == 0
            assert service.connections <= 2 * AT_A_TIME
            assert service.open_now == tts.pool.idle
            assert await tts.synthesize("Still here.") == pcm_of("Still here.", RATE)
        await eventually(lambda: service.open_now == 0)
    await eventually(lambda: len(asyncio.all_tasks()) == tasks and open_files() == files)

    assert threading.active_count() == threads


async def test_connections_that_break_leave_nothing_behind_either() -> None:
    tasks = len(asyncio.all_tasks())
    async with running(Behaviour(frame_bytes=800)) as service:
        breaking = asyncio.create_task(break_connections(service))
        async with CosyVoice(url=service.url, sample_rate=RATE) as tts:
            texts = [f"Number {number} says something. It says a little more." for number in range(100)]
            sounds: list[bytes] = []
            for begin in range(0, len(texts), AT_A_TIME):
                batch = texts[begin : begin + AT_A_TIME]
                sounds += await asyncio.gather(*(tts.synthesize(text) for text in batch))

            assert sounds == [pcm_of(text, RATE) for text in texts]
            assert tts.pool.counters["lost"] > 0
        breaking.cancel()
        await asyncio.wait({breaking})
        await eventually(lambda: service.open_now == 0)
    await eventually(lambda: len(asyncio.all_tasks()) == tasks)


async def test_whoever_gives_up_a_pause_leaves_no_timer_that_finds_it_over() -> None:
    loop = asyncio.get_running_loop()
    faults: list[dict[str, object]] = []
    loop.set_exception_handler(lambda _, context: faults.append(context))
    pausing = asyncio.create_task(pause(0.001))
    await asyncio.sleep(0)

    pausing.cancel()
    await asyncio.wait({pausing})
    await pause(0.005)

    assert faults == []


async def break_connections(service: FakeService) -> None:
    """Tear a connection now and then, whatever it is doing."""
    dice = random.Random(1)  # noqa: S311  the same in every run
    while True:
        await pause(0.02)
        if service.sockets:
            dice.choice(sorted(service.sockets, key=id)).transport.abort()


async def test_the_embedded_service_keeps_nothing_either() -> None:
    tasks = len(asyncio.all_tasks())
    serving = TtsServerSettings(listen=("127.0.0.1", 0), warm=False)
    async with (
        await TtsServer.start(serving) as server,
        CosyVoice(url=server.url, voice="tone", sample_rate=RATE, deadlines=Deadlines(cancel_s=10)) as tts,
    ):
        await run_all(tts)
        await eventually(lambda: tts.pool.busy == 0)

        assert tts.pool.counters["lost"] == tts.pool.counters["replaced"] == 0
    await eventually(lambda: len(asyncio.all_tasks()) == tasks)


async def test_who_asks_for_too_much_is_refused_and_leaves_nothing() -> None:
    tasks = len(asyncio.all_tasks())
    async with running() as service, CosyVoice(url=service.url) as tts:
        for _ in range(20):
            with pytest.raises(SynthesisError):
                await tts.synthesize("Hello.", model="no-such-model")
        await eventually(lambda: tts.pool.busy == 0)
    await eventually(lambda: len(asyncio.all_tasks()) == tasks)
