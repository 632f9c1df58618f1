"""What goes into the SIP agent and comes out of it about transfers and texts."""

from dataclasses import dataclass

__all__ = [
    "AcceptReferral",
    "Refer",
    "ReferralCommand",
    "Referred",
    "RefuseReferral",
    "TellReferral",
    "Texted",
    "Transferring",
]


@dataclass(frozen=True, slots=True)
class Refer:
    """Command: ask the peer to call somebody else; what comes of it is told by `Transferring`."""

    call: str
    target: str
    """SIP URI; empty is whoever `replacing` talks to."""
    replacing: str = ""
    """Name of another call of ours, whose place the peer is to take."""


@dataclass(frozen=True, slots=True)
class AcceptReferral:
    """Command: 202 to a REFER, and the first NOTIFY."""

    call: str
    ticket: str


@dataclass(frozen=True, slots=True)
class RefuseReferral:
    """Command: refuse a REFER; the call goes on."""

    call: str
    ticket: str
    status: int = 603


@dataclass(frozen=True, slots=True)
class TellReferral:
    """Command: tell the sender of a REFER how the call that it asked for is going."""

    call: str
    ticket: str
    status: int
    """Of that call's INVITE; 200 or more is the last word."""
    reason: str = ""


ReferralCommand = Refer | AcceptReferral | RefuseReferral | TellReferral


@dataclass(frozen=True, slots=True)
class Transferring:
    """How the call is going that our REFER asked for."""

    call: str
    status: int
    """Of the REFER until it is accepted, then of that call's INVITE; 0 if nobody says."""
    reason: str
    is_over: bool
    """Nothing more will be told."""
    is_accepted: bool = True
    """Whether the peer does what we asked for."""


@dataclass(frozen=True, slots=True)
class Referred:
    """The peer wants us to call somebody; answer with `AcceptReferral` or `RefuseReferral`."""

    call: str
    ticket: str
    target: str
    """SIP URI."""
    replaces: str = ""
    """Value of the Replaces header that our INVITE is to carry; empty for none."""
    referred_by: str = ""
    source: tuple[str, int] = ("", 0)
    """Where the REFER came from."""


@dataclass(frozen=True, slots=True)
class Texted:
    """The peer sent a text (RFC 3428), which has been answered."""

    call: str
    text: str
