"""One client of `ready_server`, in a process of its own: the SDK, our facade, or the asyncio API.

    python sdk_client.py MODULE URL

Reads one JSON object a line, does what ``do`` says, and answers with one: ``wall_s`` and ``cpu_s`` of this
process, all threads together, and what it is asked for besides.
"""

import asyncio
import contextlib
import gc
import importlib
import json
import os
import sys
import threading
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable
from typing import Any, Protocol

MODEL, VOICE, RATE = "cosyvoice-v3-flash", "tone", 8000
TEXT = "Hello."
WAIT_S = 120.0


class Subject(Protocol):
    """What is measured."""

    def frames(self, count: int, size: int, apart_ms: float = 0) -> int:
        """Stream one task; returns how many bytes came."""
        ...

    def first(self) -> float:
        """Open a fresh connection and speak; returns seconds to the first sound."""
        ...

    def call(self, count: int, size: int) -> int:
        """Take one task's sound as a whole; returns its length in bytes."""
        ...

    def cancel_and_speak(self) -> float:
        """Interrupt a task; returns seconds until the next one's first sound."""
        ...


class Blocking:
    """`dashscope.audio.tts_v2`, or whatever stands in for it."""

    def __init__(self, module: str, url: str) -> None:
        self._sdk = importlib.import_module(module)
        self._url = url

    def frames(self, count: int, size: int, apart_ms: float = 0) -> int:
        ear = self._ear()
        tts = self._synthesizer(ear, count, size, apart_ms)
        tts.streaming_call(TEXT)
        tts.streaming_complete()
        ear.done.wait(WAIT_S)
        return int(ear.came)

    def first(self) -> float:
        ear = self._ear()
        began = time.perf_counter()
        tts = self._synthesizer(ear, 10, 640)
        tts.streaming_call(TEXT)
        ear.heard.wait(WAIT_S)
        tts.streaming_complete()
        return float(ear.first_s - began)

    def call(self, count: int, size: int) -> int:
        return len(self._synthesizer(None, count, size).call(TEXT))

    def cancel_and_speak(self) -> float:
        ear = self._ear()
        tts = self._synthesizer(ear, 10, 640)
        tts.streaming_call(TEXT)
        ear.heard.wait(WAIT_S)
        next_ear = self._ear()
        began = time.perf_counter()
        tts.streaming_cancel()
        following = self._synthesizer(next_ear, 10, 640)
        following.streaming_call(TEXT)
        next_ear.heard.wait(WAIT_S)
        following.streaming_complete()
        return float(next_ear.first_s - began)

    def _synthesizer(self, callback: Any, frames: int, size: int, apart_ms: float = 0) -> Any:  # noqa: ANN401
        return self._sdk.SpeechSynthesizer(
            model=MODEL,
            voice=VOICE,
            format=self._sdk.AudioFormat.PCM_8000HZ_MONO_16BIT,
            callback=callback,
            url=self._url,
            additional_params=_wish(frames, size, apart_ms),
        )

    def _ear(self) -> Any:  # noqa: ANN401  either module's
        class Ear(self._sdk.ResultCallback):  # type: ignore[name-defined,misc]
            def __init__(self) -> None:
                self.came = 0
                self.first_s = 0.0
                self.heard = threading.Event()
                self.done = threading.Event()

            def on_data(self, data: bytes) -> None:
                if not self.came:
                    self.first_s = time.perf_counter()
                    self.heard.set()
                self.came += len(data)

            def on_close(self) -> None:
                self.done.set()

        return Ear()


