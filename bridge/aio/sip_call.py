"""One call as an agent sees it: awaitable, and ended exactly once."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from bridge.aio.sip_transfer import SipTransfers, TransferResult
from bridge.errors import CallEnded, NegotiationError, RemoteProtocolError
from bridge.sip.events import (
    AcceptOffer,
    Answer,
    Answered,
    Arrived,
    Command,
    Ended,
    Established,
    Hangup,
    Offer,
    OfferDue,
    Offered,
    Pressed,
    Progress,
    Progressed,
    RefuseOffer,
    Reject,
    Reoffer,
    Reoffered,
    Ring,
)
from bridge.sip.identity import Presented, checked_headers
from bridge.sip.redirect import Contact
from bridge.sip.refer_events import Referred, Texted, Transferring

__all__ = ["CallRefused", "IncomingCall", "SipCall"]

CallOutput = (
    Established
    | Offered
    | Answered
    | OfferDue
    | Reoffered
    | Progressed
    | Pressed
    | Ended
    | Referred
    | Transferring
    | Texted
)
"""What the agent says about one call after its arrival."""

_RETRY_AFTER_S = "10"

_log = logging.getLogger(__name__)


class CallRefused(NegotiationError):  # noqa: N818  an answer, though not the one we hoped for
    """The callee, or a proxy on the way, declined a call of ours.

    Attributes:
        status: The SIP status, e.g. 486.
        contacts: Where a 3xx says that the callee can be reached.
    """

    def __init__(self, uri: str, reason: str, *, status: int, contacts: tuple[Contact, ...] = ()) -> None:
        super().__init__(f"{uri} declined the call: {reason}")
        self.status: int = status
        self.contacts: tuple[Contact, ...] = contacts


def _ignore() -> None:
    """Take no note."""


class SipCall:
    """A call that stands, or that we are placing; hang up when done.

    Args:
        call: Name of the call at the agent.
        feed: Where commands go.
        call_id: The SIP Call-ID.
        remote_uri: Who is at the other end.
        remote_sdp: Its description so far.
    """

    def __init__(
        self, call: str, feed: Callable[[Command], None], *, call_id: str, remote_uri: str, remote_sdp: bytes
    ) -> None:
        loop = asyncio.get_running_loop()
        self.call_id: str = call_id
        self.remote_uri: str = remote_uri
        self.remote_sdp: bytes = remote_sdp
        """The peer's latest description; empty while its answer to our offer is on the way."""
        self.ended: asyncio.Future[str] = loop.create_future()
        """Done when the call is over, with the reason: ``"caller hung up"``, ``"no ack"``, …"""
        self.on_reinvite: Callable[[bytes], bytes] | None = None
        """Gets the peer's new offer, returns our answer; or gets nothing and returns our offer.

        NegotiationError refuses it with 488, and the call goes on as before.
        """
        self.on_answer: Callable[[bytes], None] | None = None
        """Gets the peer's answer to an offer that `on_reinvite` returned; raising ends the call."""
        self.on_key: Callable[[str, int], None] | None = None
        """Gets each key that the peer tells by INFO, and how long it was held, in ms."""
        self.on_progress: Callable[[int], None] | None = None
        """Gets the status of each provisional answer to a call of ours: 180, 183, …"""
        self.on_moved: Callable[[], None] = _ignore
        """Called when a call of ours goes on to another server, for one has not served it."""
        self.on_early: Callable[[SipCall, str, bytes], None] | None = None
        """Gets the tag and the description of whoever is heard before a call of ours is answered."""
        self.agreed_with: str = ""
        """Tag of the callee if its early description was the answer; see `Established`."""
        self.status: int = 0
        """What ended a call of ours before it stood: 486, 404, …"""
        self.cause: str = ""
        """The Reason header of whoever ended the call (RFC 3326)."""
        self.contacts: tuple[Contact, ...] = ()
        """Where a 3xx said that the callee of a call of ours can be reached."""
        self.headers: tuple[tuple[str, str], ...] = ()
        """The X- fields that the peer sent as it called or answered."""
        self.on_text: Callable[[str], None] | None = None
        """Gets each text that the peer sends by MESSAGE."""
        self.name: str = call
        """Name of the call at the agent."""
        self.transfers: SipTransfers = SipTransfers(call, feed, self.ended)
        self._call = call
        self._feed = feed
        self._established: asyncio.Future[None] = loop.create_future()
        self._changes: dict[str, _Change] = {}
        self._asked = 0

    def __repr__(self) -> str:
        return f"SipCall({self.call_id})"

    async def hangup(self, reason: str = "hung up") -> None:
        """End the call; returns when BYE is on its way. Harmless when it is over."""
        if not self.ended.done():
            self._feed(Hangup(self._call, reason or "hung up"))

    async def reoffer(self, offer: bytes | Callable[[], bytes]) -> bytes:
        """Change the call by an offer of ours; returns the peer's answer (RFC 3261 §14.1).

        Args:
            offer: Our description; or who writes it, asked again after a wait for changes of the peer's.

        Raises:
            CallRefused: If the peer is against it, or both sides insist; the call goes on as before.
            CallEnded: If the call is over.
        """
        if self.ended.done():
            raise CallEnded(self.ended.result())
        self._asked += 1
        change: asyncio.Future[Reoffered] = asyncio.get_running_loop().create_future()
        write = offer if callable(offer) else lambda: offer
        self._changes[str(self._asked)] = _Change(write, change)
        self._feed(Reoffer(self._call, str(self._asked), write()))
        either: set[asyncio.Future[Any]] = {change, self.ended}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if self.ended.done():
            raise CallEnded(self.ended.result())
        outcome = change.result()
        if outcome.status >= 300:
            raise CallRefused(self.remote_uri, f"{outcome.status} to a change", status=outcome.status)
        self.remote_sdp = outcome.sdp or self.remote_sdp
        return outcome.sdp

    def refer(self, uri: str, *, replaces: "SipCall | None" = None) -> AsyncGenerator[TransferResult, None]:
        """Ask the peer to call somebody else; see `SipTransfers.refer`.

        Args:
            uri: SIP URI; empty is whoever `replaces` is with.
            replaces: Another call of ours, whose place the peer is to take.
        """
        return self.transfers.refer(uri, replacing="" if replaces is None else replaces.name)

    @property
    def is_established(self) -> bool:
        return self._established.done()

    async def confirmed(self) -> None:
        """Wait until both sides know that the call stands: the ACK came.

        Raises:
            CallEnded: If it ended before.
        """
        either: set[asyncio.Future[Any]] = {self._established, self.ended}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not self._established.done():
            raise CallEnded(self.ended.result())

    async def answered_sdp(self) -> bytes:
        """Wait for the peer's description when its INVITE had none: the ACK brings it.

        Raises:
            CallEnded: If the call ended before.
        """
        await self.confirmed()
        return self.remote_sdp

    def deliver(self, output: CallOutput) -> None:
        """Take what the agent says about this call; called by the endpoint only."""
        match output:
            case Established(sdp=sdp, headers=headers, agreed_with=agreed_with):
                self.remote_sdp, self.agreed_with = sdp or self.remote_sdp, agreed_with
                self.headers = headers or self.headers
                self._established.set_result(None)
            case Offered():
                self._offered(output)
            case Answered(sdp=sdp):
                self._answered(sdp)
            case Referred() | Transferring():
                self.transfers.deliver(output)
            case Ended(reason=reason, status=status, cause=cause, contacts=contacts):
                self.status, self.cause, self.contacts = status, cause, contacts
                self.ended.set_result(reason)
            case Reoffered(ticket=ticket):
                self._changes.pop(ticket).outcome.set_result(output)
            case OfferDue():
                self._offer_due(output)
            case _:
                self._heard(output)

    def _heard(self, output: Pressed | Texted | Progressed) -> None:
        """Hand on what is worth hearing, if anybody listens."""
        match output:
            case Pressed(digit=digit, duration_ms=duration_ms) if self.on_key is not None:
                self.on_key(digit, duration_ms)
            case Texted(text=text) if self.on_text is not None:
                self.on_text(text)
            case Progressed(status=status, sdp=sdp, tag=tag):
                if self.on_progress is not None:
                    self.on_progress(status)
                if sdp and self.on_early is not None:
                    self.on_early(self, tag, sdp)

    def _offer_due(self, due: OfferDue) -> None:
        """Write a change anew after its wait, or offer the call as it is, to refresh it."""
        try:
            if due.ticket:
                sdp = self._changes[due.ticket].write()
            else:
                sdp = due.sdp if self.on_reinvite is None else self.on_reinvite(b"")
        except Exception:
            # A bug in one call's handler must not take the others with it.
            _log.exception("an offer failed; the call is offered as it was")
            sdp = due.sdp
        self._feed(Offer(self._call, due.ticket, sdp))

    def _answered(self, sdp: bytes) -> None:
        """Take the answer to our offer in a re-INVITE; after its ACK a BYE is all that can refuse it."""
        try:
            if self.on_answer is not None:
                self.on_answer(sdp)
        except (NegotiationError, RemoteProtocolError) as error:
            _log.info("call ended: %s", error)
            self._feed(Hangup(self._call, "no usable answer"))
        except Exception:
            _log.exception("answer in a re-INVITE failed")
            self._feed(Hangup(self._call, "failed"))
        else:
            self.remote_sdp = sdp

    def _offered(self, offered: Offered) -> None:
        if _answer_offer(offered, self._feed, self.on_reinvite):
            self.remote_sdp = offered.sdp or self.remote_sdp


