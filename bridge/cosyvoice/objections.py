"""Whether a task can be run at all: what its model and voice allow, checked before anything starts."""

from collections.abc import Callable, Iterator

from bridge.cosyvoice import limits, voices
from bridge.cosyvoice.formats import TaskParameters
from bridge.cosyvoice.limits import INVALID_PARAMETER, Refusal
from bridge.cosyvoice.message import RunTask
from bridge.text.characters import count_characters

__all__ = ["objection"]

_SERVICE = ("audio", "tts", "SpeechSynthesizer")


def objection(
    item: RunTask, parameters: TaskParameters, *, accepts: Callable[[str, str], bool]
) -> Refusal | None:
    """Say why the task is refused; None if it may start.

    Args:
        item: What opens the task.
        parameters: Its parameters, ranges checked.
        accepts: Says whether a model has a voice.
    """
    return next(_objections(item, parameters, accepts), None)


def _objections(
    item: RunTask, parameters: TaskParameters, accepts: Callable[[str, str], bool]
) -> Iterator[Refusal]:
    named = (item.task_group, item.task, item.function)
    if named != _SERVICE:
        yield Refusal(INVALID_PARAMETER, f"No such task: {'/'.join(named):.80}")
    model = voices.MODELS.get(item.model)
    if model is None:
        yield limits.MODEL_NOT_FOUND
    elif parameters.voice is None:
        yield limits.NO_VOICE
    elif not accepts(item.model, parameters.voice):
        yield limits.UNKNOWN_VOICE
    else:
        yield from _too_much(item.model, model, parameters.voice, parameters)


def _too_much(name: str, model: voices.Model, voice: str, parameters: TaskParameters) -> Iterator[Refusal]:
    if (length := count_characters(parameters.instruction)) > limits.INSTRUCTION_CHARACTERS:
        yield limits.too_long("instruction", length, limits.INSTRUCTION_CHARACTERS)
    if parameters.instruction and not voices.is_instructable(name, voice):
        told = ", ".join(sorted(voices.INSTRUCTABLE))
        yield _not_here("instruction", f"{name} with the voice {voice}", f"voices: {told}")
    asked = {
        "format": (parameters.format == "opus", model.opus),
        "hot_fix": (parameters.hot_fix is not None, model.hot_fix),
        "enable_markdown_filter": (parameters.enable_markdown_filter, model.markdown_filter),
        "enable_aigc_tag": (parameters.enable_aigc_tag, model.aigc_tag),
    }
    for key, (is_asked, is_there) in asked.items():
        if is_asked and not is_there:
            yield _not_here(key if key != "format" else "format opus", name, "models: cosyvoice-v3-flash")


def _not_here(what: str, where: str, who: str) -> Refusal:
    return Refusal(INVALID_PARAMETER, f"Parameter '{what}' is not supported by {where} ({who})")
