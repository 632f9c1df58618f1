"""The four transaction machines (RFC 3261 §17, RFC 6026)."""

from dataclasses import dataclass
from enum import Enum, auto

from bridge.errors import LocalProtocolError
from bridge.sip.message import Headers, Request, Response
from bridge.sip.timers import DEFAULT_TIMERS, Backoff, Timer, Timers

__all__ = [
    "CLIENTS",
    "LINGERS",
    "TRANSITIONS",
    "Action",
    "Event",
    "Expired",
    "Kind",
    "Passed",
    "State",
    "Transaction",
    "Transmit",
    "transaction_key",
]


class Kind(Enum):
    """Which of the four machines."""

    INVITE_CLIENT = "§17.1.1"
    CLIENT = "§17.1.2"
    INVITE_SERVER = "§17.2.1"
    SERVER = "§17.2.2"


CLIENTS = (Kind.INVITE_CLIENT, Kind.CLIENT)
"""Those that begin with a request of ours."""


class State(Enum):
    CALLING = auto()
    TRYING = auto()
    PROCEEDING = auto()
    COMPLETED = auto()
    CONFIRMED = auto()
    ACCEPTED = auto()
    """A 2xx passed: its retransmissions still belong here (RFC 6026 §7.1, §7.2)."""
    TERMINATED = auto()


class Event(Enum):
    REQUEST = auto()
    """The peer repeats its request."""
    ACK = auto()
    PROVISIONAL = auto()
    """1xx: from the peer at a client, from our own user at a server. So with the next two."""
    SUCCESS = auto()
    FAILURE = auto()
    RESEND_DUE = auto()
    GIVE_UP_DUE = auto()
    LINGER_DUE = auto()
    UNSENT = auto()
    """What we sent cannot arrive: its connection is gone, or there is none (§18.4)."""


class Action(Enum):
    NOTHING = auto()
    SEND = auto()
    """Send the stored message: the request at a client, the last response at a server."""
    PASS = auto()
    """Hand the message to the transaction's user."""
    ACK = auto()
    """Acknowledge a failure hop by hop (§17.1.1.3)."""
    PASS_AND_ACK = auto()
    EXPIRE = auto()
    """Tell the user that nobody answered."""


@dataclass(frozen=True, slots=True)
class Transmit:
    """Output: put these bytes on the wire."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Passed:
    """Output: a message that the transaction's user must see."""

    message: Request | Response


@dataclass(frozen=True, slots=True)
class Expired:
    """Output: no answer, or no ACK, within 64·T1."""


_Row = dict[Event, tuple[State, Action]]

# What is absent is ignored when it comes from the peer, and a bug when it comes from us.
# docs/machines.md is drawn from these tables.
TRANSITIONS: dict[Kind, dict[State, _Row]] = {
    Kind.INVITE_CLIENT: {
        State.CALLING: {
            Event.RESEND_DUE: (State.CALLING, Action.SEND),
            Event.GIVE_UP_DUE: (State.TERMINATED, Action.EXPIRE),
            Event.UNSENT: (State.TERMINATED, Action.EXPIRE),
            Event.PROVISIONAL: (State.PROCEEDING, Action.PASS),
            Event.SUCCESS: (State.ACCEPTED, Action.PASS),
            Event.FAILURE: (State.COMPLETED, Action.PASS_AND_ACK),
        },
        State.PROCEEDING: {
            Event.PROVISIONAL: (State.PROCEEDING, Action.PASS),
            Event.SUCCESS: (State.ACCEPTED, Action.PASS),
            Event.FAILURE: (State.COMPLETED, Action.PASS_AND_ACK),
            Event.UNSENT: (State.TERMINATED, Action.EXPIRE),
        },
        State.COMPLETED: {
            Event.FAILURE: (State.COMPLETED, Action.ACK),
            Event.LINGER_DUE: (State.TERMINATED, Action.NOTHING),
        },
        State.ACCEPTED: {
            Event.SUCCESS: (State.ACCEPTED, Action.PASS),
            Event.LINGER_DUE: (State.TERMINATED, Action.NOTHING),
        },
    },
    Kind.CLIENT: {
        State.TRYING: {
            Event.RESEND_DUE: (State.TRYING, Action.SEND),
            Event.GIVE_UP_DUE: (State.TERMINATED, Action.EXPIRE),
            Event.UNSENT: (State.TERMINATED, Action.EXPIRE),
            Event.PROVISIONAL: (State.PROCEEDING, Action.PASS),
            Event.SUCCESS: (State.COMPLETED, Action.PASS),
            Event.FAILURE: (State.COMPLETED, Action.PASS),
        },
        State.PROCEEDING: {
            Event.RESEND_DUE: (State.PROCEEDING, Action.SEND),
            Event.GIVE_UP_DUE: (State.TERMINATED, Action.EXPIRE),
            Event.UNSENT: (State.TERMINATED, Action.EXPIRE),
            Event.PROVISIONAL: (State.PROCEEDING, Action.PASS),
            Event.SUCCESS: (State.COMPLETED, Action.PASS),
            Event.FAILURE: (State.COMPLETED, Action.PASS),
        },
        State.COMPLETED: {Event.LINGER_DUE: (State.TERMINATED, Action.NOTHING)},
    },
    Kind.INVITE_SERVER: {
        State.PROCEEDING: {
            Event.REQUEST: (State.PROCEEDING, Action.SEND),
            Event.PROVISIONAL: (State.PROCEEDING, Action.SEND),
            Event.SUCCESS: (State.ACCEPTED, Action.SEND),
            Event.FAILURE: (State.COMPLETED, Action.SEND),
        },
        State.COMPLETED: {
            Event.REQUEST: (State.COMPLETED, Action.SEND),
            Event.RESEND_DUE: (State.COMPLETED, Action.SEND),
            Event.GIVE_UP_DUE: (State.TERMINATED, Action.EXPIRE),
            Event.ACK: (State.CONFIRMED, Action.NOTHING),
        },
        State.CONFIRMED: {Event.LINGER_DUE: (State.TERMINATED, Action.NOTHING)},
        State.ACCEPTED: {
            Event.SUCCESS: (State.ACCEPTED, Action.SEND),
            Event.ACK: (State.ACCEPTED, Action.PASS),
            Event.LINGER_DUE: (State.TERMINATED, Action.NOTHING),
        },
    },
    Kind.SERVER: {
        State.TRYING: {
            Event.PROVISIONAL: (State.PROCEEDING, Action.SEND),
            Event.SUCCESS: (State.COMPLETED, Action.SEND),
            Event.FAILURE: (State.COMPLETED, Action.SEND),
        },
        State.PROCEEDING: {
            Event.REQUEST: (State.PROCEEDING, Action.SEND),
            Event.PROVISIONAL: (State.PROCEEDING, Action.SEND),
            Event.SUCCESS: (State.COMPLETED, Action.SEND),
            Event.FAILURE: (State.COMPLETED, Action.SEND),
        },
        State.COMPLETED: {
            Event.REQUEST: (State.COMPLETED, Action.SEND),
            Event.LINGER_DUE: (State.TERMINATED, Action.NOTHING),
        },
    },
}

