"""What joins a session with the dialog that it has at the moment, and parts them when the call is over."""

from collections.abc import Callable
from functools import partial

from bridge.aio.sip import IncomingCall, SipCall
from bridge.aio.sip_transfer import Referral
from bridge.call.caller import Dialogue, is_hidden
from bridge.call.line import Line
from bridge.call.session import Session
from bridge.call.takeover import Seat, Seats

__all__ = ["Connection"]


class Connection:
    """Carries offers and answers between a dialog and the line, keys and texts to the session.

    Args:
        session: Whose it is.
        line: Its media.
        on_referral: Takes what a peer wants us to call.
    """

    def __init__(
        self, session: Session, line: Line, *, on_referral: Callable[[Session, SipCall, Referral], None]
    ) -> None:
        self._session = session
        self._line = line
        self._on_referral = on_referral
        self._dialog: Dialogue | None = None

    def begin(self, dialog: Dialogue, seats: Seats) -> None:
        """Join the session with its first dialog; `part` must follow."""
        self._seat(dialog)
        self._session.on_hold = self._hold
        if isinstance(dialog, SipCall):
            seats.take(Seat(self._session, dialog, self._retake, self._seat))

    def part(self, seats: Seats) -> None:
        """Let go of each other: a call that is over is then gone, and no collector has to find it."""
        seats.leave(self._session)
        session, dialog = self._session, self._dialog
        session.on_hold = session.on_answer = session.on_reject = None
        self._dialog = None
        if dialog is not None:
            dialog.on_reinvite = dialog.on_answer = dialog.on_key = None
        if isinstance(dialog, SipCall):
            dialog.on_text = dialog.transfers.on_referral = None

    def _seat(self, dialog: Dialogue) -> None:
        self._dialog = dialog
        dialog.on_reinvite, dialog.on_answer, dialog.on_key = (
            self._renegotiate,
            self._answered,
            self._session.key,
        )
        if isinstance(dialog, SipCall):
            dialog.on_text = self._session.text
            dialog.transfers.on_referral = partial(self._on_referral, self._session, dialog)

    def _renegotiate(self, offer: bytes) -> bytes:
        if not offer:
            return self._line.negotiator.offer()
        sdp = self._line.negotiator.answer(offer)
        self._line.update(self._session)
        return sdp

    def _answered(self, sdp: bytes) -> None:
        self._line.negotiator.accept(sdp)
        self._line.update(self._session)

    def _retake(self, incoming: IncomingCall) -> bytes:
        sdp = self._line.negotiator.answer(incoming.sdp)
        self._line.latch_ip = incoming.source[0] if is_hidden(incoming) else None
        self._line.update(self._session)
        return sdp

    async def _hold(self, is_holding: bool) -> None:
        if self._dialog is None:
            return
        negotiator = self._line.negotiator
        negotiator.hold(is_holding)
        try:
            self._answered(await self._dialog.reoffer(negotiator.offer))
        except BaseException:
            negotiator.hold(not is_holding)
            raise
