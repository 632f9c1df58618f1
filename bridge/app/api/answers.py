"""What the API answers, as models: the document is made of them, and tests hold the answers to them."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "CallDetail",
    "CallList",
    "CallSummary",
    "Holding",
    "Interruption",
    "Ordered",
    "ProblemDetails",
    "Stopped",
]


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


Ns = Annotated[int, Field(description="Monotonic time of the bridge, in ns.")]


class CallSummary(_Answer):
    """One call in a line; no text, no digits."""

    id: str
    """Our id; every path takes it."""
    sip_call_id: str
    """Call-ID on the wire; empty as long as a call of ours is not answered."""
    direction: str
    """``inbound`` or ``outbound``."""
    codec: str
    """What is spoken; empty before the answer."""
    rate_hz: int
    state: str
    """``calling``, ``ringing``, ``up``, ``ended``."""
    reason: str
    """Why it ended."""
    cause: str = ""
    """Why the other side ended it, as its Reason header says (RFC 3326); empty if it did not say."""
    status: int
    """SIP status with which a call of ours was declined; 0 otherwise."""
    started_ns: Ns
    answered_ns: Ns | None
    ended_ns: Ns | None
    first_audio_ns: Ns | None
    """When the first sound left."""
    utterances: int
    barge_ins: int
    false_alarms: int
    """Noises at which the bot paused and went on."""
    digits: int
    """How many keys were received."""
    breaches: list[str]
    """Stages of interruptions that were over budget."""


class Utterance(_Answer):
    """One thing that was said or played. Texts are null unless recording.transcripts is on."""

    start_sample: int
    """Index in what was played on the call, at its rate."""
    end_sample: int
    text: str | None
    heard: str | None
    unheard: str | None
    interrupted: bool
    cause: str
    """What interrupted it: ``speech``, ``dtmf`` or ``command``."""
    estimated: bool
    task_id: str
    first_text_ns: Ns | None
    first_audio_ns: Ns | None
    failure: str
    label: str
    """Id of the order that it carried out; empty for the agent's own."""
    is_over: bool


class Interruption(_Answer):
    """One interruption: its marks t0 to t7, and what each stage took."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)

    cause: str
    position: int
    """Index after the last sample that was sent."""
    stages_ms: dict[str, float]


class CallerSentence(_Answer):
    """One sentence that the caller was understood to say."""

    text: str
    began_ns: Ns
    ended_ns: Ns


class CallDetail(CallSummary):
    """Everything known of one call."""

    utterances: list[Utterance]  # type: ignore[assignment]  # the summary counts what this lists
    barge_ins: list[Interruption]  # type: ignore[assignment]
    words: list[CallerSentence] = []
    """What the caller said; empty unless ears.enabled and recording.transcripts are on."""
    media: dict[str, float]
    """Counters of its media."""


class CallList(_Answer):
    """The calls that are up, and the last of those that are over, the newest first."""

    calls: list[CallSummary]


class Ordered(_Answer):
    """An order that was taken; events tell what becomes of it under this id."""

    id: str


class Holding(_Answer):
    """Whether we hold the other side now."""

    holding: bool


class Stopped(_Answer):
    """What a stop ended."""

    was_speaking: bool
    forgotten: int
    """Orders that were waiting."""


class ProblemDetails(BaseModel):
    """Why an order was refused (RFC 9457)."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)

    title: str
    status: int
    detail: str
    """What is wrong, in a sentence."""
    fix: str | None = None
    """What may be done about it; names the setting, if it is one."""
    fields: dict[str, str] | None = None
    """What is wrong with which field of the body."""
