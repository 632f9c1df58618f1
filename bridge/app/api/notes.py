"""What the event stream says, as models: one for each kind of notice, told apart by `type`."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from bridge.app.api.answers import CallSummary
from bridge.call.bus import Notice

__all__ = ["EVENT", "Closing", "Event", "Hello", "Pong", "event_of", "time_of"]


class _Note(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class Hello(_Note):
    """First message of a stream: how things stand; every later event has a higher `seq`."""

    type: Literal["hello"] = "hello"
    seq: int
    calls: list[CallSummary]
    """Calls that are not over; with ``?call=`` that one."""


class Pong(_Note):
    """Answer to ``{"type": "ping"}``."""

    type: Literal["pong"] = "pong"


class Closing(_Note):
    """Last message to a reader that was too slow."""

    type: Literal["dropped"] = "dropped"
    count: int
    """Events at least that were not sent."""


class _Told(_Note):
    seq: int
    """Rises by one over all calls; with ``?call=`` there are gaps."""
    time: str
    """UTC, RFC 3339 with ms."""
    at_ns: int
    """The same as monotonic time of the bridge, in ns, as the calls' records have it."""
    call: str
    """Id of the call."""


class CallStarted(_Told):
    """A call came, or is being placed."""

    type: Literal["call.started"]
    direction: Literal["inbound", "outbound"]
    to: str
    caller: Annotated[str | None, Field(alias="from")]


class CallRinging(_Told):
    """It rings."""

    type: Literal["call.ringing"]
    status: int
    """180, 183, …"""


class CallAnswered(_Told):
    """It stands."""

    type: Literal["call.answered"]
    codec: str
    rate_hz: int


class CallHeld(_Told):
    """Somebody put it on hold."""

    type: Literal["call.held"]
    by: Literal["peer", "us"]


class CallResumed(_Told):
    """It goes on after a hold."""

    type: Literal["call.resumed"]
    by: Literal["peer", "us"]


class CallReplaced(_Told):
    """Another telephone took the place of the other side (RFC 3891)."""

    type: Literal["call.replaced"]
    caller: Annotated[str, Field(alias="from")]


class TextReceived(_Told):
    """The other side sent a text beside the sound."""

    type: Literal["text"]
    text: str


class TransferStarted(_Told):
    """The other side is asked to call somebody else."""

    type: Literal["transfer.started"]
    attended: bool


class TransferProgress(_Told):
    """How that call is going."""

    type: Literal["transfer.progress"]
    status: int
    """202 when the other side agrees to call, then what it tells of its call: 100, 180, …"""


class TransferEnded(_Told):
    """The last word about a transfer. After a success the call ends."""

    type: Literal["transfer.ended"]
    status: int
    """As that call's: 200, 486, …; 408 when nothing came in time, 0 when it could not be asked for."""
    succeeded: bool


class CallEnded(_Told):
    """It is over, or came to nothing."""

    type: Literal["call.ended"]
    reason: str
    status: int | None
    """SIP status with which the other side declined it."""


class DigitReceived(_Told):
    """The caller pressed and released a key."""

    type: Literal["digit"]
    digit: str
    duration_ms: int


class KeysSent(_Told):
    """An order to press keys is done."""

    type: Literal["keys.sent"]
    id: str
    count: int


class KeysFailed(_Told):
    """An order to press keys was not carried out, or only in part."""

    type: Literal["keys.failed"]
    id: str
    error: str


class VoiceStarted(_Told):
    """The caller's voice began."""

    type: Literal["voice.started"]


class VoiceStopped(_Told):
    """The caller has been quiet for a moment."""

    type: Literal["voice.stopped"]


class VoiceWords(_Told):
    """What the caller says, as the recogniser understands it; told where `ears.enabled` is on."""

    type: Literal["voice.words"]
    id: int
    """Counts the sentences of the call from 1: words with the same `id` replace those before."""
    text: str
    final: bool
    """Whether the sentence is over and will not change any more."""
    began_ns: int
    """When its sound came, as `at_ns`."""
    ended_ns: int
    """Until when, as far as it is known; never before `began_ns`."""


class SpeechStarted(_Told):
    """The first sound of an utterance has left."""

    type: Literal["speech.started"]
    id: str | None
    """Of the order; null for the agent's own."""


class SpeechEnded(_Told):
    """An utterance is over. `heard` and `unheard` are there if recording.transcripts is on."""

    type: Literal["speech.ended"]
    id: str | None
    interrupted: bool
    cause: Literal["speech", "dtmf", "command"] | None
    """What interrupted it."""
    error: str | None
    """Code of the voice service, if that failed."""
    played_ms: int
    heard: str | None = None
    unheard: str | None = None


class SpeechDropped(_Told):
    """An order to say or play something was forgotten before it began."""

    type: Literal["speech.dropped"]
    id: str


class SpeechDucked(_Told):
    """We fell silent because of a sound, and wait for a verdict."""

    type: Literal["speech.ducked"]
    at_ms: int
    """Place in what was played on the call."""


class SpeechResumed(_Told):
    """It was a noise: we go on."""

    type: Literal["speech.resumed"]
    at_ms: int


class SpeechFlushed(_Told):
    """The rest of what we were saying was dropped."""

    type: Literal["speech.flushed"]
    at_ms: int
    cause: Literal["speech", "dtmf", "command"]


Event: TypeAlias = Annotated[
    CallStarted
    | CallRinging
    | CallAnswered
    | CallHeld
    | CallResumed
    | CallReplaced
    | CallEnded
    | TextReceived
    | TransferStarted
    | TransferProgress
    | TransferEnded
    | DigitReceived
    | KeysSent
    | KeysFailed
    | VoiceStarted
    | VoiceStopped
    | VoiceWords
    | SpeechStarted
    | SpeechEnded
    | SpeechDropped
    | SpeechDucked
    | SpeechResumed
    | SpeechFlushed,
    Field(discriminator="type"),
]

EVENT: TypeAdapter[Event] = TypeAdapter(Event)


def time_of(at_ns: int, *, offset_ns: int) -> str:
    """A moment as the API writes it (RFC 3339), in ms.

    Args:
        at_ns: Monotonic time.
        offset_ns: What makes ns since 1970 of it.
    """
    moment = datetime.fromtimestamp((at_ns + offset_ns) / 1e9, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def event_of(notice: Notice, *, offset_ns: int) -> dict[str, Any]:
    """A notice as it is sent.

    Args:
        notice: From the bus.
        offset_ns: What makes real time of monotonic time.
    """
    return {
        "type": notice.kind,
        "seq": notice.seq,
        "time": time_of(notice.at_ns, offset_ns=offset_ns),
        "at_ns": notice.at_ns,
        "call": notice.call,
        **notice.data,
    }
