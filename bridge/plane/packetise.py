"""Packets of another length than 20 ms, made of frames of 20 ms (RFC 3551 §4.2)."""

__all__ = ["Packetiser"]

_FRAME_MS = 20


class Packetiser:
    """Regroups the payloads of one row whose codec has no frames of its own: G.711, G.722, L16.

    Args:
        ptime_ms: Length of every packet that is full.
        slot_ticks: 20 ms of the row's RTP clock.
    """

    def __init__(self, ptime_ms: int, slot_ticks: int) -> None:
        self._ptime_ms = ptime_ms
        self._slot_ticks = slot_ticks
        self._begin = 0
        self._waiting = b""
        self._waiting_ms = 0

    def put(self, payload: bytes, timestamp: int) -> list[tuple[int, bytes]]:
        """Take the next 20 ms; return timestamp and payload of what is to be sent now.

        Where the clock has leapt, what waited is sent short.
        """
        ready: list[tuple[int, bytes]] = []
        if self._waiting and timestamp != self._begin + self._ticks(self._waiting_ms) & 0xFFFF_FFFF:
            ready = self.flush()
        if not self._waiting:
            self._begin = timestamp
        self._waiting += payload
        self._waiting_ms += _FRAME_MS
        while self._waiting_ms >= self._ptime_ms:
            size = len(self._waiting) * self._ptime_ms // self._waiting_ms
            ready.append((self._begin, self._waiting[:size]))
            self._waiting = self._waiting[size:]
            self._waiting_ms -= self._ptime_ms
            self._begin = self._begin + self._ticks(self._ptime_ms) & 0xFFFF_FFFF
        return ready

    def flush(self) -> list[tuple[int, bytes]]:
        """What waits, as a packet that is too short; empty if nothing does."""
        ready = [(self._begin, self._waiting)] if self._waiting else []
        self.forget()
        return ready

    def forget(self) -> None:
        """Nothing waits any more."""
        self._waiting, self._waiting_ms = b"", 0

    def _ticks(self, ms: int) -> int:
        return ms * self._slot_ticks // _FRAME_MS