def _answer_offer(
    offered: Offered, feed: Callable[[Command], None], on_reinvite: Callable[[bytes], bytes] | None
) -> bool:
    """Let whoever has a call answer an offer of the peer; whether it is accepted."""
    try:
        if on_reinvite is None:
            raise NegotiationError("nobody here can change this call")
        sdp = on_reinvite(offered.sdp)
    except (NegotiationError, RemoteProtocolError) as error:
        _log.info("re-INVITE refused: %s", error)
        feed(RefuseOffer(offered.call, offered.ticket, 488))
    except Exception:
        # A bug in one call's handler must not take the others with it.
        _log.exception("re-INVITE failed")
        feed(RefuseOffer(offered.call, offered.ticket, 500))
    else:
        feed(AcceptOffer(offered.call, offered.ticket, sdp))
        return True
    return False


@dataclass(frozen=True, slots=True)
class _Change:
    write: Callable[[], bytes]
    outcome: "asyncio.Future[Reoffered]"


class IncomingCall:
    """A caller who waits: `ring`, `answer` or `reject`.

    Args:
        arrived: What the agent says of it.
        feed: Where commands go.
        adopt: Told when the call is answered, so that what follows reaches the `SipCall`.
        answer_after_s: How long it must ring.
    """

    def __init__(
        self,
        arrived: Arrived,
        feed: Callable[[Command], None],
        *,
        adopt: Callable[[str, SipCall], None],
        answer_after_s: float = 0.0,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.answered: SipCall | None = None
        self.answer_headers: tuple[tuple[str, str], ...] = ()
        """Header fields that `answer` sends beside those it is given."""
        self._arrived = arrived
        self._feed = feed
        self._adopt = adopt
        self._answer_at_s = loop.time() + answer_after_s
        self._is_ringing = False
        self._over: asyncio.Future[str] = loop.create_future()
        self.on_reinvite: Callable[[bytes], bytes] | None = None
        """Gets a change that the caller wants before we answer (RFC 3311); see `SipCall.on_reinvite`."""
        self._early: asyncio.Future[bytes] = loop.create_future()
        self._call: SipCall | None = None
        """What `early` has handed out."""

    def __repr__(self) -> str:
        return f"IncomingCall({self.call_id})"

    @property
    def call_id(self) -> str:
        """The SIP Call-ID."""
        return self._arrived.call_id

    @property
    def from_uri(self) -> str:
        """Who calls, as they say themselves."""
        return self._arrived.from_uri

    @property
    def to_user(self) -> str:
        """User part of the Request-URI, or of the To where that has none: what routes look at."""
        return self._arrived.to_user

    @property
    def to_uri(self) -> str:
        """The Request-URI."""
        return self._arrived.to_uri

    @property
    def source(self) -> tuple[str, int]:
        """Where the INVITE came from."""
        return self._arrived.source

    @property
    def local_ip(self) -> str:
        """Our address as this peer sees it."""
        return self._arrived.local_ip

    @property
    def sdp(self) -> bytes:
        """The offer; empty when we are to make one: see `SipCall.answered_sdp`."""
        return self._arrived.sdp

    @property
    def nat(self) -> bool:
        """Whether signalling shows a NAT between us: the media's address cannot be believed."""
        return self._arrived.is_behind_nat

    @property
    def presented(self) -> Presented:
        """Who calls, as the headers say."""
        return self._arrived.presented

    @property
    def headers(self) -> dict[str, str]:
        """The caller's X- fields; of two with one name, the first."""
        return dict(reversed(self._arrived.presented.headers))

    @property
    def replaces(self) -> str:
        """Name of the call of ours that this one is to take the place of; empty for none."""
        return self._arrived.replaces

    def ring(self) -> None:
        """Send 180 once; harmless when the caller gave up."""
        if not self._is_ringing and self.is_waiting:
            self._is_ringing = True
            self._feed(Ring(self._arrived.call))

    async def ringing(self, duration_s: float) -> bool:
        """Let it ring; True if the caller still waits after `duration_s`."""
        if duration_s > 0 and self.is_waiting:
            ends = [self._over] if self._call is None else [self._over, self._call.ended]
            await asyncio.wait(ends, timeout=duration_s, return_when=asyncio.FIRST_COMPLETED)
        return self.is_waiting

    def early(self, sdp: bytes) -> SipCall:
        """Send 183 with our answer, and hand out the call that rings; `answer` or `reject` must follow.

        Raises:
            CallEnded: If the caller gave up, or the call was rejected.
        """
        if self._over.done():
            raise CallEnded(self._over.result())
        self.progress(sdp)
        self._call = self._hand_out()
        return self._call

    async def answer(self, sdp: bytes, *, headers: Iterable[tuple[str, str]] = ()) -> SipCall:
        """Send 200, after `sip.answer_after_ms`; the ACK is awaited in the background.

        Args:
            sdp: Our answer, or offer.
            headers: Further header fields of the 200.

        Raises:
            CallEnded: If the caller gave up, or the call was rejected.
            LocalProtocolError: If a header is not a user's to set.
        """
        fields = checked_headers((*self.answer_headers, *headers))
        remaining_s = self._answer_at_s - asyncio.get_running_loop().time()
        if remaining_s > 0:
            self.ring()
        if not await self.ringing(remaining_s):
            over = self._over if self._call is None else self._call.ended
            raise CallEnded(over.result())
        call = self._call or self._hand_out()
        self.answered = call
        self._over.set_result("answered")
        self._feed(Answer(self._arrived.call, sdp, fields))
        return call

    def _hand_out(self) -> SipCall:
        """Let what follows reach a `SipCall`."""
        call = SipCall(
            self._arrived.call,
            self._feed,
            call_id=self.call_id,
            remote_uri=self.from_uri,
            remote_sdp=self.sdp,
        )
        call.headers = self._arrived.presented.headers
        self._adopt(self._arrived.call, call)
        return call

    def reject(self, status: int, reason: str | None = None) -> None:
        """Refuse with a 3xx to 6xx; harmless when the call is answered or over.

        A 503 says when to try again: a dispatcher then asks the next bridge meanwhile (RFC 3261 §21.5.4).
        """
        if self.is_waiting:
            headers = (("Retry-After", _RETRY_AFTER_S),) if status == 503 else ()
            self._feed(Reject(self._arrived.call, status, reason, headers))

    @property
    def is_waiting(self) -> bool:
        """Whether the caller still has no final answer."""
        return not self._over.done() and (self._call is None or not self._call.ended.done())

    def progress(self, sdp: bytes) -> None:
        """Send 183 with our description: the caller hears us before we answer. Harmless if it gave up."""
        if not self._over.done():
            self._is_ringing = True
            self._feed(Progress(self._arrived.call, sdp))

    async def early_answer(self) -> bytes:
        """Wait for the caller's answer to the offer that `progress` made: its PRACK brings it (RFC 3262 §5).

        Raises:
            CallEnded: If the caller gave up.
        """
        either: set[asyncio.Future[Any]] = {self._early, self._over}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not self._early.done():
            raise CallEnded(self._over.result())
        return self._early.result()

    @property
    def wants_early_offer(self) -> bool:
        """Whether the caller left the offer to us and takes only reliable answers: `progress` first."""
        return self._arrived.wants_early_offer

    def deliver(self, output: CallOutput) -> None:
        """Take what comes before the answer; called by the endpoint only."""
        if isinstance(output, Answered) and not self._early.done():
            self._early.set_result(output.sdp)
        if isinstance(output, Offered):
            _answer_offer(output, self._feed, self.on_reinvite)
        if isinstance(output, Ended):
            self._over.set_result(output.reason)
