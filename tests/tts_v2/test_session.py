import json
import signal
import threading
import time

import pytest

from bridge.tts_v2 import session as session_module
from bridge.tts_v2.errors import (
    ConnectionLost,
    InputRequired,
    InvalidParameter,
    InvalidTask,
    RequestFailure,
    StartFailed,
)
from tests.tts_v2.making import synthesizer
from tests.tts_v2.recorder import Recorder
from tests.tts_v2.service import PAIR, Peer, obliging, progress, scripted

NOT_STARTED = r"^speech synthesizer has not been started\.$"


async def fails_at_start(peer: Peer) -> None:
    await peer.hear_action("run-task")
    await peer.fail()


async def fails_later(peer: Peer) -> None:
    await peer.start()
    await peer.hear_action("continue-task")
    await peer.sound()
    await peer.fail()


async def leaves_before_the_start(peer: Peer) -> None:
    await peer.hear_action("run-task")
    await peer.socket.close(1011, "overloaded")


async def leaves_in_mid_word(peer: Peer) -> None:
    await peer.start()
    await peer.hear_action("continue-task")
    await peer.sound()
    peer.socket.transport.abort()


async def leaves_after_the_finish(peer: Peer) -> None:
    await peer.start()
    while (await peer.hear())["header"]["action"] != "finish-task":
        pass
    await peer.sound()
    await peer.socket.close(1000, "bye")


async def never_ends(peer: Peer) -> None:
    await peer.start()
    while True:
        await peer.hear()
        await peer.sound()


async def never_starts(peer: Peer) -> None:
    await peer.hear_action("run-task")
    await peer.until_closed()


# Order and threads of the callbacks


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


def test_completion_comes_although_on_complete_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "_LAST_CALLBACKS_S", 0.01)
    completed = threading.Event()
    with scripted() as service:
        recorder = Recorder(on_complete=lambda: completed.wait(5))
        made = synthesizer(service.url, recorder)
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


# One task an object


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


# Failures that the service announces


def test_a_task_that_fails_at_its_start_is_raised_and_told() -> None:
    with scripted(fails_at_start) as service:
        recorder = Recorder()
        made = synthesizer(service.url, recorder)

        with pytest.raises(RequestFailure) as caught:
            made.streaming_call("Hello")
        recorder.wait_closed()

    assert not isinstance(caught.value, ConnectionError)
    assert str(caught.value) == (
        f"Request failed, request_id: {made.get_last_request_id()}, http_code: 44 "
        "error_name: InvalidParameter, error_message: no such voice"
    )
    assert recorder.calls == ["on_error", "on_close"]
    assert json.loads(recorder.errors[0])["header"]["error_message"] == "no such voice"


def test_a_task_that_fails_at_its_start_is_raised_without_a_callback() -> None:
    with scripted(fails_at_start) as service, pytest.raises(RequestFailure, match="no such voice"):
        synthesizer(service.url).call("Hello")


def test_a_later_failure_is_raised_by_a_call_and_its_part_of_the_sound_dropped() -> None:
    with scripted(fails_later) as service, pytest.raises(RequestFailure, match="no such voice"):
        synthesizer(service.url).call("Hello")


def test_a_later_failure_is_told_to_the_callback_and_not_raised() -> None:
    with scripted(fails_later) as service:
        recorder = Recorder()
        made = synthesizer(service.url, recorder)
        made.streaming_call("Hello")
        recorder.wait_closed()

        made.streaming_complete()

    assert recorder.calls == ["on_open", "on_event", "on_data", "on_error", "on_close"]


def test_text_for_a_failed_task_is_refused_with_its_reason() -> None:
    with scripted(fails_later) as service:
        recorder = Recorder()
        made = synthesizer(service.url, recorder)
        made.streaming_call("Hello")
        recorder.wait_closed()

        with pytest.raises(ConnectionError, match="no such voice"):
            made.streaming_call("more")
        made.streaming_cancel()  # over is over


# Failures that nobody announces


def test_a_refused_connection_is_raised_at_once_with_its_status() -> None:
    body = json.dumps({"code": "InvalidApiKey", "message": "Invalid API-key provided.", "request_id": "r-1"})
    with scripted(refusal=(401, body)) as service:
        recorder = Recorder()

        with pytest.raises(StartFailed) as caught:
            synthesizer(service.url, recorder).streaming_call("Hello")

    assert (caught.value.http_code, caught.value.name) == (401, "InvalidApiKey")
    assert (caught.value.message, caught.value.request_id) == ("Invalid API-key provided.", "r-1")
    assert isinstance(caught.value, TimeoutError)  # what the SDK raises after five seconds
    assert recorder.calls == []


