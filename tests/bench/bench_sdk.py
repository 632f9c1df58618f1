"""`make bench`: the official SDK, our facade of it and the asyncio API, side by side against one service.

The service (`ready_server`) has its sound ready. Each client is a process of its own and is measured in turn,
again and again; its CPU is that of all its threads. Nothing here asserts: machines differ, ratios less so.
"""

import argparse
import asyncio
import json
import os
import sys
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from bridge.audio import PcmFormat
from bridge.clock import SystemClock
from bridge.dice import SystemDice
from bridge.ports import Voice
from tests.bench.machine import provenance
from tests.bench.speech_pool import SpeechPool, TtsSettings

_SDK_VERSION = "2.0.2"
_SDKS = Path(sys.prefix) / "sdk"
_ROOT = Path(__file__).parents[2]

SDK, FACADE, STREAM, POOL = f"dashscope {_SDK_VERSION}", "bridge.tts_v2", "CosyVoice.stream", "asyncio pool"
_MODULES = {
    SDK: "dashscope.audio.tts_v2",
    FACADE: "bridge.tts_v2",
    STREAM: "bridge.aio.cosyvoice",
    POOL: "tests.bench.speech_pool",
}

_FRAMES, _FRAME_BYTES = 5000, 640
_PACED, _APART_MS = 1000, 1.0
_CALL_BYTES = 4096
_MB = 1_000_000

_VOICE = Voice("cosyvoice-v3-flash", "tone")
_FORMAT = PcmFormat(8000)


