"""The settings that hold, one a line, with where each was set."""

import json
from collections.abc import Iterator

from pydantic import BaseModel, SecretStr

from bridge.app.config import Loaded
from bridge.app.schema import Path, dotted
from bridge.hosts import spot

__all__ = ["lines"]

_BUILT_IN = "built-in"
_COLUMN = 60


def lines(loaded: Loaded) -> Iterator[str]:
    """Yield ``section.key = value   # place`` for every setting, in the order of the file."""
    for path, value in _walk(loaded.config, ()):
        assignment = f"{dotted(path)} = {_written(value)}"
        yield f"{assignment:<{_COLUMN}}  # {loaded.origins.get(path, _BUILT_IN)}"


def _walk(value: object, at: Path) -> Iterator[tuple[Path, object]]:
    if isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _walk(getattr(value, name), (*at, name))
    elif isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
        for index, inner in enumerate(value):
            yield from _walk(inner, (*at, index))
    else:
        yield at, value


def _written(value: object) -> str:
    """Write a value as the file would take it; a secret only as set or not."""
    match value:
        case None:
            written = '""'
        case SecretStr():
            written = "(hidden)"
        case (str(host), int(port)):
            written = f'"{spot(host, port)}"'
        case ((str(), int()) as only,):
            written = _written(only)
        case (int(first), int(last)):
            written = f'"{first}-{last}"'
        case tuple():
            written = "[" + ", ".join(_written(item) for item in value) + "]"
        case _:
            written = json.dumps(value, ensure_ascii=False)
    return written
