"""Ways in which the service can be asked to misbehave, so that its clients can be tested.

By name, in `TtsServerSettings.faults` for every task, or in a task's parameter ``x_fault``.
"""

from collections.abc import Iterable
from enum import StrEnum

__all__ = ["IDLE_S", "MID_WORD_FRAMES", "SLOW_S", "Fault", "read_faults"]

MID_WORD_FRAMES = 3
"""Binary frames that a task sends before it breaks in the middle of a word."""

SLOW_S = 1.0
"""How late the slow faults are."""

IDLE_S = 0.3
"""What `Fault.CLOSE_WHEN_IDLE` makes of the minute."""


class Fault(StrEnum):
    REFUSE = "refuse"
    """The handshake ends with HTTP 401; as a parameter, the task fails at once as ``AccessDenied``."""
    SLOW_START = "slow_start"
    """After task-started nothing comes for a while."""
    STALL = "stall"
    """After some frames nothing more comes; a cancel is still answered."""
    DROP_MID_WORD = "drop_mid_word"
    """After some frames the TCP connection is reset."""
    FAIL_MID_WORD = "fail_mid_word"
    """After some frames the task fails as ``InternalError``."""
    SLOW_CANCEL = "slow_cancel"
    """A cancel is answered late, and sound goes on until then."""
    IGNORE_CANCEL = "ignore_cancel"
    """A cancel is taken for a normal finish, as regions that do not support it do."""
    THROTTLE = "throttle"
    """Every task fails at once as ``Throttling.RateQuota``."""
    BURST = "burst"
    """Sound is held back for a while and then comes all at once."""
    CLOSE_WHEN_IDLE = "close_when_idle"
    """A connection without a task is closed after a moment, not after a minute."""


def read_faults(names: Iterable[object]) -> frozenset[Fault]:
    """Turn names into faults.

    Raises:
        ValueError: If there is no such fault; names those that exist.
    """
    known = {fault.value: fault for fault in Fault}
    found = set()
    for name in names:
        if not isinstance(name, str) or name not in known:
            raise ValueError(f"no fault is called {name!r:.40}; there are {', '.join(known)}")
        found.add(known[name])
    return frozenset(found)
