"""Records that outlive the process, whatever the disk does."""

import os
import signal
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from bridge.call.archive_schema import _MIGRATIONS, VERSION, open_database
from bridge.call.archive_sqlite import SqliteArchive
from bridge.call.archive_store import CallStore
from bridge.call.bus import Bus
from bridge.call.ledger import Ledger
from bridge.call.retention import Retention
from bridge.clock import SystemClock
from tests.call.records import OFFSET_NS, ended, kept
from tests.fakes import ManualClock, SeededIds


def store(path: Path, clock: ManualClock | None = None, *, recordings: Path | None = None) -> CallStore:
    return CallStore(
        path,
        recordings=recordings,
        retention=Retention(days=30),
        clock=clock or ManualClock(),
        offset_ns=lambda: OFFSET_NS,
    )


def archive(path: Path) -> SqliteArchive:
    return SqliteArchive(
        path, recordings=None, retention=Retention(), clock=SystemClock(), offset_ns=lambda: OFFSET_NS
    )


def ledger(records: SqliteArchive, seed: int) -> Ledger:
    clock = SystemClock()
    return Ledger(clock=clock, dice=SeededIds(seed), bus=Bus(clock), keeps_text=False, archive=records)


async def test_ended_calls_are_there_after_a_restart(tmp_path: Path) -> None:
    before = archive(tmp_path / "calls.sqlite")
    first = ledger(before, 1)
    trace = first.begin("inbound", to="100", sip_call_id="x@phone", give_up=lambda: None)
    first.forsake(trace, "caller gave up")
    await before.close()

    after = archive(tmp_path / "calls.sqlite")
    second = ledger(after, 2)
    await second.restore()
    new = second.begin("inbound", to="100", give_up=lambda: None)

    assert [call["id"] for call in second.calls()] == [new.id, trace.id]
    assert second.call(trace.id) is None
    for name in (trace.id, "x@phone"):
        found = await second.find(name)
        assert found is not None
        assert (found["id"], found["reason"], set(found)) == (trace.id, "caller gave up", set(trace.detail()))
    assert await second.find("nobody") is None
    assert await after.find("") is None
    await after.close()
    await after.close()


async def test_a_record_after_the_end_is_counted(tmp_path: Path) -> None:
    records = archive(tmp_path / "calls.sqlite")
    await records.close()

    records.keep(kept(ended()))

    assert records.counters["dropped"] == 1
    assert await records.latest(5) == []


def test_nobody_else_may_read_them(tmp_path: Path) -> None:
    path = tmp_path / "state" / "calls.sqlite"
    records = store(path)

    records.keep(kept(ended()))

    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
    assert set(modes) >= {"calls.sqlite", "calls.sqlite-wal"}
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    records.close()


