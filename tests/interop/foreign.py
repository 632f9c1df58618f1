"""Programs of other makers beside a bridge, and the files of `sip_examples` that they run with."""

import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.e2e.running import free_port

__all__ = ["EXAMPLES", "Foreign", "adapt", "ended_well", "run_sipp", "sipp"]

EXAMPLES = Path(__file__).parents[2] / "sip_examples"
_ENDING_S = 5.0


def adapt(source: Path, folder: Path, changes: Mapping[str, object]) -> Path:
    """Copy a user's file into `folder` with other ports and paths; every one of them must be in it."""
    text = source.read_text()
    for old in changes:
        assert old in text, f"{old} is not in {source}"
    # By marks first: one change must not be made to what another one wrote.
    for number, old in enumerate(changes):
        text = text.replace(old, f"\0{number}\0")
    for number, new in enumerate(changes.values()):
        text = text.replace(f"\0{number}\0", str(new))
    copy = folder / source.name
    copy.write_text(text)
    return copy


class Foreign:
    """A program that runs until the test is done with it.

    Args:
        command: It and its arguments.
        folder: Where it runs.
    """

    def __init__(self, command: list[str], folder: Path) -> None:
        self.output: list[str] = []
        """Every line it printed, both streams."""
        self._command = command
        self._folder = folder
        self.process: subprocess.Popen[str]

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            self._command,
            cwd=self._folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.terminate()
        try:
            self.process.wait(_ENDING_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._reader.join(_ENDING_S)
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()

    def type(self, line: str) -> None:
        """Give it a line, as if typed."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def wait_for(self, text: str, *, within_s: float = 10.0) -> str:
        """The first line it printed that holds `text`."""
        end_s = time.monotonic() + within_s
        while True:
            for line in self.output:
                if text in line:
                    return line
            assert time.monotonic() < end_s, f"{text!r} was never printed:\n" + "\n".join(self.output[-40:])
            assert self.process.poll() is None, "it ended:\n" + "\n".join(self.output[-40:])
            time.sleep(0.02)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output.append(line.rstrip("\n"))


def sipp(
    path: str, scenario: Path | str, folder: Path, *more: str, name: str = "sipp"
) -> "subprocess.Popen[str]":
    """Start sipp on loopback, with a file or a scenario of its own; errors and logs go into `folder`."""
    command = [
        path,
        "-sf" if isinstance(scenario, Path) else "-sn",
        str(scenario),
        "-i",
        "127.0.0.1",
        "-mi",
        "127.0.0.1",
    ]
    command += ["-mp", str(free_port() // 2 * 2), "-nostdin", "-timeout_error"]
    command += ["-trace_err", "-error_file", str(folder / f"{name}.errors")]
    command += ["-trace_logs", "-log_file", str(folder / f"{name}.log")]
    return subprocess.Popen(
        [*command, *more],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )


def ended_well(process: "subprocess.Popen[str]", folder: Path, *, name: str = "sipp") -> str:
    """Wait for sipp; what it printed, if no call failed."""
    printed, _ = process.communicate(timeout=90)
    errors = folder / f"{name}.errors"
    told = errors.read_text(errors="replace")[-3000:] if errors.exists() else ""
    assert process.returncode == 0, told + printed[-3000:]
    return printed


def run_sipp(path: str, scenario: Path, folder: Path, *more: str, name: str = "sipp") -> str:
    """Let sipp make its calls, all of which must be good."""
    return ended_well(
        sipp(path, scenario, folder, *more, "-p", str(free_port()), name=name), folder, name=name
    )
