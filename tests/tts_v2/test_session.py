import threading

import pytest

from bridge.tts_v2.errors import ConnectionLost, InputRequired, InvalidParameter, InvalidTask
from bridge.tts_v2.patience import Patience
from tests.tts_v2.making import synthesizer
from tests.tts_v2.misbehaving import never_ends
from tests.tts_v2.recorder import Recorder
from tests.tts_v2.service import PAIR, Peer, obliging, progress, scripted

NOT_STARTED = r"^speech synthesizer has not been started\.$"


def test_on_open_runs_in_the_callers_thread_before_any_text_is_sent() -> None:
    with scripted() as service:
        recorder = Recorder(on_open=lambda: heard.extend(service.actions))
        heard: list[str] = []
        synthesizer(service.url, recorder).call("Hello")
        recorder.wait_closed()

    assert heard == ["run-task"]
    assert recorder.threads["on_open"] == threading.current_thread().name
    assert recorder.calls == ["on_open", "on_event", "on_data", "on_complete", "on_close"]


def test_all_other_callbacks_run_in_one_thread_that_is_not_the_readers() -> None:
    with scripted() as service:
        recorder = Recorder()
        made = synthesizer(service.url, recorder)
        made.streaming_call("Hello")
        made.streaming_complete()

    threads = {recorder.threads[name] for name in ("on_event", "on_data", "on_complete", "on_close")}
    assert threads == {f"tts_v2:{made.get_last_request_id()}"}


def test_a_slow_callback_delays_no_reading() -> None:
    gate = threading.Event()

    async def finishes_while_the_user_is_busy(peer: Peer) -> None:
        await peer.start()
        await peer.hear_action("continue-task")
        await peer.sound(200)
        await peer.hear_action("finish-task")
        await peer.say("task-finished")
        # The client has read the terminal event, for it closes.
        await peer.until_closed()
        gate.set()

    with scripted(finishes_while_the_user_is_busy) as service:
        recorder = Recorder(on_data=lambda: gate.wait(5))
        made = synthesizer(service.url, recorder)
        made.call("Hello")
        recorder.wait_closed()

    assert gate.is_set()
    assert len(recorder.frames) == 200


def test_completion_waits_for_the_last_callback() -> None:
    with scripted() as service:
        recorder = Recorder()
        made = synthesizer(service.url, recorder)
        made.streaming_call("Hello")
        made.streaming_complete()

        assert recorder.calls[-1] == "on_close"


def test_completion_comes_although_on_complete_waits_for_it() -> None:
    completed = threading.Event()
    with scripted() as service:
        recorder = Recorder(on_complete=lambda: completed.wait(5))
        made = synthesizer(service.url, recorder)
        made.session.patience = Patience(last_callbacks_s=0.01)
        made.streaming_call("Hello")

        made.streaming_complete()
        completed.set()
        recorder.wait_closed()

    assert recorder.calls[-2:] == ["on_complete", "on_close"]


def test_an_exception_in_a_callback_does_not_stop_the_stream(caplog: pytest.LogCaptureFixture) -> None:
    def stumble() -> None:
        raise RuntimeError("the player is gone")

    with scripted() as service:
        recorder = Recorder(on_data=stumble)
        made = synthesizer(service.url, recorder)
        made.streaming_call("Hello")
        made.streaming_call("world")
        made.streaming_complete()

    assert recorder.frames == [PAIR, PAIR]
    assert recorder.calls[-2:] == ["on_complete", "on_close"]
    assert "the callback on_data failed" in caplog.text


def test_an_exception_in_on_open_reaches_the_caller_and_the_task_goes_on() -> None:
    def stumble() -> None:
        raise RuntimeError("no file to write to")

    with scripted() as service:
        recorder = Recorder(on_open=stumble)
        made = synthesizer(service.url, recorder)

        with pytest.raises(RuntimeError, match="no file to write to"):
            made.streaming_call("Hello")
        made.streaming_complete()

    assert recorder.calls == ["on_open", "on_complete", "on_close"]


def test_streaming_needs_a_callback() -> None:
    with scripted() as service, pytest.raises(InputRequired, match=r"^callback is required!$"):
        synthesizer(service.url).streaming_call("Hello")

    assert service.opened == 0


def test_a_second_call_finds_the_connection_closed() -> None:
    with scripted() as service:
        made = synthesizer(service.url)
        made.call("Hello")

        with pytest.raises(
            ConnectionError, match="WebSocket connection is not established or has been closed"
        ):
            made.call("Hello again")


def test_a_call_during_a_task_is_refused() -> None:
    with scripted(never_ends) as service:
        made = synthesizer(service.url, Recorder())
        made.streaming_call("Hello")

        with pytest.raises(InvalidTask, match=r"^task has already started\.$"):
            made.call("Hello again")
        made.close()


