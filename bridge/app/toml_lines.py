"""On which line of a TOML text each key stands, which tomllib does not tell (TOML 1.0)."""

import re

__all__ = ["LinePath", "line_of", "lines_of_keys"]

LinePath = tuple[str | int, ...]
"""A key's way down from the root; the tables of an array are counted from 0."""

_PART = r'(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|\'[^\']*\')'
_DOTTED = rf"{_PART}(?:\s*\.\s*{_PART})*"
_TABLE = re.compile(rf"\s*(\[\[?)\s*({_DOTTED})\s*\]")
_KEY = re.compile(rf"\s*({_DOTTED})\s*=")
_OPEN_OR_CLOSE = re.compile(
    r'"""(?:[^\\]|\\.)*?"""'
    r"|'''.*?'''"
    r'|"""|\'\'\''
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'"
    r"|#[^\n]*"
    r"|[\[\]{}]",
    re.DOTALL,
)


def lines_of_keys(text: str) -> dict[LinePath, int]:
    """Map every table and key to its line, counted from 1.

    The text must be valid TOML. Keys within inline tables are not listed: they stand where their
    table stands, which `line_of` finds.
    """
    found: dict[LinePath, int] = {}
    tables: dict[LinePath, int] = {}
    table: LinePath = ()
    lines = text.split("\n")
    number = 0
    while number < len(lines):
        line = lines[number]
        if header := _TABLE.match(line):
            table = _inside(_parts(header[2]), tables)
            if header[1] == "[[":
                index = tables.get(table, -1) + 1
                tables[table] = index
                found.setdefault(table, number + 1)
                table = (*table, index)
            found[table] = number + 1
        elif key := _KEY.match(line):
            found[(*table, *_parts(key[1]))] = number + 1
            number += _further_lines(line[key.end() :], lines[number + 1 :])
        number += 1
    return found


def line_of(path: LinePath, lines: dict[LinePath, int]) -> int | None:
    """Line of the key, else that of the nearest table around it."""
    for length in range(len(path), 0, -1):
        if (line := lines.get(path[:length])) is not None:
            return line
    return None


def _parts(dotted: str) -> LinePath:
    return tuple(part.strip("\"'") for part in re.findall(_PART, dotted))


def _inside(path: LinePath, tables: dict[LinePath, int]) -> LinePath:
    """Insert the index of the present element wherever the way leads through an array of tables."""
    way: LinePath = ()
    for part in path[:-1]:
        way = (*way, part)
        if way in tables:
            way = (*way, tables[way])
    return (*way, *path[-1:])


def _further_lines(value: str, rest: list[str]) -> int:
    """Count the lines after the first that a value takes: arrays and long texts go on."""
    for count in range(len(rest) + 1):
        if _is_closed(value):
            return count
        value = value + "\n" + rest[count] if count < len(rest) else value
    return len(rest)


def _is_closed(value: str) -> bool:
    depth = 0
    for token in _OPEN_OR_CLOSE.findall(value):
        if token in ('"""', "'''"):
            return False  # a long text whose end has not come yet
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token, 0)
    return depth <= 0
