"""What may be ordered by the API, checked: one model for each body."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from bridge.app.values import AgentName, ShortName, SipUser
from bridge.sip.identity import fault_of_header

__all__ = ["HangUp", "Nothing", "PlaceCall", "Play", "Press", "Say", "Stop", "Transfer"]

_MOST_HEADERS = 16
_REASON = r"^[^\x00-\x1f\x7f]{1,80}$"


def _headers(value: dict[str, str]) -> dict[str, str]:
    if len(value) > _MOST_HEADERS:
        raise ValueError(f"must be {_MOST_HEADERS} headers at most")
    for name, text in value.items():
        if (fault := fault_of_header(name, text)) is not None:
            raise ValueError(fault)
    return value


class _Order(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)


class PlaceCall(_Order):
    """A call to place. With neither `agent` nor `route` it is driven by the API alone."""

    to: Annotated[str, Field(min_length=1, max_length=256)]
    """SIP address within sip.dial_allow, or a number that the dials of a trunk admit."""
    agent: AgentName | None = None
    """Who speaks: ``default``, or one that the settings name in [[routes]]."""
    route: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    """A number: agent, voice and greeting are those of the route that answers it."""
    caller: Annotated[SipUser | None, Field(alias="from")] = None
    """User part of the From header; the trunk's own, or ``cosybridge``, without it."""
    headers: Annotated[dict[str, str], AfterValidator(_headers)] = {}
    """Further headers of the INVITE; those that carry the call, such as Via and Contact, are ours."""
    greeting: Annotated[str, Field(max_length=2000)] | None = None
    """What is said first."""
    voice: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    """Voice; that of the route, or tts.voice."""
    model: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    """Model of the voice service."""
    language: Annotated[str, Field(max_length=16)] | None = None
    """Language hint; empty lets the service decide."""
    trunk: ShortName | None = None
    """The trunk that is to carry it; the first that may, without it."""
    ring_timeout_s: Annotated[int, Field(ge=1, le=180)] | None = None
    """How long it may ring, in s; null is sip.ring_timeout_s."""

    @model_validator(mode="after")
    def _has_one_agent(self) -> Self:
        if self.agent is not None and self.route is not None:
            raise ValueError("name an agent or a route, not both")
        return self


class _Spoken(_Order):
    mode: Literal["queue", "now"] = "queue"
    """``queue``: after what is being said and what waits. ``now``: stop what is being said."""
    interruptible: Literal["none", "speech", "dtmf", "any"] = "any"
    """What of the caller's ends it: nothing, a voice, a key, or both."""
    sensitivity: Literal["low", "medium", "high"] | None = None
    """How easily a voice does; null is as configured."""


class Say(_Spoken):
    """Words to say on a call."""

    text: Annotated[str, Field(min_length=1, max_length=10_000)]
    """Plain or SSML."""


class Play(_Spoken):
    """Sound to play on a call: a file of the prompt folder, or one that is fetched."""

    name: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    """File in prompts.folder."""
    url: Annotated[str, Field(min_length=1, max_length=2048)] | None = None
    """WAV, FLAC, Ogg or MP3 of at most 10 MB and ten minutes, on a host that api.play_hosts lists."""

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        if (self.name is None) == (self.url is None):
            raise ValueError("give a name or a url, one of the two")
        return self


class Transfer(_Order):
    """Whom the other side is sent to. After a success the call ends by itself; after a failure it goes on."""

    to: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    """Number or SIP address that the dial plan admits."""
    call: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    """Id of another call that stands: the two other sides are joined (attended transfer)."""
    timeout_s: Annotated[int, Field(ge=1, le=180)] = 30
    """How long it may take until somebody answers there."""

    @model_validator(mode="after")
    def _has_one_target(self) -> Self:
        if (self.to is None) == (self.call is None):
            raise ValueError("name somebody or a call, one of the two")
        return self


class Nothing(_Order):
    """An order that needs no more words: an empty object, or no body."""


class Stop(_Order):
    """Silence, at once."""

    clears: bool = True
    """Forget also what the API has ordered to say and play and that waits."""


class Press(_Order):
    """Keys to press on a call."""

    digits: Annotated[str, Field(pattern=r"^[0-9A-Da-d*#]{1,64}$")]
    duration_ms: Annotated[int, Field(ge=50, le=60_000)] = 100
    """How long each is held."""
    pause_ms: Annotated[int, Field(ge=40, le=10_000)] = 100
    """Pause after each."""


class HangUp(_Order):
    """Why a call is ended; in the query, because a DELETE has no body that all let through."""

    reason: Annotated[str, Field(pattern=_REASON)] = "ended by the API"
    """Kept in the call's record."""
