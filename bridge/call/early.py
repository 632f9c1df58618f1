"""What is heard of a call of ours before it is answered: ringback, announcements, queues (RFC 3960 §3.2).

The first phone that describes its sound is the one that is heard. Who answers wins, be it another of a fork.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from bridge.aio.sip import SipCall
from bridge.aio.tasks import Tasks
from bridge.call.line import Line
from bridge.call.session import Session
from bridge.errors import CallEnded, EngineError, LocalProtocolError, NegotiationError, RemoteProtocolError
from bridge.sip.identity import Presented
from bridge.sip.offer import is_alike

__all__ = ["EarlySound"]

_log = logging.getLogger(__name__)


class EarlySound:
    """One call's; `heard` before its answer, `settle` with it, `close` in any case.

    Args:
        line: Its line, which has made the offer.
        fit: Gives the line's leg a row of a rate; EngineError if there is none.
        begin: Makes the session, once it is known how it sounds.
        serve: Serves it, from before the answer to the end of the call.
    """

    def __init__(
        self,
        line: Line,
        *,
        fit: Callable[[int], None],
        begin: Callable[[], Session],
        serve: Callable[[Session, SipCall], Coroutine[Any, Any, None]],
    ) -> None:
        self._session: Session | None = None
        self._sip: SipCall | None = None
        self._line = line
        self._fit = fit
        self._begin = begin
        self._serve = serve
        self._tasks = Tasks("early")
        self._serving: asyncio.Task[None] | None = None
        self._tag, self._sdp = "", b""

    @property
    def is_heard(self) -> bool:
        """Whether somebody was heard, and the call is served already."""
        return self._session is not None

    def heard(self, sip: SipCall, tag: str, sdp: bytes) -> None:
        """Take a description that came before the answer; what cannot be heard can still be answered."""
        if self._session is not None or sip.is_established:
            return
        negotiator = self._line.negotiator
        try:
            self._fit(negotiator.preview(sdp).rate_hz)
            session = self._begin()
            self._line.prepare(session)
        except (NegotiationError, RemoteProtocolError, EngineError) as error:
            negotiator.negotiated = None
            _log.info("nothing is heard before the answer: %s", error)
            return
        self._session, self._sip, self._tag, self._sdp = session, sip, tag, sdp
        self._serving = self._tasks.start(self._stand(session, sip), name="call")

    async def settle(self, sip: SipCall) -> None:
        """Go on with the call that was answered, to its end.

        Raises:
            CallRefused: If another phone answered, speaks what our row cannot carry, and insists on that.
            NegotiationError: If its answer is of no use.
        """
        session, serving = self._session, self._serving
        if session is None or serving is None:
            raise LocalProtocolError("a call goes on that nobody heard before its answer")
        if sip is not self._sip:
            raise NegotiationError("another server answers than the one that was heard")
        session.presented = Presented(headers=sip.headers)
        with suppress(CallEnded):  # then so is the session
            if sip.agreed_with != self._tag and sip.remote_sdp != self._sdp:
                await self._follow(session, sip)
            session.stand()
        await serving

    async def _follow(self, session: Session, sip: SipCall) -> None:
        """Take an answer that says something new; lead it back to what our row speaks, if need be."""
        line, heard = self._line, self._line.agreed
        line.negotiator.accept(sip.remote_sdp)
        if not is_alike(heard.codec, line.agreed.codec):
            line.negotiator.insist(heard)
            line.negotiator.accept(await sip.reoffer(line.negotiator.offer))
        line.update(session)

    async def close(self, reason: str) -> None:
        """End what is being served, once the call is over or nobody answered it."""
        if self._session is not None and self._serving is not None:
            self._session.end(reason)
            await asyncio.wait([self._serving])
        await self._tasks.close()
        self._session = self._sip = self._serving = None

    async def _stand(self, session: Session, sip: SipCall) -> None:
        await self._line.stand(session, sip)
        await self._serve(session, sip)
