"""Which recordings go: those that are too old, then the oldest as long as there are too many bytes."""

import re
import stat
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Retention", "prune"]

_OURS = re.compile(r"[0-9a-f]{16}\.wav")
"""Names that `bridge.call.session` gives; whatever else lies there is somebody else's."""
_RUNNING_S = 60
"""A file that was written to so lately may belong to a call that is up."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How long things are kept."""

    days: int = 30
    """Age of records and recordings; 0 is for ever."""
    bytes: int = 10 * 10**9
    """All recordings together; 0 is no limit."""

    def oldest_unix_ns(self, now_unix_ns: int) -> int:
        """What began before that goes."""
        return now_unix_ns - self.days * 86_400 * 10**9 if self.days else 0


def prune(folder: Path, retention: Retention, *, now_unix_ns: int) -> int:
    """Delete recordings that are not to be kept; return how many.

    Raises:
        OSError: If the folder cannot be read. A folder that does not exist is empty.
    """
    if not folder.is_dir():
        return 0
    found: list[tuple[int, int, Path]] = []
    for path in folder.iterdir():
        if not _OURS.fullmatch(path.name):
            continue
        facts = path.lstat()
        if stat.S_ISREG(facts.st_mode):
            found.append((facts.st_mtime_ns, facts.st_size, path))
    found.sort()
    total = sum(size for _, size, _ in found)
    oldest_ns = retention.oldest_unix_ns(now_unix_ns)
    deleted = 0
    for written_ns, size, path in found:
        is_too_much = retention.bytes > 0 and total > retention.bytes
        if written_ns > now_unix_ns - _RUNNING_S * 10**9 or not (written_ns < oldest_ns or is_too_much):
            break
        path.unlink(missing_ok=True)
        total -= size
        deleted += 1
    return deleted
