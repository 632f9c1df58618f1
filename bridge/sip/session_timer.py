"""Session timers: a call whose peer has vanished ends, however silent its media may be (RFC 4028)."""

import re
from dataclasses import dataclass
from enum import Enum, auto

from bridge.errors import RemoteProtocolError
from bridge.sip.message import Headers, Request, Response
from bridge.sip.methods import Refusal

__all__ = ["DEFAULT_SESSION_TIMER", "LEAST_S", "Due", "SessionTimer", "SessionTimerSettings"]

LEAST_S = 90
"""No interval may be shorter (§4)."""

_NS = 1_000_000_000
_MARGIN_S = 32
"""Who only waits gives up so long before the end, or a third of the interval before it (§10)."""
_MOST_RAISES = 3
"""Times that a peer may find an interval too small; who goes on is playing with us."""
_VALUE = re.compile(r"([0-9]{1,9})[ \t]*((?:;.*)?)")
_REFRESHER = re.compile(r";[ \t]*refresher[ \t]*=[ \t]*(uac|uas)[ \t]*(?:;|$)", re.IGNORECASE)


class Due(Enum):
    """What time asks for."""

    NOTHING = auto()
    REFRESH = auto()
    GIVE_UP = auto()
    """Nobody refreshed the session: BYE."""


@dataclass(frozen=True, slots=True)
class SessionTimerSettings:
    """What we ask for, and what we bear."""

    expires_s: int = 1800
    """Interval that we offer; 0 asks for none, though a peer may."""
    least_s: int = LEAST_S
    """Shortest interval that we accept."""


DEFAULT_SESSION_TIMER = SessionTimerSettings()


class SessionTimer:
    """The timer of one call.

    Args:
        settings: What we ask for.
    """

    def __init__(self, settings: SessionTimerSettings) -> None:
        self._settings = settings
        self._offered_s = settings.expires_s
        self._interval_s = 0
        self._until_ns = 0
        self._next_ns = 0
        self._is_ours = False
        self._raises = 0

    @property
    def interval_s(self) -> int:
        """What was agreed; 0 without a timer."""
        return self._interval_s

    @property
    def deadline_ns(self) -> int | None:
        """When to refresh, or to give the call up; None without a timer."""
        return min(self._next_ns, self._until_ns) if self._interval_s else None

    def take_due(self, *, now_ns: int) -> Due:
        """What is to be done now; after `Due.REFRESH` it waits for `agreed` or `failed`."""
        if not self._interval_s or now_ns < min(self._next_ns, self._until_ns):
            return Due.NOTHING
        if now_ns >= self._until_ns:
            self.stop()
            return Due.GIVE_UP
        self._next_ns = self._until_ns
        return Due.REFRESH

    def ask(self) -> list[tuple[str, str]]:
        """Header fields of an INVITE or UPDATE of ours."""
        if self._interval_s:
            role = "uac" if self._is_ours else "uas"
            return [("Session-Expires", f"{self._interval_s};refresher={role}"), *self._least()]
        if not self._offered_s:
            return []
        return [("Session-Expires", str(self._offered_s)), *self._least()]

    def refusal(self, request: Request) -> Refusal | None:
        """422 for an interval below what we bear (§9), 400 for one that is none.

        A caller that knows no timers cannot take it back: an intermediary asked, and must bear what follows.
        """
        try:
            asked_s, _ = _read(request.headers, "Session-Expires")
            _read(request.headers, "Min-SE")
        except RemoteProtocolError:
            return 400, []
        if asked_s is None or asked_s >= self._settings.least_s or not _knows_timers(request.headers):
            return None
        return 422, [("Min-SE", str(self._settings.least_s))]

    def agree(self, request: Request, *, now_ns: int) -> list[tuple[str, str]]:
        """Decide as the one who was asked; returns the header fields of the 200 (§9)."""
        asked_s, refresher = _read(request.headers, "Session-Expires")
        least_s, _ = _read(request.headers, "Min-SE")
        knows = _knows_timers(request.headers)
        interval_s = asked_s or self._settings.expires_s
        if not interval_s or (asked_s is None and not knows):
            # Nobody asked. Without the peer's help only we could refresh: media tells us as much.
            self.stop()
            return []
        interval_s = max(interval_s, least_s or 0, self._settings.least_s)
        is_theirs = knows and refresher != "uas"
        self._begin(interval_s, is_ours=not is_theirs, now_ns=now_ns)
        fields = [("Session-Expires", f"{interval_s};refresher={'uac' if is_theirs else 'uas'}")]
        return [("Require", "timer"), *fields] if is_theirs else fields

    def agreed(self, response: Response, *, now_ns: int) -> None:
        """Take what a 200 to our INVITE or UPDATE says (§7.2); without a word of it there is no timer."""
        try:
            interval_s, refresher = _read(response.headers, "Session-Expires")
        except RemoteProtocolError:
            interval_s, refresher = None, ""
        if interval_s is None:
            self.stop()
        else:
            self._begin(max(interval_s, 1), is_ours=refresher != "uas", now_ns=now_ns)

    def raised(self, response: Response) -> bool:
        """Whether a 422 named an interval that we can ask for instead (§7.3)."""
        try:
            least_s, _ = _read(response.headers, "Min-SE")
        except RemoteProtocolError:
            return False
        before_s = self._interval_s or self._offered_s
        if response.status != 422 or least_s is None or least_s <= before_s or self._raises >= _MOST_RAISES:
            return False
        self._raises += 1
        if self._interval_s:
            self._interval_s = least_s
        else:
            self._offered_s = least_s
        return True

    def failed(self, *, now_ns: int) -> None:
        """A change of ours was refused: try again when half of what is left is over, if we refresh at all."""
        if self._is_ours:
            self._next_ns = now_ns + max(_NS, (self._until_ns - now_ns) // 2)

    def stop(self) -> None:
        """No timer from here on."""
        self._interval_s = 0

    def _begin(self, interval_s: int, *, is_ours: bool, now_ns: int) -> None:
        self._interval_s, self._is_ours = interval_s, is_ours
        self._until_ns = now_ns + interval_s * _NS
        self._next_ns = now_ns + interval_s * _NS // 2
        if not is_ours:
            self._until_ns -= min(_MARGIN_S * _NS, interval_s * _NS // 3)
            self._next_ns = self._until_ns

    def _least(self) -> list[tuple[str, str]]:
        return [("Min-SE", str(self._settings.least_s))]


def _knows_timers(headers: Headers) -> bool:
    return "timer" in headers.tags("Supported") | headers.tags("Require")


def _read(headers: Headers, name: str) -> tuple[int | None, str]:
    """The seconds and the refresher of a header field; None if it is not there.

    Raises:
        RemoteProtocolError: If it is malformed.
    """
    value = headers.get(name)
    if value is None:
        return None, ""
    match = _VALUE.fullmatch(value.strip())
    if match is None:
        raise RemoteProtocolError(f"{name} {value!r}", rule="RFC 4028 §4")
    role = _REFRESHER.search(match[2])
    return int(match[1]), role[1].lower() if role is not None else ""
