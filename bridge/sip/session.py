"""One call from its INVITE to its BYE: what both sides of it share (RFC 3261 §12 to §15)."""

from abc import ABC, abstractmethod
from typing import ClassVar

from bridge.errors import RemoteProtocolError
from bridge.sip.answers import UnackedAnswers
from bridge.sip.dialog import Dialog, Proposal
from bridge.sip.digest import DigestClient
from bridge.sip.events import Answered, Ended, Established, Gone, Offered, Output, Pressed, Reoffered
from bridge.sip.flow import is_reliable
from bridge.sip.identity import cause_of
from bridge.sip.info import key_of, refusal_of_info
from bridge.sip.layer import Outcome, Send
from bridge.sip.message import Headers, Request, Response, respond
from bridge.sip.methods import (
    ALLOW,
    SDP_TYPE,
    SUPPORTED,
    Refusal,
    refusal_of_content,
    refusal_of_extensions,
    refusal_of_method,
)
from bridge.sip.reason import reason_of
from bridge.sip.redirect import Contact
from bridge.sip.refer_events import ReferralCommand, Texted
from bridge.sip.reoffer import OurOffers, Wanted
from bridge.sip.replaces import Replaces
from bridge.sip.session_states import TRANSITIONS, Event, State
from bridge.sip.session_timer import Due, SessionTimer
from bridge.sip.subscription import Transfers
from bridge.sip.surroundings import Surroundings, new_branch
from bridge.sip.texting import refusal_of_text, text_of

__all__ = ["Session"]


