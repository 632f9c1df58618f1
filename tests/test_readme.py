"""What README.md shows is done here: its commands run, its agent answers a call, its links lead somewhere."""

import asyncio
import os
import re
import shlex
import socket
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bridge.app.config import load
from bridge.load.scenario import in_mid_sentence
from tests.e2e import agents
from tests.e2e.lab import account_when, calling
from tests.e2e.running import RunningBridge, free_port

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^(?:[A-Z_]+=\S+ )*(?:cosybridge|make)\b")


@dataclass(frozen=True, slots=True)
class Command:
    """One command line of the README, its trailing comment cut off."""

    words: list[str]
    environment: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, line: str) -> "Command":
        words = shlex.split(line, comments=True)
        begin = next(i for i, word in enumerate(words) if word in ("cosybridge", "make"))
        return cls(words[begin:], dict(word.split("=", 1) for word in words[:begin]))

    def __str__(self) -> str:
        return " ".join([*(f"{k}={v}" for k, v in self.environment.items()), *self.words])


def commands(program: str) -> list[Command]:
    """Every command line of `program` in blocks, and in the running text where it has arguments."""
    lines = [line for kind, block in BLOCKS if not kind for line in block.splitlines()]
    lines += [text.replace("\n", " ") for text in re.findall(r"(?<!`)`([^`]+)`(?!`)", TEXT)]
    parsed = [Command.parse(line) for line in lines if COMMAND.match(line)]
    unique = {str(command): command for command in parsed if command.words[0] == program}
    return [command for command in unique.values() if len(command.words) > 1]


def cosybridge(*verbs: str) -> list[Command]:
    return [command for command in commands("cosybridge") if command.words[1] in verbs]


