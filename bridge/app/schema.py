"""What the settings allow, asked by key, and said in words."""

import difflib
import json
import re
import types
from collections.abc import Iterator
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from bridge.app.settings import Config

__all__ = ["Path", "dotted", "expected", "field_at", "leaves", "model_of", "shown", "suggestion"]

Path = tuple[str | int, ...]
"""A setting's way down from the root, e.g. ``("routes", 0, "voice")``."""

_NOUNS = {int: "a whole number", float: "a number", bool: "true or false", str: "text in quotes"}
_USERINFO = re.compile(r"//[^/@]*@")
_LONGEST_SHOWN = 80
_SECRET_WORDS = ("key", "token", "secret", "password")


def model_of(annotation: object) -> type[BaseModel] | None:
    """Model of a section or of the elements of a list of sections; None for a plain value."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = get_args(annotation)
    return model_of(inner[0]) if get_origin(annotation) is tuple and len(inner) == 2 else None


def field_at(path: Path) -> FieldInfo | None:
    """Find a key or a section by its path; None if there is no such setting."""
    model: type[BaseModel] | None = Config
    field: FieldInfo | None = None
    in_list = False
    for part in path:
        if isinstance(part, int):
            if not in_list:
                return None
            in_list = False
            continue
        if model is None or in_list:
            return None
        field = model.model_fields.get(part)
        if field is None:
            return None
        model = model_of(field.annotation)
        in_list = get_origin(field.annotation) is tuple and model is not None
    return field


def leaves(model: type[BaseModel] = Config, at: Path = ()) -> Iterator[Path]:
    """Every plain key, in the order of the file; keys of a list of sections stand below its name."""
    for name, field in model.model_fields.items():
        inner = model_of(field.annotation)
        if inner is None:
            yield (*at, name)
        else:
            yield from leaves(inner, (*at, name))


def dotted(path: Path) -> str:
    return ".".join(map(str, path))


def shown(path: Path, value: object) -> str:
    """Write a value as TOML would, cut when long, and never a secret."""
    field = field_at(path)
    names = " ".join(str(part) for part in path).lower()
    if (field is not None and _holds_secret(field.annotation)) or any(
        word in names for word in _SECRET_WORDS
    ):
        return "(hidden)"
    value = _without_secrets(value)
    if isinstance(value, str):
        value = _USERINFO.sub("//(hidden)@", value)
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        text = str(value)
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…"


def _without_secrets(value: object) -> object:
    """Hide what stands in a table whose keys are wrong together."""
    if isinstance(value, dict):
        return {
            key: "(hidden)"
            if any(word in str(key).lower() for word in _SECRET_WORDS)
            else _without_secrets(inner)
            for key, inner in value.items()
        }
    return [_without_secrets(inner) for inner in value] if isinstance(value, list) else value


def _holds_secret(annotation: object) -> bool:
    return annotation is SecretStr or any(_holds_secret(inner) for inner in get_args(annotation))


def expected(path: Path) -> str:
    """Say what a key takes: ``a whole number from 0 to 180000``."""
    field = field_at(path)
    if field is None:
        return "something else"
    if (section := model_of(field.annotation)) is not None:
        name = dotted(path)
        keys = ", ".join(section.model_fields)
        is_list = get_origin(field.annotation) is tuple and not isinstance(path[-1], int)
        return f"a list of tables [[{name}]]" if is_list else f"a table [{name}] with {keys}"
    annotation = _without_none(field.annotation)
    if get_origin(annotation) is Literal:
        return "one of " + ", ".join(json.dumps(choice) for choice in get_args(annotation))
    noun = _NOUNS.get(annotation, "text in quotes") if isinstance(annotation, type) else "a list"
    return noun + _bounds(field, of_text=annotation is str)


def _without_none(annotation: Any) -> Any:  # noqa: ANN401  a type in any of its spellings
    if get_origin(annotation) in (Union, types.UnionType):
        return next(inner for inner in get_args(annotation) if inner is not type(None))
    return annotation


def _bounds(field: FieldInfo, *, of_text: bool) -> str:
    low = high = None
    for rule in field.metadata:
        low = getattr(rule, "min_length" if of_text else "ge", low)
        high = getattr(rule, "max_length" if of_text else "le", high)
    if of_text:
        return " that is not empty" if low else (f" of at most {high} characters" if high else "")
    return f" from {low} to {high}" if low is not None and high is not None else ""


def suggestion(path: Path) -> str:
    """Guess which setting was meant by one that does not exist; end of a sentence, or the allowed keys."""
    section, wrong = path[:-1], str(path[-1])
    field = field_at(section) if section else None
    model = Config if not section else model_of(field.annotation) if field is not None else None
    siblings = list(model.model_fields) if model is not None else []
    near = difflib.get_close_matches(wrong, siblings, n=1, cutoff=0.6)
    if near:
        return f"did you mean {dotted((*section, near[0]))}?"
    everywhere = {dotted(leaf): leaf for leaf in leaves()}
    same_name = [name for name, leaf in everywhere.items() if leaf[-1] == wrong]
    flat = dotted(tuple(part for part in path if isinstance(part, str)))
    if same_name or (same_name := difflib.get_close_matches(flat, everywhere, n=1, cutoff=0.7)):
        return f"did you mean {same_name[0]}?"
    where = f"[{dotted(section)}]" if section else "a settings file"
    return f"{where} takes {', '.join(siblings)}" if siblings else f"there is no [{dotted(section)}]"
