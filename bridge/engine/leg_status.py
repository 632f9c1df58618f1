"""What the media process tells about a leg by the memory that it shares."""

from bridge.engine.ports import peer_address
from bridge.plane.columns import QUALITIES, Columns, nowhere

__all__ = ["LegStatus"]


class LegStatus:
    """What the plane tells about a leg without being asked.

    Zero until the plane has opened the row; the last reading once the leg is over.
    """

    def __init__(self, columns: Columns, row: int, generation: int) -> None:
        self.hosts: bytes = b""
        """What the media process was told of the peer's IPv6 hosts."""
        self._columns = columns
        self._row = row
        self._generation = generation
        self._last: dict[str, int | float] = {}

    @property
    def is_live(self) -> bool:
        """Whether the plane carries the leg now."""
        return int(self._columns.generation[self._row]) == self._generation

    @property
    def last_rx_ns(self) -> int:
        """When the last believed packet came; 0 = never."""
        return int(self.snapshot().get("last_rx_ns", 0))

    @property
    def played(self) -> int:
        """Absolute index of the next sample to be played."""
        return int(self.snapshot().get("played", 0))

    @property
    def epoch(self) -> int:
        """Present epoch: one higher after each flush."""
        return int(self.snapshot().get("epoch", 0))

    @property
    def remote(self) -> tuple[str, int] | None:
        """Where packets are sent; None while unknown."""
        key = int(self.snapshot().get("remote_key", 0))
        return peer_address(key, self.hosts) if key else None

    def snapshot(self) -> dict[str, int | float]:
        """Counters and state by the names of `bridge.plane.columns.Columns`."""
        if not self.is_live:
            return dict(self._last)
        columns, row = self._columns, self._row
        values: dict[str, int | float] = {**columns.counters(row)}
        for name in (
            "last_rx_ns",
            "played",
            "epoch",
            "remote_key",
            "latched",
            "floor_state",
            "depth_samples",
        ):
            values[name] = int(getattr(columns, name)[row])
        values["lost_out"] = int(columns.lost_out[row])
        for name in ("srtp_tx_end", "srtp_rx_end", "srtp_rx_ssrc", "srtcp_sent"):
            values[name] = int(getattr(columns, name)[row])
        for name in ("jitter_ticks", *QUALITIES):
            values[name] = float(getattr(columns, name)[row])
        return values if self.is_live else dict(self._last)

    def freeze(self) -> None:
        """Keep the present reading: the row is about to be given up, and perhaps its memory."""
        self._last = self.snapshot()
        self._columns, self._row = nowhere(), 0
