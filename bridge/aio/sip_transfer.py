"""Transfers of one call as awaitables: ours, and those that the peer asks for."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

from bridge.errors import CallEnded, LocalProtocolError
from bridge.sip.events import Command
from bridge.sip.refer_events import (
    AcceptReferral,
    Refer,
    Referred,
    RefuseReferral,
    TellReferral,
    Transferring,
)

__all__ = ["Referral", "SipTransfers", "TransferResult"]

_BACKLOG = 64


@dataclass(frozen=True, slots=True)
class TransferResult:
    """What has become of a transfer, so far or for good."""

    status: int
    """As the new call's: 100, 180, 200, 486 …; 408 when nobody said anything in time."""
    reason: str
    is_over: bool = True

    @property
    def succeeded(self) -> bool:
        """Whether the peer talks to the other one now, or will without telling us more."""
        return self.is_over and 200 <= self.status < 300


class Referral:
    """Somebody whom the peer wants us to call: `accept` or `refuse`, then `tell`.

    Args:
        referred: What the agent says of it.
        feed: Where commands go.
    """

    def __init__(self, referred: Referred, feed: Callable[[Command], None]) -> None:
        self.target: str = referred.target
        """SIP URI."""
        self.replaces: str = referred.replaces
        """Value of the Replaces header that the new INVITE is to carry; empty for none."""
        self.referred_by: str = referred.referred_by
        self.source: tuple[str, int] = referred.source
        """Where it came from."""
        self._call = referred.call
        self._ticket = referred.ticket
        self._feed = feed

    def accept(self) -> None:
        """Say that we try."""
        self._feed(AcceptReferral(self._call, self._ticket))

    def refuse(self, status: int) -> None:
        """Say that we do not; harmless once accepted, or when the call is over."""
        self._feed(RefuseReferral(self._call, self._ticket, status))

    def tell(self, status: int, reason: str = "") -> None:
        """Say how the new call is going; 200 or more is the last word, and harmless after that."""
        self._feed(TellReferral(self._call, self._ticket, status, reason))


class SipTransfers:
    """What one call has going.

    Args:
        call: Name of the call at the agent.
        feed: Where commands go.
        ended: Done when the call is over.
    """

    def __init__(self, call: str, feed: Callable[[Command], None], ended: "asyncio.Future[str]") -> None:
        self.on_referral: Callable[[Referral], None] | None = None
        """Gets what the peer asks for; without anybody here it is refused with 403."""
        self._call = call
        self._feed = feed
        self._ended = ended
        self._told: deque[Transferring] | None = None
        """What was told and not yet read; None while nothing is under way."""
        self._changed = asyncio.Event()
        ended.add_done_callback(lambda _: self._changed.set())

    async def refer(self, uri: str, *, replacing: str = "") -> AsyncGenerator[TransferResult, None]:
        """Ask the peer to call somebody else; yields how that goes, to its end.

        Args:
            uri: SIP URI; empty is whoever the call `replacing` is with.
            replacing: Name of a call of ours whose place the peer is to take there.

        Raises:
            CallEnded: If this call ends first.
            LocalProtocolError: If a transfer is under way.
        """
        if self._told is not None:
            raise LocalProtocolError("another transfer of this call is under way")
        if self._ended.done():
            raise CallEnded(self._ended.result())
        told: deque[Transferring] = deque(maxlen=_BACKLOG)  # the last word counts, not the first
        self._told = told
        try:
            self._feed(Refer(self._call, uri, replacing))
            while True:
                latest = await self._next(told)
                yield TransferResult(latest.status, latest.reason, latest.is_over)
                if latest.is_over:
                    return
        finally:
            self._told = None

    def deliver(self, output: Referred | Transferring) -> None:
        """Take what the agent says; called by the call only."""
        if isinstance(output, Transferring):
            if self._told is not None:
                self._told.append(output)
                self._changed.set()
            return
        referral = Referral(output, self._feed)
        if self.on_referral is None:
            referral.refuse(403)
        else:
            self.on_referral(referral)

    async def _next(self, told: deque[Transferring]) -> Transferring:
        while not told:
            if self._ended.done():
                raise CallEnded(self._ended.result())
            self._changed.clear()
            await self._changed.wait()
        return told.popleft()
