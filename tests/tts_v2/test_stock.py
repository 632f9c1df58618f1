from collections.abc import Iterator

import pytest

from bridge.tts_v2.backbone import backbone
from bridge.tts_v2.errors import StartFailed
from bridge.tts_v2.session import Session
from bridge.tts_v2.stock import Stock
from tests.tts_v2.making import synthesizer
from tests.tts_v2.service import PAIR, Service, eventually, scripted

MS = 1_000_000


@pytest.fixture
def service() -> Iterator[Service]:
    with scripted() as running:
        yield running


def stocked(service: Service, size: int = 1, *, retire_ms: int = 60_000) -> Stock:
    spine, endpoint = backbone(), session_for(service).request.endpoint
    return spine.run(Stock.open(size, endpoint, spine, retire_ns=retire_ms * MS, retry_s=0.01))


def session_for(service: Service) -> Session:
    return synthesizer(service.url).session


def close(stock: Stock) -> None:
    backbone().loop.call_soon_threadsafe(stock.close)


def test_what_is_idle_for_long_is_renewed_before_the_service_closes_it(service: Service) -> None:
    stock = stocked(service, 2, retire_ms=30)

    service.wait_until(lambda: service.opened >= 6)
    close(stock)
    service.wait_until(lambda: service.open_now == 0)


def test_renewing_never_leaves_more_than_one_connection_too_many(service: Service) -> None:
    most = 0
    stock = stocked(service, 1, retire_ms=20)

    def renewed() -> bool:
        nonlocal most
        most = max(most, service.open_now)
        return service.opened >= 6

    service.wait_until(renewed)
    close(stock)
    service.wait_until(lambda: service.open_now == 0)

    assert most <= 3  # the old, the new and one that still says goodbye


def test_what_is_lent_and_not_used_is_closed_and_replaced(service: Service) -> None:
    stock = stocked(service, 1, retire_ms=30)
    session = session_for(service)
    assert stock.lend(session)

    eventually(lambda: not session.is_connected)
    eventually(lambda: stock.idle == 1)

    assert session.call("Hello", None) == PAIR
    close(stock)


def test_a_service_that_is_away_for_a_while_is_asked_again(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    stock = stocked(service)
    service.wait_until(lambda: service.open_now == 1)

    service.refusal = (503, "away")
    service.abort()
    eventually(lambda: "the pool is short of 1 connections" in caplog.text)
    assert stock.idle == 0
    service.refusal = None

    eventually(lambda: stock.idle == 1)
    close(stock)


def test_one_refused_connection_closes_the_others(service: Service) -> None:
    service.refusal = (401, "no")

    with pytest.raises(StartFailed):
        stocked(service, 3)

    assert service.open_now == 0


def test_nothing_is_lent_to_where_it_does_not_lead(service: Service) -> None:
    stock = stocked(service)

    assert not stock.lend(synthesizer("ws://127.0.0.1:9/").session)
    assert stock.lend(session_for(service))
    close(stock)


def test_what_was_not_lent_is_not_taken(service: Service) -> None:
    stock = stocked(service)

    assert not stock.take_back(session_for(service))
    close(stock)
    eventually(lambda: not stock.is_open)


def test_what_comes_back_after_the_close_is_closed(service: Service) -> None:
    stock = stocked(service)
    session = session_for(service)
    stock.lend(session)
    service.wait_until(lambda: service.open_now == 1)
    close(stock)
    service.wait_until(lambda: service.open_now == 0)

    assert not stock.take_back(session)
