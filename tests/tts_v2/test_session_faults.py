import json
import signal
import threading

import pytest

from bridge.tts_v2.errors import ConnectionLost, InvalidTask, RequestFailure, StartFailed
from bridge.tts_v2.patience import Patience
from tests.tts_v2.making import synthesizer
from tests.tts_v2.misbehaving import (
    fails_at_start,
    fails_later,
    leaves_after_the_finish,
    leaves_before_the_start,
    leaves_in_mid_word,
    never_ends,
    never_starts,
)
from tests.tts_v2.recorder import Recorder
from tests.tts_v2.service import scripted

NOT_STARTED = r"^speech synthesizer has not been started\.$"


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


def test_a_task_that_never_starts_ends_in_the_sdks_words() -> None:
    with scripted(never_starts) as service:
        made = synthesizer(service.url, Recorder())
        made.session.patience = Patience(start_s=0.05)
        with pytest.raises(TimeoutError, match=r"^start speech synthesizer failed within 5s\.$"):
            made.streaming_call("Hello")

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
    with scripted(never_ends) as service:
        recorder = Recorder()
        made = synthesizer(service.url, recorder)
        made.streaming_call("Hello")

        control_c = (threading.main_thread().ident, signal.SIGINT)
        # A shell's background job ignores it, and so would we.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            threading.Timer(0.2, signal.pthread_kill, control_c).start()
            with pytest.raises(KeyboardInterrupt):
                made.streaming_complete()
        finally:
            signal.signal(signal.SIGINT, before)
        recorder.wait_closed()
        service.wait_until(lambda: service.open_now == 0)

    assert recorder.calls[-1] == "on_close"
    assert "on_error" not in recorder.calls
