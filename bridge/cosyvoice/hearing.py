"""A recognition task's opening, for both roles: what it may ask for, and how a client asks."""

from dataclasses import dataclass

from bridge.cosyvoice import limits
from bridge.cosyvoice.json_values import whole_of
from bridge.cosyvoice.limits import INVALID_PARAMETER, Refusal
from bridge.cosyvoice.message import RunTask

__all__ = ["HEARING_RATES", "HearingParameters", "hearing_parameters", "is_hearing", "run_hearing"]

HEARING_RATES = (8000, 48_000)
"""Lowest and highest sampling frequency that is taken, in Hz."""

_TASK = ("audio", "asr", "recognition")
_FAMILIES = ("paraformer-realtime", "fun-asr-realtime")
_MOST_HINTS = 8
_HINT_CHARACTERS = 16


@dataclass(frozen=True, slots=True)
class HearingParameters:
    """What a recognition task asks for, checked."""

    sample_rate: int
    """Of its PCM (16 bit, little-endian, mono), in Hz."""
    languages: tuple[str, ...] = ()
    """Which languages may be spoken, ``en``, ``zh`` …; empty leaves it open."""


def is_hearing(item: RunTask) -> bool:
    """Whether a task recognises speech instead of making it."""
    return item.task == _TASK[1]


def hearing_parameters(item: RunTask) -> HearingParameters | Refusal:
    """Read what opens a recognition task, or say why it cannot run."""
    given = item.parameters
    named = (item.task_group, item.task, item.function)
    if named != _TASK:
        return Refusal(INVALID_PARAMETER, f"No such task: {'/'.join(named):.80}")
    if not item.model.startswith(_FAMILIES):
        return limits.MODEL_NOT_FOUND
    if (format := given.get("format", "pcm")) != "pcm":
        return Refusal(INVALID_PARAMETER, f"Parameter 'format' must be pcm here, not {format!r:.40}")
    rate = whole_of(given.get("sample_rate"))
    if rate is None or not HEARING_RATES[0] <= rate <= HEARING_RATES[1]:
        low, high = HEARING_RATES
        return Refusal(INVALID_PARAMETER, f"Parameter 'sample_rate' must be {low} to {high}")
    hints = given.get("language_hints") or []
    if not isinstance(hints, list) or not all(isinstance(hint, str) for hint in hints[:_MOST_HINTS]):
        return Refusal(INVALID_PARAMETER, "Parameter 'language_hints' must be a list of texts")
    return HearingParameters(rate, tuple(hint[:_HINT_CHARACTERS] for hint in hints[:_MOST_HINTS]))


def run_hearing(task_id: str, model: str, *, sample_rate: int, language: str = "") -> RunTask:
    """What opens a recognition task; its sound goes up in binary frames after task-started."""
    parameters: dict[str, object] = {"format": "pcm", "sample_rate": sample_rate}
    if language:
        parameters["language_hints"] = [language]
    group, task, function = _TASK
    return RunTask(task_id, model, parameters, task_group=group, task=task, function=function)
