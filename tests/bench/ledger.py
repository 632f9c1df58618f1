"""Every packet of a call accounted for, from both ends, and what does not add up."""

from dataclasses import dataclass, field

__all__ = ["CallAccount", "Ledger", "slope_per_hour"]


@dataclass(frozen=True, slots=True)
class CallAccount:
    """One call after its end; packets all of it."""

    # What the phone knows.
    said: int
    """It put into the network."""
    carried: int
    """Came out of the network, copies included."""
    carried_unique: int
    span: int
    """From the lowest to the highest number that came out."""
    strangers: int
    """Sent to the call's port from elsewhere."""
    heard: int
    heard_unique: int
    heard_lost: int
    """Numbers of ours, between two that came, that never did."""
    heard_strange: int
    """Of another stream than this call's."""

    # What the media process counted.
    rx_packets: int
    rx_late: int
    rx_duplicate: int
    rx_lost: int
    rx_stranger: int
    rx_malformed: int
    tx_packets: int

    @property
    def unaccounted_in(self) -> int:
        """Packets that came and are in no counter; less than none is one counted twice."""
        came = self.carried + self.strangers
        return came - self.rx_packets - self.rx_stranger - self.rx_malformed

    @property
    def unaccounted_lost(self) -> int:
        """Losses that nobody noticed; those before the first and after the last packet nobody can."""
        return self.span - self.carried_unique - self.rx_lost

    @property
    def unaccounted_duplicates(self) -> int:
        """Copies that were not known as such."""
        return self.carried - self.carried_unique - self.rx_duplicate

    @property
    def unaccounted_out(self) -> int:
        """Packets that were built and never heard, or heard and never built."""
        return self.tx_packets - self.heard

    def faults(self) -> dict[str, int]:
        """What does not add up, by name."""
        found = {
            "in": self.unaccounted_in,
            "lost": self.unaccounted_lost,
            "duplicates": self.unaccounted_duplicates,
            "out": self.unaccounted_out,
            "heard twice": self.heard - self.heard_unique,
            "lost on the way back": self.heard_lost,
            "of another call": self.heard_strange,
        }
        return {name: count for name, count in found.items() if count}


@dataclass(slots=True)
class Ledger:
    """Sums over calls."""

    calls: int = 0
    sent: int = 0
    """By phones, with the copies that the network made, and by strangers."""
    in_time: int = 0
    late: int = 0
    duplicate: int = 0
    stranger: int = 0
    lost: int = 0
    lost_at_the_edges: int = 0
    """Before the first packet that came or after the last: no receiver can know of them."""
    built: int = 0
    heard: int = 0
    faulty_calls: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    """Sums of what did not add up, without sign, by name."""

    def add(self, account: CallAccount) -> None:
        """Book one call."""
        copies = account.carried - account.carried_unique
        self.calls += 1
        self.sent += account.said + copies + account.strangers
        self.in_time += account.rx_packets - account.rx_late - account.rx_duplicate
        self.late += account.rx_late
        self.duplicate += account.rx_duplicate
        self.stranger += account.rx_stranger
        self.lost += account.rx_lost
        self.lost_at_the_edges += account.said - account.span
        self.built += account.tx_packets
        self.heard += account.heard
        faults = account.faults()
        self.faulty_calls += bool(faults)
        for name, count in faults.items():
            self.faults[name] = self.faults.get(name, 0) + abs(count)

    @property
    def balance(self) -> int:
        """Packets sent that are nowhere; 0 if every one is accounted for."""
        known = self.in_time + self.late + self.duplicate + self.stranger + self.lost + self.lost_at_the_edges
        return self.sent - known


def slope_per_hour(seconds: list[float], values: list[float]) -> float:
    """Least-squares slope over the last two thirds of the time; 0 with fewer than two points."""
    if not seconds:
        return 0.0
    begin = seconds[0] + (seconds[-1] - seconds[0]) / 3
    points = [(at, value) for at, value in zip(seconds, values, strict=True) if at >= begin]
    mean_at = sum(at for at, _ in points) / len(points)
    mean = sum(value for _, value in points) / len(points)
    spread = sum((at - mean_at) ** 2 for at, _ in points)
    return 3600 * sum((at - mean_at) * (value - mean) for at, value in points) / spread if spread else 0.0