def run(command: Command, *more: str, timeout_s: float = 60, **environment: str) -> tuple[int, str]:
    """Run it as a user would, with the working tree's own program."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("COSYBRIDGE_", "DASHSCOPE_"))}
    done = subprocess.run(
        [sys.executable, "-m", "bridge", *command.words[1:], *more],
        env=clean | command.environment | environment,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def bridge() -> Iterator[RunningBridge]:
    """Lends its voice to the bridges of this module, which so start quickly, and takes calls."""
    with RunningBridge(agents.routes(firm="tone", holding="tone")) as running:
        yield running


def borrowing(bridge: RunningBridge) -> dict[str, str]:
    return {"tts_server.enabled": "false", "tts.url": bridge.tts_url}


def test_every_block_is_a_command_a_drawing_or_a_language_tested_here() -> None:
    assert {kind for kind, _ in BLOCKS} <= {"", "python", "toml"}
    for kind, block in BLOCKS:
        lines = [line for line in block.splitlines() if line.strip()]
        is_drawing = any("│" in line for line in lines)
        assert kind or is_drawing or all(COMMAND.match(line) for line in lines), block


def test_every_verb_that_is_shown_is_run_below() -> None:
    known = {"serve", "call", "config", "doctor", "demo", "say", "tts"}

    assert {command.words[1] for command in commands("cosybridge")} <= known


@pytest.mark.parametrize("command", commands("make"), ids=str)
def test_every_make_target_exists_is_explained_and_can_be_planned(command: Command) -> None:
    target = command.words[1]

    explained = re.findall(r"^([a-z]+):.*## \S", (ROOT / "Makefile").read_text(), re.MULTILINE)
    planned = subprocess.run(
        ["make", "-n", *command.words[1:]],
        cwd=ROOT,
        env={k: v for k, v in os.environ.items() if k not in ("CI", "MAKEFLAGS")},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )

    assert target in explained
    assert planned.returncode == 0, planned.stderr


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#]+)\)", TEXT))
def test_every_link_leads_to_something(link: str) -> None:
    assert "://" in link or (ROOT / link).exists()


def test_the_routes_that_are_shown_are_valid_settings(tmp_path: Path) -> None:
    shown = [block for kind, block in BLOCKS if kind == "toml"]
    assert shown
    for number, block in enumerate(shown):
        file = tmp_path / f"{number}.toml"
        file.write_text(block)

        assert load(file, environ={}).routes


@pytest.mark.e2e
@pytest.mark.timeout(60)
@pytest.mark.parametrize("command", cosybridge("serve"), ids=str)
def test_every_serve_line_becomes_ready(bridge: RunningBridge, command: Command, tmp_path: Path) -> None:
    settings = tmp_path / "my.toml"
    settings.write_text('[log]\nlevel = "warning"\n')
    shown = [str(settings) if word == "my.toml" else word for word in command.words[1:]]
    # Last word wins: whatever port the README names may be busy here.
    own = [f"--set=sip.listen=127.0.0.1:{free_port()}", f"--set=recording.folder={tmp_path}"]
    values = {**borrowing(bridge), **_as_settings(command.environment)}
    lan_port = free_port(socket.SOCK_STREAM)
    own += [f"--set=http.listen=0.0.0.0:{lan_port}"] if "--lan" in shown else []
    with RunningBridge(values, command=[sys.executable, "-m", "bridge", *shown, *own]) as running:
        if "--lan" in shown:
            assert _is_healthy(f"https://127.0.0.1:{lan_port}/healthz")
        else:
            assert running.get("/api/calls") == {"calls": []}
        code = running.stop()

    assert code == 0


def _is_healthy(url: str) -> bool:
    """Ask over https, whoever vouches for the certificate."""
    anybody = ssl.create_default_context()
    anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
    with urllib.request.urlopen(url, timeout=5, context=anybody) as answer:  # noqa: S310  our own child
        return bool(answer.status == 200)


def _as_settings(environment: dict[str, str]) -> dict[str, str]:
    names = ((name.removeprefix("COSYBRIDGE_"), value) for name, value in environment.items())
    return {name.lower().replace("__", "."): value for name, value in names}


@pytest.mark.e2e
@pytest.mark.timeout(60)
@pytest.mark.parametrize("command", cosybridge("call"), ids=str)
def test_every_call_line_reaches_a_phone(bridge: RunningBridge, command: Command) -> None:
    uri = next(word for word in command.words if word.startswith("sip:"))
    ours = Command([bridge.uri("firm") if word == uri else word for word in command.words])

    code, output = run(
        ours,
        f"--set=sip.listen=127.0.0.1:{free_port()}",
        "--set=tts_server.enabled=false",
        f"--set=tts.url={bridge.tts_url}",
        "--set=media.ports=17000-17099",
    )

    assert code == 0, output
    assert "call ended: caller hung up" in output or "call ended: callee hung up" in output


@pytest.mark.e2e
@pytest.mark.timeout(60)
@pytest.mark.parametrize("command", cosybridge("config", "doctor"), ids=str)
def test_every_other_line_says_something(command: Command) -> None:
    ports = (("sip.listen", socket.SOCK_DGRAM), ("http.listen", socket.SOCK_STREAM))
    own = [f"--set={key}=127.0.0.1:{free_port(kind)}" for key, kind in ports]

    code, output = run(command, *own, f"--set=tts_server.listen=127.0.0.1:{free_port(socket.SOCK_STREAM)}")

    assert code == 0, output
    assert len(output.splitlines()) > 5


@pytest.mark.e2e
def test_lines_that_other_tests_run_have_the_options_they_name() -> None:
    for command in cosybridge("demo", "say", "tts"):
        code, output = run(Command(["cosybridge", command.words[1]]), "--help")

        assert code == 0
        assert all(word.split("=")[0] in output for word in command.words[2:] if word.startswith("-"))


@pytest.mark.e2e
@pytest.mark.timeout(60)
async def test_the_agent_that_is_shown_answers_a_call(bridge: RunningBridge, tmp_path: Path) -> None:
    shown = [block for kind, block in BLOCKS if kind == "python"]
    assert len(shown) == 1
    file = tmp_path / "agent.py"
    file.write_text(shown[0])

    with RunningBridge(borrowing(bridge), command=[sys.executable, "-u", str(file)]) as running:
        async with calling(running, "anything") as caller:
            await in_mid_sentence(caller, after_ns=caller.answered_ns + 1_000_000_000, timeout_s=15)
            await caller.press("2")
            await asyncio.wait_for(asyncio.shield(caller.call.ended), 30)
            told = await account_when(running, caller, lambda told: told["state"] == "ended")

    welcome, *_, goodbye = told["utterances"]
    print([(u["text"], u["interrupted"]) for u in told["utterances"]])
    assert welcome["interrupted"]
    assert goodbye["text"] == "You pressed 2. Goodbye."
    assert told["reason"] == "agent finished"
