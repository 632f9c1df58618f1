import socket
import threading
from typing import Any

import pytest

from bridge.tts_v2 import courier as courier_module
from bridge.tts_v2 import line as line_module
from bridge.tts_v2.backbone import backbone
from bridge.tts_v2.endpoint import Endpoint
from bridge.tts_v2.errors import ConnectionLost, StartFailed
from bridge.tts_v2.line import Line
from bridge.tts_v2.task import Task
from tests.tts_v2.making import synthesizer
from tests.tts_v2.recorder import Recorder
from tests.tts_v2.service import Peer, Service, eventually, scripted


def dialled(service: Service) -> Line:
    spine = backbone()
    return spine.run(Line.dial(Endpoint(service.url, ()), spine))


async def carry(line: Line, task: Task) -> None:
    line.carry(task)


async def says_nothing(peer: Peer) -> None:
    await peer.until_closed()


def test_a_handshake_that_is_not_answered_ends_in_the_sdks_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_module, "CONNECT_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        made = synthesizer(f"ws://127.0.0.1:{silent.getsockname()[1]}/")

        with pytest.raises(
            TimeoutError, match=r"^websocket connection could not established within 5s"
        ) as caught:
            made.call("Hello")

    assert not isinstance(caught.value, StartFailed)


def test_it_knows_at_once_that_the_service_has_left() -> None:
    with scripted(says_nothing) as service:
        line = dialled(service)
        changed = threading.Event()
        line.on_change = changed.set
        assert line.is_open

        service.abort()

        assert changed.wait(5)
        assert not line.is_open


def test_writing_on_what_has_ended_is_refused() -> None:
    with scripted(says_nothing) as service:
        line = dialled(service)
        line.close("enough")
        eventually(lambda: not line.is_open)

        with pytest.raises(ConnectionError, match="the connection has ended"):
            backbone().run(line.send("text"))


def test_a_task_given_to_what_has_ended_never_starts() -> None:
    with scripted(says_nothing) as service:
        line = dialled(service)
        line.close("enough")
        service.wait_until(lambda: service.open_now == 0)
        task = Task("id", None)

        backbone().run(carry(line, task))

    assert task.started.is_set()
    assert isinstance(task.failure, StartFailed)


def test_closing_twice_is_harmless_and_tells_a_running_task_once() -> None:
    with scripted(says_nothing) as service:
        line = dialled(service)
        task = Task("id", None)
        task.started.set()
        backbone().run(carry(line, task))
        assert line.is_busy

        line.close("enough")
        line.close("more than enough")
        assert task.ended.wait(5)
        service.wait_until(lambda: service.open_now == 0)

    assert isinstance(task.failure, ConnectionLost)
    assert task.failure.message == "enough"
    assert not line.is_busy


def test_frames_without_a_task_are_dropped() -> None:
    async def chatters(peer: Peer) -> None:
        await peer.socket.send(b"sound")
        await peer.socket.send("text")
        await peer.socket.close(1000, "done")

    with scripted(chatters) as service:
        line = dialled(service)

        eventually(lambda: not line.is_open)


def test_a_frame_that_is_too_large_ends_the_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_module, "_FRAME_BYTES", 1000)

    async def shouts(peer: Peer) -> None:
        await peer.start()
        await peer.socket.send(bytes(2000))
        await peer.until_closed()

    with scripted(shouts) as service, pytest.raises(ConnectionLost, match="broke the WebSocket protocol"):
        synthesizer(service.url).call("Hello")


def test_pings_are_answered_while_a_callback_takes_its_time() -> None:
    gate = threading.Event()

    async def pings(peer: Peer) -> None:
        await peer.start()
        await peer.hear_action("continue-task")
        await peer.sound(5)
        pong: Any = await peer.socket.ping()
        await pong
        gate.set()
        await peer.hear_action("finish-task")
        await peer.say("task-finished")
        await peer.until_closed()

    with scripted(pings) as service:
        recorder = Recorder(on_data=lambda: gate.wait(5))
        synthesizer(service.url, recorder).call("Hello")
        recorder.wait_closed()

    assert gate.is_set()
    assert len(recorder.frames) == 5


def test_a_user_who_hears_nothing_stops_the_reading_and_loses_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(courier_module, "_HIGH_BYTES", 100_000)
    monkeypatch.setattr(courier_module, "_LOW_BYTES", 50_000)
    gate, everything_sent = threading.Event(), threading.Event()

    async def floods(peer: Peer) -> None:
        await peer.start()
        await peer.hear_action("continue-task")
        for _ in range(400):
            await peer.socket.send(bytes(65536))
        everything_sent.set()
        await peer.hear_action("finish-task")
        await peer.say("task-finished")
        await peer.until_closed()

    with scripted(floods) as service:
        recorder = Recorder(on_data=lambda: gate.wait(5))
        made = synthesizer(service.url, recorder)
        made.call("Hello")
        task = made.session.task
        assert task is not None
        courier = task.courier
        assert courier is not None
        eventually(lambda: not courier.room.is_set())
        # 26 MB do not fit into the buffers of two sockets.
        assert not everything_sent.is_set()
        gate.set()
        recorder.wait_closed()

    assert len(recorder.sound) == 400 * 65536
    assert recorder.calls[-2:] == ["on_complete", "on_close"]