class Asynchronous:
    """The pool underneath: text in, sound out, on the loop. Opens what it needs for each measure."""

    def __init__(self, module: str, url: str) -> None:
        # By its name, so that the SDK's process need not load the bridge.
        self._pools = importlib.import_module(module)
        self._ports = importlib.import_module("bridge.ports")
        self._clock = importlib.import_module("bridge.clock").SystemClock()
        self._dice = importlib.import_module("bridge.dice").SystemDice()
        self._format = importlib.import_module("bridge.audio").PcmFormat(RATE)
        self._url = url
        self._runner = asyncio.Runner()

    def frames(self, count: int, size: int, apart_ms: float = 0) -> int:
        async def listen() -> int:
            async with self._pool(count, size, apart_ms=apart_ms) as pool:
                return sum([len(sound) async for sound in await self._speak(pool)])

        return self._runner.run(listen())

    def first(self) -> float:
        async def listen() -> float:
            began = time.perf_counter()
            async with self._pool(10, 640) as pool:
                return await _first_of(await self._speak(pool)) - began

        return self._runner.run(listen())

    def call(self, count: int, size: int) -> int:
        async def collect() -> int:
            async with self._pool(count, size) as pool:
                return len(b"".join([sound async for sound in await self._speak(pool)]))

        return self._runner.run(collect())

    def cancel_and_speak(self) -> float:
        async def interrupt() -> float:
            async with self._pool(10, 640, spares=1) as pool:
                await pool.ready()
                speech = self._begin(pool)
                await speech.send_text(TEXT)
                await anext(aiter(speech.audio()))
                await pool.ready()
                began = time.perf_counter()
                await speech.cancel()
                return await _first_of(await self._speak(pool)) - began

        return self._runner.run(interrupt())

    @contextlib.asynccontextmanager
    async def _pool(
        self, frames: int, size: int, *, spares: int = 0, apart_ms: float = 0
    ) -> AsyncIterator[Any]:
        wish = _wish(frames, size, apart_ms)
        settings = self._pools.TtsSettings(self._url, spares=spares, spare_share=0.0, parameters=wish)
        pool = self._pools.SpeechPool(settings, clock=self._clock, dice=self._dice)
        await pool.start()
        try:
            yield pool
        finally:
            await pool.close()

    def _begin(self, pool: Any) -> Any:  # noqa: ANN401  loaded by name
        return pool.speak(self._ports.Voice(MODEL, VOICE), self._format)

    async def _speak(self, pool: Any) -> AsyncIterator[bytes]:  # noqa: ANN401  loaded by name
        speech = self._begin(pool)
        await speech.send_text(TEXT)
        await speech.finish()
        audio: AsyncIterator[bytes] = speech.audio()
        return audio


class Streaming:
    """`bridge.aio.cosyvoice.CosyVoice`, as a program uses it."""

    def __init__(self, module: str, url: str) -> None:
        self._type = importlib.import_module(module).CosyVoice
        self._url = url
        self._runner = asyncio.Runner()

    def frames(self, count: int, size: int, apart_ms: float = 0) -> int:
        async def listen() -> int:
            async with self._client(count, size, apart_ms=apart_ms) as tts:
                return sum([len(chunk.data) async for chunk in tts.stream(TEXT)])

        return self._runner.run(listen())

    def first(self) -> float:
        async def listen() -> float:
            began = time.perf_counter()
            async with self._client(10, 640) as tts:
                return await _first_of(tts.stream(TEXT)) - began

        return self._runner.run(listen())

    def call(self, count: int, size: int) -> int:
        async def collect() -> int:
            async with self._client(count, size) as tts:
                return len(await tts.synthesize(TEXT))

        return self._runner.run(collect())

    def cancel_and_speak(self) -> float:
        async def interrupt() -> float:
            async with self._client(10, 640, spares=1) as tts:
                await tts.ready()
                stream = tts.stream(TEXT)
                await anext(aiter(stream))
                await tts.ready()
                began = time.perf_counter()
                await stream.cancel()
                return await _first_of(tts.stream(TEXT)) - began

        return self._runner.run(interrupt())

    def _client(self, frames: int, size: int, *, spares: int = 0, apart_ms: float = 0) -> Any:  # noqa: ANN401
        return self._type(
            url=self._url,
            spares=spares,
            model=MODEL,
            voice=VOICE,
            format="pcm",
            sample_rate=RATE,
            additional_params=_wish(frames, size, apart_ms),
        )


def _wish(frames: int, size: int, apart_ms: float) -> dict[str, Any]:
    """Additional parameters: what `ready_server` is to send."""
    return {"x_ready": {"frames": frames, "size": size, "apart_ms": apart_ms}}


async def _first_of(sounds: AsyncIterable[object]) -> float:
    """When the first sound came; the rest is taken too, so that the task ends."""
    came_s = [time.perf_counter() async for _ in sounds]
    return came_s[0]


KINDS: dict[str, Callable[[str, str], Subject]] = {
    "tests.bench.speech_pool": Asynchronous,
    "bridge.aio.cosyvoice": Streaming,
}
"""What is spoken to otherwise than the SDK."""


def main() -> None:
    module, url = sys.argv[1:]
    # Old SDKs print; the answers must be alone on the standard output.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    subject = KINDS.get(module, Blocking)(module, url)
    for line in sys.stdin:
        asked = json.loads(line)
        work: Callable[..., float] = getattr(subject, asked.pop("do"))
        gc.collect()
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        value = work(**asked)
        wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
        answers.write(json.dumps({"value": value, "wall_s": wall_s, "cpu_s": cpu_s}) + "\n")
        answers.flush()
    # What the SDK leaves waiting in its threads must not keep the process.
    os._exit(0)


if __name__ == "__main__":
    main()
