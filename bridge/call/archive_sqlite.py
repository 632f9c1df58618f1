"""Call records in SQLite, in one thread of their own: the loop hands them over and goes on."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from bridge.aio.worker import Worker
from bridge.call.archive import CallRecord
from bridge.call.archive_store import CallStore
from bridge.call.retention import Retention
from bridge.ports import Clock

__all__ = ["SqliteArchive"]

_ROOM = 1000


class SqliteArchive:
    """The archive that `serve` uses; see `bridge.call.archive.Archive`.

    Args:
        path: The database; made when the first record comes.
        recordings: Folder of recordings to look after; None for none.
        retention: How long things are kept.
        clock: Monotonic time.
        offset_ns: Returns what makes it ns since 1970.
    """

    def __init__(
        self,
        path: Path,
        *,
        recordings: Path | None,
        retention: Retention,
        clock: Clock,
        offset_ns: Callable[[], int],
    ) -> None:
        self._store = CallStore(
            path, recordings=recordings, retention=retention, clock=clock, offset_ns=offset_ns
        )
        self._lost = 0
        self._worker = Worker("call records", room=_ROOM, on_idle=self._store.catch_up)

    @property
    def counters(self) -> Mapping[str, int]:
        counters = self._store.counters
        return counters | {"dropped": counters["dropped"] + self._lost}

    def keep(self, record: CallRecord) -> None:
        if not self._worker.post(partial(self._store.keep, record)):
            self._lost += 1

    async def latest(self, most: int) -> list[dict[str, Any]]:
        return await self._worker.ask(partial(self._store.latest, most), [])

    async def find(self, call_id: str) -> dict[str, Any] | None:
        return await self._worker.ask(partial(self._store.find, call_id), None)

    async def close(self) -> None:
        """Write what waits, and end the thread; safe twice."""
        self._worker.post(self._store.close)
        await self._worker.close()
