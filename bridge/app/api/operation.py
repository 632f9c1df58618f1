"""One thing that the API can be asked for: route, document and checks come from this one description."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from pydantic import BaseModel

__all__ = ["Operation", "Outcome"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is answered: a body, or none, and where it is to be found later."""

    body: BaseModel | dict[str, Any] | None = None
    location: str = ""
    response: web.StreamResponse | None = None
    """An answer that is complete already, such as a stream."""


@dataclass(frozen=True, slots=True)
class Operation:
    """A method on a path."""

    method: str
    path: str
    summary: str
    """For the document: a few words in the imperative."""
    run: Callable[[web.Request, Any], Awaitable[Outcome]] | None
    """Given the request and the checked body, or None. Null: served by a door of its own, described here."""
    body: type[BaseModel] | None = None
    """What must be sent."""
    query: type[BaseModel] | None = None
    """What may stand in the query; given to `run` instead of a body."""
    answer: type[BaseModel] | None = None
    """What comes back; None answers with nothing, or with text."""
    status: int = 200
    problems: tuple[int, ...] = ()
    """Statuses of refusals, besides those that every path may answer with."""
    text: str = ""
    """More for the document."""
    content_type: str = "application/json"
    """Of the answer."""
    takes: str = ""
    """Content type of a body that is no JSON."""
    may_name: tuple[str, ...] = ()
    """What may stand in the query and is not checked by a model."""
    messages: str = ""
    """Of a WebSocket: the schema of what it tells."""
    examples: tuple[dict[str, Any], ...] = field(default=())
    """Bodies that are understood."""

    @property
    def name(self) -> str:
        """Identifier in the document and in the metrics, for instance ``postCallsSay``."""
        words = [word for word in self.path.split("/")[2:] if word and word[0] != "{"]
        one = "One" if self.path.endswith("}") else ""
        return self.method.lower() + "".join(word.capitalize().split(".")[0] for word in words) + one

    @property
    def is_safe(self) -> bool:
        """Whether it only looks (RFC 9110 §9.2.1)."""
        return self.method == "GET"