def test_a_service_that_is_not_there_is_raised_at_once() -> None:
    made = synthesizer("ws://127.0.0.1:9")

    with pytest.raises(StartFailed, match=r"ws://127\.0\.0\.1:9 cannot be reached") as caught:
        made.call("Hello")

    assert caught.value.request_id == made.get_last_request_id()
    with pytest.raises(InvalidTask, match=NOT_STARTED):
        made.streaming_flush()


def test_a_connection_that_closes_before_the_start_is_raised_at_once() -> None:
    with scripted(leaves_before_the_start) as service:
        recorder = Recorder()

        with pytest.raises(StartFailed, match="closed the connection with 1011: overloaded"):
            synthesizer(service.url, recorder).streaming_call("Hello")

    assert recorder.calls == []


def test_a_task_that_never_starts_ends_in_the_sdks_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "_START_S", 0.05)
    with scripted(never_starts) as service:
        with pytest.raises(TimeoutError, match=r"^start speech synthesizer failed within 5s\.$"):
            synthesizer(service.url, Recorder()).streaming_call("Hello")

        service.wait_until(lambda: service.open_now == 0)


def test_a_connection_that_breaks_in_mid_word_ends_a_call() -> None:
    with scripted(leaves_in_mid_word) as service, pytest.raises(ConnectionLost, match="broke") as caught:
        synthesizer(service.url).call("Hello")

    assert isinstance(caught.value, ConnectionError)
    assert isinstance(caught.value, RequestFailure)


def test_a_connection_that_closes_after_the_finish_ends_a_wait_and_is_told() -> None:
    with scripted(leaves_after_the_finish) as service:
        recorder = Recorder()
        made = synthesizer(service.url, recorder)
        made.streaming_call("Hello")

        with pytest.raises(ConnectionLost, match="closed the connection with 1000: bye"):
            made.streaming_complete()
        recorder.wait_closed()

    assert recorder.calls == ["on_open", "on_event", "on_data", "on_error", "on_close"]
    header = json.loads(recorder.errors[0])["header"]
    assert (header["event"], header["error_code"]) == ("task-failed", "Closed")
    assert header["task_id"] == made.get_last_request_id()


def test_text_and_finish_on_a_broken_connection_are_refused() -> None:
    with scripted(leaves_in_mid_word) as service:
        recorder = Recorder()
        made = synthesizer(service.url, recorder)
        made.streaming_call("Hello")
        recorder.wait_closed()

        with pytest.raises(ConnectionLost, match="broke"):
            made.streaming_call("more")
        with pytest.raises(ConnectionLost, match="broke"):
            made.streaming_complete()


def test_a_wait_that_is_too_long_closes_and_tells() -> None:
    with scripted(never_ends) as service:
        recorder = Recorder()
        made = synthesizer(service.url, recorder)
        made.streaming_call("Hello")

        with pytest.raises(TimeoutError, match=r"^speech synthesizer wait for complete timeout 50ms$"):
            made.streaming_complete(50)
        recorder.wait_closed()
        service.wait_until(lambda: service.open_now == 0)

    assert recorder.calls[-2:] == ["on_error", "on_close"]
    assert json.loads(recorder.errors[0])["header"]["error_code"] == "Timeout"


def test_a_call_that_is_too_long_ends() -> None:
    with scripted(never_ends) as service:
        with pytest.raises(TimeoutError, match="wait for complete timeout 50ms"):
            synthesizer(service.url).call("Hello", timeout_millis=50)

        service.wait_until(lambda: service.open_now == 0)


def test_a_call_with_a_callback_that_is_too_long_is_told() -> None:
    with scripted(never_ends) as service:
        recorder = Recorder()
        synthesizer(service.url, recorder).call("Hello", timeout_millis=50)
        recorder.wait_closed()

    assert recorder.calls[-2:] == ["on_error", "on_close"]
    assert "wait for complete timeout 50ms" in recorder.errors[0]


def test_an_interrupted_wait_closes_and_is_told_without_an_error() -> None:
    async def speaks_after_the_finish(peer: Peer) -> None:
        await peer.start()
        while (await peer.hear())["header"]["action"] != "finish-task":
            pass
        await peer.sound()
        await peer.until_closed()

    with scripted(speaks_after_the_finish) as service:
        recorder = Recorder(on_data=lambda: signal.pthread_kill(main, signal.SIGINT))
        made = synthesizer(service.url, recorder)
        made.streaming_call("Hello")

        main = threading.get_ident()
        with pytest.raises(KeyboardInterrupt):
            made.streaming_complete()
        recorder.wait_closed()
        service.wait_until(lambda: service.open_now == 0)

    assert recorder.calls == ["on_open", "on_event", "on_data", "on_close"]


# Cancel and close


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


# What does not belong to the task


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


# Limits


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
