"""What a page may offer its caller to choose from: who answers, and with which voice."""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from bridge.call.routes import Route, choose
from bridge.cosyvoice.voices import MODELS, VOICES

__all__ = ["Choices", "RouteChoice", "choices_of"]


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class RouteChoice(_Answer):
    """Somebody who answers."""

    to: str
    """Pattern of the numbers, as [[routes]] has it."""
    number: str | None
    """A number that leads there; null where the pattern leaves it open."""
    agent: str
    """``default``, or the import path of the agent, or its name where it has none."""
    voice: str
    model: str
    language: str
    """Hint for the voice; may be empty."""


class VoiceChoice(_Answer):
    """A voice of the service."""

    name: str
    kind: str
    """Whose voice it is: ``woman``, ``man``, ``girl``, ``boy``, ``old woman``, ``old man``, ``robot``."""
    language: str
    """Of its speaker: ``zh`` (who speaks English too), ``en``, ``ja``, ``ko`` or ``id``."""


class ModelChoice(_Answer):
    """A model, with the voices that it has for everybody."""

    name: str
    voices: list[VoiceChoice]


class Choices(_Answer):
    """Who answers, and how they may sound."""

    to: str
    """Number that a page calls if it names none."""
    routes: list[RouteChoice]
    """In the order in which they are tried."""
    models: list[ModelChoice]


def choices_of(routes: Sequence[Route], *, to: str) -> Choices:
    """List them.

    Args:
        routes: In the order in which they are tried; those with a voice of their own are not for callers.
        to: Number that a page calls if it names none.
    """
    open_to_all = [route for route in routes if route.synthesizer is None]
    return Choices(
        to=to,
        routes=[_route(route, open_to_all, to) for route in open_to_all],
        models=[ModelChoice(name=name, voices=voices) for name in MODELS if (voices := _voices(name))],
    )


def _route(route: Route, routes: Sequence[Route], to: str) -> RouteChoice:
    numbers = [each for each in (route.to, to) if not set(each) & set("*?[")]
    number = next((each for each in numbers if choose(routes, each) is route), None)
    agent = route.agent if isinstance(route.agent, str) else getattr(route.agent, "__name__", "agent")
    voice = route.voice
    return RouteChoice(
        to=route.to, number=number, agent=agent, voice=voice.name, model=voice.model, language=voice.language
    )


def _voices(model: str) -> list[VoiceChoice]:
    allowed = MODELS[model]
    if not allowed.system_voices:
        return []
    return [
        VoiceChoice(name=name, kind=voice.kind.value, language=voice.language)
        for name, voice in sorted(VOICES.items())
        if allowed.generation in voice.generations
    ]
