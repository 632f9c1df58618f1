"""What goes into the SIP agent and what comes out of it, apart from bytes."""

from dataclasses import dataclass, field

from bridge.sip.digest import Credentials
from bridge.sip.flow import Address
from bridge.sip.identity import NOBODY, Presented
from bridge.sip.layer import Send
from bridge.sip.message import Request, Response
from bridge.sip.redirect import Contact
from bridge.sip.refer_events import ReferralCommand, Referred, Texted, Transferring

__all__ = [
    "AcceptOffer",
    "Answer",
    "Answered",
    "Arrived",
    "Ask",
    "Command",
    "Cut",
    "Datagram",
    "Drain",
    "Ended",
    "EndpointCommand",
    "Established",
    "Gone",
    "Hangup",
    "Offer",
    "OfferDue",
    "Offered",
    "Output",
    "Place",
    "Pressed",
    "Progress",
    "Progressed",
    "RefuseOffer",
    "Reject",
    "Reoffer",
    "Reoffered",
    "Replied",
    "Ring",
    "Target",
    "Trust",
    "Unsent",
    "Unserved",
]


@dataclass(frozen=True, slots=True)
class Datagram:
    """Input: what a peer sent."""

    data: bytes
    source: tuple[str, int]
    local_ip: str
    """Our address as that peer sees it."""


@dataclass(frozen=True, slots=True)
class Target:
    """One of the places that a request may go to."""

    destination: tuple[str, int]
    local_ip: str
    """Our address as it is seen from there."""


@dataclass(frozen=True, slots=True)
class Place:
    """Command: call somebody."""

    call: str
    """Name of the call from here on; random, for it is also our tag."""
    call_id: str
    """Random too, and never used before."""
    uri: str
    destination: tuple[str, int]
    local_ip: str
    sdp: bytes
    from_user: str = "cosybridge"
    headers: tuple[tuple[str, str], ...] = ()
    """Further header fields of the INVITE."""
    from_domain: str = ""
    """Host part of our From; empty is our address."""
    credentials: Credentials | None = None
    """What answers a 401 or 407 to any request of this call."""
    others: tuple[Target, ...] = ()
    """Where to call next if nobody answers, the way is cut, or there is no time for us (RFC 3263 §4.3)."""


@dataclass(frozen=True, slots=True)
class Ring:
    """Command: 180 to the caller."""

    call: str


@dataclass(frozen=True, slots=True)
class Answer:
    """Command: 200 with this description: the answer, or the offer when the INVITE had none."""

    call: str
    sdp: bytes
    headers: tuple[tuple[str, str], ...] = ()
    """Further header fields of the 200."""


@dataclass(frozen=True, slots=True)
class Reject:
    """Command: refuse an incoming call."""

    call: str
    status: int
    reason: str | None = None
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Hangup:
    """Command: end the call in whatever way its state asks for: BYE, CANCEL or a refusal."""

    call: str
    reason: str = "hung up"


@dataclass(frozen=True, slots=True)
class AcceptOffer:
    """Command: answer a re-INVITE."""

    call: str
    ticket: str
    sdp: bytes


@dataclass(frozen=True, slots=True)
class RefuseOffer:
    """Command: refuse a re-INVITE; the call goes on as before (§14.2)."""

    call: str
    ticket: str
    status: int = 488


@dataclass(frozen=True, slots=True)
class Progress:
    """Command: 183 with this description: the caller hears us before the call is answered."""

    call: str
    sdp: bytes


@dataclass(frozen=True, slots=True)
class Reoffer:
    """Command: change a call that stands, by a re-INVITE with this offer; `Reoffered` tells the outcome."""

    call: str
    ticket: str
    sdp: bytes


@dataclass(frozen=True, slots=True)
class Offer:
    """Command: the description that `OfferDue` asked for."""

    call: str
    ticket: str
    sdp: bytes


@dataclass(frozen=True, slots=True)
class Drain:
    """Command: no new calls from now on."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Command: send a request that belongs to no call; every answer comes as `Replied`."""

    owner: str
    """Who asks; no name of a call."""
    request: Request
    destination: tuple[str, int]


@dataclass(frozen=True, slots=True)
class Trust:
    """Command: serve requests from these addresses, beside the networks allowed."""

    name: str
    """Whose addresses they are; new ones replace the old ones."""
    ips: tuple[str, ...]
    credentials: Credentials | None = None
    """What answers its challenges within calls that come from there."""


@dataclass(frozen=True, slots=True)
class Unsent:
    """Command: what `Send.key` names could not be sent."""

    key: str
    why: str = ""
    """In words, for whoever wanted it; empty is nothing in particular."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Command: a connection is gone, and what waited for an answer on it."""

    peer: Address
    """Its other end, with its number."""


