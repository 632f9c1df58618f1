"""The one reader of machine time."""

import time
from collections.abc import Callable

__all__ = ["SystemClock", "unix_ns", "unix_offset_ns", "unix_s"]

_READINGS = 5


class SystemClock:
    """Monotonic time; one time base for every process of this machine."""

    def now_ns(self) -> int:
        """Nanoseconds since an arbitrary start that all processes share."""
        return time.monotonic_ns()


def unix_s() -> int:
    """Whole seconds since 1970, for what leaves this machine: it jumps when somebody sets the clock."""
    return int(time.time())


def unix_ns() -> int:
    """Nanoseconds since 1970, to compare with stamps of the kernel: it jumps when somebody sets the clock."""
    return time.time_ns()


def _reading() -> tuple[int, int]:
    """How long it took, and the offset, which is wrong by half of that at most; both in ns."""
    before_ns = time.monotonic_ns()
    since_1970_ns = time.time_ns()
    after_ns = time.monotonic_ns()
    return after_ns - before_ns, since_1970_ns - (before_ns + after_ns) // 2


def unix_offset_ns(reading: Callable[[], tuple[int, int]] = _reading) -> int:
    """What to add to monotonic time to get nanoseconds since 1970, as somebody has set the clock now.

    Whoever reads two clocks may be kept from the second one: of some readings the quickest is taken.
    """
    return min(reading() for _ in range(_READINGS))[1]
