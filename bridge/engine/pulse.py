"""Whether a media process that should be at work is, by the beats that it counts in shared memory."""

__all__ = ["Pulse"]

_AWAY_NS = 250_000_000
"""Whoever looks less often than this was away itself and cannot say that nothing happened."""


class Pulse:
    """What was seen of one process's beats; look ten times a second.

    Neither a busy machine nor a busy observer may pass for a process that hangs: time counts only from
    look to look.
    """

    def __init__(self) -> None:
        self._beats = -1
        self._looked_ns = 0
        self._still_ns = 0

    def still_ns(self, beats: int, *, is_busy: bool, now_ns: int) -> int:
        """For how long nothing has happened that should have.

        Args:
            beats: The count as it is now.
            is_busy: Whether it should move: the process carries a call, and has had time for it.
            now_ns: Time of this look.
        """
        elapsed_ns, self._looked_ns = now_ns - self._looked_ns, now_ns
        if not is_busy or beats != self._beats or elapsed_ns > _AWAY_NS:
            self._still_ns = 0
        else:
            self._still_ns += elapsed_ns
        self._beats = beats
        return self._still_ns
