"""Keys that change while connections are opened with them."""

import asyncio

import pytest

from bridge.aio.cosyvoice_connection import Address, DialError
from bridge.aio.cosyvoice_keys import Keys
from bridge.cosyvoice.failures import refused
from bridge.errors import AuthenticationError, ConnectionLostError, SynthesisError, SynthesisTimeoutError
from tests.aio.cosyvoice_clients import pool, say
from tests.aio.cosyvoice_fake import Behaviour, eventually, pcm_of, running


class Tokens:
    """Gives the first of its tokens until that is forgotten."""

    def __init__(self, *tokens: str) -> None:
        self.tokens = list(tokens)
        self.asked = 0

    async def __call__(self) -> str:
        self.asked += 1
        return self.tokens[0]

    def forget(self, key: str) -> None:
        if self.tokens[0] == key:
            del self.tokens[0]


def authorisations(headers: list[dict[str, str]]) -> list[str]:
    return [each["Authorization"] for each in headers]


async def test_a_provider_is_asked_for_every_connection() -> None:
    tokens = Tokens("st-1")
    async with running(Behaviour(keys=("st-1", "st-2"))) as service, pool(service, api_key=tokens) as tts:
        await tts.ready()
        tokens.tokens = ["st-2"]
        for socket in list(service.sockets):
            socket.transport.abort()
        await eventually(lambda: service.connections == 2 and tts.idle == 1)

        assert authorisations(service.headers) == ["Bearer st-1", "Bearer st-2"]


async def test_a_connection_stays_usable_when_its_token_has_expired() -> None:
    behaviour = Behaviour(keys=("st-1",))
    tokens = Tokens("st-1")
    async with running(behaviour) as service, pool(service, api_key=tokens, spare_share=0.0) as tts:
        await tts.ready()
        behaviour.keys = ("st-2",)
        tokens.tokens = ["st-2"]

        assert await say(tts, "Hello.") == pcm_of("Hello.", 8000)


async def test_a_refused_token_is_replaced_once_and_nobody_notices() -> None:
    tokens = Tokens("st-old", "st-new")
    behaviour = Behaviour(keys=("st-new",))
    async with running(behaviour) as service, pool(service, spares=0, api_key=tokens) as tts:
        assert await say(tts, "Hello.") == pcm_of("Hello.", 8000)

        assert authorisations(service.headers)[:2] == ["Bearer st-old", "Bearer st-new"]
        assert tts.counters["dial_failures"] == 0


async def test_a_token_that_is_refused_again_is_the_callers_to_know() -> None:
    tokens = Tokens("st-1", "st-2", "st-3")
    async with running(Behaviour(keys=("other",))) as service, pool(service, spares=0, api_key=tokens) as tts:
        with pytest.raises(AuthenticationError, match="answered 401"):
            await say(tts, "Hello.")

        assert authorisations(service.headers) == ["Bearer st-1", "Bearer st-2"]


async def test_a_plain_function_that_gives_the_same_key_again_is_not_tried_again() -> None:
    async def same() -> str:
        return "st-1"

    async with running(Behaviour(keys=("other",))) as service, pool(service, spares=0, api_key=same) as tts:
        with pytest.raises(AuthenticationError):
            await say(tts, "Hello.")

        assert len(service.headers) == 1


async def test_a_provider_that_fails_says_why() -> None:
    async def failing() -> str:
        raise ConnectionLostError("the vault is closed", code="Closed", retryable=True)

    async with running() as service, pool(service, spares=0, api_key=failing) as tts:
        with pytest.raises(ConnectionLostError, match="the vault is closed"):
            await say(tts, "Hello.")


async def test_a_provider_with_a_bug_is_named_as_the_cause() -> None:
    async def broken() -> str:
        raise ZeroDivisionError("no vault")

    async with running() as service, pool(service, spares=0, api_key=broken) as tts:
        with pytest.raises(SynthesisError, match="no temporary token: ZeroDivisionError: no vault"):
            await say(tts, "Hello.")


async def test_a_provider_that_does_not_answer_is_given_up() -> None:
    async def stuck() -> str:
        await asyncio.Event().wait()
        raise AssertionError

    async with running() as service, pool(service, spares=0, api_key=stuck, open_timeout_s=0.05) as tts:
        with pytest.raises(SynthesisTimeoutError, match=r"gave none within 0\.05 s") as caught:
            await say(tts, "Hello.")

        assert caught.value.stage == "handshake"


async def test_a_permanent_key_has_no_successor() -> None:
    keys = Keys("sk-1")
    address = await keys.address(Address("ws://x"))
    error = DialError(refused("ws://x", 401))

    with pytest.raises(DialError) as caught:
        await keys.after(address, error)

    assert address.api_key == "sk-1"
    assert caught.value is error


async def test_a_failure_that_is_no_matter_of_the_key_asks_for_no_other() -> None:
    tokens = Tokens("st-1", "st-2")
    keys = Keys(tokens)
    address = await keys.address(Address("ws://x"))

    with pytest.raises(DialError):
        await keys.after(address, DialError(refused("ws://x", 503)))

    assert tokens.asked == 1
