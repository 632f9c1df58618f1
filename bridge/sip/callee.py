"""A call that comes in: our side of the INVITE transaction (RFC 3261 §13.3)."""

from bridge.errors import LocalProtocolError
from bridge.sip.dialog import Dialog
from bridge.sip.message import Request, respond
from bridge.sip.session import Event, Session, State, Surroundings

__all__ = ["CalleeSession"]


class CalleeSession(Session):
    """Rings, answers or refuses; answers 100 at once.

    Args:
        call: Its name, and our tag.
        invite: The caller's INVITE.
        key: Its server transaction.
        around: What the session works with.
        source: Where the INVITE came from.
        now_ns: When.

    Raises:
        RemoteProtocolError: If no dialog can come of the INVITE.
    """

    PEER_HUNG_UP = "caller hung up"

    def __init__(
        self,
        call: str,
        invite: Request,
        key: str,
        around: Surroundings,
        *,
        source: tuple[str, int],
        now_ns: int,
    ) -> None:
        super().__init__(call, State.INVITED, around)
        self.dialog = Dialog.of_callee(invite, local_tag=call, place=around.place, source=source)
        self._invite = invite
        self._key = key
        self._source = source
        around.layer.respond(key, respond(invite, 100, source=source), now_ns=now_ns)

    def ring(self, *, now_ns: int) -> None:
        """Send 180; harmless once a final answer is given."""
        if self.state is State.INVITED:
            self._say(180, (("Contact", self._around.place.contact),), now_ns=now_ns)

    def answer(self, sdp: bytes, *, headers: tuple[tuple[str, str], ...] = (), now_ns: int) -> None:
        """Send 200 with our description.

        Raises:
            LocalProtocolError: If the call is answered, refused or over.
        """
        if not self._move(Event.ANSWER, now_ns=now_ns):
            raise LocalProtocolError(f"answered while {self.state.name}", rule="RFC 3261 §13.3.1.4")
        self._succeed(self._invite, self._key, sdp, source=self._source, headers=headers, now_ns=now_ns)

    def reject(
        self, status: int, *, reason: str | None, headers: tuple[tuple[str, str], ...], now_ns: int
    ) -> None:
        """Refuse the call.

        Raises:
            LocalProtocolError: If the call is answered, refused or over, or `status` is no refusal.
        """
        if not 300 <= status < 700 or self.state is not State.INVITED:
            raise LocalProtocolError(f"{status} while {self.state.name}", rule="RFC 3261 §13.3.1.3")
        self._say(status, headers, reason=reason, now_ns=now_ns)
        self._report("rejected")
        self._move(Event.REJECT, now_ns=now_ns)

    def cancel(self, *, cause: str = "", now_ns: int) -> None:
        """The caller gave up; too late once we have answered (§9.2)."""
        if self.state is State.INVITED:
            self._say(487, (), now_ns=now_ns)
            self._cause = cause
            self._report("cancelled")
            self._move(Event.CANCEL, now_ns=now_ns)

    def hang_up(self, reason: str, *, now_ns: int) -> None:
        if self.state is State.INVITED:
            self._say(480, (), now_ns=now_ns)
        self._report(reason)
        self._move(Event.HANGUP, now_ns=now_ns)

    def _peer_hung_up(self, *, now_ns: int) -> None:
        if self.state is State.INVITED:
            # A BYE in the early dialog ends the INVITE as well (§15.1.2).
            self._say(487, (), now_ns=now_ns)
        super()._peer_hung_up(now_ns=now_ns)

    def _say(
        self,
        status: int,
        extra: tuple[tuple[str, str], ...],
        *,
        reason: str | None = None,
        now_ns: int,
    ) -> None:
        response = respond(
            self._invite, status, source=self._source, to_tag=self.call, reason=reason, extra=list(extra)
        )
        self._around.layer.respond(self._key, response, now_ns=now_ns)