EndpointCommand = Drain | Ask | Trust | Unsent | Cut
"""What is about no call."""
Command = (
    Place
    | Ring
    | Progress
    | Answer
    | Reject
    | Hangup
    | AcceptOffer
    | RefuseOffer
    | Reoffer
    | Offer
    | ReferralCommand
    | EndpointCommand
)


@dataclass(frozen=True, slots=True)
class Arrived:
    """A caller waits for `Ring`, `Answer` or `Reject`; 100 has been sent."""

    call: str
    call_id: str
    from_uri: str
    to_uri: str
    """The Request-URI: where the last proxy routed the call, which need not be what was dialled."""
    to_user: str
    source: tuple[str, int]
    local_ip: str
    sdp: bytes
    """The offer; empty when we are to make one."""
    is_behind_nat: bool
    wants_early_offer: bool = False
    """The offer is ours to make, and to be acknowledged before the answer (RFC 3262)."""
    presented: Presented = NOBODY
    replaces: str = ""
    """Name of the call of ours that this one is to take the place of; empty for a call of its own."""


@dataclass(frozen=True, slots=True)
class Progressed:
    """A call of ours rings, or says why not yet."""

    call: str
    status: int
    sdp: bytes = field(default=b"")
    """The description of whoever says so: what is heard from there is heard before the answer."""
    tag: str = ""
    """Who says so: each phone of a fork has a tag of its own (RFC 3261 §12.1)."""


@dataclass(frozen=True, slots=True)
class Established:
    """Both sides know that the call stands.

    For a call of ours `sdp` is the answer; for an incoming one it is what the ACK carried:
    the answer to a delayed offer, else nothing.
    """

    call: str
    sdp: bytes
    remote_uri: str
    headers: tuple[tuple[str, str], ...] = ()
    """The X- fields of the 200 to a call of ours."""
    agreed_with: str = ""
    """Tag of the callee if its reliable `Progressed` was the answer: `sdp` then says nothing new."""


@dataclass(frozen=True, slots=True)
class Offered:
    """The peer wants to change the call; answer with `AcceptOffer` or `RefuseOffer`."""

    call: str
    ticket: str
    sdp: bytes
    """Its offer; empty when we are to make one, whose answer then comes as `Answered`."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to an offer that we made in a re-INVITE's 200."""

    call: str
    sdp: bytes


@dataclass(frozen=True, slots=True)
class OfferDue:
    """A change that had to wait may go now: say `Offer` at once, for meanwhile the peer may have had its own.

    Comes unasked when the call must be refreshed by an offer.
    """

    call: str
    ticket: str
    """That of the `Reoffer`; empty for a refresh."""
    sdp: bytes
    """Our last description."""


@dataclass(frozen=True, slots=True)
class Reoffered:
    """What came of a `Reoffer`."""

    call: str
    ticket: str
    status: int
    """200, or why not: 488 refused, 491 both sides insisted, 487 the call is over."""
    sdp: bytes
    """The answer, after 200."""


@dataclass(frozen=True, slots=True)
class Pressed:
    """The peer pressed a key and said so in an INFO, which has been answered."""

    call: str
    digit: str
    """One of ``0123456789*#ABCD``."""
    duration_ms: int


@dataclass(frozen=True, slots=True)
class Ended:
    """The call is over; only tidying up is left. Comes once for every call."""

    call: str
    reason: str
    status: int = 0
    """What the callee answered, when that ended a call of ours; else 0."""
    cause: str = ""
    """The Reason header of whoever ended it (RFC 3326)."""
    contacts: tuple[Contact, ...] = ()
    """Where a 3xx says that the callee can be reached, in no order."""


@dataclass(frozen=True, slots=True)
class Unserved:
    """A place that a request was sent to has not served it: it is better tried last for a while."""

    owner: str
    """The call, or the registration."""
    destination: tuple[str, int]
    wait_s: int
    """What it asks for with a Retry-After; 0 without one."""
    following: tuple[str, int] | None = None
    """Where the same request is on its way to now; None if that was the last place."""


@dataclass(frozen=True, slots=True)
class Gone:
    """Nothing of the call is left, its BYE is answered or given up."""

    call: str


@dataclass(frozen=True, slots=True)
class Replied:
    """What came of an `Ask`."""

    owner: str
    request: Request
    response: Response | None
    """None: nobody answered."""
    why: str = ""
    """Why, if that is known."""


Output = (
    Send
    | Arrived
    | Progressed
    | Established
    | Offered
    | Answered
    | OfferDue
    | Reoffered
    | Pressed
    | Ended
    | Unserved
    | Gone
    | Replied
    | Referred
    | Transferring
    | Texted
)
