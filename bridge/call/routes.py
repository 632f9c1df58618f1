"""Which agent answers which number."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, cast

from bridge.errors import ConfigError
from bridge.ports import Synthesizer, Voice

if TYPE_CHECKING:
    from bridge.call.agent import Agent

__all__ = ["Route", "choose"]

DEFAULT_AGENT = "default"
DEFAULT_VOICE = Voice(model="cosyvoice-v3-flash", name="longanyang", language="en")


@dataclass(frozen=True)
class Route:
    """One row of the route table."""

    to: str = "*"
    """Glob over the user part of the called SIP URI, e.g. ``1000`` or ``+4930*``."""

    agent: "str | Agent" = DEFAULT_AGENT
    """``default``, an import path ``package.module:function``, or the coroutine function itself."""

    voice: Voice = DEFAULT_VOICE
    greeting: str = ""
    """The agent's first sentence; empty leaves it to the agent."""

    synthesizer: Synthesizer | None = None
    """Where this route's speech comes from; None is the bridge's own choice."""

    early_media: bool = False
    """Whether the agent begins before the call is answered: it is heard then, and hears a callee's tones."""

    headers: tuple[tuple[str, str], ...] = ()
    """Header fields of our 200 to a caller, and of our INVITE."""

    @cached_property
    def run(self) -> "Agent":
        """The agent's coroutine function.

        Raises:
            ConfigError: If the import path leads nowhere.
        """
        if self.agent == DEFAULT_AGENT:
            from bridge.call.guide import guide

            return guide
        if not isinstance(self.agent, str):
            return self.agent
        module_name, _, name = self.agent.partition(":")
        try:
            return cast("Agent", getattr(import_module(module_name), name))
        except (ImportError, AttributeError, ValueError) as error:
            raise ConfigError(
                f"routes: agent {self.agent!r} for to={self.to!r} cannot be loaded: {error}"
                " (write it as package.module:function)"
            ) from error


def choose(routes: Sequence[Route], user: str) -> Route | None:
    """Return the first route whose pattern fits the called user, or None for a 404."""
    return next((route for route in routes if fnmatchcase(user, route.to)), None)
