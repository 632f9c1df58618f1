"""How a connection is opened, and how it is not."""

import socket
from collections import Counter

import pytest

from bridge.aio.cosyvoice_connection import Address, DialError, dial
from bridge.clock import SystemClock
from tests.aio.cosyvoice_fake import Behaviour, running


async def test_sound_is_not_deflated_and_we_say_who_we_are() -> None:
    async with running() as service:
        connection = await dial(Address(service.url), clock=SystemClock(), counters=Counter())
        await connection.close()

        assert service.extensions == ["[]"]
        assert service.headers[0]["User-Agent"] == "cosybridge"
        assert "Authorization" not in service.headers[0]


async def test_the_key_is_not_shown() -> None:
    assert "sk-secret" not in repr(Address("ws://127.0.0.1", "sk-secret"))


@pytest.mark.parametrize("key", ["sk-secret\r\nX-Evil: 1", "sk-ключ"])
async def test_a_key_no_header_can_carry_is_refused_without_dialling(key: str) -> None:
    with pytest.raises(DialError) as caught:
        await dial(Address("ws://127.0.0.1:9", key), clock=SystemClock(), counters=Counter())

    assert caught.value.failure.code == "Refused"
    assert key not in str(caught.value)


async def test_a_service_that_does_not_answer_the_handshake_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"ws://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(DialError, match=r"did not answer within 0\.05 s") as caught:
            await dial(Address(url, open_timeout_s=0.05), clock=SystemClock(), counters=Counter())

    assert (caught.value.failure.code, caught.value.failure.stage) == ("Timeout", "handshake")


async def test_what_is_no_websocket_address_is_named() -> None:
    with pytest.raises(DialError, match="http://x cannot be reached"):
        await dial(Address("http://x"), clock=SystemClock(), counters=Counter())


@pytest.mark.parametrize(
    ("status", "retryable"), [(401, False), (403, False), (404, False), (429, True), (500, True)]
)
async def test_a_refusal_names_the_status(status: int, retryable: bool) -> None:
    async with running(Behaviour(status=status)) as service:
        with pytest.raises(DialError, match=f"answered {status}") as caught:
            await dial(Address(service.url), clock=SystemClock(), counters=Counter())

    assert caught.value.failure.code == "Refused"
    assert caught.value.failure.retryable is retryable
    assert caught.value.failure.status == status


async def test_a_refusal_tells_the_services_own_words_but_not_the_key() -> None:
    body = '{"code": "InvalidApiKey", "message": "sk-secret is not known", "request_id": "r-1"}'
    async with running(Behaviour(status=401, body=body)) as service:
        with pytest.raises(DialError) as caught:
            await dial(Address(service.url, "sk-secret"), clock=SystemClock(), counters=Counter())

    failure = caught.value.failure
    assert (failure.code, failure.status, failure.request_id) == ("InvalidApiKey", 401, "r-1")
    assert "*** is not known" in failure.message


async def test_further_headers_are_sent() -> None:
    async with running() as service:
        address = Address(service.url, headers={"X-DashScope-WorkSpace": "ws-1"})
        connection = await dial(address, clock=SystemClock(), counters=Counter())
        await connection.close()

    assert service.headers[0]["X-DashScope-WorkSpace"] == "ws-1"