class Session(ABC):
    """One call's dialog, and the answer to everything that belongs to it.

    Args:
        call: Name of the call, and our tag in its dialog.
        state: Where it starts.
        around: What it works with.
    """

    PEER_HUNG_UP: ClassVar[str]
    """Reason to report when the peer ends the call."""

    def __init__(self, call: str, state: State, around: Surroundings) -> None:
        self.call: str = call
        self.state: State = state
        self.dialog: Dialog | None = None
        self.digest: DigestClient | None = None
        """Answers challenges to our requests; None gives up on them."""
        self._around = around
        self._answers = UnackedAnswers(around.layer.timers)
        self._offers: dict[str, Proposal] = {}
        self._ours = OurOffers(call, around.layer, around.ids, is_owner=state is State.CALLING)
        self._timer = SessionTimer(around.timer)
        self._sdp = b""
        """Our last description that was sent, for a refresh."""
        self._takes_update = False
        self._outputs: list[Output] = []
        self._transfers = Transfers(call, around.layer, around.ids)
        self._is_reported = False
        self._cause = ""
        self._why = ""
        self._contacts: tuple[Contact, ...] = ()

    @property
    def deadline_ns(self) -> int | None:
        """When to call `handle_timeout`; None while nothing is pending."""
        due = [self._answers.deadline_ns]
        # Nothing is refreshed or asked again in a call that ends: its BYE has timers of its own.
        if self._changeable is not None:
            due.append(self._ours.deadline_ns)
        if self.state is State.CONFIRMED:
            due.append(self._timer.deadline_ns)
        return min((ns for ns in due if ns is not None), default=None)

    def handle_timeout(self, *, now_ns: int) -> None:
        """Repeat a 2xx without ACK, refresh the session, or give the call up; harmless when early."""
        sends, is_overdue = self._answers.take_due(now_ns=now_ns)
        self._outputs += sends
        if is_overdue:
            self._answers.clear()
            self._report("no ack")
            self._move(Event.UNACKED, now_ns=now_ns)
        if (dialog := self._changeable) is not None:
            outputs = self._ours.handle_timeout(dialog, self._asked, is_free=self._is_free, now_ns=now_ns)
            self._tell(outputs, now_ns=now_ns)
        if self.state is State.CONFIRMED:
            self._keep_alive(now_ns=now_ns)

    def drain(self) -> list[Output]:
        """Outputs since the last call, in order."""
        outputs, self._outputs = self._outputs, []
        return outputs

    def has_left(self, key: str) -> bool:
        """Whether a transaction is one with a server that was left for another; see `CallerSession`."""
        return False

    @abstractmethod
    def hang_up(self, reason: str, *, now_ns: int) -> None:
        """End the call in the way that its state asks for; harmless when it is over."""

    def conclude(self, outcome: Outcome, *, now_ns: int) -> None:
        """Take what a transaction of this call has to say."""
        if outcome.request.method in ("INVITE", "UPDATE"):
            self._decided(outcome, now_ns=now_ns)
            return
        if outcome.request.method not in ("BYE", "REFER", "NOTIFY", "PRACK") or not outcome.is_final:
            return
        dialog = self._dialog_with(outcome.request.to.tag)
        if dialog is not None and (again := self._again(outcome, dialog)) is not None:
            self._transfers.sent_again(again)
            self._around.layer.request(again, destination=dialog.destination, owner=self.call, now_ns=now_ns)
        elif outcome.request.method == "BYE":
            self._move(Event.BYE_DONE, now_ns=now_ns)
        else:
            self._outputs += self._transfers.conclude(outcome)

    def _again(self, outcome: Outcome, dialog: Dialog | None) -> Request | None:
        """The request with credentials, if that is what its answer asks for (§22.2)."""
        response, request = outcome.message, outcome.request
        if self.digest is None or not isinstance(response, Response):
            return None
        if not self.digest.challenged(response, request):
            return None
        number = 1 + max(request.cseq.number, dialog.local_seq if dialog is not None else 0)
        if dialog is not None:
            dialog.local_seq = number
        return self.digest.again(request, number=number, branch=new_branch(self._around.ids))

    def receive(self, request: Request, key: str, *, source: tuple[str, int], now_ns: int) -> None:
        """Serve a request within the dialog; an ACK has no key."""
        dialog = self._dialog_of(request)
        if dialog is None or not dialog.has(request):
            self._refuse(request, key, (481, []), source=source, now_ns=now_ns)
            return
        if is_reliable(source):
            dialog.flow = source
        if request.method == "ACK":
            self._acknowledged(request, now_ns=now_ns)
        elif not dialog.admits(request):
            # Older than what was already seen (§12.2.2).
            self._refuse(request, key, (500, []), source=source, now_ns=now_ns)
        elif (refusal := refusal_of_method(request) or refusal_of_extensions(request)) is not None:
            self._refuse(request, key, refusal, source=source, now_ns=now_ns)
        elif request.method == "BYE":
            self._around.layer.respond(key, respond(request, 200, source=source), now_ns=now_ns)
            self._cause = cause_of(request.headers)
            self._peer_hung_up(now_ns=now_ns)
        elif request.method == "INFO":
            self._informed(request, key, source=source, now_ns=now_ns)
        elif request.method in ("REFER", "NOTIFY", "MESSAGE"):
            self._extended(request, key, source=source, now_ns=now_ns)
        elif request.method in ("INVITE", "UPDATE"):
            self._reinvited(dialog, request, key, source=source, now_ns=now_ns)
        elif request.method == "PRACK":
            self._acknowledged_early(dialog, request, key, source=source, now_ns=now_ns)
        else:
            extra = [("Allow", ALLOW), ("Accept", SDP_TYPE)]
            self._around.layer.respond(key, respond(request, 200, source=source, extra=extra), now_ns=now_ns)

    def refusal_to_yield(self, wanted: Replaces) -> int:
        """Why nobody may take this call's place, as a status; 0 if the one who asks may (RFC 3891 §3)."""
        dialog = self.dialog
        if dialog is None or (dialog.call_id, dialog.remote_tag) != (wanted.call_id, wanted.from_tag):
            return 481
        if self.state in (State.ENDING, State.CLOSING):
            return 603
        if self.state is State.INVITED:
            return 481  # early, and not ours to give away
        return 486 if wanted.is_early_only else 0

    def refer(self, command: ReferralCommand, replaces: Replaces | None, *, now_ns: int) -> None:
        """Carry out what is to become of a transfer, ours or theirs."""
        dialog = self.dialog if self.state in (State.CONFIRMED, State.ANSWERED) else None
        self._outputs += self._transfers.command(command, replaces, dialog, now_ns=now_ns)

    def _extended(self, request: Request, key: str, *, source: tuple[str, int], now_ns: int) -> None:
        """Serve what comes beside the call itself: transfers and texts."""
        refusal: Refusal | None = (481, [])
        if self.state in (State.CONFIRMED, State.ANSWERED):
            refusal = refusal_of_text(request) if request.method == "MESSAGE" else None
        if refusal is not None:
            self._refuse(request, key, refusal, source=source, now_ns=now_ns)
        elif request.method == "MESSAGE":
            self._around.layer.respond(key, respond(request, 200, source=source), now_ns=now_ns)
            self._outputs.append(Texted(self.call, text_of(request)))
        else:
            self._outputs += self._transfers.receive(request, key, source=source, now_ns=now_ns)

    def _peer_hung_up(self, *, now_ns: int) -> None:
        self._report(self.PEER_HUNG_UP)
        self._move(Event.BYE, now_ns=now_ns)

    def accept_offer(self, ticket: str, sdp: bytes, *, now_ns: int) -> None:
        """Answer an offer of the peer; nothing happens if the call has ended meanwhile."""
        if (pending := self._offers.pop(ticket, None)) is None:
            return
        pending.dialog.peer = pending.peer
        if pending.request.method == "INVITE":
            self._succeed(pending.request, ticket, sdp, source=pending.source, now_ns=now_ns)
        else:
            self._agree(pending.request, ticket, sdp, source=pending.source, now_ns=now_ns)

    def refuse_offer(self, ticket: str, status: int, *, now_ns: int) -> None:
        """Refuse a re-INVITE; the session stays as it was."""
        if (pending := self._offers.pop(ticket, None)) is not None:
            self._refuse(pending.request, ticket, (status, []), source=pending.source, now_ns=now_ns)

    def _informed(self, request: Request, key: str, *, source: tuple[str, int], now_ns: int) -> None:
        """Take a key, or whatever else an INFO without a body may be good for."""
        is_over = self.state in (State.ENDING, State.CLOSING)
        refusal = (481, []) if is_over else refusal_of_info(request)
        try:
            pressed = key_of(request) if refusal is None else None
        except RemoteProtocolError:
            pressed, refusal = None, (400, [])
        if refusal is not None:
            self._refuse(request, key, refusal, source=source, now_ns=now_ns)
            return
        self._around.layer.respond(key, respond(request, 200, source=source), now_ns=now_ns)
        if pressed is not None and pressed.digit:
            self._outputs.append(Pressed(self.call, pressed.digit, pressed.duration_ms))

    def reoffer(self, ticket: str, sdp: bytes, *, now_ns: int) -> None:
        """Ask the peer for a change; `Reoffered` tells what came of it."""
        if (dialog := self._changeable) is None:
            self._outputs.append(Reoffered(self.call, ticket, 487, b""))
            return
        self._sdp = sdp
        wanted = Wanted(ticket, sdp, "INVITE" if self.state is State.CONFIRMED else "UPDATE")
        self._outputs += self._ours.begin(wanted, dialog, self._asked, is_free=self._is_free, now_ns=now_ns)

    def offer(self, ticket: str, sdp: bytes, *, now_ns: int) -> None:
        """Send what `OfferDue` asked for; nothing happens if the call has ended meanwhile."""
        if self.dialog is not None and self._ours.offer(
            ticket, sdp, self.dialog, self._timer.ask(), now_ns=now_ns
        ):
            self._sdp = sdp

    @property
    def _changeable(self) -> Dialog | None:
        """The dialog that a change of ours may be asked for in, if there is one by now."""
        if self.state is State.CONFIRMED:
            return self.dialog
        return self._agreed_early if self._takes_update else None

    @property
    @abstractmethod
    def _agreed_early(self) -> Dialog | None:
        """Where offer and answer are complete though the INVITE is not answered (RFC 3311 §5.1)."""

    @property
    def _asked(self) -> list[tuple[str, str]]:
        """Fields of a change of ours; before the answer there is nothing to refresh (RFC 4028 §7.2)."""
        return self._timer.ask() if self.state is State.CONFIRMED else []

    @property
    def _is_free(self) -> bool:
        """Whether no offer of the peer's, nor one of ours in a 200, is undecided."""
        return not self._offers and not self._answers.is_open

    def _keep_alive(self, *, now_ns: int) -> None:
        """Refresh the session in time, or end it when its time is over (RFC 4028 §10)."""
        due = self._timer.take_due(now_ns=now_ns)
        if due is Due.GIVE_UP:
            self.hang_up("session expired", now_ns=now_ns)
        elif due is Due.REFRESH and self.dialog is not None and not self._ours.is_wanted:
            wanted = Wanted("", b"", "UPDATE") if self._takes_update else Wanted("", self._sdp)
            self._outputs += self._ours.begin(
                wanted, self.dialog, self._timer.ask(), is_free=self._is_free, now_ns=now_ns
            )

    def _decided(self, outcome: Outcome, *, now_ns: int) -> None:
        """Take what the peer said to a change of ours."""
        if (dialog := self._dialog_with(outcome.request.to.tag)) is None:
            return
        outputs, success = self._ours.conclude(outcome, dialog, self._once_more, now_ns=now_ns)
        if success is not None and self.state is not State.CONFIRMED:
            self._changed_early(dialog, success)
        elif success is not None:
            self._timer.agreed(success, now_ns=now_ns)
            self._note_peer(success)
            if outcome.request.body and not any(isinstance(output, Reoffered) for output in outputs):
                outputs.append(Answered(self.call, success.body))
        elif outcome.is_final and not self._ours.is_wanted:
            if isinstance(outcome.message, Response) and outcome.message.status in (405, 501):
                self._takes_update = False  # the next try is a re-INVITE
            if self.state is State.CONFIRMED:
                self._timer.failed(now_ns=now_ns)
        self._tell(outputs, now_ns=now_ns)

    def _once_more(self, outcome: Outcome) -> Request | None:
        """A change with what its answer asks for: credentials, or a longer interval (RFC 4028 §7.4)."""
        dialog = self._dialog_with(outcome.request.to.tag)
        if (again := self._again(outcome, dialog)) is not None or dialog is None:
            return again
        if not isinstance(outcome.message, Response) or not self._timer.raised(outcome.message):
            return None
        dialog.local_seq += 1
        return self._renewed(outcome.request, number=dialog.local_seq)

    @abstractmethod
    def _changed_early(self, dialog: Dialog, success: Response) -> None:
        """Take note that a change of ours was accepted before the answer to the INVITE."""

    def _renewed(self, request: Request, *, number: int) -> Request:
        """The request with the session interval that is right by now, as a transaction of its own."""
        fields = request.headers.without("Via", "CSeq", "Session-Expires", "Min-SE")
        headers = Headers([("Via", self._around.place.via(new_branch(self._around.ids))), *fields])
        headers.add("CSeq", f"{number} {request.method}")
        for name, value in self._timer.ask():
            headers.add(name, value)
        return Request(request.method, request.uri, headers, request.body)

    def _tell(self, outputs: list[Output], *, now_ns: int) -> None:
        """Pass on what came of a change of ours; the end of the call is ours to make."""
        is_gone = any(isinstance(output, Ended) for output in outputs)
        self._outputs += [output for output in outputs if not isinstance(output, Ended)]
        if is_gone:
            self.hang_up("the other side knows no such call", now_ns=now_ns)

    def _note_peer(self, message: Request | Response) -> None:
        """Learn from a message that makes or refreshes the dialog what its sender can do."""
        if (allowed := message.headers.all("Allow")) or isinstance(message, Response):
            self._takes_update = "UPDATE" in ",".join(allowed).replace(" ", "").upper().split(",")

    def _dialog_of(self, request: Request) -> Dialog | None:
        """The dialog that a request may be of; who calls has several before the answer."""
        return self.dialog

    def _dialog_with(self, tag: str) -> Dialog | None:
        """The dialog with the one who has this tag."""
        return self.dialog

    @property
    @abstractmethod
    def _refusal_before_answer(self) -> Refusal | None:
        """Why the first offer and answer are in the way of another offer (RFC 3311 §5.2)."""

    def _acknowledged_early(
        self, dialog: Dialog, request: Request, key: str, *, source: tuple[str, int], now_ns: int
    ) -> None:
        """A PRACK; only a callee has anything to acknowledge."""
        self._refuse(request, key, (481, []), source=source, now_ns=now_ns)

    def _reinvited(
        self, dialog: Dialog, request: Request, key: str, *, source: tuple[str, int], now_ns: int
    ) -> None:
        if (refusal := self._refusal_of_change(request)) is not None:
            self._refuse(request, key, refusal, source=source, now_ns=now_ns)
            return
        try:
            peer = dialog.whereabouts(request, source=source)
        except RemoteProtocolError:
            self._refuse(request, key, (400, []), source=source, now_ns=now_ns)
            return
        self._note_peer(request)
        if request.method == "UPDATE" and not request.body:
            # A refresh, of the session or of where the peer is (RFC 3311 §5.2).
            dialog.peer = peer
            self._agree(request, key, b"", source=source, now_ns=now_ns)
            return
        self._propose(Proposal(request, source, dialog, peer), key)

    def _propose(self, offer: Proposal, key: str) -> None:
        """Let an offer of the peer be decided, by `accept_offer` or `refuse_offer`."""
        self._offers[key] = offer
        self._outputs.append(Offered(self.call, key, offer.request.body))

    def _refusal_of_change(self, request: Request) -> Refusal | None:
        if self.state in (State.ENDING, State.CLOSING):
            return 481, []
        if self._ours.is_open or (self._answers.awaits_answer and request.body):
            return 491, []
        is_offer = request.method == "INVITE" or bool(request.body)
        is_early = self.state is State.INVITED and request.method == "INVITE"
        if is_early or (self._offers and is_offer):
            return self._too_soon
        if is_offer and (refusal := self._refusal_before_answer) is not None:
            return refusal
        return self._timer.refusal(request) or refusal_of_content(request)

    @property
    def _too_soon(self) -> Refusal:
        """One at a time; the peer may try again in a moment (§14.2, RFC 3311 §5.2)."""
        return 500, [("Retry-After", str(self._around.ids.number(16) % 11))]

    def _acknowledged(self, request: Request, *, now_ns: int) -> None:
        answer = self._answers.acknowledge(request.cseq.number)
        if answer is None:
            return
        is_first = self.state is State.ANSWERED
        self._move(Event.ACK, now_ns=now_ns)
        if answer.awaits_answer and not request.body:
            self.hang_up("no answer to our offer", now_ns=now_ns)
        elif is_first and self.dialog is not None:
            self._outputs.append(Established(self.call, request.body, self.dialog.target.text))
        elif answer.awaits_answer:
            self._outputs.append(Answered(self.call, request.body))

    def _agree(self, request: Request, key: str, sdp: bytes, *, source: tuple[str, int], now_ns: int) -> None:
        """Answer an UPDATE or a PRACK with 200."""
        self._sdp = sdp or self._sdp
        extra: list[tuple[str, str]] = []
        if request.method == "UPDATE":
            extra += [*self._common(), *self._timer.agree(request, now_ns=now_ns)]
        extra += [("Content-Type", SDP_TYPE)] if sdp else []
        success = respond(request, 200, source=source, to_tag=self.call, extra=extra, body=sdp)
        self._around.layer.respond(key, success, now_ns=now_ns)

    def _common(self) -> list[tuple[str, str]]:
        """Header fields of every answer that makes or refreshes the dialog."""
        place = self._around.place
        return [
            ("Contact", place.contact),
            ("Allow", ALLOW),
            ("Server", place.user_agent),
            ("Supported", ", ".join(SUPPORTED)),
        ]

    def _succeed(
        self,
        invite: Request,
        key: str,
        sdp: bytes,
        *,
        source: tuple[str, int],
        now_ns: int,
        headers: tuple[tuple[str, str], ...] = (),
        awaits_answer: bool | None = None,
    ) -> None:
        """Answer an INVITE with 200, and go on doing so until its ACK comes."""
        self._sdp = sdp or self._sdp
        extra = [*self._common(), *self._timer.agree(invite, now_ns=now_ns), *headers]
        extra += [("Content-Type", SDP_TYPE)] if sdp else []
        success = respond(invite, 200, source=source, to_tag=self.call, extra=extra, body=sdp)
        self._around.layer.respond(key, success, now_ns=now_ns)
        send = Send(bytes(success), invite.via.reply_address(source))
        awaits = not invite.body if awaits_answer is None else awaits_answer
        self._answers.add(invite.cseq.number, send, awaits_answer=awaits, now_ns=now_ns)

    def _refuse(
        self, request: Request, key: str, refusal: Refusal, *, source: tuple[str, int], now_ns: int
    ) -> None:
        if request.method == "ACK":
            return
        status, extra = refusal
        refused = respond(request, status, source=source, to_tag=self.call, extra=extra)
        self._around.layer.respond(key, refused, now_ns=now_ns)

    def _move(self, event: Event, *, now_ns: int) -> bool:
        """Take the step of the table, and do what entering its state means."""
        before = self.state
        if event not in TRANSITIONS[before]:
            return False
        self.state = TRANSITIONS[before][event]
        if self.state is State.ENDING and self.dialog is not None:
            self._answers.clear()
            bye = self.dialog.request("BYE", branch=new_branch(self._around.ids))
            if reason := reason_of(self._why):
                bye.headers.add("Reason", reason)
            self._around.layer.request(
                bye, destination=self.dialog.destination, owner=self.call, now_ns=now_ns
            )
        if self.state is State.ENDED:
            self._answers.clear()
            self._timer.stop()
            self._outputs += self._ours.close()
            self._transfers.close(now_ns=now_ns)
            for ticket in list(self._offers):
                self.refuse_offer(ticket, 487, now_ns=now_ns)
            self._outputs.append(Gone(self.call))
        return True

    def _report(self, reason: str, *, status: int = 0) -> None:
        """Tell the end of the call, once."""
        if not self._is_reported:
            self._why = reason
            self._is_reported = True
            self._outputs.append(Ended(self.call, reason, status, self._cause, self._contacts))
