"""Processes of a benchmark that are spoken to in lines of JSON, and the processes of a bridge."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["child", "hear", "processes", "tell", "wait_until"]

_END_S = 10.0


@contextmanager
def child(module: str, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """Start a module that is spoken to in lines of JSON; it is ended on the way out."""
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def tell(process: "subprocess.Popen[str]", order: dict[str, Any]) -> None:
    """Write a line to it."""
    assert process.stdin is not None
    process.stdin.write(json.dumps(order) + "\n")
    process.stdin.flush()


def hear(process: "subprocess.Popen[str]") -> dict[str, Any]:
    """The next line from it."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"a child ended early with {process.wait()}")
    told = json.loads(line)
    assert isinstance(told, dict)
    return told


def wait_until(instant_ns: int) -> None:
    """Sleep to a moment of monotonic time."""
    time.sleep(max(0, instant_ns - time.monotonic_ns()) / 1e9)


def processes(control: int) -> dict[str, tuple[int, ...]]:
    """The media process of a bridge, and all its others."""
    media: list[int] = []
    rest = [control]
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            command = (folder / "cmdline").read_text()
        except OSError:
            continue  # it has just ended
        if parent == control:
            (media if "bridge.engine.process" in command else rest).append(int(folder.name))
    if not media:
        raise RuntimeError("the bridge has no media process")
    return {"media": tuple(media), "rest": tuple(rest)}
