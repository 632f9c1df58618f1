"""All transactions of one endpoint: finds the one that a message belongs to (RFC 3261 §17)."""

from dataclasses import dataclass, field

from bridge.errors import LocalProtocolError
from bridge.sip.agenda import Agenda
from bridge.sip.congestion import Congestion, carried_by
from bridge.sip.flow import Address, connection_of, is_reliable, transport_of
from bridge.sip.message import Request, Response
from bridge.sip.timers import DEFAULT_TIMERS, Timers
from bridge.sip.transaction import CLIENTS, Expired, Kind, State, Transaction, Transmit, transaction_key

__all__ = ["Outcome", "Send", "TransactionLayer"]


@dataclass(frozen=True, slots=True)
class Send:
    """Output: put one datagram on the wire."""

    data: bytes
    destination: tuple[str, int]
    """Host, port and transport (`bridge.sip.flow`); the host may be a name if a Contact or route has one."""
    key: str = field(default="", compare=False)
    """The transaction of ours that it begins; `unsent` takes it when it could not be sent."""
    has_fallback: bool = field(default=False, compare=False)
    """Whether there is another way if this one does not open soon."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Output: what a transaction has for its user."""

    key: str
    owner: str
    request: Request
    """What the transaction is about."""
    message: Request | Response | None
    """None: nobody answered, or nobody acknowledged."""
    source: tuple[str, int] | None = None
    """Where the message came from."""
    why: str = ""
    """Why nobody answered, if that is known."""

    @property
    def is_final(self) -> bool:
        """Whether nothing more will come of a request of ours."""
        return self.message is None or (isinstance(self.message, Response) and self.message.status >= 200)


@dataclass(slots=True)
class _Entry:
    transaction: Transaction
    destination: tuple[str, int]
    owner: str
    merge_key: str
    fallback: tuple[str, int] | None = None
    """Where the request goes if nobody listens on TCP, which it is too long to do without."""
    why: str = ""
    """Why it could not be sent."""


