"""Media processes that exist in name only: they greet, die and are waited for when a test says so."""

import asyncio
from collections.abc import Callable, Sequence

from bridge.engine.child import MediaSettings
from bridge.engine.commands import Command, Message, Ready
from bridge.engine.shared import SharedMemory

__all__ = ["FakeProcess", "Nursery"]


class FakeProcess:
    """What a station and a standby need of `bridge.engine.child.MediaProcess`."""

    def __init__(
        self, pid: int, on_message: Callable[[Message], None], on_end: Callable[[], None], diary: list[str]
    ) -> None:
        self.pid = pid
        self.on_message = on_message
        self.on_end = on_end
        self.is_alive = True
        self.greeting: Ready | None = None
        self.told: list[Command] = []
        self.memory: SharedMemory | None = None
        self.refuses: OSError | None = None
        self.has_time = True
        self.is_deaf = False
        self.ended = asyncio.Event()
        self._diary = diary

    def greet(self) -> None:
        """Everything is loaded."""
        self.greeting = Ready(self.pid, is_realtime=True, is_batched=True)
        self.on_message(self.greeting)

    def die(self) -> None:
        """The pipe closes; the process may still be there, until it is killed."""
        self._diary.append(f"{self.pid} dies")
        self.on_end()

    def carry(self, memory: SharedMemory, *, place: int = 0) -> None:
        if self.refuses is not None:
            raise self.refuses
        self.memory = memory
        self._diary.append(f"{self.pid} carries")

    def send(self, command: Command, fds: Sequence[int] = ()) -> None:
        self.told.append(command)

    def abandon(self) -> None:
        self.is_alive = False

    def has_had_time(self) -> bool:
        return self.has_time

    def kill(self) -> None:
        self._diary.append(f"{self.pid} is killed")
        self.ended.set()

    async def reap(self, *, patience_s: float = 2.0) -> int:
        if not patience_s:
            self.kill()
        await self.ended.wait()
        self._diary.append(f"{self.pid} is gone")
        return -9

    def stop(self) -> None:
        self._diary.append(f"{self.pid} is told to end")
        if not self.is_deaf:
            self.ended.set()


class Nursery:
    """Starts fake processes and remembers them and what became of them, in order."""

    def __init__(self) -> None:
        self.born: list[FakeProcess] = []
        self.diary: list[str] = []
        self.refuses: OSError | None = None

    def __call__(
        self, settings: MediaSettings, *, on_message: Callable[[Message], None], on_end: Callable[[], None]
    ) -> FakeProcess:
        if self.refuses is not None:
            raise self.refuses
        self.born.append(FakeProcess(100 + len(self.born), on_message, on_end, self.diary))
        return self.born[-1]
