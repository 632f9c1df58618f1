"""A browser's call: the offer came in a POST, whose answer is ours, and nothing follows but the end of it.

To the exchange it is one more caller who waits, and one more dialogue: `bridge.aio.sip_call` has the others.
"""

import asyncio
from collections.abc import Callable

from bridge.errors import CallEnded, NegotiationError

__all__ = ["BrowserCall"]


class BrowserCall:
    """One call from a page, from its offer to its end.

    Args:
        id: Names the call in lists and events; it opens nothing.
        to_user: Which number, in the words of the route table.
        sdp: The page's offer.
        source: Where the request came from: address and port.
        local_ip: Our address as the page sees it.
        inactivity_s: How long it may send no sound.
        voice: Who is to speak, instead of the route's voice; empty leaves it to the route.
        model: With which model; likewise.
    """

    def __init__(
        self,
        id: str,
        *,
        to_user: str,
        sdp: bytes,
        source: tuple[str, int],
        local_ip: str,
        inactivity_s: float = 8.0,
        voice: str = "",
        model: str = "",
    ) -> None:
        loop = asyncio.get_running_loop()
        self.call_id: str = id
        self.to_user: str = to_user
        self.from_uri: str = f"browser:{source[0]}"
        self.source: tuple[str, int] = source
        self.local_ip: str = local_ip
        self.inactivity_s: float = inactivity_s
        self.voice: str = voice
        self.model: str = model
        self.sdp: bytes = sdp
        self.nat: bool = False
        """ICE finds the way, whatever lies on it."""
        self.answered: asyncio.Future[bytes] = loop.create_future()
        """Our description; a `NegotiationError` if the call is refused, with what to answer in `status`."""
        self.status: int = 0
        """Why there will be no call, as a status of SIP; 0 while there may be one."""
        self.ended: asyncio.Future[str] = loop.create_future()
        self.on_reinvite: Callable[[bytes], bytes] | None = None
        self.on_answer: Callable[[bytes], None] | None = None
        self.on_key: Callable[[str, int], None] | None = None
        self.remote_sdp: bytes = sdp

    def __repr__(self) -> str:
        return f"BrowserCall({self.call_id})"

    def ring(self) -> None:
        """Nobody listens to a ringing tone: the answer is on its way."""

    @property
    def wants_early_offer(self) -> bool:
        """A page always makes the offer."""
        return False

    def progress(self, sdp: bytes) -> None:
        """There is nothing before the answer."""

    async def early_answer(self) -> bytes:
        """Never comes; see `progress`."""
        raise NegotiationError("a page always makes the offer")

    async def reoffer(self, offer: bytes | Callable[[], bytes]) -> bytes:
        """A page cannot be asked for a change: its one request is answered.

        Raises:
            NegotiationError: Always.
        """
        raise NegotiationError("a call from a browser cannot be held")

    async def answer(self, sdp: bytes) -> "BrowserCall":
        """Give the page its answer.

        Raises:
            CallEnded: If the page is gone, or was refused.
        """
        if self.answered.done() or self.ended.done():
            raise CallEnded("the page is gone")
        self.answered.set_result(sdp)
        return self

    async def answered_sdp(self) -> bytes:
        """Never comes: an offer without a description is refused before it is a call."""
        raise NegotiationError("a page always makes the offer")

    def reject(self, status: int, reason: str | None = None) -> None:
        """Refuse the call; harmless when it is answered or over."""
        if not self.answered.done():
            self.status = status
            self.answered.set_exception(NegotiationError(reason or f"refused with {status}"))
            # Nobody may be waiting for it any more.
            self.answered.exception()
            self._end("rejected")

    async def hangup(self, reason: str = "hung up") -> None:
        """End the call; the page notices when no more sound comes, or by its events."""
        self._end(reason)

    def leave(self, reason: str = "caller hung up") -> None:
        """The page hangs up, or is gone; harmless when it is over."""
        if not self.answered.done():
            self.reject(487)
        self._end(reason)

    def _end(self, reason: str) -> None:
        if not self.ended.done():
            self.ended.set_result(reason)
