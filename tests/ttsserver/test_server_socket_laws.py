"""Two clients at a time who do anything: every task gets its end, and no sound of one reaches the other."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from bridge.ttsserver.server import TtsServer, TtsServerSettings
from tests.ttsserver.client import Client

LETTERS = "behknqtwz"
"""Words of one letter sound at one frequency; those of these letters are 111 Hz apart."""

RATE = 8000


@dataclass
class Task:
    """A task that a client asked for."""

    task_id: str
    letter: str


@dataclass(frozen=True)
class Step:
    """What one of the two clients does."""

    client: int
    act: str
    place: int
    """Which of the ids so far, counted from the newest."""


def _sentence(task: Task, words: int) -> str:
    return " ".join([task.letter * 3] * words) + ". "


DEEDS: dict[str, Callable[[Client, Task], Awaitable[None]]] = {
    "text": lambda client, task: client.text(task.task_id, _sentence(task, 2)),
    "long": lambda client, task: client.text(task.task_id, _sentence(task, 4) * 40),
    "half": lambda client, task: client.text(task.task_id, task.letter * 3),
    "flush": lambda client, task: client.flush(task.task_id),
    "finish": lambda client, task: client.finish(task.task_id),
    "cancel": lambda client, task: client.cancel(task.task_id),
    "unknown voice": lambda client, task: client.run("unheard", voice="nobody"),
    "garbage": lambda client, task: client.socket.send("{no JSON"),
    "binary": lambda client, task: client.socket.send(bytes(4)),
    "no input": lambda client, task: client.send("continue-task", task.task_id, {}),
    "wait": lambda client, task: asyncio.sleep(0.01),
    "other's text": lambda client, task: client.text(task.task_id, _sentence(task, 2)),
    "other's cancel": lambda client, task: client.cancel(task.task_id),
}
BEGINNINGS = ("run", "run, same id", "interrupt", "interrupt, same id")
"""How a client may ask for a task; only the first and the third are right, and only at their time."""

OFTEN = ("run", "interrupt", "interrupt, same id", "text", "long", "finish", "cancel", "wait", "wait")
ACTS = (*OFTEN, *OFTEN, "run, same id", "drop", *DEEDS)
STEPS = st.lists(
    st.builds(Step, st.integers(0, 1), st.sampled_from(ACTS), st.integers(0, 2)), min_size=3, max_size=16
)


@dataclass
class Peer:
    """One of the two clients, and everything that came to it."""

    socket: ClientConnection
    client: Client
    asked: list[Task] = field(default_factory=list)
    came: list[str | bytes] = field(default_factory=list)
    reader: "asyncio.Task[None] | None" = None
    has_left: bool = False

    async def read(self) -> None:
        with suppress(ConnectionClosed):
            async for message in self.socket:
                self.came.append(message)


@pytest.mark.timeout(120)
@settings(
    max_examples=max(60, settings().max_examples // 10),
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],  # a busy machine is no fault of the service
)
@given(steps=STEPS)
def test_two_clients_who_do_anything_get_ends_and_their_own_sound_only(steps: list[Step]) -> None:
    asyncio.run(_live_through(steps), debug=False)


async def _live_through(steps: Sequence[Step]) -> None:
    service = TtsServerSettings(listen=("127.0.0.1", 0), warm=False)
    async with await TtsServer.start(service) as server:
        gone: list[Peer] = []
        peers = [await _join(server), await _join(server)]
        letters = iter(LETTERS * 2)
        for step in steps:
            peer = peers[step.client]
            if step.act == "drop" or peer.socket.close_code is not None:
                peer.has_left = step.act == "drop"
                await _part(peer)
                gone.append(peer)
                peers[step.client] = await _join(server)
                continue
            with suppress(ConnectionClosed):
                await _act(peer, step, letters, others=peers[1 - step.client].asked)
        for peer in peers:
            await _end_what_runs(peer)
        for peer in [*peers, *gone]:
            await _part(peer)
            _check_all_that_came(peer)
        last = await _join(server)
        with suppress(ConnectionClosed):
            await last.client.run("last")
            await last.client.text("last", "eee.")
            await last.client.finish("last")
        await _until_ended(last, "last")
        assert "task-finished" in str(last.came[-1])
        await _part(last)


async def _join(server: TtsServer) -> Peer:
    socket = await connect(server.url, compression=None)
    peer = Peer(socket, Client(socket))
    peer.reader = asyncio.create_task(peer.read())
    return peer


async def _part(peer: Peer) -> None:
    if peer.has_left:
        peer.socket.transport.abort()
    await peer.socket.close()
    assert peer.reader is not None
    await peer.reader


async def _act(peer: Peer, step: Step, letters: Iterator[str], *, others: list[Task]) -> None:
    newest = peer.asked[-1 - step.place % len(peer.asked)] if peer.asked else Task("none", "e")
    if step.act in BEGINNINGS:
        letter = next(letters)
        task_id = newest.task_id if "same id" in step.act else f"{letter}{len(peer.asked)}"
        if step.act.startswith("interrupt"):
            await peer.client.cancel(newest.task_id)
        peer.asked.append(Task(task_id, letter))
        await peer.client.run(task_id, sample_rate=RATE)
        await DEEDS["long" if step.place else "text"](peer.client, peer.asked[-1])
    elif step.act.startswith("other"):
        foreign = others[-1] if others else Task("nobody's", "z")
        await DEEDS[step.act](peer.client, foreign)
    else:
        await DEEDS[step.act](peer.client, newest)


async def _end_what_runs(peer: Peer) -> None:
    """Cancel; every task that has started must then have its end, and an open connection no other."""
    for task in peer.asked:
        with suppress(ConnectionClosed):
            await peer.client.cancel(task.task_id)
    pong = None
    with suppress(ConnectionClosed):
        pong = await peer.socket.ping()
    if pong is not None:
        with suppress(ConnectionClosed):
            await asyncio.wait_for(pong, 5)
    async with asyncio.timeout(5):
        while _open_task(peer) is not None and peer.socket.close_code is None:  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def _until_ended(peer: Peer, task_id: str) -> None:
    async with asyncio.timeout(5):
        while not any(  # noqa: ASYNC110  a reader rings no bell
            isinstance(message, str) and task_id in message and "task-fi" in message for message in peer.came
        ):
            await asyncio.sleep(0.005)


def _open_task(peer: Peer) -> str | None:
    running = None
    for message in peer.came:
        if isinstance(message, str):
            header = json.loads(message)["header"]
            if header["event"] == "task-started":
                running = header["task_id"]
            elif header["event"] in ("task-finished", "task-failed") and header["task_id"] == running:
                running = None
    return running


def _check_all_that_came(peer: Peer) -> None:
    waiting = list(peer.asked)
    running: Task | None = None
    is_announced = has_failed = False
    for message in peer.came:
        assert not has_failed or "task-failed" in str(message), "something follows a failure"
        if isinstance(message, bytes):
            assert running is not None, "sound that belongs to no task"
            assert is_announced, "sound that was not announced"
            assert _sounds_like(message, running.letter), f"sound of another task than {running}"
            is_announced = False
            continue
        assert not is_announced, "an event between an announcement and its sound"
        event = json.loads(message)
        task_id, name = event["header"]["task_id"], event["header"]["event"]
        match name:
            case "task-started":
                assert running is None, "two tasks at a time"
                # Runs are answered in order; those that were refused before this one are over.
                while waiting and waiting[0].task_id != task_id:
                    waiting.pop(0)
                running = waiting.pop(0)
            case "result-generated":
                assert running is not None
                assert task_id == running.task_id
                is_announced = event["payload"]["output"]["type"] == "sentence-synthesis"
            case "task-finished":
                assert running is not None
                assert task_id == running.task_id
                running = None
            case "task-failed":
                assert event["header"]["error_code"] != "InternalError", "one task broke another"
                has_failed = True
                if running is not None and task_id == running.task_id:
                    running = None
    assert running is None or peer.has_left, f"{running} has no end"


def _sounds_like(frame: bytes, letter: str) -> bool:
    """Whether a frame is silent, or the tone of one letter."""
    samples = np.frombuffer(frame, "<i2").astype(np.float64)
    if not len(samples) or np.sqrt(np.mean(samples**2)) < 200:
        return True
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 8192))
    peak_hz = float(np.argmax(spectrum)) * RATE / 8192
    return abs(peak_hz - (300 + ord(letter) * 37 % 1200)) < 50
