"""The transfers of one call: REFER both ways, and the NOTIFYs that tell what became of it (RFC 3515)."""

from dataclasses import dataclass

from bridge.errors import RemoteProtocolError
from bridge.ports import IdSource
from bridge.sip.dialog import Dialog
from bridge.sip.layer import Outcome, TransactionLayer
from bridge.sip.message import Request, Response, respond
from bridge.sip.refer import (
    FRAGMENT_TYPE,
    NO_SUBSCRIPTION,
    Progress,
    Referral,
    fragment,
    progress_of,
    refer_to,
    referral_of,
)
from bridge.sip.refer_events import (
    AcceptReferral,
    Refer,
    ReferralCommand,
    Referred,
    RefuseReferral,
    TellReferral,
    Transferring,
)
from bridge.sip.replaces import EXTENSION, Replaces

__all__ = ["Transfers"]

_MOST = 8
"""REFERs that one call may bring in its life; who needs more is playing with us."""
_NOBODY_LISTENS = (405, 408, 481, 489, 501)
"""Answers to a NOTIFY that end its subscription (RFC 6665 §4.2.2); a 500 is one that others overtook."""
_LASTS_S = 180
"""How long we promise to tell what becomes of one."""


@dataclass(slots=True)
class _Theirs:
    """A REFER that we got."""

    request: Request
    key: str
    source: tuple[str, int]
    referral: Referral
    is_accepted: bool = False