_START = {
    Kind.INVITE_CLIENT: State.CALLING,
    Kind.CLIENT: State.TRYING,
    Kind.INVITE_SERVER: State.PROCEEDING,
    Kind.SERVER: State.TRYING,
}

LINGERS: dict[tuple[Kind, State], str] = {
    (Kind.INVITE_CLIENT, State.COMPLETED): "D",
    (Kind.INVITE_CLIENT, State.ACCEPTED): "M",
    (Kind.CLIENT, State.COMPLETED): "K",
    (Kind.INVITE_SERVER, State.CONFIRMED): "I",
    (Kind.INVITE_SERVER, State.ACCEPTED): "L",
    (Kind.SERVER, State.COMPLETED): "J",
}
"""Which letter the linger timer of a state has; I and K last T4, the others 64·T1."""

# Timer A doubles without end (§17.1.1.2); E and G stop growing at T2.
_RESENDING = {
    (Kind.INVITE_CLIENT, State.CALLING),
    (Kind.CLIENT, State.TRYING),
    (Kind.CLIENT, State.PROCEEDING),
    (Kind.INVITE_SERVER, State.COMPLETED),
}
_DUE = {
    Timer.RESEND: Event.RESEND_DUE,
    Timer.GIVE_UP: Event.GIVE_UP_DUE,
    Timer.LINGER: Event.LINGER_DUE,
}


def transaction_key(message: Request | Response, *, is_server: bool) -> str:
    """What tells one transaction from another (§17.1.3, §17.2.3).

    An ACK of a failure has the key of the INVITE it ends.
    """
    method = "INVITE" if message.cseq.method == "ACK" else message.cseq.method
    via = message.via
    if via.is_unique:
        place = f" {via.host}:{via.port}" if is_server else ""
        return f"{via.branch}{place} {method}"
    # RFC 2543 has no unique branches. To is left out: the ACK carries our tag, the INVITE does not.
    sender = message.from_.tag
    return f"{message.call_id} {message.cseq.number} {sender} {via} {method}"


