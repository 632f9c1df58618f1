"""A permanent key is exchanged for tokens, each used until shortly before it expires."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from bridge.aio.cosyvoice_tokens import TemporaryTokens
from bridge.errors import (
    AuthenticationError,
    ConnectionLostError,
    ServiceError,
    SynthesisTimeoutError,
)
from tests.fakes import ManualClock


@dataclass
class Issuer:
    """Gives tokens to whoever has the key."""

    url: str = ""
    answer: Callable[[], web.Response] | None = None
    hold: asyncio.Event | None = None
    asked: list[tuple[str, str]] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        self.asked.append((request.headers.get("Authorization", ""), request.query["expire_in_seconds"]))
        if self.hold is not None:
            await self.hold.wait()
        if self.answer is not None:
            return self.answer()
        return web.json_response({"token": f"st-{len(self.asked)}", "expires_at": 1_700_000_000})


@asynccontextmanager
async def issuing(issuer: Issuer) -> AsyncIterator[Issuer]:
    app = web.Application()
    app.router.add_post("/api/v1/tokens", issuer.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    issuer.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield issuer
    finally:
        await runner.cleanup()


async def test_a_token_is_asked_for_with_the_key_and_its_life() -> None:
    async with issuing(Issuer()) as issuer:
        tokens = TemporaryTokens("sk-1", issuer.url, expire_in_seconds=300)

        assert await tokens() == "st-1"

        assert issuer.asked == [("Bearer sk-1", "300")]


async def test_a_token_is_used_until_shortly_before_it_expires() -> None:
    clock = ManualClock()
    async with issuing(Issuer()) as issuer:
        tokens = TemporaryTokens("sk-1", issuer.url, expire_in_seconds=60, clock=clock)

        found = [await tokens()]
        for ms in (49_999, 1, 49_999, 1):
            clock.advance(ms)
            found.append(await tokens())

        assert found == ["st-1", "st-1", "st-2", "st-2", "st-3"]


async def test_a_token_of_one_second_is_used_for_most_of_it() -> None:
    clock = ManualClock()
    async with issuing(Issuer()) as issuer:
        tokens = TemporaryTokens("sk-1", issuer.url, expire_in_seconds=1, clock=clock)

        found = [await tokens()]
        for ms in (799, 1):
            clock.advance(ms)
            found.append(await tokens())

        assert found == ["st-1", "st-1", "st-2"]


async def test_a_forgotten_token_is_not_given_again_but_another_stays() -> None:
    async with issuing(Issuer()) as issuer:
        tokens = TemporaryTokens("sk-1", issuer.url)
        await tokens()

        tokens.forget("st-1")
        assert await tokens() == "st-2"
        tokens.forget("st-1")

        assert await tokens() == "st-2"


async def test_many_who_need_one_at_a_time_ask_once() -> None:
    async with issuing(Issuer()) as issuer:
        tokens = TemporaryTokens("sk-1", issuer.url)

        assert await asyncio.gather(*(tokens() for _ in range(10))) == ["st-1"] * 10

        assert len(issuer.asked) == 1


async def test_a_key_that_is_refused_is_told_and_not_shown() -> None:
    refusal = {"code": "InvalidApiKey", "message": "sk-1 is wrong", "request_id": "r-1"}
    async with issuing(Issuer(answer=lambda: web.json_response(refusal, status=401))) as issuer:
        with pytest.raises(AuthenticationError) as caught:
            await TemporaryTokens("sk-1", issuer.url)()

    assert (caught.value.status, caught.value.request_id, caught.value.retryable) == (401, "r-1", False)
    assert "sk-1" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "no", "[]", '{"token": ""}', '{"token": 5}', "[" * 5000])
async def test_an_answer_without_a_token_is_the_services_fault(text: str) -> None:
    async with issuing(Issuer(answer=lambda: web.Response(text=text))) as issuer:
        with pytest.raises(ServiceError, match="answered without a token"):
            await TemporaryTokens("sk-1", issuer.url)()


async def test_the_key_does_not_follow_a_redirect() -> None:
    async with issuing(Issuer()) as other:
        elsewhere = f"{other.url}/api/v1/tokens?expire_in_seconds=60"
        answer = web.Response(status=307, headers={"Location": elsewhere})
        async with issuing(Issuer(answer=lambda: answer)) as issuer:
            with pytest.raises(Exception, match="answered 307"):
                await TemporaryTokens("sk-1", issuer.url)()

        assert other.asked == []


async def test_a_service_that_does_not_answer_is_given_up() -> None:
    issuer = Issuer(hold=asyncio.Event())
    async with issuing(issuer):
        with pytest.raises(SynthesisTimeoutError, match=r"did not answer within 0\.05 s"):
            await TemporaryTokens("sk-1", issuer.url, timeout_s=0.05)()
        assert issuer.hold is not None
        issuer.hold.set()


async def test_a_service_that_is_not_there_is_named() -> None:
    with pytest.raises(ConnectionLostError, match=r"127\.0\.0\.1:9/api/v1/tokens cannot be reached"):
        await TemporaryTokens("sk-1", "http://127.0.0.1:9")()


@pytest.mark.parametrize("seconds", [0, 1801])
def test_a_life_that_no_token_has_is_refused(seconds: int) -> None:
    with pytest.raises(ValueError, match="expire_in_seconds must be 1 to 1800"):
        TemporaryTokens("sk-1", expire_in_seconds=seconds)
