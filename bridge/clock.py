"""The one reader of machine time."""

import time

__all__ = ["SystemClock"]


class SystemClock:
    """Monotonic time; one time base for every process of this machine."""

    def now_ns(self) -> int:
        """Nanoseconds since an arbitrary start that all processes share."""
        return time.monotonic_ns()
