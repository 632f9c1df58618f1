import gc
import inspect
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from bridge.tts_v2.errors import InvalidParameter, InvalidParameterType, InvalidTask, StartFailed
from bridge.tts_v2.pool import SpeechSynthesizerObjectPool
from bridge.tts_v2.synthesizer import SpeechSynthesizer
from tests.tts_v2.making import FORMAT, synthesizer
from tests.tts_v2.recorder import Recorder
from tests.tts_v2.service import PAIR, Peer, Service, eventually, scripted


@pytest.fixture
def service() -> Iterator[Service]:
    with scripted() as running:
        yield running


def pool_of(
    service: Service, size: int = 2, *, headers: dict[str, str] | None = None, workspace: str | None = None
) -> SpeechSynthesizerObjectPool:
    return SpeechSynthesizerObjectPool(max_size=size, url=service.url, headers=headers, workspace=workspace)


def borrow(
    pool: SpeechSynthesizerObjectPool,
    callback: Recorder | None = None,
    *,
    headers: dict[str, str] | None = None,
    hot_fix: dict[str, object] | None = None,
) -> SpeechSynthesizer:
    return pool.borrow_synthesizer(
        "cosyvoice-v3-flash", "tone", FORMAT, callback=callback, headers=headers, hot_fix=hot_fix
    )


@pytest.fixture(autouse=True)
def _no_pool_is_left() -> Iterator[None]:
    yield
    if SpeechSynthesizerObjectPool._instance is not None:
        SpeechSynthesizerObjectPool._instance.shutdown()


def test_borrowing_takes_what_the_sdk_takes_and_a_hot_fix() -> None:
    borrowing = inspect.signature(SpeechSynthesizerObjectPool.borrow_synthesizer).parameters
    making = dict(inspect.signature(SpeechSynthesizer).parameters)
    order = [*[*making][:13], "url", "additional_params", "hot_fix"]

    assert [name for name in borrowing if name != "self"] == order
    assert all(borrowing[name].default == making[name].default for name in order)


def test_all_connections_are_open_when_it_is_made(service: Service) -> None:
    pool_of(service, 5)

    service.wait_until(lambda: service.open_now == 5)


def test_a_borrowed_synthesizer_speaks_on_an_open_connection_and_leaves_it_open(service: Service) -> None:
    pool = pool_of(service, 1)
    for _ in range(5):
        borrowed = borrow(pool)
        assert borrowed.call("Hello") == PAIR
        assert pool.return_synthesizer(borrowed) is None

    assert service.opened == 1
    assert service.open_now == 1
    ids = {message["header"]["task_id"] for message in service.heard}
    assert len(ids) == 5


def test_a_borrowed_synthesizer_streams(service: Service) -> None:
    recorder = Recorder()
    borrowed = borrow(pool_of(service, 1), recorder, hot_fix={"replace": [{"a": "b"}]})
    borrowed.streaming_call("Hello")
    borrowed.streaming_complete()

    assert recorder.calls == ["on_open", "on_event", "on_data", "on_complete", "on_close"]
    assert service.heard[0]["payload"]["parameters"]["hot_fix"] == {"replace": [{"a": "b"}]}


def test_a_cancelled_synthesizer_can_be_returned(service: Service) -> None:
    pool = pool_of(service, 1)
    borrowed = borrow(pool, Recorder())
    borrowed.streaming_call("Hello")
    borrowed.streaming_cancel()
    pool.return_synthesizer(borrowed)

    assert borrow(pool).call("Hello") == PAIR
    assert service.opened == 1


def test_one_task_a_borrowing(service: Service) -> None:
    pool = pool_of(service, 1)
    borrowed = borrow(pool)
    borrowed.call("Hello")

    with pytest.raises(InvalidTask, match="task has already started"):
        borrowed.call("Hello again")
    pool.return_synthesizer(borrowed)
    with pytest.raises(ConnectionError, match="WebSocket connection is not established"):
        borrowed.call("Hello again")


