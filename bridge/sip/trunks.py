"""Trunks and PBXs that calls go through: which one, whether it may, and how many at a time."""

from collections import Counter
from dataclasses import dataclass, field

from bridge.hosts import bracketed
from bridge.sip.digest import Credentials
from bridge.sip.guard import Networks, RateLimit
from bridge.sip.numbers import DialList, NumberForm, NumberPlan

__all__ = ["Dialled", "Trunk", "Trunks"]


@dataclass(frozen=True)
class Trunk:
    """One trunk, as the settings describe it."""

    name: str
    server: tuple[str, int | None]
    """Host, which may be a name, and port; None where none was named, for then DNS may know (RFC 3263)."""
    domain: str
    user: str = ""
    """Our name there; calls that come from it are addressed to it."""
    credentials: Credentials | None = None
    from_user: str = "cosybridge"
    from_domain: str = ""
    """Host part of our From; empty is `domain`."""
    allow: tuple[str, ...] = ()
    """Networks that its calls come from, beside the addresses of `server`."""
    headers: tuple[tuple[str, str], ...] = ()
    """Further header fields of our INVITEs."""
    dials: tuple[str, ...] = ()
    """See `DialList`; empty lets no call out."""
    plan: NumberPlan = field(default_factory=NumberPlan)
    form: NumberForm = NumberForm.E164
    max_calls: int = 100
    max_calls_per_s: int = 10
    transport: str = "UDP"
    """One of `bridge.sip.flow.TRANSPORTS`."""


@dataclass(frozen=True, slots=True)
class Dialled:
    """A number that may be called, and how."""

    trunk: Trunk
    number: str
    """Normalised."""
    uri: str


@dataclass(slots=True)
class _Line:
    trunk: Trunk
    networks: Networks
    dials: DialList
    rate: RateLimit
    calls: int = 0
    server_ips: tuple[str, ...] = ()


class Trunks:
    """All trunks, in the order of the settings.

    Args:
        trunks: What there is.

    Raises:
        ConfigError: If one of their networks is none.
        ValueError: If one of their patterns is none.
    """

    def __init__(self, trunks: tuple[Trunk, ...]) -> None:
        self.counters: Counter[str] = Counter()
        """Numbers that were not dialled, by cause: ``no_number``, ``not_allowed``."""
        self.refused: Counter[tuple[str, str]] = Counter()
        """Calls over a limit, by trunk and cause: ``concurrency``, ``rate``."""
        self._lines: dict[str, _Line] = {}
        for trunk in trunks:
            networks = Networks(trunk.allow, key=f"allow of trunk {trunk.name}")
            rate = RateLimit(trunk.max_calls_per_s)
            self._lines[trunk.name] = _Line(trunk, networks, DialList(trunk.dials), rate)

    def located(self, name: str, ips: tuple[str, ...]) -> None:
        """Note the present addresses of a trunk's server."""
        self._lines[name].server_ips = ips

    def calls(self) -> dict[str, int]:
        """Calls that each trunk carries now."""
        return {name: line.calls for name, line in self._lines.items()}

    def of_caller(self, source_ip: str, to_user: str) -> str | None:
        """Name of the trunk that a call comes from: of several at one address, the one it is addressed to."""
        lines = [
            line
            for line in self._lines.values()
            if source_ip in line.server_ips or source_ip in line.networks
        ]
        named = [line for line in lines if line.trunk.user and line.trunk.user == to_user]
        return next((line.trunk.name for line in named + lines), None)

    def dial(self, text: str, *, trunk: str = "") -> Dialled | str:
        """Find the first trunk that may call a number; else the reason why none may, a key of `counters`.

        Args:
            text: The number, as people write them.
            trunk: Name of the only trunk that is asked; empty asks all.
        """
        cause = "no_number"
        lines = [line for name, line in self._lines.items() if trunk in ("", name)]
        for line in lines:
            way = line.trunk
            if (number := way.plan.normalised(text)) is None:
                continue
            if line.dials.admits(number):
                uri = f"sip:{way.plan.written(number, way.form).replace('#', '%23')}@{bracketed(way.domain)}"
                return Dialled(way, number, uri)
            cause = "not_allowed"
        self.counters[cause] += 1
        return cause

    def take(self, name: str, *, now_ns: int) -> str | None:
        """Begin a call on a trunk; `leave` ends it.

        Returns:
            None, or the limit that it would break: ``concurrency`` or ``rate``.
        """
        line = self._lines[name]
        cause = None
        if line.calls >= line.trunk.max_calls:
            cause = "concurrency"
        elif not line.rate.admits(name, now_ns=now_ns):
            cause = "rate"
        if cause is not None:
            self.refused[name, cause] += 1
            return cause
        line.calls += 1
        return None

    def leave(self, name: str) -> None:
        """End a call that `take` began."""
        self._lines[name].calls -= 1
