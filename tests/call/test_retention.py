"""Which recordings go."""

import os
from pathlib import Path

from bridge.call.retention import Retention, prune

DAY_NS = 86_400 * 10**9
NOW = 1_000 * DAY_NS


def recording(folder: Path, name: str, *, days_old: float, size: int = 100) -> Path:
    path = folder / f"{name * 16}.wav"
    path.write_bytes(bytes(size))
    written_ns = NOW - int(days_old * DAY_NS)
    os.utime(path, ns=(written_ns, written_ns))
    return path


def test_what_is_too_old_goes(tmp_path: Path) -> None:
    old, young = recording(tmp_path, "a", days_old=31), recording(tmp_path, "b", days_old=29)

    assert prune(tmp_path, Retention(days=30), now_unix_ns=NOW) == 1

    assert (old.exists(), young.exists()) == (False, True)


def test_over_the_limit_the_oldest_go_first(tmp_path: Path) -> None:
    files = [recording(tmp_path, name, days_old=days) for name, days in (("a", 1), ("b", 3), ("c", 2))]

    assert prune(tmp_path, Retention(days=0, bytes=150), now_unix_ns=NOW) == 2

    assert [path.exists() for path in files] == [True, False, False]


def test_without_limits_everything_stays(tmp_path: Path) -> None:
    recording(tmp_path, "a", days_old=999)

    assert prune(tmp_path, Retention(days=0, bytes=0), now_unix_ns=NOW) == 0


def test_a_running_recording_a_strangers_file_and_a_link_stay(tmp_path: Path) -> None:
    running = recording(tmp_path, "a", days_old=0)
    foreign = tmp_path / "holiday.wav"
    foreign.write_bytes(bytes(1000))
    os.utime(foreign, ns=(0, 0))
    (tmp_path / f"{'c' * 16}.wav").symlink_to(foreign)

    assert prune(tmp_path, Retention(days=1, bytes=1), now_unix_ns=NOW) == 0

    assert running.exists()
    assert foreign.exists()


def test_no_folder_is_an_empty_one(tmp_path: Path) -> None:
    assert prune(tmp_path / "none", Retention(), now_unix_ns=NOW) == 0
