"""Read the settings: built-in defaults, one TOML file, the environment, the command line, each over the last.

Whatever is wrong raises ConfigError with one line that names the place, the key, the value and what
would be right. Secrets are never part of it.
"""

import itertools
import os
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_origin

from pydantic import TypeAdapter, ValidationError

from bridge.app.lines import one_line
from bridge.app.schema import Path as KeyPath
from bridge.app.schema import dotted, expected, field_at, model_of, shown, suggestion
from bridge.app.settings import CLOUD_URL, Config, Route, embedded_url
from bridge.app.toml_lines import line_of, lines_of_keys
from bridge.errors import ConfigError

__all__ = [
    "CLOUD_URL",
    "DEFAULT_FILE",
    "KEY_VARIABLE",
    "PREFIX",
    "Config",
    "Loaded",
    "Route",
    "embedded_url",
    "load",
    "load_traced",
]

PREFIX = "COSYBRIDGE_"
KEY_VARIABLE = "DASHSCOPE_API_KEY"
"""The service's own variable for its key, read where tts.api_key is empty."""

DEFAULT_FILE = "bridge.toml"
"""Read from the working directory when no file is named."""

_LARGEST_FILE_BYTES = 1_000_000
_UNQUOTED = ("Invalid value", "Expected newline or end of document after a statement")
"""What tomllib says of text without quotes, and of an address such as 0.0.0.0:5060."""


@dataclass(slots=True)
class _Layers:
    """All that was set so far, and where."""

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[KeyPath, str] = field(default_factory=dict)

    def origin(self, *paths: KeyPath) -> str:
        """Place to look at: of the first of these keys that was set, or of the nearest table around it."""
        for path in paths:
            for length in range(len(path), 0, -1):
                if (origin := self.origins.get(path[:length])) is not None:
                    return origin
        # A table that was begun by single keys, as the environment does.
        inner = (origin for path, origin in self.origins.items() if path[: len(paths[0])] == paths[0])
        return next(inner, "built-in defaults")


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings together with where each of them was set."""

    config: Config
    origins: Mapping[KeyPath, str]
    """Keys that differ from built-in: ``bridge.toml:12``, ``COSYBRIDGE_SIP__LISTEN`` or ``--set``."""


def load(
    file: Path | None = None,
    *,
    sets: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
) -> Config:
    """Read, check, resolve and freeze all settings.

    Args:
        file: TOML file; None reads ``./bridge.toml`` if it is there.
        sets: Assignments of the command line, ``section.key=value``.
        environ: The environment; None is that of this process.

    Raises:
        ConfigError: If anything is wrong, in one line.
    """
    return load_traced(file, sets=sets, environ=environ).config


def load_traced(
    file: Path | None = None,
    *,
    sets: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
) -> Loaded:
    """Like `load`, and remember where each setting came from."""
    environ = os.environ if environ is None else environ
    layers = _Layers()
    if file is None and Path(DEFAULT_FILE).is_file():
        file = Path(DEFAULT_FILE)
    if file is not None:
        _add_file(layers, file)
    for name, text in sorted(environ.items()):
        if name.startswith(PREFIX):
            path = tuple(_part(part) for part in name.removeprefix(PREFIX).lower().split("__"))
            _add_text(layers, path, text, origin=name)
    for assignment in sets:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise _refusal(
                f"--set {key}: write it as section.key=value, for instance sip.answer_after_ms=2000"
            )
        _add_text(layers, tuple(_part(part) for part in key.strip().split(".")), text.strip(), origin="--set")
    config = _validated(layers)
    _refuse_clashes(config, layers)
    dashscope_key = environ.get(KEY_VARIABLE, "").strip()
    resolved = config.resolved(dashscope_key=dashscope_key)
    if resolved.tts.api_key is not None and resolved.tts.api_key.get_secret_value() == dashscope_key:
        layers.origins[("tts", "api_key")] = KEY_VARIABLE
    return Loaded(resolved, dict(layers.origins))


def _refusal(sentence: str) -> ConfigError:
    return ConfigError(one_line(sentence))


def _part(text: str) -> str | int:
    return int(text) if re.fullmatch(r"\d{1,4}", text, re.ASCII) else text


def _add_file(layers: _Layers, file: Path) -> None:
    try:
        with file.open("rb") as opened:
            data = opened.read(_LARGEST_FILE_BYTES + 1)
    except OSError as error:
        raise _refusal(f"cannot read the settings file {file}: {error.strerror or error}") from None
    if len(data) > _LARGEST_FILE_BYTES:
        raise _refusal(f"{file} is larger than {_LARGEST_FILE_BYTES} bytes, so it is no settings file")
    try:
        text = data.decode("utf-8-sig")
        values = tomllib.loads(text)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _refusal(f"{file}:{line}: not UTF-8 text") from None
    except tomllib.TOMLDecodeError as error:
        raise _refusal(_syntax_sentence(file, str(error), text)) from None
    except RecursionError:
        raise _refusal(f"{file}: nested too deep to be a settings file") from None
    lines = lines_of_keys(text)
    for path in _paths(values):
        number = line_of(path, lines)
        layers.origins[path] = f"{file}:{number}" if number else str(file)
        if field_at(path) is None:
            raise _refusal(_unknown(path, layers.origins[path], values))
    layers.values = values


def _syntax_sentence(file: Path, message: str, text: str) -> str:
    place = re.search(r" \(at line (\d+), column (\d+)\)$", message)
    if place is None:  # "(at end of document)"
        last = text.rstrip().count("\n") + 1
        return f"{file}:{last}: not valid TOML: {message}"
    sentence = message[: place.start()]
    hint = "; text needs quotes" if sentence in _UNQUOTED else ""
    return f"{file}:{place[1]}: not valid TOML: {sentence} at column {place[2]}{hint}"


def _paths(value: object, at: KeyPath = ()) -> Iterable[KeyPath]:
    """Every key of a tree of tables, tables before what they hold, in the order of the file."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*at, key)
            yield from _paths(inner, (*at, key))
    elif isinstance(value, list) and any(isinstance(inner, dict) for inner in value):
        for index, inner in enumerate(value):
            yield (*at, index)
            yield from _paths(inner, (*at, index))


