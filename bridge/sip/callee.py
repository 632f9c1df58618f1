"""A call that comes in: our side of the INVITE transaction (RFC 3261 §13.3)."""

from bridge.errors import LocalProtocolError, RemoteProtocolError
from bridge.sip.dialog import Dialog, Proposal
from bridge.sip.early_media import authorization_of
from bridge.sip.events import Answered
from bridge.sip.layer import Outcome
from bridge.sip.message import Request, Response, respond
from bridge.sip.methods import ALLOW, SDP_TYPE, Refusal, refusal_of_content
from bridge.sip.reliable import Provisionals, may_be_reliable, must_be_reliable
from bridge.sip.session import Session
from bridge.sip.session_states import Event, State
from bridge.sip.surroundings import Surroundings

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
        self._provisionals = Provisionals(first=around.ids.number(16) + 1, timers=around.layer.timers)
        self._held: tuple[bytes, tuple[tuple[str, str], ...]] | None = None
        """The answer, while something before it is not acknowledged (RFC 3262 §3)."""
        self._is_described = False
        """Whether offer and answer are complete before the 200."""
        self._note_peer(invite)
        around.layer.respond(key, respond(invite, 100, source=source), now_ns=now_ns)

    @property
    def deadline_ns(self) -> int | None:
        due = (super().deadline_ns, self._provisionals.deadline_ns)
        return min((ns for ns in due if ns is not None), default=None)

    def handle_timeout(self, *, now_ns: int) -> None:
        super().handle_timeout(now_ns=now_ns)
        self._release(now_ns=now_ns)
        self._outputs += self._provisionals.take_due(now_ns=now_ns)
        if self._provisionals.is_overdue and self.state is State.INVITED:
            self._say(504, (), now_ns=now_ns)
            self._report("no prack")
            self._move(Event.REJECT, now_ns=now_ns)

    def progress(self, sdp: bytes = b"", *, now_ns: int) -> None:
        """Send 180, or 183 with our description so that we are heard before we answer.

        Harmless once the answer is given. A caller who left the offer to us and wants all this reliably must
        get our offer first (RFC 3261 §13.2.1): it gets no 180 before.
        """
        is_too_early = not (sdp or self._invite.body or self._is_described)
        if self.state is not State.INVITED or self._held is not None:
            return
        if is_too_early and must_be_reliable(self._invite.headers):
            return
        self._sdp = sdp or self._sdp
        self._progress(183 if sdp else 180, sdp, now_ns=now_ns)

    def answer(self, sdp: bytes, *, headers: tuple[tuple[str, str], ...] = (), now_ns: int) -> None:
        """Send 200 with our description, or hold it until all before it is acknowledged.

        Raises:
            LocalProtocolError: If the call is answered, refused or over.
        """
        if self.state is not State.INVITED or self._held is not None:
            raise LocalProtocolError(f"answered while {self.state.name}", rule="RFC 3261 §13.3.1.4")
        if self._is_undecided:
            self._held = sdp, headers
            return
        self._move(Event.ANSWER, now_ns=now_ns)
        # What was agreed before is not said again (RFC 6337 §2.2).
        said, awaits = (b"", False) if self._is_described else (sdp, None)
        self._succeed(
            self._invite,
            self._key,
            said,
            source=self._source,
            headers=headers,
            awaits_answer=awaits,
            now_ns=now_ns,
        )

    @property
    def _refusal_before_answer(self) -> Refusal | None:
        if self.state is not State.INVITED or (self._is_described and not self._provisionals.is_open):
            return None
        return self._too_soon if self._invite.body else (491, [])

    def _progress(self, status: int, sdp: bytes, *, now_ns: int) -> None:
        """Say how far we are, reliably if the caller insists, or if it can and a description is in it."""
        headers = self._invite.headers
        extra = [("Contact", self._around.place.contact), ("Allow", ALLOW)]
        extra += [("Content-Type", SDP_TYPE)] if sdp else []
        # Where the offer is ours nothing is heard before its answer.
        extra += authorization_of(headers, sdp) if sdp and self._invite.body else []
        response = respond(self._invite, status, source=self._source, to_tag=self.call, extra=extra, body=sdp)
        if not (must_be_reliable(headers) or (sdp and may_be_reliable(headers))):
            self._around.layer.respond(self._key, response, now_ns=now_ns)
            return
        destination = self._invite.via.reply_address(self._source)
        is_offer = bool(sdp) and not self._invite.body
        self._is_described |= bool(sdp)
        for ready in self._provisionals.say(
            response, destination=destination, carries_offer=is_offer, now_ns=now_ns
        ):
            self._around.layer.respond(self._key, ready, now_ns=now_ns)

    def _acknowledged_early(
        self, dialog: Dialog, request: Request, key: str, *, source: tuple[str, int], now_ns: int
    ) -> None:
        """Take a PRACK, go on with what waited for it, and with the answer (RFC 3262 §3)."""
        awaited = self._provisionals.awaits_answer
        try:
            ready = self._provisionals.acknowledge(request, self._invite, now_ns=now_ns)
        except RemoteProtocolError:
            self._refuse(request, key, (400, []), source=source, now_ns=now_ns)
            return
        if ready is None or self.state is not State.INVITED:
            self._refuse(request, key, (481, []), source=source, now_ns=now_ns)
            return
        for response in ready:
            self._around.layer.respond(self._key, response, now_ns=now_ns)
        if awaited or not request.body:
            self._agree(request, key, b"", source=source, now_ns=now_ns)
            if awaited:
                self._outputs.append(Answered(self.call, request.body))
        elif (refusal := self._refusal_of_early_offer(request)) is not None:
            self._refuse(request, key, refusal, source=source, now_ns=now_ns)
        else:
            # Answered in its 200 (§5). It does not move the peer: no target refresh (RFC 3261 §12.2).
            self._propose(Proposal(request, source, dialog, dialog.peer), key)
        self._release(now_ns=now_ns)

    def _refusal_of_early_offer(self, request: Request) -> Refusal | None:
        if not self._provisionals.has_described:
            return 488, []  # the first offer has no answer yet
        if self._ours.is_open:
            return 491, []
        return self._too_soon if self._offers else refusal_of_content(request)

    def accept_offer(self, ticket: str, sdp: bytes, *, now_ns: int) -> None:
        super().accept_offer(ticket, sdp, now_ns=now_ns)
        self._release(now_ns=now_ns)

    def refuse_offer(self, ticket: str, status: int, *, now_ns: int) -> None:
        super().refuse_offer(ticket, status, now_ns=now_ns)
        self._release(now_ns=now_ns)

    @property
    def _agreed_early(self) -> Dialog | None:
        is_agreed = self._is_described and not self._provisionals.is_open
        return self.dialog if self.state is State.INVITED and is_agreed else None

    def _changed_early(self, dialog: Dialog, success: Response) -> None:
        """Nothing is to be noted: the 200 has no description any more."""

    def conclude(self, outcome: Outcome, *, now_ns: int) -> None:
        super().conclude(outcome, now_ns=now_ns)
        self._release(now_ns=now_ns)

    def _release(self, *, now_ns: int) -> None:
        """Give the answer that waited, once nothing is before it any more."""
        held = self._held
        if held is not None and self.state is State.INVITED and not self._is_undecided:
            self._held = None
            self.answer(held[0], headers=held[1], now_ns=now_ns)

    @property
    def _is_undecided(self) -> bool:
        """Whether something before the answer is not acknowledged, or an offer of either side not decided."""
        return self._provisionals.is_open or self._ours.is_open or bool(self._offers)

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
        self._provisionals.stop()
        response = respond(
            self._invite, status, source=self._source, to_tag=self.call, reason=reason, extra=list(extra)
        )
        self._around.layer.respond(self._key, response, now_ns=now_ns)
