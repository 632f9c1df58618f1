"""The one reader of machine time."""

import time

__all__ = ["SystemClock", "unix_offset_ns", "unix_s"]


class SystemClock:
    """Monotonic time; one time base for every process of this machine."""

    def now_ns(self) -> int:
        """Nanoseconds since an arbitrary start that all processes share."""
        return time.monotonic_ns()


def unix_s() -> int:
    """Whole seconds since 1970, for what leaves this machine: it jumps when somebody sets the clock."""
    return int(time.time())


def unix_offset_ns() -> int:
    """What to add to monotonic time to get nanoseconds since 1970, as somebody has set the clock now."""
    return time.time_ns() - time.monotonic_ns()
