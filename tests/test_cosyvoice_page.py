"""Whether `docs/cosyvoice.md` is whole, and every test it names is there."""

import ast
import functools
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.cosyvoice import limits
from bridge.cosyvoice.formats import TaskParameters
from bridge.cosyvoice.limits import Refusal
from bridge.cosyvoice.voices import MODELS
from bridge.text.document import read_passages
from bridge.text.hot_fix import HotFix
from bridge.text.manner import EFFECTS
from bridge.text.markup import SsmlError
from bridge.text.say_as import KINDS
from bridge.tts_v2 import AudioFormat, ResultCallback, SpeechSynthesizer, SpeechSynthesizerObjectPool
from bridge.ttsserver.faults import Fault

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "cosyvoice.md").read_text()
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
LEAST_ROWS = 330
"""So that a page that cannot be read is not taken for one without faults."""
EVERYTHING = TaskParameters(
    format="opus",
    bit_rate=32,
    enable_ssml=True,
    word_timestamp_enabled=True,
    language="zh",
    instruction="slowly",
    hot_fix=HotFix.from_wire({"replace": [{"a": "b"}]}),
    enable_markdown_filter=True,
    enable_aigc_tag=True,
    aigc_propagator="a",
    aigc_propagate_id="b",
)
"""A task that leaves nothing out."""


def rows() -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of every row of every table, without heads."""
    lines = TEXT.splitlines()
    for number, line in enumerate(lines, 1):
        is_head = number < len(lines) and lines[number].startswith("|---")
        if line.startswith("|") and not line.startswith("|---") and not is_head:
            yield number, [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


@functools.cache
def names_in(path: str) -> frozenset[str]:
    """Names of the tests in a file: functions, and test cases that are made by a law."""
    body = ast.parse((ROOT / path).read_text()).body
    functions = {node.name for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    made = {
        target.id
        for node in body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    return frozenset(name for name in functions | made if name.startswith(("test_", "Test")))


def arguments(function: object) -> set[str]:
    assert callable(function)
    return set(inspect.signature(function).parameters) - {"self"}


def public(kind: type) -> set[str]:
    return {name for name, value in vars(kind).items() if not name.startswith("_") and callable(value)}


def refusals() -> list[Refusal]:
    return [value for value in vars(limits).values() if isinstance(value, Refusal)]


def elements() -> list[str]:
    """The elements of SSML, as the complaint about an unknown one lists them."""
    with pytest.raises(SsmlError) as caught:
        list(read_passages("<speak><emphasis/></speak>"))
    return re.findall(r"[\w-]+", str(caught.value).partition("holds ")[2])


def test_every_row_names_its_tests() -> None:
    found = list(rows())

    assert len(found) >= LEAST_ROWS
    for number, cells in found:
        assert len(cells) == 3, f"line {number} has {len(cells)} cells"
        assert all(cells), f"line {number} has an empty cell"
        assert NAMED.search(cells[2]), f"line {number} names no test"
        assert NAMED.sub("", cells[2]).strip(" ,") == "", f"line {number} names its test in another way"


def test_every_test_that_is_named_is_there() -> None:
    named = set(NAMED.findall(TEXT))

    assert named
    assert [f"{path}::{name}" for path, name in sorted(named) if name not in names_in(path)] == []


def test_no_row_is_there_twice() -> None:
    firsts = [(cells[0], cells[1]) for _, cells in rows()]

    assert sorted({row for row in firsts if firsts.count(row) > 1}) == []


@pytest.mark.parametrize(
    ("what", "names"),
    [
        ("a format", {member.name for member in AudioFormat}),
        ("an argument of the constructor", arguments(SpeechSynthesizer)),
        ("a method", public(SpeechSynthesizer)),
        ("a callback", public(ResultCallback)),
        ("a method of the pool", public(SpeechSynthesizerObjectPool)),
        ("a parameter on the wire", {*EVERYTHING.to_wire(), "x_fault"}),
        ("a model", set(MODELS)),
        ("a fault", {fault.value for fault in Fault}),
        ("an element of SSML", set(elements())),
        ("a kind of say-as", set(KINDS)),
        ("an effect", set(EFFECTS)),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else "",
)
def test_everything_there_is_has_its_row(what: str, names: set[str]) -> None:
    told = " ".join(f"{first} {here}" for _, (first, here, _) in rows())

    assert names
    # In backticks, a method with its arguments behind it.
    assert [name for name in sorted(names) if not re.search(rf"`{name}[`(]", told)] == [], what


def test_every_refusal_of_the_service_is_told_with_its_code() -> None:
    for refusal in refusals():
        assert any(
            f"`{refusal.code}`" in first + here and refusal.message in first + here
            for _, (first, here, _) in rows()
        ), refusal
    assert len(refusals()) >= 9
