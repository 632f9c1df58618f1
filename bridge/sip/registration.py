"""Keeping one address of ours registered (RFC 3261 §10.2, RFC 3327, RFC 3608, pauses of RFC 5626 §4.5)."""

import re
from dataclasses import dataclass, replace

from bridge.errors import RemoteProtocolError
from bridge.hosts import address_of, bracketed
from bridge.ports import IdSource
from bridge.sip.dialog import LocalPlace
from bridge.sip.digest import Credentials, DigestClient
from bridge.sip.events import Ask, Replied, Unserved
from bridge.sip.failover import is_busy, retry_after_s
from bridge.sip.grammar import NameAddr
from bridge.sip.message import Headers, Request, Response
from bridge.sip.methods import ALLOW
from bridge.sip.registration_steps import TRANSITIONS, Event, State
from bridge.sip.surroundings import new_branch

__all__ = [
    "Account",
    "Failed",
    "Input",
    "Locate",
    "Located",
    "Output",
    "Registered",
    "Registration",
    "Start",
    "Stop",
    "Unregistered",
]

_S = 1_000_000_000
_BASE_S = 30
_LONGEST_PAUSE_S = 1800
"""RFC 5626 §4.5: base-time while everything fails, and max-time."""
_LONGEST_EXPIRES_S = 7 * 86_400
_MOST_REDIRECTS = 3
_NUMBER = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Account:
    """What is registered, and where."""

    name: str
    """Ours alone: whom answers are for."""
    user: str
    domain: str
    server: tuple[str, int | None]
    """Host, which may be a name, and port of the registrar; None where none was named."""
    credentials: Credentials
    expires_s: int = 3600
    """What we ask for; the registrar decides."""
    learns_address: bool = False
    """Whether Contact names the address that the registrar saw us at (RFC 3581), as behind a NAT."""
    transport: str = "UDP"
    """One of `bridge.sip.flow.TRANSPORTS`."""


@dataclass(frozen=True, slots=True)
class Start:
    """Input: begin."""


@dataclass(frozen=True, slots=True)
class Located:
    """Input: answer to `Locate`."""

    destination: tuple[str, int] | None
    """Address and port; None if the name has none now."""
    place: LocalPlace | None = None
    """Where that peer reaches us; needed with a destination."""
    others: tuple[tuple[tuple[str, int], LocalPlace], ...] = ()
    """The same of registrars to turn to when one does not serve us (RFC 3263 §4.3)."""
    why: str = ""
    """Why there is no destination; empty is that its name has none."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Input: take the registration back, then do nothing more."""


@dataclass(frozen=True, slots=True)
class Locate:
    """Output: find this host's address and say `Located`."""

    host: str
    port: int | None
    """None where none was named."""


@dataclass(frozen=True, slots=True)
class Registered:
    """Output: the registrar sends calls to us from now on; comes with every refresh."""

    expires_s: int
    destination: tuple[str, int]
    service_route: tuple[str, ...] = ()
    """Route fields that requests to this domain must carry (RFC 3608)."""


@dataclass(frozen=True, slots=True)
class Failed:
    """Output: this attempt came to nothing."""

    reason: str
    status: int
    """What the registrar answered; 0 where nothing came."""
    retry_in_s: int


@dataclass(frozen=True, slots=True)
class Unregistered:
    """Output: nothing more will happen."""


Input = Start | Located | Replied | Stop
Output = Locate | Ask | Unserved | Registered | Failed | Unregistered


