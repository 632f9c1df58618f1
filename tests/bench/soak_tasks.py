"""Thousands of tasks with random cancels, and what is left of them: connections, tasks, threads, memory.

    python -m tests.bench.soak_tasks --tasks 10000

The pool and the embedded service run in one process, so that a leak of either shows. Every task's sound is
checked: its words sound at a frequency of their own. Bounded in number and in time.
"""

import argparse
import asyncio
import gc
import random
import resource
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from bridge.audio import PcmFormat
from bridge.clock import SystemClock
from bridge.dice import SystemDice
from bridge.errors import SynthesisError
from bridge.ports import Voice
from bridge.ttsserver.server import TtsServer, TtsServerSettings
from tests.bench.speech_pool import SpeechPool, TtsSettings

__all__ = ["Figures", "Soak", "soak"]

_VOICE = Voice("cosyvoice-v3-flash", "tone")
_RATE = 8000
_LETTERS = "behknqtwz"
"""Words of one letter sound at one frequency; those of these letters are 111 Hz apart."""

_SETTLE_S = 5.0


@dataclass(frozen=True)
class Figures:
    """What there is at one moment."""

    tasks_done: int
    seconds: float
    server_connections: int
    pool_connections: int
    asyncio_tasks: int
    threads: int
    files: int
    rss_mb: float
    objects: int
    """Known to the garbage collector."""


@dataclass
class Soak:
    """What a soak has seen."""

    figures: list[Figures] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    strays: int = 0
    """Frames that sounded like another task."""
    server: dict[str, int] = field(default_factory=dict)
    pool: Counter[str] = field(default_factory=Counter)

    @property
    def first(self) -> Figures:
        return self.figures[0]

    @property
    def last(self) -> Figures:
        return self.figures[-1]


class _Run:
    """One service, and those who speak with it at the same time."""

    def __init__(self, server: TtsServer, *, seed: int) -> None:
        self.seen = Soak()
        self._server = server
        self._dice = random.Random(seed)  # noqa: S311  the same run again
        self._began_s = time.monotonic()
        self._done = 0

    async def speak(self, tasks: int, *, at_once: int, every: int) -> None:
        """Run tasks, `at_once` at a time, and write the figures down every so often."""
        numbers = iter(range(tasks))
        settings = TtsSettings(self._server.url, spares=2)
        pool = SpeechPool(settings, clock=SystemClock(), dice=SystemDice())

        async def speaker() -> None:
            for number in numbers:
                await self._one(pool, number)
                self._done += 1
                if self._done % every == 0:
                    self.note(pool.idle + pool.busy)

        await pool.start()
        try:
            await pool.ready()
            await asyncio.gather(*(speaker() for _ in range(at_once)))
        finally:
            await pool.close()
        self.seen.pool.update(pool.counters)

    async def _one(self, pool: SpeechPool, number: int) -> None:
        """One task, its text in pieces, which is heard to its end or cancelled at any moment."""
        letter = _LETTERS[number % len(_LETTERS)]
        speech = pool.speak(_VOICE, PcmFormat(_RATE))
        sentences = self._dice.randrange(1, 4)
        cancel_after = self._dice.choice((None, None, 0, 0, 1, 2, 5))
        try:
            for _ in range(sentences):
                await speech.send_text(f"{letter * 3} {letter * 4}. ")
            if cancel_after == 0:
                # Before any sound: sometimes before the task has started, sometimes behind a finish.
                if self._dice.random() < 0.5:
                    await speech.finish()
                await asyncio.sleep(self._dice.choice((0.0, 0.001)))
                await speech.cancel()
                self.seen.outcomes["cancelled before sound"] += 1
                return
            await speech.finish()
            heard = 0
            async for sound in speech.audio():
                heard += 1
                self.seen.strays += not _sounds_like(sound, letter)
                if heard == cancel_after:
                    await speech.cancel()
                    self.seen.outcomes["cancelled in mid-word"] += 1
                    return
            self.seen.outcomes["heard to the end"] += 1
        except SynthesisError as error:
            self.seen.outcomes[f"failed: {error.code}"] += 1

    def note(self, pool_connections: int = 0) -> None:
        gc.collect()
        self.seen.figures.append(
            Figures(
                tasks_done=self._done,
                seconds=round(time.monotonic() - self._began_s, 2),
                server_connections=self._server.counters.get("connections_open", 0),
                pool_connections=pool_connections,
                asyncio_tasks=len(asyncio.all_tasks()),
                threads=threading.active_count(),
                files=_open_files(),
                rss_mb=_rss_mb(),
                objects=len(gc.get_objects()),
            )
        )

    async def note_when_all_is_closed(self) -> None:
        """The pool is closed; the service sees it a moment later."""
        async with asyncio.timeout(_SETTLE_S):
            while self._server.counters["connections_open"]:  # noqa: ASYNC110  a counter rings no bell
                await asyncio.sleep(0.01)
        self.note()