def test_an_empty_pool_lends_one_that_connects_and_closes_by_itself(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    pool = pool_of(service, 1)
    first, second = borrow(pool), borrow(pool)

    assert "no connection to lend" in caplog.text
    assert first.call("Hello") == second.call("Hello") == PAIR
    service.wait_until(lambda: service.opened == 2 and service.open_now == 1)
    assert pool.return_synthesizer(second) is False
    assert pool.return_synthesizer(first) is None


def test_what_does_not_belong_to_it_is_not_taken(service: Service) -> None:
    pool = pool_of(service, 1)
    borrowed = borrow(pool)
    foreign: Any = "a string"

    assert pool.return_synthesizer(foreign) is False
    assert pool.return_synthesizer(synthesizer(service.url)) is False
    assert pool.return_synthesizer(borrowed) is None
    assert pool.return_synthesizer(borrowed) is False


def test_a_synthesizer_that_is_dropped_gives_its_connection_back(service: Service) -> None:
    pool = pool_of(service, 1)
    assert borrow(pool).call("Hello") == PAIR
    gc.collect()
    wait_for_idle(pool, 1)

    assert borrow(pool).call("Hello") == PAIR
    assert service.opened == 1


def test_a_synthesizer_returned_in_mid_task_is_replaced() -> None:
    async def never_ends(peer: Peer) -> None:
        await peer.start()
        await peer.until_closed()

    with scripted(never_ends) as service:
        pool = pool_of(service, 1)
        recorder = Recorder()
        borrowed = borrow(pool, recorder)
        borrowed.streaming_call("Hello")
        pool.return_synthesizer(borrowed)
        recorder.wait_closed()

        service.wait_until(lambda: service.opened == 2 and service.open_now == 1)
        wait_for_idle(pool, 1)


def test_a_failed_synthesizer_is_replaced_without_being_returned() -> None:
    async def fails(peer: Peer) -> None:
        await peer.hear()
        await peer.fail()
        await peer.until_closed()

    with scripted(fails) as service:
        pool = pool_of(service, 1)
        borrowed = borrow(pool, Recorder())
        with pytest.raises(Exception, match="no such voice"):
            borrowed.streaming_call("Hello")

        service.wait_until(lambda: service.opened == 2)
        wait_for_idle(pool, 1)


def test_a_connection_that_the_service_closes_is_replaced(service: Service) -> None:
    pool = pool_of(service, 2)
    service.wait_until(lambda: service.open_now == 2)

    service.abort(0)

    service.wait_until(lambda: service.opened == 3 and service.open_now == 2)
    wait_for_idle(pool, 2)


def test_it_is_one_and_making_it_again_with_equal_settings_changes_nothing(service: Service) -> None:
    first = pool_of(service, 2)
    second = pool_of(service, 2)

    assert first is second
    service.wait_until(lambda: service.open_now == 2)
    assert service.opened == 2


def test_making_it_again_with_another_size_closes_what_is_too_much(service: Service) -> None:
    pool_of(service, 3)
    pool = pool_of(service, 1)

    service.wait_until(lambda: service.opened == 4 and service.open_now == 1)
    assert borrow(pool).call("Hello") == PAIR


def test_its_own_settings_hold_for_what_it_lends_and_others_get_their_own_connection(
    service: Service,
) -> None:
    pool = pool_of(service, 1, headers={"X-Tenant": "one"}, workspace="ws-1")
    borrow(pool).call("Hello")
    assert service.opened == 1

    borrow(pool, headers={"X-Tenant": "two"}).call("Hello")

    assert [headers.get("X-Tenant") for headers in service.headers] == ["one", "two"]
    assert [headers.get("X-DashScope-WorkSpace") for headers in service.headers] == ["ws-1", "ws-1"]


def test_shutting_down_closes_what_waits_and_lets_speak_what_speaks() -> None:
    gate = threading.Event()

    async def speaks_on_command(peer: Peer) -> None:
        await peer.start()
        await peer.hear_action("continue-task")
        await peer.hold(gate)
        await peer.sound()
        await peer.hear_action("finish-task")
        await peer.say("task-finished")
        await peer.until_closed()

    with scripted(speaks_on_command) as service:
        pool = pool_of(service, 3)
        recorder = Recorder()
        borrowed = borrow(pool, recorder)
        borrowed.streaming_call("Hello")

        pool.shutdown()
        pool.shutdown()
        service.wait_until(lambda: service.open_now == 1)
        gate.set()
        borrowed.streaming_complete()
        service.wait_until(lambda: service.open_now == 0)

    assert recorder.calls[-2:] == ["on_complete", "on_close"]


def test_after_shutting_down_a_synthesizer_connects_by_itself(service: Service) -> None:
    pool = pool_of(service, 1)
    pool.shutdown()

    assert borrow(pool).call("Hello") == PAIR
    service.wait_until(lambda: service.open_now == 0)


def test_a_connection_lent_and_unused_at_the_shutdown_is_replaced_by_the_synthesizer(
    service: Service,
) -> None:
    pool = pool_of(service, 1)
    borrowed = borrow(pool)
    pool.shutdown()
    service.wait_until(lambda: service.opened == 1 and service.open_now == 0)

    assert borrowed.call("Hello") == PAIR
    service.wait_until(lambda: service.open_now == 0)


def test_a_size_out_of_range_is_refused(service: Service) -> None:
    with pytest.raises(InvalidParameter, match=r"^max_size must be greater than 0$"):
        pool_of(service, 0)
    with pytest.raises(ValueError, match=r"^max_size must be less than 100$"):
        pool_of(service, 101)
    with pytest.raises(InvalidParameterType, match="max_size must be an integer"):
        pool_of(service, True)

    assert service.opened == 0


def test_a_service_that_refuses_is_raised_at_once() -> None:
    with scripted(refusal=(403, "no")) as service, pytest.raises(StartFailed) as caught:
        pool_of(service, 3)

    assert (caught.value.http_code, caught.value.message) == (403, "the service answered 403 Forbidden")


def test_many_threads_share_it(service: Service) -> None:
    pool = pool_of(service, 4)
    sounds: list[bytes | None] = []

    def work() -> None:
        for _ in range(10):
            borrowed = borrow(pool)
            sounds.append(borrowed.call("Hello"))
            pool.return_synthesizer(borrowed)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sounds == [PAIR] * 40
    assert service.opened == 4


def wait_for_idle(pool: SpeechSynthesizerObjectPool, count: int) -> None:
    """Wait until the pool can lend so many again."""
    stock = pool._stock
    assert stock is not None
    eventually(lambda: stock.idle == count)
