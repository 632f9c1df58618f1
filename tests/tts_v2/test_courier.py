import asyncio
import json
import threading
from collections.abc import Iterator

import pytest

from bridge.tts_v2.backbone import backbone, listeners
from bridge.tts_v2.courier import Courier, error_text
from bridge.tts_v2.errors import ConnectionLost
from tests.tts_v2.recorder import Recorder
from tests.tts_v2.service import eventually


def courier_for(recorder: Recorder, *, most_bytes: int = 1_000_000) -> Courier:
    return Courier(recorder, task_id="id", loop=backbone().loop, most_bytes=most_bytes)


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    opened = threading.Event()
    yield opened
    opened.set()


def test_everything_is_called_in_the_order_it_was_put() -> None:
    recorder = Recorder()
    courier = courier_for(recorder)
    courier.put_event("{}")
    courier.put_data(b"a")
    courier.put_data(b"b")
    courier.put_end(is_complete=True)

    courier.start()
    courier.join()

    assert recorder.calls == ["on_event", "on_data", "on_data", "on_complete", "on_close"]
    assert recorder.sound == b"ab"
    assert courier not in listeners


def test_delivery_is_announced_before_the_last_callbacks() -> None:
    seen: list[bool] = []
    recorder = Recorder(
        on_data=lambda: seen.append(courier.delivered.is_set()),
        on_complete=lambda: seen.append(courier.delivered.is_set()),
    )
    courier = courier_for(recorder)
    courier.put_data(b"a")
    courier.put_end(is_complete=True)
    courier.start()
    courier.join()

    assert seen == [False, True]


def test_a_muted_courier_brings_only_the_end(gate: threading.Event) -> None:
    recorder = Recorder(on_data=lambda: gate.wait(5))
    courier = courier_for(recorder)
    courier.put_data(b"a")
    courier.put_data(b"b")
    courier.start()
    recorder.wait_heard()

    courier.mute()
    gate.set()
    courier.put_data(b"c")
    courier.put_event("{}")
    courier.put_end(is_complete=True)
    courier.join()

    assert recorder.calls == ["on_data", "on_complete", "on_close"]


def test_an_error_is_told_instead_of_the_completion() -> None:
    recorder = Recorder()
    courier = courier_for(recorder)
    courier.put_end(error="{}")
    courier.start()
    courier.join()

    assert recorder.calls == ["on_error", "on_close"]


def test_too_much_that_is_not_delivered_stops_the_reading_until_half_of_it_is(
    gate: threading.Event,
) -> None:
    recorder = Recorder(on_data=lambda: gate.wait(5))
    courier = courier_for(recorder, most_bytes=100)
    courier.start()
    for _ in range(10):
        courier.put_data(bytes(10))
    assert courier.room.is_set()

    courier.put_data(bytes(10))
    assert not courier.room.is_set()

    gate.set()
    eventually(courier.room.is_set)
    courier.put_end()
    courier.join()


def test_room_comes_back_when_the_rest_is_dropped(
    gate: threading.Event,
) -> None:
    recorder = Recorder(on_data=lambda: gate.wait(5))
    courier = courier_for(recorder, most_bytes=100)
    courier.start()
    courier.put_data(bytes(101))
    assert not courier.room.is_set()

    courier.mute()

    eventually(courier.room.is_set)
    courier.put_end()
    gate.set()
    courier.join()


def test_even_an_exit_in_a_callback_does_not_keep_the_end_back(caplog: pytest.LogCaptureFixture) -> None:
    def leave() -> None:
        raise SystemExit

    recorder = Recorder(on_data=leave)
    courier = courier_for(recorder)
    courier.put_data(b"a")
    courier.put_end(is_complete=True)
    courier.start()
    courier.join()

    assert recorder.calls == ["on_data", "on_complete", "on_close"]
    assert "the callback on_data failed" in caplog.text


def test_the_process_owes_an_end_once_it_is_there_or_promised() -> None:
    waiting, promised, ended = (courier_for(Recorder()) for _ in range(3))

    promised.owe()
    ended.put_end()

    assert [courier.is_owed for courier in (waiting, promised, ended)] == [False, True, True]


def test_a_failure_of_ours_reads_like_one_of_the_service() -> None:
    message = json.loads(error_text(ConnectionLost("id", "gone", "Closed", 44)))

    assert message == {
        "header": {
            "task_id": "id",
            "event": "task-failed",
            "error_code": "Closed",
            "error_message": "gone",
            "attributes": {},
        },
        "payload": {},
    }


async def test_a_courier_needs_no_loop_of_its_caller() -> None:
    recorder = Recorder()
    courier = courier_for(recorder)
    courier.put_end()
    courier.start()
    await asyncio.to_thread(courier.join)

    assert recorder.calls == ["on_close"]
