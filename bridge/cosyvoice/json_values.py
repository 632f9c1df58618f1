"""Reads values out of JSON that a stranger wrote: what is not as wanted counts as not there."""

__all__ = ["object_of", "text_of", "whole_of"]


def object_of(value: object) -> dict[str, object]:
    """The object, or an empty one."""
    return value if isinstance(value, dict) else {}


def text_of(value: object) -> str:
    """The text, or an empty one."""
    return value if isinstance(value, str) else ""


def whole_of(value: object) -> int | None:
    """The whole number. JSON knows one kind: 263.0 is 263; true is not 1; infinity is nothing."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