class Child:
    """A process that is spoken to in lines of JSON."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, *command: str, paths: tuple[Path, ...] = ()) -> "Child":
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(map(str, (*paths, _ROOT))),
            "DASHSCOPE_API_KEY": "sk-bench",
            "no_proxy": "127.0.0.1",
        }
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            sys.executable, *command, stdin=pipe, stdout=pipe, env=environment
        )
        return cls(process)

    async def ask(self, **values: Any) -> dict[str, Any]:  # noqa: ANN401  JSON
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(values).encode() + b"\n")
        return await self.hear()

    async def hear(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"a client ended early with {await self._process.wait()}")
        heard: dict[str, Any] = json.loads(line)
        return heard

    async def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()


class Bench:
    """All repetitions of all measures, by measure and client."""

    def __init__(self, clients: dict[str, Child]) -> None:
        self.values: dict[str, dict[str, list[float]]] = {}
        self._clients = clients

    def note(self, measure: str, client: str, value: float) -> None:
        self.values.setdefault(measure, {}).setdefault(client, []).append(value)

    async def cpu_per_frame(self, repeat: int) -> None:
        """Microseconds of CPU for one event and its 640 bytes of sound."""
        for round_ in range(repeat + 1):
            for name, client in self._clients.items():
                told = await client.ask(do="frames", count=_FRAMES, size=_FRAME_BYTES)
                assert told["value"] == _FRAMES * _FRAME_BYTES, f"{name} heard {told['value']} bytes"
                if round_:  # the first warms up
                    self.note("CPU per frame, all at once, µs", name, told["cpu_s"] / _FRAMES * 1e6)

    async def cpu_per_paced_frame(self, repeat: int) -> None:
        """The same where every frame comes by itself, as it does from a service that works as it speaks."""
        for _ in range(repeat):
            for name, client in self._clients.items():
                told = await client.ask(do="frames", count=_PACED, size=_FRAME_BYTES, apart_ms=_APART_MS)
                assert told["value"] == _PACED * _FRAME_BYTES
                self.note("CPU per frame, one at a time, µs", name, told["cpu_s"] / _PACED * 1e6)

    async def first_audio(self, repeat: int) -> None:
        for round_ in range(repeat + 1):
            for name, client in self._clients.items():
                told = await client.ask(do="first")
                if round_:
                    self.note("first audio, fresh connection, ms", name, told["value"] * 1e3)

    async def cancel_to_audio(self, repeat: int) -> None:
        for round_ in range(repeat + 1):
            for name, client in self._clients.items():
                told = await client.ask(do="cancel_and_speak")
                if round_:
                    self.note("cancel to next audio, ms", name, told["value"] * 1e3)

    async def whole(self, megabytes: int, repeat: int, clients: tuple[str, ...]) -> None:
        count = megabytes * _MB // _CALL_BYTES
        for _ in range(repeat):
            for name in clients:
                told = await self._clients[name].ask(do="call", count=count, size=_CALL_BYTES)
                assert told["value"] == count * _CALL_BYTES
                self.note(f"call() of {megabytes} MB, s", name, told["wall_s"])

    async def cancels(self, url: str, count: int) -> None:
        """How long until the next utterance has an open connection, and until all is as before the cancel."""
        for ignores, name in ((False, "answered"), (True, "ignored")):
            pools = [_Interrupted(url, ignores_cancel=ignores) for _ in range(10 if ignores else 1)]
            for told in await asyncio.gather(*(pool.interrupt(count // len(pools)) for pool in pools)):
                for ready_ms, again_ms in told:
                    self.note(f"cancel {name}: next is bound, ms", POOL, ready_ms)
                    self.note(f"cancel {name}: connection back or replaced, ms", POOL, again_ms)


class _Interrupted:
    """A pool with one spare whose every utterance is cancelled at its first sound."""

    def __init__(self, url: str, *, ignores_cancel: bool) -> None:
        asked = {"x_ready": {"frames": 10, "size": 640, "ignores_cancel": ignores_cancel}}
        settings = TtsSettings(url, spares=1, parameters=asked)
        self._clock = SystemClock()
        self._pool = SpeechPool(settings, clock=self._clock, dice=SystemDice())

    async def interrupt(self, times: int) -> list[tuple[float, float]]:
        await self._pool.start()
        found = []
        try:
            for _ in range(times):
                await self._pool.ready()
                found.append(await self._once())
        finally:
            await self._pool.close()
        return found

    async def _once(self) -> tuple[float, float]:
        speech = self._pool.speak(_VOICE, _FORMAT)
        await speech.send_text("Hello.")
        # The spare that takes its place is dialled meanwhile.
        await self._pool.ready()
        await anext(aiter(speech.audio()))
        cancelled_ns = self._clock.now_ns()
        await speech.cancel()
        following = self._pool.speak(_VOICE, _FORMAT)
        while not following.bound_ns:  # noqa: ASYNC110  the pool rings no bell
            await asyncio.sleep(0.0005)
        bound_ns = following.bound_ns
        # All sound has come and been left; a finish ends it at once, and it takes no part in what follows.
        await following.send_text("Hello.")
        await following.finish()
        async for _ in following.audio():
            pass
        while self._pool.busy:  # noqa: ASYNC110
            await asyncio.sleep(0.0005)
        return (bound_ns - cancelled_ns) / 1e6, (self._clock.now_ns() - cancelled_ns) / 1e6


async def measure(told: argparse.Namespace, console: Console) -> Bench:
    server = await Child.start("-m", "tests.bench.ready_server")
    url = str((await server.hear())["url"])
    client = str(Path(__file__).with_name("sdk_client.py"))
    paths = {SDK: (_SDKS / _SDK_VERSION, _SDKS / "needs")}
    clients = {
        name: await Child.start(client, module, url, paths=paths.get(name, ()))
        for name, module in _MODULES.items()
    }
    bench = Bench(clients)
    try:
        console.print(f"{_FRAMES} frames of {_FRAME_BYTES} bytes, {told.repeat} times …", style="dim")
        await bench.cpu_per_frame(told.repeat)
        console.print(f"{_PACED} frames {_APART_MS} ms apart, {told.repeat} times …", style="dim")
        await bench.cpu_per_paced_frame(told.repeat)
        console.print(f"first sound on a fresh connection, {told.firsts} times …", style="dim")
        await bench.first_audio(told.firsts)
        await bench.cancel_to_audio(told.firsts)
        console.print("call() of sound that is ready …", style="dim")
        await bench.whole(2, 2, tuple(clients))
        await bench.whole(20, 2, tuple(name for name in clients if name != SDK))
        if not told.short:
            console.print("… 20 MB by the SDK, which takes most of a minute …", style="dim")
            await bench.whole(20, 1, (SDK,))
        console.print(f"{told.cancels} cancels, answered and ignored …", style="dim")
        await bench.cancels(url, told.cancels)
    finally:
        for child in (*clients.values(), server):
            await child.close()
    return bench


def table(bench: Bench, console: Console) -> None:
    grid = Table(title="Official SDK and ours, one service, in turn", title_justify="left")
    grid.add_column("measure")
    for name in ("client", "n", "median", "p99", "min – max", "SDK is"):
        grid.add_column(name, justify="right", no_wrap=True)
    for name, values in bench.values.items():
        for client, found in values.items():
            ratio = median(values[SDK]) / median(found) if SDK in values and client != SDK else None
            grid.add_row(
                name,
                client,
                str(len(found)),
                f"{median(found):.2f}",
                f"{_quantile(found, 0.99):.2f}",
                f"{min(found):.2f} – {max(found):.2f}",
                f"{ratio:.1f} ×" if ratio else "",
            )
    console.print(grid)


def document(bench: Bench) -> dict[str, Any]:
    return {
        **provenance(),
        "sdk": _SDK_VERSION,
        "repetitions": {
            name: {client: [round(value, 4) for value in found] for client, found in values.items()}
            for name, values in bench.values.items()
        },
    }


def _quantile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.bench_sdk", description=__doc__)
    parser.add_argument("--repeat", type=int, default=5, help="runs of 5000 frames for each client")
    parser.add_argument("--firsts", type=int, default=20, help="fresh connections for each client")
    parser.add_argument("--cancels", type=int, default=300, help="cancels of each kind")
    parser.add_argument("--short", action="store_true", help="leave out the SDK's call() of 20 MB: 50 s")
    parser.add_argument("--out", type=Path, default=Path("out/bench/sdk.json"))
    told = parser.parse_args()
    # Logs have no width; a table that wraps cannot be compared.
    console = Console() if sys.stdout.isatty() else Console(width=132)
    bench = asyncio.run(measure(told, console))
    table(bench, console)
    told.out.parent.mkdir(parents=True, exist_ok=True)
    told.out.write_text(json.dumps(document(bench), indent=2) + "\n", encoding="utf-8")
    console.print(f"written to {told.out}", style="dim")


if __name__ == "__main__":
    main()