class Transfers:
    """What one dialog has going, one transfer a direction at a time.

    Args:
        call: Name of the call.
        layer: Answers their requests, and sends ours.
        ids: For branches.
    """

    def __init__(self, call: str, layer: TransactionLayer, ids: IdSource) -> None:
        self._call = call
        self._layer = layer
        self._ids = ids
        self._ours: set[int] = set()
        """CSeq numbers of the REFER that is being carried out for us, with credentials and without."""
        self._theirs: dict[str, _Theirs] = {}
        self._received = 0

    def command(
        self,
        command: ReferralCommand,
        replaces: Replaces | None,
        dialog: Dialog | None,
        *,
        now_ns: int,
    ) -> list[Transferring]:
        """Carry out a command.

        Args:
            command: Which.
            replaces: For `Refer`, the call there whose place is to be taken.
            dialog: What requests go through; None while the call does not stand.
            now_ns: When.
        """
        match command, dialog:
            case Refer(target=target), Dialog():
                self._refer(dialog, target, replaces, now_ns=now_ns)
            case Refer(call=call), None:
                reason = "the call does not stand"
                return [Transferring(call, 481, reason, is_over=True, is_accepted=False)]
            case AcceptReferral(ticket=ticket), Dialog():
                self._accept(dialog, ticket, now_ns=now_ns)
            case RefuseReferral(ticket=ticket, status=status), _:
                self._refuse(ticket, status, now_ns=now_ns)
            case TellReferral(ticket=ticket, status=status, reason=reason), Dialog():
                self._report(dialog, ticket, status, reason, now_ns=now_ns)
        return []

    def _refer(self, dialog: Dialog, target: str, replaces: Replaces | None, *, now_ns: int) -> None:
        """Send a REFER; what an earlier one still comes to is not told any more."""
        fields = [
            ("Refer-To", refer_to(target, replaces)),
            ("Referred-By", dialog.local),
            ("Supported", f"{EXTENSION}, {NO_SUBSCRIPTION}"),
        ]
        self._ours = {self._ask(dialog, "REFER", fields, b"", now_ns=now_ns)}

    def sent_again(self, request: Request) -> None:
        """Note the number of a REFER that went out once more, with credentials."""
        if request.method == "REFER":
            self._ours.add(request.cseq.number)

    def conclude(self, outcome: Outcome) -> list[Transferring]:
        """Take the final answer to a REFER or NOTIFY of ours, or that there is none."""
        response = outcome.message
        status, reason = (response.status, response.reason) if isinstance(response, Response) else (408, "")
        if outcome.request.method == "NOTIFY":
            if status in _NOBODY_LISTENS:
                self._theirs = {key: each for key, each in self._theirs.items() if not each.is_accepted}
            return []
        if outcome.request.cseq.number not in self._ours:
            return []  # a NOTIFY was quicker and said it all, or another REFER has taken its place
        is_silent = isinstance(response, Response) and _is_silent(response)
        if status >= 300 or is_silent:
            self._ours.clear()
        return [Transferring(self._call, status, reason, status >= 300 or is_silent, status < 300)]

    def receive(
        self, request: Request, key: str, *, source: tuple[str, int], now_ns: int
    ) -> list[Referred | Transferring]:
        """Serve a NOTIFY, or a REFER, which a command answers later if it can be followed at all."""
        try:
            if request.method == "NOTIFY":
                return [self._notified(request, key, source=source, now_ns=now_ns)]
            return [self._referred(request, key, source=source)]
        except _RefusedError as error:
            extra = error.extra
            self._layer.respond(
                key, respond(request, error.status, source=source, extra=extra), now_ns=now_ns
            )
        except RemoteProtocolError:
            self._layer.respond(key, respond(request, 400, source=source), now_ns=now_ns)
        return []

    def _notified(self, notify: Request, key: str, *, source: tuple[str, int], now_ns: int) -> Transferring:
        event, _, parameters = (notify.headers.get("Event") or "").partition(";")
        if event.strip().lower() != "refer":
            raise _RefusedError(489, [("Allow-Events", "refer")])
        name, _, number = parameters.strip().partition("=")
        is_other = name.strip().lower() == "id" and number.strip() not in map(str, self._ours)
        if not self._ours or is_other:
            raise _RefusedError(481)
        progress: Progress = progress_of(notify)
        self._layer.respond(key, respond(notify, 200, source=source), now_ns=now_ns)
        if progress.is_over:
            self._ours.clear()
        return Transferring(self._call, progress.status, progress.reason, progress.is_over)

    def _referred(self, refer: Request, key: str, *, source: tuple[str, int]) -> Referred:
        referral = referral_of(refer)
        if referral.target.scheme not in ("sip", "sips"):
            raise _RefusedError(416)
        if (referral.target.parameter("method") or "INVITE").upper() != "INVITE":
            raise _RefusedError(403)
        if self._theirs:
            raise _RefusedError(491)
        if self._received >= _MOST:
            raise _RefusedError(403)
        self._received += 1
        self._theirs[key] = _Theirs(refer, key, source, referral)
        replaces = "" if referral.replaces is None else str(referral.replaces)
        return Referred(self._call, key, referral.target.text, replaces, referral.referred_by, source)

    def _accept(self, dialog: Dialog, ticket: str, *, now_ns: int) -> None:
        """Answer a REFER with 202 and a first NOTIFY; nothing happens if it is gone."""
        theirs = self._theirs.get(ticket)
        if theirs is None or theirs.is_accepted:
            return
        theirs.is_accepted = True
        # Only who asked for silence is promised it (RFC 4488 §4).
        extra = [("Refer-Sub", "false")] if theirs.referral.is_silent else []
        self._respond(theirs, 202, extra, now_ns=now_ns)
        self._tell(dialog, theirs, 100, "", now_ns=now_ns)

    def _refuse(self, ticket: str, status: int, *, now_ns: int) -> None:
        """Refuse a REFER; nothing happens if it is gone, or accepted."""
        theirs = self._theirs.get(ticket)
        if theirs is not None and not theirs.is_accepted:
            del self._theirs[ticket]
            self._respond(theirs, status, [], now_ns=now_ns)

    def _report(self, dialog: Dialog, ticket: str, status: int, reason: str, *, now_ns: int) -> None:
        """Tell how the call is going; nothing happens if nobody listens any more."""
        theirs = self._theirs.get(ticket)
        if theirs is None or not theirs.is_accepted:
            return
        if status >= 200:
            del self._theirs[ticket]
        self._tell(dialog, theirs, status, reason, now_ns=now_ns)

    def close(self, *, now_ns: int) -> None:
        """The call is over: answer what is open, and tell nobody anything more."""
        for ticket in list(self._theirs):
            self._refuse(ticket, 481, now_ns=now_ns)
        self._theirs.clear()
        self._ours.clear()

    def _respond(self, theirs: _Theirs, status: int, extra: list[tuple[str, str]], *, now_ns: int) -> None:
        response = respond(theirs.request, status, source=theirs.source, extra=extra)
        self._layer.respond(theirs.key, response, now_ns=now_ns)

    def _tell(self, dialog: Dialog, theirs: _Theirs, status: int, reason: str, *, now_ns: int) -> None:
        if theirs.referral.is_silent:
            return
        state = "terminated;reason=noresource" if status >= 200 else f"active;expires={_LASTS_S}"
        fields = [
            # With the number, for a call may bring more than one REFER (§2.4.6).
            ("Event", f"refer;id={theirs.request.cseq.number}"),
            ("Subscription-State", state),
            ("Content-Type", FRAGMENT_TYPE),
        ]
        self._ask(dialog, "NOTIFY", fields, fragment(status, reason), now_ns=now_ns)

    def _ask(
        self, dialog: Dialog, method: str, fields: list[tuple[str, str]], body: bytes, *, now_ns: int
    ) -> int:
        """Send a request within the call; returns its number."""
        # The cookie says that the rest is unique (RFC 3261 §8.1.1.7).
        request = dialog.request(method, branch="z9hG4bK" + self._ids.token(8))
        for name, value in fields:
            request.headers.add(name, value)
        request.body = body
        self._layer.request(request, destination=dialog.destination, owner=self._call, now_ns=now_ns)
        return request.cseq.number


class _RefusedError(Exception):
    """Ends the reading of a request that is understood and not served."""

    def __init__(self, status: int, extra: list[tuple[str, str]] | None = None) -> None:
        super().__init__(str(status))
        self.status: int = status
        self.extra: list[tuple[str, str]] = extra or []


def _is_silent(response: Response) -> bool:
    """Whether the peer does what we ask and will not say what comes of it (RFC 4488 §4)."""
    return (response.headers.get("Refer-Sub") or "").partition(";")[0].strip().lower() == "false"