class Transaction:
    """One request and all that is said about it.

    A client transmits its request at once; drain it after construction.

    Args:
        kind: Which machine it is.
        request: The request that creates it.
        timers: The base values, for tests that shorten them.
        is_reliable: Whether its transport delivers: then nothing is sent again, and D, I, J and K are zero.
        now_ns: The time of its creation.
    """

    def __init__(
        self,
        kind: Kind,
        request: Request,
        *,
        now_ns: int,
        timers: Timers = DEFAULT_TIMERS,
        is_reliable: bool = False,
    ) -> None:
        self.kind: Kind = kind
        self.state: State = _START[kind]
        self.request: Request = request
        self._timers = timers
        self._is_reliable = is_reliable
        self._stored = b""
        self._resend: Backoff | None = None
        self._running: dict[Timer, int] = {}
        self._outputs: list[Transmit | Passed | Expired] = []
        if kind in CLIENTS:
            self._stored = bytes(request)
            self._outputs.append(Transmit(self._stored))
        self._enter(now_ns=now_ns)

    @property
    def deadline_ns(self) -> int | None:
        """When to call `handle_timeout`; None while nothing is pending."""
        return min(self._running.values(), default=None)

    def receive(self, item: Request | Response, *, now_ns: int) -> None:
        """Advance on a message from the peer; what does not belong here is absorbed."""
        if isinstance(item, Response):
            event = _class_of(item)
        else:
            event = Event.ACK if item.method == "ACK" else Event.REQUEST
        if event in self._row():
            self._step(event, item, now_ns=now_ns)

    def respond(self, response: Response, *, now_ns: int) -> None:
        """Advance a server on a response of its user.

        Raises:
            LocalProtocolError: If a final response was already given.
        """
        event = _class_of(response)
        if event not in self._row() or self.kind in CLIENTS:
            raise LocalProtocolError(f"{response.status} while {self.state.name}", rule=self.kind.value)
        self._stored = bytes(response)
        self._step(event, response, now_ns=now_ns)

    def handle_timeout(self, *, now_ns: int) -> None:
        """Do what is due; harmless when early."""
        # GIVE_UP goes before RESEND: nothing is sent at the moment of giving up.
        for timer in (Timer.GIVE_UP, Timer.LINGER, Timer.RESEND):
            due_ns = self._running.get(timer)
            if due_ns is not None and due_ns <= now_ns:
                self._step(_DUE[timer], None, now_ns=now_ns)

    def give_up(self, *, now_ns: int) -> None:
        """Take note that what a client sent cannot arrive; harmless once it is answered."""
        if Event.UNSENT in self._row():
            self._step(Event.UNSENT, None, now_ns=now_ns)

    def drain(self) -> list[Transmit | Passed | Expired]:
        """Outputs since the last call, in order."""
        outputs, self._outputs = self._outputs, []
        return outputs

    def _row(self) -> _Row:
        return TRANSITIONS[self.kind].get(self.state, {})

    def _step(self, event: Event, message: Request | Response | None, *, now_ns: int) -> None:
        before = self.state
        self.state, action = self._row()[event]
        if event is Event.RESEND_DUE and self._resend is not None:
            self._resend.advance(now_ns=now_ns)
            self._running[Timer.RESEND] = self._resend.due_ns
        if action is Action.SEND and self._stored:
            self._outputs.append(Transmit(self._stored))
        if action in (Action.ACK, Action.PASS_AND_ACK) and isinstance(message, Response):
            self._outputs.append(Transmit(_hop_ack(self.request, message)))
        if action in (Action.PASS, Action.PASS_AND_ACK) and message is not None:
            self._outputs.append(Passed(message))
        if action is Action.EXPIRE:
            self._outputs.append(Expired())
        if self.state is not before:
            self._enter(now_ns=now_ns)

    def _enter(self, *, now_ns: int) -> None:
        """Start the timers of the new state; those that run on keep their deadline."""
        place = self.kind, self.state
        running: dict[Timer, int] = {}
        if place in _RESENDING:
            if self._resend is None:
                ceiling_ns = None if self.kind is Kind.INVITE_CLIENT else self._timers.t2_ns
                self._resend = Backoff(first_ns=self._timers.t1_ns, ceiling_ns=ceiling_ns, now_ns=now_ns)
            else:
                # From here on T2 is the interval (§17.1.2.2): the peer is known to be at work.
                self._resend.slow_down()
            if not self._is_reliable:
                running[Timer.RESEND] = self._resend.due_ns
            running[Timer.GIVE_UP] = self._running.get(Timer.GIVE_UP, now_ns + self._timers.give_up_ns)
        if (letter := LINGERS.get(place)) is not None:
            length_ns = self._timers.t4_ns if letter in "IK" else self._timers.give_up_ns
            if self._is_reliable and letter in "DIJK":
                length_ns = 0
            running[Timer.LINGER] = now_ns + length_ns
        self._running = running


def _class_of(response: Response) -> Event:
    if response.status < 200:
        return Event.PROVISIONAL
    return Event.SUCCESS if response.status < 300 else Event.FAILURE


def _hop_ack(invite: Request, response: Response) -> bytes:
    """Acknowledge a failure: the INVITE's own Via and route, the response's To (§17.1.1.3)."""
    headers = Headers([("Via", str(invite.via)), ("Max-Forwards", "70")])
    for route in invite.headers.all("Route"):
        headers.add("Route", route)
    headers.add("From", invite.headers.get("From") or "")
    headers.add("To", response.headers.get("To") or "")
    headers.add("Call-ID", invite.call_id)
    headers.add("CSeq", f"{invite.cseq.number} ACK")
    return bytes(Request("ACK", invite.uri, headers))