def test_after_its_end_an_object_has_not_been_started() -> None:
    with scripted() as service:
        made = synthesizer(service.url, Recorder())
        made.streaming_call("Hello")
        made.streaming_complete()

        with pytest.raises(InvalidTask, match=NOT_STARTED):
            made.streaming_call("Hello")
        for again in (
            made.streaming_flush,
            made.streaming_complete,
            made.async_streaming_complete,
            made.streaming_cancel,
        ):
            with pytest.raises(InvalidTask, match=NOT_STARTED):
                again()


def test_before_its_start_an_object_has_not_been_started() -> None:
    made = synthesizer("ws://127.0.0.1:9", Recorder())

    for early in (made.streaming_flush, made.streaming_complete, made.streaming_cancel):
        with pytest.raises(InvalidTask, match=NOT_STARTED):
            early()
    made.close()


def test_text_after_the_finish_is_refused() -> None:
    with scripted(never_ends) as service:
        made = synthesizer(service.url, Recorder())
        made.streaming_call("Hello")
        made.async_streaming_complete()

        with pytest.raises(InvalidTask, match=r"^speech synthesizer task has stopped\.$"):
            made.streaming_call("more")
        made.close()


def test_waiting_after_the_finish_was_sent_sends_no_second_one() -> None:
    gate = threading.Event()

    async def finishes_late(peer: Peer) -> None:
        await peer.start()
        while (await peer.hear())["header"]["action"] != "finish-task":
            pass
        await peer.sound()
        await peer.hold(gate)
        await peer.say("task-finished")
        await peer.until_closed()

    def wait_for_the_end() -> None:
        gate.set()
        made.streaming_complete()

    with scripted(finishes_late) as service:
        recorder = Recorder(on_data=wait_for_the_end)
        made = synthesizer(service.url, recorder)
        made.call("Hello")
        recorder.wait_closed()

    assert service.actions == ["run-task", "continue-task", "finish-task"]
    assert recorder.calls[-2:] == ["on_complete", "on_close"]


def test_frames_of_other_tasks_and_garbage_are_dropped() -> None:
    async def mixes(peer: Peer) -> None:
        await peer.hear_action("run-task")
        await peer.socket.send(b"sound of a task before")
        await peer.say("task-started")
        await peer.socket.send("{not json")
        await peer.socket.send('"text"')
        await peer.socket.send('{"header": {}}')
        await peer.socket.send('{"header": {"event": "task-finished", "task_id": "another"}}')
        await peer.socket.send('{"header": {"event": "task-failed", "task_id": "another"}}')
        await peer.socket.send('{"header": {"event": "unheard-of"}}')
        await peer.socket.send(progress("another"))
        await peer.socket.send(
            progress(peer.task_id, "sentence-begin", original_text='{"event":"task-finished"}')
        )
        await obliging_rest(peer)

    async def obliging_rest(peer: Peer) -> None:
        while (await peer.hear())["header"]["action"] != "finish-task":
            await peer.sound()
        await peer.say("task-finished")
        await peer.until_closed()

    with scripted(mixes) as service:
        recorder = Recorder()
        made = synthesizer(service.url, recorder)
        made.streaming_call("Hello")
        made.streaming_complete()

    assert recorder.sound == PAIR
    assert recorder.calls == ["on_open", "on_event", "on_event", "on_data", "on_complete", "on_close"]


def test_a_frame_that_breaks_the_websocket_protocol_ends_the_task() -> None:
    async def breaks(peer: Peer) -> None:
        await peer.start()
        peer.socket.transport.write(b"\xff\xff\xff\xff")
        await peer.until_closed()

    with scripted(breaks) as service, pytest.raises(ConnectionLost, match="broke the WebSocket protocol"):
        synthesizer(service.url).call("Hello")


def test_text_over_the_limits_is_not_sent() -> None:
    with scripted() as service:
        made = synthesizer(service.url, Recorder())
        with pytest.raises(InvalidParameter, match="at most 20000 characters"):
            made.streaming_call("字" * 10001)
        assert service.opened == 0

        for _ in range(10):
            made.streaming_call("字" * 10000)
        with pytest.raises(InvalidParameter, match="at most 200000 characters"):
            made.streaming_call("a")
        made.streaming_complete()

    assert service.actions.count("continue-task") == 10


async def test_it_works_beside_a_running_loop() -> None:
    with scripted() as service:
        assert synthesizer(service.url).call("Hello") == PAIR


def test_two_threads_that_stream_at_once_start_one_task() -> None:
    with scripted() as service:
        made = synthesizer(service.url, Recorder())
        threads = [threading.Thread(target=made.streaming_call, args=("Hello",)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        made.streaming_complete()

    assert service.actions.count("run-task") == 1
    assert service.actions.count("continue-task") == 8


def test_no_thread_is_left_behind() -> None:
    before = set(threading.enumerate())
    with scripted(obliging) as service:
        for _ in range(5):
            made = synthesizer(service.url, Recorder())
            made.streaming_call("Hello")
            made.streaming_complete()
        service.wait_until(lambda: service.open_now == 0)

    assert {thread.name for thread in set(threading.enumerate()) - before} <= {"tts_v2:loop"}