def _unknown(path: KeyPath, origin: str, values: Mapping[str, Any] | None = None) -> str:
    top = field_at(path[:1])
    if (
        top is not None
        and get_origin(top.annotation) is tuple
        and isinstance((values or {}).get(str(path[0])), dict)
    ):
        return f"{origin}: {path[0]} is a list of tables; write [[{path[0]}]]"
    what = "section" if len(path) == 1 else "key"
    if origin.startswith(PREFIX) and len(path) == 1:
        return f"{origin}: {_environment_hint(path)}"
    return f"{origin}: there is no {what} {dotted(path)}; {suggestion(path)}"


def _environment_hint(path: KeyPath) -> str:
    # COSYBRIDGE_SIP_LISTEN is the slip everybody makes once.
    section, _, key = str(path[0]).partition("_")
    if key and field_at((section, key)) is not None:
        return f"write {PREFIX}{section.upper()}__{key.upper()}, with two underscores between section and key"
    return f"no such setting; write {PREFIX}SECTION__KEY, for instance {PREFIX}SIP__LISTEN"


def _add_text(layers: _Layers, path: KeyPath, text: str, *, origin: str) -> None:
    """Set one plain key from text, as the environment and the command line give it."""
    setting = field_at(path)
    if setting is None:
        raise _refusal(_unknown(path, origin))
    if model_of(setting.annotation) is not None:
        raise _refusal(f"{origin}: {dotted(path)} is a section; name one of its keys")
    layers.origins[path] = origin
    value: object = text
    if setting.annotation in (int, float, bool):
        try:
            value = TypeAdapter[Any](setting.annotation).validate_strings(text)
        except ValidationError:
            raise _refusal(_refused(path, text, origin, f"must be {expected(path)}")) from None
    _assign(layers.values, path, value, origin)


def _assign(values: dict[str, Any], path: KeyPath, value: object, origin: str) -> None:
    table: Any = values
    for part, following in itertools.pairwise(path):
        if isinstance(part, int):
            if part > len(table):
                raise _refusal(f"{origin}: there are only {len(table)} {path[0]}; the next is {len(table)}")
            if part == len(table):
                table.append({})
            table = table[part]
        else:
            # The shipped route is there to be changed in one word: --set routes.0.agent=shop:agent
            empty: object = [{}] if isinstance(following, int) else {}
            table = table.setdefault(part, empty)
        if not isinstance(table, dict | list):
            return  # the file holds a plain value where a table belongs; the check names that line
    table[path[-1]] = value


def _validated(layers: _Layers) -> Config:
    try:
        return Config.model_validate(layers.values)
    except ValidationError as error:
        faults = error.errors(include_url=False)
    fault = faults[0]
    path: KeyPath = fault["loc"]
    while path and field_at(path) is None:
        path = path[:-1]  # pydantic also counts the elements of plain lists
    own = fault.get("ctx", {}).get("error")
    value = fault["input"]
    sentence = str(own) if own is not None else f"must be {expected(path)}"
    further = f" (and {len(faults) - 1} more to fix)" if len(faults) > 1 else ""
    raise _refusal(_refused(path, value, layers.origin(path), sentence) + further)


def _refused(path: KeyPath, value: object, origin: str, sentence: str) -> str:
    return f"{origin}: {dotted(path)} = {shown(path, value)}: {sentence}"


def _refuse_clashes(config: Config, layers: _Layers) -> None:
    """Find settings that are right alone and wrong together."""
    http, service = config.http.listen, config.tts_server.listen
    if http == service and http[1] and config.tts_server.enabled:
        origin = layers.origin(("http", "listen"), ("tts_server", "listen"))
        raise _refusal(f"{origin}: http.listen and tts_server.listen both name port {http[1]}")
    first, last = config.media.ports
    for _, port in config.sip.listen:
        if first <= port <= last:
            origin = layers.origin(("sip", "listen"), ("media", "ports"))
            raise _refusal(f"{origin}: port {port} of sip.listen is one of media.ports {first}-{last}")
    for index, trunk in enumerate(config.trunks):
        if trunk.name in [earlier.name for earlier in config.trunks[:index]]:
            path = ("trunks", index, "name")
            raise _refusal(
                f'{layers.origin(path)}: {dotted(path)} = "{trunk.name}": two trunks have this name'
            )
    if not config.routes:
        raise _refusal(
            f"{layers.origin(('routes',))}: routes = []: without a route no call would be answered"
        )
