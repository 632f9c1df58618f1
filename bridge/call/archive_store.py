"""The thread's side of the archive: a database that may be locked, full or broken, and records that wait."""

import json
import logging
import sqlite3
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from bridge.call.archive import CallRecord, moved
from bridge.call.archive_schema import SchemaTooNew, open_database
from bridge.call.retention import Retention, prune
from bridge.ports import Clock

__all__ = ["CallStore"]

T = TypeVar("T")

_log = logging.getLogger(__name__)

_RETRY_NS = 5_000_000_000
_PRUNE_NS = 600_000_000_000
_WAITING = 1000
"""Records that wait for a database that does not take them; then the oldest go."""
_BROKEN = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_COLUMNS = (
    "id", "sip_call_id", "direction", "called", "caller", "codec", "started_unix_ns", "duration_ms", "reason",
    "status", "mos", "mute_p50_ms", "mute_p95_ms", "offset_ns", "summary", "detail",
)  # fmt: skip
_INSERT = f"INSERT OR REPLACE INTO calls ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608  our own names


class CallStore:
    """Keeps records in one file; every method but the constructor belongs to one thread.

    Args:
        path: The database.
        recordings: Folder of recordings to look after; None for none.
        retention: How long things are kept.
        clock: For the time between attempts.
        offset_ns: Returns what makes monotonic time ns since 1970.
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
        self.counters: dict[str, int] = dict.fromkeys(
            ("kept", "dropped", "failed", "set_aside", "expired", "recordings_deleted"), 0
        )
        """``failed`` counts attempts, ``set_aside`` broken files, the others records."""
        self._path = path
        self._recordings = recordings
        self._retention = retention
        self._clock = clock
        self._offset_ns = offset_ns
        self._database: sqlite3.Connection | None = None
        self._waiting: deque[tuple[object, ...]] = deque()
        """Rows, not records: one that cannot be made must not stand before the others for ever."""
        self._retry_ns: int | None = None
        """When a database that failed is tried again; None while it works."""
        self._prune_ns = clock.now_ns()

    def keep(self, record: CallRecord) -> None:
        """Write a record now, or when the database works again.

        Raises:
            TypeError: If there is something in it that JSON cannot say; it is lost then.
        """
        row = _row(record)
        if len(self._waiting) >= _WAITING:
            self._waiting.popleft()
            self.counters["dropped"] += 1
        self._waiting.append(row)
        self.catch_up()

    def catch_up(self) -> None:
        """Write what waits, and clear away what is due, unless the database failed a moment ago."""
        now_ns = self._clock.now_ns()
        if self._retry_ns is not None and now_ns < self._retry_ns:
            return
        if self._waiting:
            self._attempt(self._write, None)
        if now_ns >= self._prune_ns:
            self._prune_ns = now_ns + _PRUNE_NS
            self._prune(now_ns + self._offset_ns())

    def latest(self, most: int) -> list[dict[str, Any]]:
        """See `Archive.latest`."""
        query = "SELECT summary, offset_ns FROM calls ORDER BY started_unix_ns DESC LIMIT ?"
        nothing: list[tuple[str, int]] = []
        rows = self._attempt(lambda database: database.execute(query, (most,)).fetchall(), nothing)
        return [self._told(*row) for row in rows]

    def find(self, call_id: str) -> dict[str, Any] | None:
        """See `Archive.find`."""
        query = (
            "SELECT detail, offset_ns FROM calls WHERE id = ?1 OR (sip_call_id = ?1 AND ?1 != '')"
            " ORDER BY started_unix_ns DESC LIMIT 1"
        )
        row = self._attempt(lambda database: database.execute(query, (call_id,)).fetchone(), None)
        return None if row is None else self._told(*row)

    def close(self) -> None:
        """Write what waits, once more at most, and let go of the file."""
        self._retry_ns = None
        self.catch_up()
        self.counters["dropped"] += len(self._waiting)
        self._waiting.clear()
        self._let_go()

    def _told(self, text: str, offset_ns: int) -> dict[str, Any]:
        return moved(json.loads(text), offset_ns - self._offset_ns())

    def _write(self, database: sqlite3.Connection) -> None:
        database.execute("BEGIN IMMEDIATE")
        database.executemany(_INSERT, self._waiting)
        database.execute("COMMIT")
        self.counters["kept"] += len(self._waiting)
        self._waiting.clear()

    def _prune(self, now_unix_ns: int) -> None:
        oldest_ns = self._retention.oldest_unix_ns(now_unix_ns)
        expire = "DELETE FROM calls WHERE started_unix_ns < ?"
        self.counters["expired"] += self._attempt(lambda db: db.execute(expire, (oldest_ns,)).rowcount, 0)
        if self._recordings is None:
            return
        try:
            deleted = prune(self._recordings, self._retention, now_unix_ns=now_unix_ns)
        except OSError as error:
            self.counters["failed"] += 1
            _log.warning("old recordings cannot be deleted: %s", error)
        else:
            self.counters["recordings_deleted"] += deleted

    def _attempt(self, work: Callable[[sqlite3.Connection], T], default: T) -> T:
        """Do `work`; a broken file is set aside and a new one tried at once, other failures are met later."""
        for is_last in (False, True):
            try:
                if self._database is None:
                    self._database = open_database(self._path)
                result = work(self._database)
            except (OSError, sqlite3.Error) as error:
                self.counters["failed"] += 1
                self._let_go()
                if _is_broken(error) and not is_last and self._set_aside(error):
                    continue
                self._note_failure(error)
                return default
            self._note_success()
            return result
        raise AssertionError("the last attempt returns")

    def _note_failure(self, error: Exception) -> None:
        if self._retry_ns is None:  # once, not with every call
            _log.error("call records are not written for now: %s", error)
        self._retry_ns = self._clock.now_ns() + _RETRY_NS

    def _note_success(self) -> None:
        if self._retry_ns is not None:
            _log.info("call records are written again")
        self._retry_ns = None

    def _set_aside(self, error: Exception) -> bool:
        """Rename the broken file; its journal belongs to it and goes with it."""
        stamp = (self._clock.now_ns() + self._offset_ns()) // 1_000_000
        aside = self._path.with_name(f"{self._path.name}.broken-{stamp}")
        try:
            self._path.rename(aside)
            for ending in ("-wal", "-shm"):
                beside = self._path.with_name(self._path.name + ending)
                if beside.exists():
                    beside.rename(aside.with_name(aside.name + ending))
        except OSError as refused:
            _log.error("broken call records cannot be set aside: %s", refused)
            return False
        self.counters["set_aside"] += 1
        _log.error("call records were broken and are now %s: %s", aside.name, error)
        return True

    def _let_go(self) -> None:
        database, self._database = self._database, None
        if database is None:
            return
        try:
            database.close()  # rolls an open transaction back
        except sqlite3.Error as error:
            _log.warning("call records could not be closed: %s", error)


def _is_broken(error: Exception) -> bool:
    if isinstance(error, SchemaTooNew):
        return False
    # The lower byte is the primary code (https://sqlite.org/rescode.html).
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _BROKEN


def _row(record: CallRecord) -> tuple[object, ...]:
    values = (_storable(getattr(record, name)) for name in _COLUMNS[:-2])
    return (*values, json.dumps(dict(record.summary)), json.dumps(dict(record.detail)))


def _storable(value: object) -> object:
    """Half a character has no UTF-8, which is what the database keeps."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
