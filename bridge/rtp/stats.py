"""Reception statistics of one RTP source (RFC 3550 §6.4.1, §A.8)."""

from bridge.rtp.sequence import TIMESTAMP_TURN, step

__all__ = ["InterarrivalJitter"]

_NS = 1_000_000_000


class InterarrivalJitter:
    """Running estimate of how unevenly packets arrive.

    Args:
        clock_rate: Ticks of the RTP timestamp per second, in Hz. For G.722
            this is 8000 although the audio is 16 kHz (RFC 3551 §4.5.2).

    Raises:
        ValueError: If `clock_rate` is not positive.
    """

    def __init__(self, clock_rate: int) -> None:
        if clock_rate <= 0:
            raise ValueError(f"clock_rate must be positive, not {clock_rate}")
        self._clock_rate = clock_rate
        self._transit: int | None = None
        self._ticks = 0.0

    @property
    def ticks(self) -> float:
        """Present estimate J, in timestamp ticks, as RTCP reports carry it."""
        return self._ticks

    def observe(self, timestamp: int, *, now_ns: int) -> None:
        """Account for one packet.

        Args:
            timestamp: RTP timestamp of the packet: ticks, modulo 2**32.
            now_ns: Arrival time.
        """
        transit = (now_ns * self._clock_rate // _NS - timestamp) % TIMESTAMP_TURN
        if self._transit is not None:
            # §A.8 fixes the gain at 1/16: quiet enough, and quick enough.
            self._ticks += (abs(step(self._transit, transit, TIMESTAMP_TURN)) - self._ticks) / 16
        self._transit = transit