class Registration:
    """One address of record and its one binding.

    Args:
        account: What and where.
        ids: For tags, branches, client nonces and the length of pauses.
    """

    def __init__(self, account: Account, *, ids: IdSource) -> None:
        self.state: State = State.IDLE
        self.bound_until_ns: int | None = None
        """Until when the registrar knows us; None when it never did, or not any more."""
        self._account = account
        self._ids = ids
        self._digest = DigestClient(account.credentials, ids=ids)
        self._identity = ids.token(12), ids.token(8)
        """Call-ID and tag, the same for every request (§10.2.4)."""
        self._number = 0
        self._way = _Way(account.server, account.expires_s)
        self._place: LocalPlace | None = None
        self._destination: tuple[str, int] = ("", 0)
        self._others: list[tuple[tuple[str, int], LocalPlace]] = []
        self._learnt: tuple[str, int] | None = None
        self._former = ""
        """Contact that the next REGISTER takes back, after we learnt a better one."""
        self._due_ns: int | None = None
        self._failures = 0
        self._outputs: list[Output] = []

    @property
    def deadline_ns(self) -> int | None:
        """When to call `handle_timeout`; None while nothing is pending."""
        return self._due_ns

    def is_registered(self, *, now_ns: int) -> bool:
        """Whether calls can be expected, even while a refresh fails."""
        return self.bound_until_ns is not None and now_ns < self.bound_until_ns

    def receive(self, item: Input, *, now_ns: int) -> None:
        """Advance on one input; what comes too late is ignored."""
        match item:
            case Start():
                self._locate(Event.START)
            case Located():
                self._located(item, now_ns=now_ns)
            case Replied(request=request):
                if request.cseq.number == self._number and Event.ACCEPTED in TRANSITIONS[self.state]:
                    self._replied(item, now_ns=now_ns)
            case _:
                self._stop(now_ns=now_ns)

    def handle_timeout(self, *, now_ns: int) -> None:
        """Refresh or try again when that is due; harmless when early."""
        if self._due_ns is not None and now_ns >= self._due_ns:
            self._way = _Way(self._account.server, self._way.expires_s)
            self._locate(Event.DUE)

    def drain(self) -> list[Output]:
        """Outputs since the last call, in order."""
        outputs, self._outputs = self._outputs, []
        return outputs

    def _step(self, event: Event) -> bool:
        if event not in TRANSITIONS[self.state]:
            return False
        self.state = TRANSITIONS[self.state][event]
        self._due_ns = None
        if self.state is State.GONE:
            self.bound_until_ns = None
            self._outputs.append(Unregistered())
        return True

    def _locate(self, event: Event) -> None:
        if self._step(event) and self.state is State.LOCATING:
            self._outputs.append(Locate(*self._way.server))

    def _located(self, item: Located, *, now_ns: int) -> None:
        if item.destination is None or item.place is None:
            if self._step(Event.LOST):
                why = item.why or f"{self._way.server[0]} has no address"
                self._fail(why, status=0, at_least_s=0, now_ns=now_ns)
        elif self._step(Event.LOCATED):
            self._destination, self._place = item.destination, item.place
            self._others = list(item.others)
            self._ask(expires_s=self._way.expires_s)

    def _stop(self, *, now_ns: int) -> None:
        is_bound = self.is_registered(now_ns=now_ns)
        if self._step(Event.STOP if is_bound else Event.STOP_UNBOUND) and self.state is State.UNREGISTERING:
            self._ask(expires_s=0)

    def _replied(self, replied: Replied, *, now_ns: int) -> None:
        request, response = replied.request, replied.response
        if (response is None or is_busy(response)) and self._fails_over(response):
            return
        if response is None:
            self._refused(replied.why or "no answer", status=0, at_least_s=0, now_ns=now_ns)
        elif response.status < 200:
            return
        elif response.status < 300:
            self._accepted(response, now_ns=now_ns)
        elif self._may_pass(request, response):
            self._step(Event.AGAIN)
            self._ask(expires_s=0 if self.state is State.UNREGISTERING else self._way.expires_s)
        elif (server := self._redirection(response)) is not None:
            self._way.server = server
            self._locate(Event.REDIRECTED)
        else:
            reason = f"{response.status} {response.reason}".strip()
            wait_s = retry_after_s(response)
            self._refused(reason, status=response.status, at_least_s=wait_s, now_ns=now_ns)

    def _fails_over(self, response: Response | None) -> bool:
        """Turn to the next registrar, with a request of its own number (§10.2.4); False if there is none."""
        wait_s = 0 if response is None else retry_after_s(response)
        unserved = Unserved(self._account.name, self._destination, wait_s)
        if self.state is not State.REGISTERING or not self._others:
            self._outputs.append(unserved)
            return False
        self._step(Event.AGAIN)
        self._destination, self._place = self._others.pop(0)
        self._outputs.append(replace(unserved, following=self._destination))
        self._ask(expires_s=self._way.expires_s)
        return True

    def _accepted(self, response: Response, *, now_ns: int) -> None:
        expires_s = self._granted_s(response)
        if self.state is State.REGISTERING and self._learns(response):
            self._step(Event.AGAIN)
            self._ask(expires_s=self._way.expires_s)
        elif expires_s == 0 and self.state is State.REGISTERING:
            self._refused(
                "registered for no time at all", status=response.status, at_least_s=0, now_ns=now_ns
            )
        else:
            self._step(Event.ACCEPTED)
            self._failures, self._former = 0, ""
            if self.state is State.UNREGISTERING:
                self._ask(expires_s=0)
            elif self.state is State.REGISTERED:
                self.bound_until_ns = now_ns + expires_s * _S
                self._due_ns = now_ns + _refresh_after_ns(expires_s)
                routes = tuple(_listed(response.headers, "Service-Route"))
                self._outputs.append(Registered(expires_s, self._destination, routes))

    def _may_pass(self, request: Request, response: Response) -> bool:
        """Whether the same request, built anew, may be accepted (§10.2.8, §22.2)."""
        if response.status == 423:
            least_s = _seconds(response.headers.get("Min-Expires"), most=_LONGEST_EXPIRES_S) or 0
            if least_s <= self._way.expires_s:
                return False
            self._way.expires_s = least_s
            return True
        return self._digest.challenged(response, request)

    def _redirection(self, response: Response) -> tuple[str, int | None] | None:
        """Registrar named by a 3xx, at most three times in a row."""
        if not 300 <= response.status < 400 or self._way.redirects >= _MOST_REDIRECTS:
            return None
        for text in _listed(response.headers, "Contact"):
            uri = _address(text)
            if uri is not None and uri.uri.scheme == "sip":
                self._way.redirects += 1
                return uri.uri.host, uri.uri.port
        return None

    def _learns(self, response: Response) -> bool:
        """Note where the registrar saw us; True if Contact says something else (RFC 3581 §4)."""
        ip, port = response.via.parameter("received"), response.via.parameter("rport")
        if not self._account.learns_address or not ip or _NUMBER.fullmatch(port or "") is None:
            return False
        # Some write an IPv6 address with brackets here, some without (RFC 5118 §4.5).
        seen = address_of(ip) or ip, int(port or 0)
        if seen == self._shown or not 0 < seen[1] < 1 << 16 or self._way.has_learnt:
            return False
        self._former = self._contact
        self._learnt, self._way.has_learnt = seen, True
        return True

    def _refused(self, reason: str, *, status: int, at_least_s: int, now_ns: int) -> None:
        if self.state is State.STOPPING and status and self.is_registered(now_ns=now_ns):
            # A refresh was refused: what was accepted before still stands, and is taken back (§10.2.2).
            self._step(Event.AGAIN)
            self._ask(expires_s=0)
        elif self._step(Event.REFUSED) and self.state is State.PAUSED:
            self._fail(reason, status=status, at_least_s=at_least_s, now_ns=now_ns)

    def _fail(self, reason: str, *, status: int, at_least_s: int, now_ns: int) -> None:
        """Pause: twice as long after each failure, and not all bridges at the same moment (RFC 5626 §4.5)."""
        self._failures += 1
        bound_s = min(_LONGEST_PAUSE_S, _BASE_S << min(self._failures, 10))
        share = 0.5 + self._ids.number(16) / (1 << 17)
        pause_s = max(round(bound_s * share), at_least_s)
        self._due_ns = now_ns + pause_s * _S
        self._outputs.append(Failed(reason, status, pause_s))

    @property
    def _shown(self) -> tuple[str, int]:
        """Address in our Contact."""
        place = self._place or LocalPlace("0.0.0.0", 0)
        return self._learnt or (place.ip, place.port)

    @property
    def _contact(self) -> str:
        ip, port = self._shown
        transport = self._account.transport
        # Without a word of it calls would come by UDP, to a port that is another transport's (§19.1.2).
        said = "" if transport == "UDP" else f";transport={transport.lower()}"
        return f"<sip:{self._account.user}@{bracketed(ip)}:{port}{said}>"

    def _ask(self, *, expires_s: int) -> None:
        place = self._place or LocalPlace("0.0.0.0", 0)
        call_id, tag = self._identity
        domain = bracketed(self._account.domain)
        address = f"<sip:{self._account.user}@{domain}>"
        self._number += 1
        headers = Headers([("Via", place.via(new_branch(self._ids))), ("Max-Forwards", "70")])
        headers.add("From", f"{address};tag={tag}")
        headers.add("To", address)
        headers.add("Call-ID", call_id)
        headers.add("CSeq", f"{self._number} REGISTER")
        headers.add("Contact", self._contact)
        if self._former and expires_s:
            headers.add("Contact", f"{self._former};expires=0")
        headers.add("Expires", str(expires_s))
        headers.add("Supported", "path")
        headers.add("Allow", ALLOW)
        headers.add("User-Agent", place.user_agent)
        uri = f"sip:{domain}"
        for name, value in self._digest.fields("REGISTER", uri):
            headers.add(name, value)
        self._outputs.append(Ask(self._account.name, Request("REGISTER", uri, headers), self._destination))

    def _granted_s(self, response: Response) -> int:
        """How long the registrar keeps our binding (§10.2.4): what it says of ours, of all, or nothing."""
        for text in _listed(response.headers, "Contact"):
            address = _address(text)
            if address is not None and address.uri.destination == self._shown:
                own_s = _seconds(address.parameter("expires"), most=_LONGEST_EXPIRES_S)
                if own_s is not None:
                    return own_s
        all_s = _seconds(response.headers.get("Expires"), most=_LONGEST_EXPIRES_S)
        return self._way.expires_s if all_s is None else all_s


@dataclass(slots=True)
class _Way:
    """How far the present attempt has come."""

    server: tuple[str, int | None]
    expires_s: int
    redirects: int = 0
    has_learnt: bool = False


def _refresh_after_ns(expires_s: int) -> int:
    """Leave room for an attempt that runs into its timeout, 32 s, and for one after it."""
    lead_s = max(40.0, expires_s / 10)
    return round(max(expires_s - lead_s, expires_s / 2, 1.0) * _S)


def _seconds(text: str | None, *, most: int) -> int | None:
    """Read the number that a field begins with: Retry-After may have a comment after it."""
    match = _NUMBER.match(text or "")
    return None if match is None else min(int(match[0]), most)


def _listed(headers: Headers, name: str) -> list[str]:
    try:
        return headers.listed(name)
    except RemoteProtocolError:
        return []


def _address(text: str) -> NameAddr | None:
    try:
        return NameAddr.parse(text)
    except RemoteProtocolError:
        return None
