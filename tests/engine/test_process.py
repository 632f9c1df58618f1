"""The media process from outside, without the supervisor."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict

import pytest

from bridge.engine.commands import Carry, Message, Ready, Stop
from bridge.engine.link import Link
from bridge.engine.shared import SharedMemory
from bridge.plane.spec import PlaneSettings

pytestmark = pytest.mark.e2e


class Child:
    """A media process whose standard error is read."""

    def __init__(self, *, settings: str | None = None) -> None:
        ours, theirs = socket.socketpair()
        options = json.dumps(
            {
                "plane": asdict(PlaneSettings()),
                "plain_sockets": False,
                "ports_shared": False,
                "calibrates": False,
                "realtime": False,
            }
        )
        arguments = [str(theirs.fileno()), settings or options]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bridge.engine.process", *arguments],
            pass_fds=[theirs.fileno()],
            stderr=subprocess.PIPE,
            text=True,
        )
        theirs.close()
        self.link = Link(ours)

    def carry(self) -> None:
        memory = SharedMemory(2)
        self.link.send(Carry(2, 0, 0), [memory.fd])
        memory.close_fd()

    def first_message(self) -> Message:
        self.link.sock.settimeout(10)
        self.link.sock.recv(1, socket.MSG_PEEK)
        self.link.sock.setblocking(False)
        return self.link.receive()[0]

    def end(self) -> tuple[int, list[str]]:
        _, errors = self.process.communicate(timeout=10)
        return self.process.returncode, errors.splitlines()


@pytest.fixture
def child() -> Iterator[Child]:
    made = Child()
    yield made
    made.link.close()
    made.process.kill()
    made.process.communicate()


def test_it_says_when_it_is_ready_and_stops_when_told(child: Child) -> None:
    ready = child.first_message()
    child.link.send(Stop())

    assert isinstance(ready, Ready)
    assert ready.pid == child.process.pid
    assert ready.is_realtime is False
    assert child.end() == (0, [])


def test_it_ends_when_nobody_holds_the_pipe(child: Child) -> None:
    child.first_message()
    child.link.close()

    assert child.end() == (0, [])


def test_ctrl_c_is_the_control_planes_to_handle(child: Child) -> None:
    child.first_message()
    os.kill(child.process.pid, signal.SIGINT)
    child.link.send(Stop())

    assert child.end() == (0, [])


def test_sigterm_ends_it(child: Child) -> None:
    child.first_message()
    child.process.terminate()

    assert child.end()[0] == -signal.SIGTERM


def test_garbage_from_the_control_plane_ends_it_with_one_line(child: Child) -> None:
    child.first_message()
    child.link.sock.send(b"\xff" * 50)

    status, lines = child.end()

    assert status == 3
    assert len(lines) == 1
    assert lines[0].startswith("media: ending, because the control plane cannot be understood: ")


def test_a_fault_of_its_own_is_one_line_too() -> None:
    child = Child(
        settings=json.dumps(
            {
                "plane": {"no_such_threshold": 1},
                "plain_sockets": True,
                "ports_shared": False,
                "calibrates": False,
                "realtime": False,
            }
        )
    )

    status, lines = child.end()
    child.link.close()

    assert status == 1
    assert len(lines) == 1
    assert lines[0].startswith("media: TypeError: ")


def test_it_loads_no_event_loop_and_no_other_room() -> None:
    code = (
        "import sys, bridge.engine.process;"
        "strange = {'asyncio', 'aiohttp', 'aiortc', 'av', 'websockets'};"
        "print(*sorted(name for name in sys.modules if name in strange"
        " or name.startswith(('bridge.sip', 'bridge.call', 'bridge.aio', 'bridge.app', 'bridge.cosyvoice'))))"
    )

    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert loaded.stdout.strip() == ""