def test_a_locked_database_is_waited_for_with_one_line_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = ManualClock()
    records = store(tmp_path / "calls.sqlite", clock)
    records.keep(kept(ended("a" * 16)))
    with closing(sqlite3.connect(tmp_path / "calls.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        for name in "bcd":
            records.keep(kept(ended(name * 16)))
        other.execute("ROLLBACK")
    assert (records.counters["kept"], records.counters["failed"]) == (1, 1)

    clock.advance(5001)
    records.catch_up()

    assert records.counters["kept"] == 4
    assert len(records.latest(10)) == 4
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    records.close()


def test_a_record_that_cannot_be_written_holds_up_no_other(tmp_path: Path) -> None:
    records = store(tmp_path / "calls.sqlite")
    half = ended("a" * 16)
    half.caller = "sip:\ud800@192.0.2.2"  # JSON can say it, and a database cannot
    odd = ended("b" * 16)
    odd.media["mos_in"] = object()  # type: ignore[assignment]

    records.keep(kept(half, keeps_numbers=True))
    with pytest.raises(TypeError):
        records.keep(kept(odd))
    records.keep(kept(ended("c" * 16)))

    assert records.counters["kept"] == 2
    assert {each["id"] for each in records.latest(10)} == {"a" * 16, "c" * 16}
    records.close()


def test_a_full_disk_loses_the_oldest_once_too_many_wait(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = ManualClock()
    path = tmp_path / "calls.sqlite"
    records = store(path, clock)
    records.keep(kept(ended("a" * 16)))
    database = records._database
    assert database is not None
    pages = database.execute("PRAGMA page_count").fetchone()[0]
    # SQLite answers SQLITE_FULL as it does when the disk has no room.
    database.execute(f"PRAGMA max_page_count = {pages}")

    for number in range(1100):
        records.keep(kept(ended(f"{number:016x}")))
    kept_until_full, dropped = records.counters["kept"], records.counters["dropped"]
    assert kept_until_full + dropped == 101  # and 1000 wait
    assert kept_until_full < 10
    clock.advance(5001)
    records.catch_up()

    assert records.counters["kept"] == kept_until_full + 1000
    assert records.counters["dropped"] == dropped
    assert records.counters["set_aside"] == 0
    assert len([record for record in caplog.records if record.levelname == "ERROR"]) == 1
    records.close()


@pytest.mark.parametrize(
    "spoilt", [b"this is no database at all " * 100, b"SQLite format 3\0" + b"\xff" * 9000]
)
def test_a_broken_file_is_set_aside_and_a_new_one_begun(tmp_path: Path, spoilt: bytes) -> None:
    path = tmp_path / "calls.sqlite"
    path.write_bytes(spoilt)
    records = store(path)

    records.keep(kept(ended()))

    assert (records.counters["kept"], records.counters["set_aside"]) == (1, 1)
    (aside,) = tmp_path.glob("calls.sqlite.broken-*")
    assert aside.read_bytes() == spoilt
    records.close()


def test_a_file_that_breaks_while_it_is_used_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "calls.sqlite"
    first = store(path)
    for number in range(50):
        first.keep(kept(ended(f"{number:016x}")))
    first.close()
    content = bytearray(path.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    path.write_bytes(content)
    records = store(path)

    assert records.latest(10) == []
    records.keep(kept(ended()))

    assert (records.counters["kept"], records.counters["set_aside"]) == (1, 1)
    assert len(records.latest(10)) == 1
    records.close()


def test_what_cannot_be_written_at_all_harms_nobody(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    records = store(tmp_path / "file" / "calls.sqlite")

    records.keep(kept(ended()))
    assert records.find("x") is None
    records.close()

    assert (records.counters["kept"], records.counters["dropped"]) == (0, 1)


def test_records_of_an_older_version_are_taken_along(tmp_path: Path) -> None:
    path = tmp_path / "calls.sqlite"
    with closing(sqlite3.connect(path)) as old:
        old.executescript(_MIGRATIONS[0] + "PRAGMA user_version = 1;")
        old.execute(
            "INSERT INTO calls VALUES ('a', 's', 'inbound', '', '', 'PCMU', 5, NULL, 'x', 4.0, 0, '{}', ?)",
            ('{"id":"a"}',),
        )
        old.commit()

    records = store(path)

    assert records.find("a") == {"id": "a"}
    records.keep(kept(ended()))
    assert records.counters["kept"] == 1
    records.close()


def test_records_of_a_later_version_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "calls.sqlite"
    open_database(path).close()
    with closing(sqlite3.connect(path)) as later:
        later.execute(f"PRAGMA user_version = {VERSION + 1}")
    records = store(path)

    records.keep(kept(ended()))

    assert (records.counters["kept"], records.counters["set_aside"]) == (0, 0)
    records.close()


def test_old_records_and_recordings_go(tmp_path: Path) -> None:
    clock = ManualClock(start_ns=31 * 86_400 * 10**9)
    recordings = tmp_path / "recordings"
    recordings.mkdir()
    (recordings / f"{'a' * 16}.wav").write_bytes(b"x")
    os.utime(recordings / f"{'a' * 16}.wav", ns=(OFFSET_NS, OFFSET_NS))
    records = store(tmp_path / "calls.sqlite", clock, recordings=recordings)

    records.keep(kept(ended("a" * 16)))

    assert (records.counters["expired"], records.counters["recordings_deleted"]) == (1, 1)
    assert records.latest(5) == []
    records.close()


_WRITER = """
import sys
from pathlib import Path
from tests.call.records import ended, kept
from tests.call.test_archive_sqlite import store
records, number = store(Path(sys.argv[1])), 0
while True:
    number += 1
    records.keep(kept(ended(f"{number:016x}")))
    print(records.counters["kept"], flush=True)
"""


def test_a_process_killed_between_commits_loses_nothing_that_was_kept(tmp_path: Path) -> None:
    path = tmp_path / "calls.sqlite"
    with subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as writer:
        assert writer.stdout is not None
        for _ in range(40):
            writer.stdout.readline()
        writer.send_signal(signal.SIGKILL)
        told = [int(line) for line in writer.stdout.read().split()]
    last = max([40, *told])

    with closing(open_database(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        (count,) = database.execute("SELECT count(*) FROM calls").fetchone()
        assert last <= count <= last + 1
        assert database.execute("SELECT count(*) FROM calls WHERE json_valid(detail)").fetchone() == (count,)
