"""What the API answers, as models: the document is made of them, and tests hold the answers to them."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "CallDetail",
    "CallList",
    "CallSummary",
    "Holding",
    "Interruption",
    "Line",
    "Ordered",
    "ProblemDetails",
    "Quality",
    "Stopped",
    "Timeline",
    "Transcript",
    "Utterance",
]


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


Ns = Annotated[int, Field(description="Monotonic time of the bridge, in ns.")]


class StageFigures(_Answer):
    """How long one stage of a call's interruptions took."""

    count: int
    last_ms: float
    worst_ms: float
    over: int
    """How often it was over budget."""


class Quality(_Answer):
    """How a call sounds; ``in`` is what we hear, ``out`` what the caller hears. Null is not known."""

    mos_in: float | None
    mos_out: float | None
    mos_in_lowest: float | None
    mos_out_lowest: float | None
    jitter_in_ms: float | None
    jitter_out_ms: float | None
    loss_in: float | None
    """Share of packets, 0 to 1, over the last seconds."""
    loss_out: float | None
    round_trip_ms: float | None


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
    via: str = "phone"
    """``phone`` or ``browser``."""
    stages: dict[str, StageFigures] = {}
    """Of its interruptions, by the names of [bargein.budget_ms]."""
    quality: Quality | None = None
    """At its end; null while it is up (the desk tells it then)."""
    silence_ms: dict[str, int] | None = None
    """For how long we sent silence, by its cause; likewise."""


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
    ended_ns: Ns | None = None
    number: int = 0
    """Counts the utterances of the call from 1."""


class Interruption(_Answer):
    """One interruption: its marks t0 to t7, and what each stage took."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)

    cause: str
    position: int
    """Index after the last sample that was sent."""
    number: int = 0
    """Counts the interruptions of the call from 1."""
    stages_ms: dict[str, float]


class CallerSentence(_Answer):
    """One sentence that the caller was understood to say."""

    text: str
    began_ns: Ns
    ended_ns: Ns
    number: int = 0
    """Counts the sentences of the call from 1."""


class Span(_Answer):
    """A stretch of time."""

    number: int
    """Counts those of its kind in the call from 1."""
    began_ns: Ns
    ended_ns: Ns | None
    """Null while it goes on."""


class KeptSpan(Span):
    """One as a call's record has it."""

    outcome: str = ""
    """Of a silence at a sound: ``resumed`` or ``flushed``."""


class CallDetail(CallSummary):
    """Everything known of one call."""

    utterances: list[Utterance]  # type: ignore[assignment]  # the summary counts what this lists
    barge_ins: list[Interruption]  # type: ignore[assignment]
    words: list[CallerSentence] = []
    """What the caller said; empty unless ears.enabled and recording.transcripts are on."""
    voices: list[KeptSpan] = []
    """The caller's voice."""
    ducks: list[KeptSpan] = []
    """When we fell silent at a sound, waiting for a verdict."""
    keys: list[KeptSpan] = []
    """When a key was held; not which."""
    has_transcript: bool = False
    """Whether its texts are kept, and open to this token."""
    has_recording: bool = False
    media: dict[str, float]
    """Counters of its media."""


class Duck(Span):
    """We were silent because of a sound."""

    outcome: str | None
    """``resumed``, ``flushed``, or null."""


class Sound(Span):
    """Something that we said or played."""

    interrupted: bool
    cause: str | None
    """What interrupted it: ``speech``, ``dtmf`` or ``command``."""


class StageOfOne(_Answer):
    """One stage of an interruption, against its budget."""

    name: str
    began_ns: Ns
    ended_ns: Ns
    took_ms: float
    budget_ms: float
    over: bool


class DrawnInterruption(_Answer):
    """An interruption."""

    number: int
    began_ns: Ns
    cause: str
    stages: list[StageOfOne]


class Timeline(_Answer):
    """A call as a page draws it."""

    call: str
    state: str
    started_ns: Ns
    answered_ns: Ns | None
    ended_ns: Ns | None
    caller: list[Span]
    bot: list[Sound]
    ducks: list[Duck]
    keys: list[Span]
    barge_ins: list[DrawnInterruption]


class Line(_Answer):
    """Something that was said."""

    number: int
    """Counts the utterances of the bot, or the sentences of the caller, from 1."""
    who: str
    """``bot`` or ``caller``."""
    began_ns: Ns
    ended_ns: Ns | None
    text: str
    heard: str | None
    """What of the bot's text was heard so far; null for the caller's."""
    unheard: str | None
    """The rest, of what was interrupted."""
    interrupted: bool


class Transcript(_Answer):
    """Who said what, in the order in which it began."""

    call: str
    lines: list[Line]


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
