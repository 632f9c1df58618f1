"""A call that we place: our side of the INVITE transaction (RFC 3261 §13.2, §9.1)."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace

from bridge.errors import LocalProtocolError, RemoteProtocolError
from bridge.hosts import bracketed
from bridge.ports import IdSource
from bridge.sip.dialog import Dialog, LocalPlace
from bridge.sip.digest import CREDENTIAL_FIELDS, DigestClient, carry_credentials
from bridge.sip.events import Established, Place, Progressed, Unserved
from bridge.sip.failover import Servers, is_busy, retry_after_s
from bridge.sip.identity import cause_of, custom_headers
from bridge.sip.layer import Outcome, Send, TransactionLayer
from bridge.sip.message import Headers, Request, Response
from bridge.sip.methods import ALLOW, SDP_TYPE, SUPPORTED, Refusal
from bridge.sip.reason import reason_of
from bridge.sip.redirect import contacts_of
from bridge.sip.reliable import MOST_DIALOGS, Acknowledger
from bridge.sip.session import Session
from bridge.sip.session_states import Event, State
from bridge.sip.surroundings import Surroundings, new_branch

__all__ = ["CallerSession", "UnwantedAnswers"]

_REMEMBERED = 1024


class CallerSession(Session):
    """Sends the INVITE at once; acknowledges every 2xx that comes of it.

    Args:
        command: Whom to call, and with what.
        around: What the session works with.
        others: Where to go next when one server does not serve us, and where that one reaches us.
        now_ns: When.

    Raises:
        LocalProtocolError: If a header field of ours contains a line break.
    """

    PEER_HUNG_UP = "callee hung up"

    def __init__(
        self,
        command: Place,
        around: Surroundings,
        *,
        others: Sequence[tuple[tuple[str, int], LocalPlace]] = (),
        now_ns: int,
    ) -> None:
        super().__init__(command.call, State.CALLING, around)
        self._destination = command.destination
        self._servers = Servers(others, patience_ns=around.failover_ns)
        self._credentials = command.credentials
        self._invite = _invite(command, around, self._timer.ask())
        if command.credentials is not None:
            self.digest = DigestClient(command.credentials, ids=around.ids)
        self._ack: Send | None = None
        self._early = Acknowledger()
        self._early_sdp: dict[str, bytes] = {}
        """Answers that came before the 200, by the tag of who gave them."""
        self._sdp = command.sdp
        self._cancel_by_ns: int | None = None
        self._key = around.layer.request(
            self._invite, destination=command.destination, owner=command.call, now_ns=now_ns
        )
        self._servers.asked(now_ns=now_ns)

    @property
    def deadline_ns(self) -> int | None:
        due = (super().deadline_ns, self._cancel_by_ns, self._servers.deadline_ns)
        return min((ns for ns in due if ns is not None), default=None)

    def handle_timeout(self, *, now_ns: int) -> None:
        super().handle_timeout(now_ns=now_ns)
        if self._cancel_by_ns is not None and now_ns >= self._cancel_by_ns:
            self._cancel_by_ns = None
            self._around.layer.forget(self._key)
            self._move(Event.EXPIRED, now_ns=now_ns)
        if self._servers.deadline_ns is not None and now_ns >= self._servers.deadline_ns:
            self._servers.heard()
            if self.state is State.CALLING:
                self._servers.left[self._key] = False
                self._fails_over(None, now_ns=now_ns)

    def has_left(self, key: str) -> bool:
        return key in self._servers.left

    def hang_up(self, reason: str, *, now_ns: int) -> None:
        self._report(reason)
        if self._move(Event.HANGUP, now_ns=now_ns) and self.state is State.CANCELLING:
            self._cancel(now_ns=now_ns)

    def conclude(self, outcome: Outcome, *, now_ns: int) -> None:
        super().conclude(outcome, now_ns=now_ns)
        if outcome.key == self._key:
            self._servers.heard()
            self._invited(outcome, now_ns=now_ns)
        elif self._servers.left.get(outcome.key) is False and not outcome.is_final:
            # It wakes up late, and another one has the call by now.
            self._servers.left[outcome.key] = True
            self._take_back(outcome.request, now_ns=now_ns)

    def _invited(self, outcome: Outcome, *, now_ns: int) -> None:
        response = outcome.message
        if (response is None or is_busy(response)) and self._fails_over(response, now_ns=now_ns):
            return
        if not isinstance(response, Response):
            self._report(outcome.why or "no answer", status=408)
            self._move(Event.EXPIRED, now_ns=now_ns)
        elif response.status < 200:
            was_abandoned = self.state is State.ABANDONED
            self._move(Event.PROVISIONAL, now_ns=now_ns)
            if was_abandoned:
                self._cancel(now_ns=now_ns)
            elif response.status > 100:
                self._progressed(response, source=outcome.source, now_ns=now_ns)
        elif response.status < 300:
            self._succeeded(response, source=outcome.source, now_ns=now_ns)
        elif (again := self._again(outcome, None) or self._longer(response)) is not None and self._move(
            Event.CHALLENGED, now_ns=now_ns
        ):
            self._invite = again
            self._key = self._around.layer.request(
                again, destination=self._destination, owner=self.call, now_ns=now_ns
            )
        else:
            self._cause, self._contacts = cause_of(response.headers), contacts_of(response)
            self._report(f"{response.status} {response.reason}".strip(), status=response.status)
            self._move(Event.FAILURE, now_ns=now_ns)

    def _fails_over(self, response: Request | Response | None, *, now_ns: int) -> bool:
        """Take the INVITE to the next server, as the same call (RFC 3263 §4.3); False if there is none."""
        wait_s = retry_after_s(response) if isinstance(response, Response) else 0
        unserved = Unserved(self.call, self._destination, wait_s)
        # Who rings already when its connection breaks is not to ring a second time elsewhere.
        may_move = response is not None or self.state is State.CALLING
        if not (may_move and self._servers and self._move(Event.UNSERVED, now_ns=now_ns)):
            self._outputs.append(unserved)
            return False
        self._destination, place = self._servers.take()
        self._outputs.append(replace(unserved, following=self._destination))
        self._around = replace(self._around, place=place)
        self._early, self._early_sdp = Acknowledger(), {}
        if self._credentials is not None:
            # What one server challenged with says nothing to another.
            self.digest = DigestClient(self._credentials, ids=self._around.ids)
        fields = self._invite.headers.without("Via", "Contact", *CREDENTIAL_FIELDS)
        headers = Headers([("Via", place.via(new_branch(self._around.ids))), *fields])
        headers.add("Contact", place.contact)
        self._invite = Request("INVITE", self._invite.uri, headers, self._invite.body)
        self._key = self._around.layer.request(
            self._invite, destination=self._destination, owner=self.call, now_ns=now_ns
        )
        self._servers.asked(now_ns=now_ns)
        return True

    def _progressed(self, response: Response, *, source: tuple[str, int] | None, now_ns: int) -> None:
        """Tell how far the call is, and acknowledge what must be (RFC 3262 §4)."""
        around = self._around
        is_new, prack, destination = self._early.take(
            response, self._invite, place=around.place, source=source, branch=new_branch(around.ids)
        )
        if prack is not None:
            around.layer.request(prack, destination=destination, owner=self.call, now_ns=now_ns)
        if is_new:
            tag = response.to.tag
            if response.body and (tag in self._early_sdp or len(self._early_sdp) < MOST_DIALOGS):
                self._early_sdp[tag] = response.body
            if response.headers.all("Allow"):
                self._note_peer(response)
            self._outputs.append(Progressed(self.call, response.status, response.body, tag))

    def _longer(self, response: Response) -> Request | None:
        """The INVITE with the longer session interval that a 422 asks for (RFC 4028 §7.3)."""
        if not self._timer.raised(response):
            return None
        return self._renewed(self._invite, number=self._invite.cseq.number + 1)

    def _dialog_of(self, request: Request) -> Dialog | None:
        if self.dialog is not None or request.method != "UPDATE":
            return self.dialog
        return self._early.dialog(request.from_.tag)

    def _dialog_with(self, tag: str) -> Dialog | None:
        is_settled = self.dialog is not None and self.dialog.remote_tag == tag
        return self.dialog if is_settled else self._early.dialog(tag)

    @property
    def _agreed_early(self) -> Dialog | None:
        return self._early.answered if self.state is State.PROCEEDING else None

    def _changed_early(self, dialog: Dialog, success: Response) -> None:
        self._early_sdp[dialog.remote_tag] = success.body

    @property
    def _refusal_before_answer(self) -> Refusal | None:
        # Our offer stands until its answer has come reliably, be it with the 200.
        return None if self.dialog is not None or self._early.answered is not None else (491, [])

    def _succeeded(self, response: Response, *, source: tuple[str, int] | None, now_ns: int) -> None:
        if self._ack is not None:
            # Our ACK was lost: every repeated 2xx gets one (§13.2.2.4).
            self._outputs.append(self._ack)
            return
        place = self._around.place
        try:
            dialog = Dialog.of_caller(self._invite, response, place=place, source=source)
        except RemoteProtocolError as error:
            # Without a Contact there is nobody to send an ACK or a BYE to.
            self._report(str(error))
            self._move(Event.FAILURE, now_ns=now_ns)
            return
        if (early := self._early.dialog(dialog.remote_tag)) is not None:
            dialog.local_seq, dialog.remote_seq = early.local_seq, early.remote_seq
        if self._ours.asks != dialog.remote_tag:
            self._outputs += self._ours.close()  # another phone of the fork was asked
        self.dialog = dialog
        self._note_peer(response)
        self._timer.agreed(response, now_ns=now_ns)
        ack = dialog.ack(self._invite.cseq.number, branch=new_branch(self._around.ids))
        self._ack = Send(bytes(carry_credentials(self._invite, ack)), dialog.destination)
        self._outputs.append(self._ack)
        self._cancel_by_ns = None
        self._move(Event.SUCCESS, now_ns=now_ns)
        if self.state is State.CONFIRMED:
            custom, tag = custom_headers(response.headers), dialog.remote_tag
            early_sdp, has_agreed = self._early_sdp.get(tag, b""), self._early.has_answer(tag)
            # After a reliable answer a description in the 200 is none (RFC 3261 §13.2.1).
            sdp = early_sdp if has_agreed else response.body or early_sdp
            agreed_with = tag if has_agreed else ""
            self._outputs.append(Established(self.call, sdp, dialog.target.text, custom, agreed_with))

    def _cancel(self, *, now_ns: int) -> None:
        """Take the INVITE back; it then ends with 487, or after 64·T1 without a word (§9.1)."""
        self._take_back(self._invite, now_ns=now_ns)
        self._cancel_by_ns = now_ns + self._around.layer.timers.give_up_ns

    def _take_back(self, invite: Request, *, now_ns: int) -> None:
        headers = Headers([("Via", str(invite.via)), ("Max-Forwards", "70")])
        for name in ("Route", "From", "To", "Call-ID"):
            for value in invite.headers.all(name):
                headers.add(name, value)
        headers.add("CSeq", f"{invite.cseq.number} CANCEL")
        if reason := reason_of(self._why):
            headers.add("Reason", reason)
        cancel = Request("CANCEL", invite.uri, headers)
        # It goes where its INVITE went, whoever has the call now.
        self._around.layer.request(cancel, destination=self._destination, owner=self.call, now_ns=now_ns)


class UnwantedAnswers:
    """Every 2xx that nobody wants any more: from a second branch of a fork, or after the call is over.

    Each gets its ACK, and the dialog that it made one BYE (§13.2.2.4).

    Args:
        layer: What the BYEs go through, owned by nobody.
        ids: For branches.
    """

    def __init__(self, layer: TransactionLayer, ids: IdSource) -> None:
        self._layer = layer
        self._ids = ids
        self._acks: OrderedDict[tuple[str, str], Send] = OrderedDict()

    def decline(self, outcome: Outcome, response: Response, *, now_ns: int) -> list[Send]:
        """Acknowledge it and, the first time, hang up; returns the ACK."""
        name = outcome.key, response.to.tag
        if name not in self._acks:
            invite = outcome.request
            place = LocalPlace(invite.via.host, invite.via.port or 0, transport=invite.via.transport)
            try:
                dialog = Dialog.of_caller(invite, response, place=place, source=outcome.source)
            except RemoteProtocolError:
                return []
            ack = dialog.ack(invite.cseq.number, branch=new_branch(self._ids))
            self._acks[name] = Send(bytes(carry_credentials(invite, ack)), dialog.destination)
            bye = dialog.request("BYE", branch=new_branch(self._ids))
            self._layer.request(bye, destination=dialog.destination, owner="", now_ns=now_ns)
            if len(self._acks) > _REMEMBERED:
                self._acks.popitem(last=False)
        return [self._acks[name]]


def _invite(command: Place, around: Surroundings, fields: list[tuple[str, str]]) -> Request:
    place = around.place
    headers = Headers([("Via", place.via(new_branch(around.ids))), ("Max-Forwards", "70")])
    domain = bracketed(command.from_domain) or f"{place.host}:{place.port}"
    headers.add("From", f"<sip:{command.from_user}@{domain}>;tag={command.call}")
    headers.add("To", f"<{command.uri}>")
    headers.add("Call-ID", command.call_id)
    headers.add("CSeq", "1 INVITE")
    headers.add("Contact", place.contact)
    headers.add("Allow", ALLOW)
    headers.add("Supported", ", ".join(SUPPORTED))
    for name, value in fields:
        headers.add(name, value)
    headers.add("User-Agent", place.user_agent)
    for name, value in command.headers:
        headers.add(name, value)
    headers.add("Content-Type", SDP_TYPE)
    texts = [command.uri, command.from_user, domain, *(text for field in command.headers for text in field)]
    if any(char in text for text in texts for char in "\r\n\0"):
        raise LocalProtocolError("a line break in a header field of ours", rule="RFC 3261 §7.3.1")
    return Request("INVITE", command.uri, headers, command.sdp)