class TransactionLayer:
    """Own every transaction until it terminates.

    Args:
        timers: The base values.
        max_udp_bytes: Longest request of ours that goes over UDP; None sets no bound.
    """

    def __init__(self, *, timers: Timers = DEFAULT_TIMERS, max_udp_bytes: int | None = None) -> None:
        self.timers: Timers = timers
        self._congestion = Congestion(max_udp_bytes)
        self._entries: dict[str, _Entry] = {}
        self._by_origin: dict[str, str] = {}
        self._agenda = Agenda()
        self._outputs: list[Send | Outcome] = []

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def deadline_ns(self) -> int | None:
        return self._agenda.next_ns

    def request(self, request: Request, *, destination: tuple[str, int], owner: str, now_ns: int) -> str:
        """Send a request of ours; its answers come as outcomes for `owner`.

        Its Via says what it is carried by, whatever it said before. A CANCEL goes where its INVITE went.
        """
        key = transaction_key(request, is_server=False)
        invite = self._entries.get(key.removesuffix("CANCEL") + "INVITE")
        if request.method == "CANCEL" and invite is not None:
            way = destination = invite.destination
        else:
            way = self._congestion.way(request, destination, now_ns=now_ns)
        fallback = destination if way is not destination else None
        self._begin(key, request, way, owner, fallback=fallback, now_ns=now_ns)
        return key

    def open(self, request: Request, *, source: tuple[str, int], owner: str = "", now_ns: int) -> str:
        """Take up a new request of a peer; `respond` answers it."""
        kind = Kind.INVITE_SERVER if request.method == "INVITE" else Kind.SERVER
        key = transaction_key(request, is_server=True)
        transaction = Transaction(
            kind, request, now_ns=now_ns, timers=self.timers, is_reliable=is_reliable(source)
        )
        merge_key = _origin_of(request)
        self._entries[key] = _Entry(transaction, request.via.reply_address(source), owner, merge_key)
        self._by_origin.setdefault(merge_key, key)
        self._settle(key)
        return key

    def absorb(
        self, message: Request | Response, *, source: tuple[str, int] | None = None, now_ns: int
    ) -> bool:
        """Feed a message to the transaction it belongs to; False if there is none."""
        key = transaction_key(message, is_server=isinstance(message, Request))
        if (entry := self._entries.get(key)) is None:
            return False
        entry.transaction.receive(message, now_ns=now_ns)
        self._settle(key, source=source)
        return True

    def is_merged(self, request: Request) -> bool:
        """Whether the same request has already come another way (§8.2.2.2)."""
        return _origin_of(request) in self._by_origin

    def cancelled(self, cancel: Request) -> str | None:
        """Key of the INVITE that a CANCEL means (§9.2)."""
        key = transaction_key(cancel, is_server=True).removesuffix("CANCEL") + "INVITE"
        return key if key in self._entries else None

    def owner_of(self, key: str) -> str:
        return self._entries[key].owner

    def respond(self, key: str, response: Response, *, now_ns: int) -> None:
        """Answer a peer's request.

        Raises:
            LocalProtocolError: If it is answered already, or long gone.
        """
        if (entry := self._entries.get(key)) is None:
            raise LocalProtocolError(f"{response.status} to a request that is gone")
        entry.transaction.respond(response, now_ns=now_ns)
        self._settle(key)

    def forget(self, key: str) -> None:
        """Destroy a transaction that nothing will come of (§9.1); harmless when it is gone."""
        self._entries.pop(key, None)
        self._agenda.set(key, None)

    def unsent(self, key: str, *, why: str = "", now_ns: int) -> None:
        """Give up a request of ours that could not be sent (§18.4); harmless when it is gone.

        One that is on TCP only because it is long goes over UDP (§18.1.1).
        """
        if (entry := self._entries.get(key)) is None:
            return
        if entry.fallback is not None and entry.transaction.state in (State.CALLING, State.TRYING):
            self._congestion.refused(entry.fallback, now_ns=now_ns)
            self._begin(key, entry.transaction.request, entry.fallback, entry.owner, now_ns=now_ns)
            return
        entry.why = why
        entry.transaction.give_up(now_ns=now_ns)
        self._settle(key)

    def cut(self, peer: Address, *, now_ns: int) -> None:
        """Give up every request of ours that waits for its answer on a connection that is gone."""
        waiting = [key for key, entry in self._entries.items() if _travels_on(entry.destination, peer)]
        for key in waiting:
            self.unsent(key, why="the connection was cut", now_ns=now_ns)

    def handle_timeout(self, *, now_ns: int) -> None:
        """Do what is due in any transaction; harmless when early."""
        for key in self._agenda.take(now_ns=now_ns):
            self._entries[key].transaction.handle_timeout(now_ns=now_ns)
            self._settle(key)

    def drain(self) -> list[Send | Outcome]:
        """Outputs since the last call, in order."""
        outputs, self._outputs = self._outputs, []
        return outputs

    def _begin(
        self,
        key: str,
        request: Request,
        destination: tuple[str, int],
        owner: str,
        *,
        fallback: tuple[str, int] | None = None,
        now_ns: int,
    ) -> None:
        transaction = Transaction(
            Kind.INVITE_CLIENT if request.method == "INVITE" else Kind.CLIENT,
            carried_by(request, transport_of(destination)),
            now_ns=now_ns,
            timers=self.timers,
            is_reliable=is_reliable(destination),
        )
        self._entries[key] = _Entry(transaction, destination, owner, "", fallback)
        self._settle(key)

    def _settle(self, key: str, *, source: tuple[str, int] | None = None) -> None:
        entry = self._entries[key]
        for output in entry.transaction.drain():
            if isinstance(output, Transmit):
                own = key if entry.transaction.kind in CLIENTS else ""
                self._outputs.append(Send(output.data, entry.destination, own, entry.fallback is not None))
            else:
                message = None if isinstance(output, Expired) else output.message
                request = entry.transaction.request
                self._outputs.append(Outcome(key, entry.owner, request, message, source, entry.why))
        self._agenda.set(key, entry.transaction.deadline_ns)
        if entry.transaction.state is State.TERMINATED:
            del self._entries[key]
            if self._by_origin.get(entry.merge_key) == key:
                del self._by_origin[entry.merge_key]


def _travels_on(destination: tuple[str, int], peer: Address) -> bool:
    """Whether what is sent to a destination goes through the connection with this other end."""
    if connection_of(destination):
        return connection_of(destination) == peer.connection
    return destination == peer and transport_of(destination) == peer.transport


def _origin_of(request: Request) -> str:
    return f"{request.from_.tag} {request.call_id} {request.cseq}"
