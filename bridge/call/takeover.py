"""A caller takes the place of another in a call that goes on (RFC 3891)."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from bridge.aio.sip import IncomingCall, SipCall
from bridge.call.session import Session
from bridge.errors import CallEnded, NegotiationError, RemoteProtocolError

__all__ = ["Seat", "Seats"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Seat:
    """A call by telephone that stands."""

    session: Session
    sip: SipCall
    retake: Callable[[IncomingCall], bytes]
    """Answers the offer of another who takes this seat; NegotiationError if their sound does not fit."""
    seat: Callable[[SipCall], None]
    """Lets a dialog reach the session."""


class Seats:
    """All of them, by the names of their dialogs."""

    def __init__(self) -> None:
        self._seats: dict[str, Seat] = {}

    def take(self, seat: Seat) -> None:
        """Note that a call stands; `leave` must follow."""
        self._seats[seat.sip.name] = seat

    def leave(self, session: Session) -> None:
        """Note that a call is over."""
        self._seats = {name: seat for name, seat in self._seats.items() if seat.session is not session}

    def wanted(self, incoming: IncomingCall) -> Seat | None:
        """The seat that a caller wants to take."""
        return self._seats.get(incoming.replaces)

    async def take_over(self, incoming: IncomingCall, seat: Seat) -> bool:
        """Let the session go on with this caller, and serve the call to its end.

        Returns:
            False, and nothing has happened, if its sound does not fit the session's.
        """
        if not incoming.sdp:
            return False  # their description comes when it is too late to think again
        try:
            sdp = seat.retake(incoming)
        except (NegotiationError, RemoteProtocolError) as error:
            _log.info("a call is taken over by a new session: %s", error)
            return False
        try:
            sip = await incoming.answer(sdp)
        except CallEnded:
            return True
        session = seat.session
        self.leave(session)
        seat.seat(sip)
        self.take(Seat(session, sip, seat.retake, seat.seat))
        session.remote_uri, session.presented = incoming.from_uri, incoming.presented
        session.move(sip)
        await seat.sip.hangup("replaced")
        await asyncio.wait([sip.ended])
        return True
