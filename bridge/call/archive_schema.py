"""The database of call records: how it is opened, and how an older one becomes ours."""

import os
import sqlite3
from pathlib import Path

__all__ = ["VERSION", "SchemaTooNew", "open_database"]

_MIGRATIONS = (
    """
    CREATE TABLE calls (
        id TEXT PRIMARY KEY,
        sip_call_id TEXT NOT NULL,
        direction TEXT NOT NULL,
        called TEXT NOT NULL,
        caller TEXT NOT NULL,
        codec TEXT NOT NULL,
        started_unix_ns INTEGER NOT NULL,
        duration_ms INTEGER,
        reason TEXT NOT NULL,
        mos REAL,
        offset_ns INTEGER NOT NULL,
        summary TEXT NOT NULL,
        detail TEXT NOT NULL
    );
    CREATE INDEX calls_started ON calls (started_unix_ns);
    CREATE INDEX calls_sip ON calls (sip_call_id);
    """,
    """
    ALTER TABLE calls ADD COLUMN status INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE calls ADD COLUMN mute_p50_ms REAL;
    ALTER TABLE calls ADD COLUMN mute_p95_ms REAL;
    """,
)
"""The nth makes version n + 1 of version n. One that was ever released is never changed."""

VERSION = len(_MIGRATIONS)
_BUSY_MS = 1000


class SchemaTooNew(sqlite3.Error):
    """A later cosybridge wrote this file; it is left as it is."""


def open_database(path: Path) -> sqlite3.Connection:
    """Open, or make, a database of call records that the present thread may use.

    Args:
        path: Its file; made with mode 0600 in a folder of mode 0700.

    Raises:
        OSError: If the file cannot be made.
        sqlite3.Error: If it is none of ours, is locked for over a second, or the disk is full.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # SQLite gives its journal the mode of the database.
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    database = sqlite3.connect(path, timeout=_BUSY_MS / 1000, isolation_level=None)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        _migrate(database)
    except BaseException:
        database.close()
        raise
    return database


def _migrate(database: sqlite3.Connection) -> None:
    while (version := int(database.execute("PRAGMA user_version").fetchone()[0])) != VERSION:
        if version > VERSION:
            raise SchemaTooNew(f"it has version {version}, and {VERSION} is the last one known here")
        # All of a step or nothing of it; IMMEDIATE, because two processes may open it at once.
        steps = f"BEGIN IMMEDIATE; {_MIGRATIONS[version]} PRAGMA user_version = {version + 1}; COMMIT;"
        try:
            database.executescript(steps)
        except sqlite3.OperationalError:
            if database.in_transaction:
                database.execute("ROLLBACK")
            if int(database.execute("PRAGMA user_version").fetchone()[0]) == version:
                raise