async def soak(
    tasks: int, *, at_once: int = 16, every: int = 1000, warm_up: int = 200, seed: int = 1
) -> Soak:
    """Run `warm_up` tasks, close the pool and look; run `tasks` tasks, close it and look again."""
    settings = TtsServerSettings(listen=("127.0.0.1", 0), warm=False)
    async with await TtsServer.start(settings) as server:
        run = _Run(server, seed=seed)
        await run.speak(warm_up, at_once=at_once, every=warm_up + 1)
        await run.note_when_all_is_closed()
        await run.speak(tasks, at_once=at_once, every=every)
        await run.note_when_all_is_closed()
        run.seen.server = server.counters
        return run.seen


def _sounds_like(frame: bytes, letter: str) -> bool:
    """Whether a frame is silent, or the tone of one letter."""
    samples = np.frombuffer(frame, "<i2").astype(np.float64)
    if not len(samples) or np.sqrt(np.mean(samples**2)) < 200:
        return True
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 4096))
    peak_hz = float(np.argmax(spectrum)) * _RATE / 4096
    return abs(peak_hz - (300 + ord(letter) * 37 % 1200)) < 50


def _rss_mb() -> float:
    pages = Path("/proc/self/statm")
    if pages.exists():
        return round(int(pages.read_text().split()[1]) * resource.getpagesize() / 1e6, 1)
    # macOS knows the peak only, and counts in bytes.
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 1)


def _open_files() -> int:
    folder = Path("/proc/self/fd" if sys.platform == "linux" else "/dev/fd")
    return len(list(folder.iterdir()))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.soak_tasks", description=__doc__)
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--at-once", type=int, default=16)
    parser.add_argument("--seed", type=int, default=1)
    told = parser.parse_args()
    console = Console() if sys.stdout.isatty() else Console(width=116)
    seen = asyncio.run(soak(told.tasks, at_once=told.at_once, seed=told.seed))
    grid = Table(title=f"{told.tasks} tasks, {told.at_once} at a time", title_justify="left")
    names = (
        "tasks",
        "s",
        "service\nconns",
        "pool\nconns",
        "asyncio\ntasks",
        "threads",
        "files",
        "RSS MB",
        "objects",
    )
    for name in names:
        grid.add_column(name, justify="right")
    for each in seen.figures:
        grid.add_row(
            *map(
                str,
                (
                    each.tasks_done,
                    each.seconds,
                    each.server_connections,
                    each.pool_connections,
                    each.asyncio_tasks,
                    each.threads,
                    each.files,
                    each.rss_mb,
                    each.objects,
                ),
            )
        )
    console.print(grid)
    console.print(f"outcomes: {dict(seen.outcomes)}; frames of another task: {seen.strays}")
    console.print(f"service: {seen.server}")
    console.print(f"pool: {dict(seen.pool)}")


if __name__ == "__main__":
    main()
