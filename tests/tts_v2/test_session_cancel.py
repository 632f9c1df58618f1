import threading
import time

import pytest

from bridge.tts_v2.errors import ConnectionLost
from tests.tts_v2.making import synthesizer
from tests.tts_v2.misbehaving import never_ends
from tests.tts_v2.recorder import Recorder
from tests.tts_v2.service import Peer, scripted


def test_a_cancel_inside_a_callback_works() -> None:
    async def speaks_until_cancelled(peer: Peer) -> None:
        await peer.start()
        await peer.hear_action("continue-task")
        await peer.sound(50)
        message = await peer.hear_action("finish-task")
        assert message["payload"]["input"] == {"directive": "cancel"}
        await peer.sound(50)
        await peer.say("task-finished")
        await peer.until_closed()

    with scripted(speaks_until_cancelled) as service:
        recorder = Recorder()
        made = synthesizer(service.url, recorder)
        recorder.acts["on_data"] = made.streaming_cancel
        began = time.monotonic()
        made.streaming_call("Hello")
        recorder.wait_closed()

        assert time.monotonic() - began < 5
    assert recorder.calls == ["on_open", "on_event", "on_data", "on_complete", "on_close"]


def test_completion_inside_a_callback_works() -> None:
    with scripted() as service:
        recorder = Recorder()
        made = synthesizer(service.url, recorder)
        recorder.acts["on_data"] = made.streaming_complete
        made.streaming_call("Hello")
        recorder.wait_closed()

    assert recorder.calls[-2:] == ["on_complete", "on_close"]


def test_a_cancel_that_is_not_confirmed_closes() -> None:
    with scripted(never_ends) as service:
        recorder = Recorder()
        made = synthesizer(service.url, recorder)
        made.streaming_call("Hello")
        recorder.wait_heard()

        made.streaming_cancel(50)
        recorder.wait_closed()
        service.wait_until(lambda: service.open_now == 0)

    assert recorder.calls[-1] == "on_close"
    assert "on_error" not in recorder.calls
    assert "on_complete" not in recorder.calls


def test_a_cancel_drops_what_a_slow_callback_has_not_heard_although_the_task_has_finished() -> None:
    gate = threading.Event()

    async def speak(peer: Peer) -> None:
        await peer.start()
        await peer.hear_action("continue-task")
        await peer.hear_action("finish-task")
        await peer.sound(20)
        await peer.say("task-finished")
        await peer.until_closed()
        peer_left.set()

    peer_left = threading.Event()
    with scripted(speak) as service:
        recorder = Recorder(on_data=lambda: gate.wait(5))
        made = synthesizer(service.url, recorder)
        made.call("Hello")
        assert peer_left.wait(5)

        made.streaming_cancel()
        gate.set()
        recorder.wait_closed()

    assert recorder.calls == ["on_open", "on_event", "on_data", "on_complete", "on_close"]
    assert "directive" not in service.heard[-1]["payload"]["input"]


def test_closing_in_mid_task_ends_it_without_an_error() -> None:
    with scripted(never_ends) as service:
        recorder = Recorder()
        made = synthesizer(service.url, recorder)
        made.streaming_call("Hello")
        recorder.wait_heard()

        made.close()
        made.close()
        recorder.wait_closed()
        service.wait_until(lambda: service.open_now == 0)

        assert "on_error" not in recorder.calls
        with pytest.raises(ConnectionLost, match=r"closed by close\(\)"):
            made.streaming_call("more")


def test_closing_from_another_thread_ends_a_call() -> None:
    with scripted(never_ends) as service:
        made = synthesizer(service.url)
        failures: list[BaseException] = []

        def call() -> None:
            try:
                made.call("Hello")
            except ConnectionLost as error:
                failures.append(error)

        thread = threading.Thread(target=call)
        thread.start()
        service.wait_until(lambda: "finish-task" in service.actions)
        made.close()
        thread.join(5)

    assert "closed by close()" in str(failures[0])
