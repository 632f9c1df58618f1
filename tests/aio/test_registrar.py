import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bridge.aio.registrar import Registrar
from bridge.aio.sip import IncomingCall, SipEndpoint, SipSettings
from bridge.clock import SystemClock
from bridge.dice import SystemDice
from bridge.sip.challenger import Challenger, Verdict
from bridge.sip.digest import Credentials
from bridge.sip.message import Request, respond
from bridge.sip.registration import Account, Failed, Registered
from tests.aio.sip_phones import FAST, LOOPBACK, NOWHERE, Phone, endpoint, phone, refuse
from tests.sip.messages import parsed_request

LENA = Credentials("lena", "open sesame")
CLOSED = SipSettings(listen=LOOPBACK, allow=("192.0.2.0/24",), close_within_s=0.1, timers=FAST)


@asynccontextmanager
async def registering(
    sip: SipEndpoint, server: tuple[str, int], *, credentials: Credentials = LENA
) -> AsyncIterator[Registrar]:
    found: list[tuple[str, tuple[str, ...]]] = []
    registrar = Registrar(
        Account("carrier", "lena", "pbx.example", server, credentials, expires_s=600),
        sip,
        clock=SystemClock(),
        dice=SystemDice(),
        located=lambda name, ips: found.append((name, ips)),
    )
    registrar.start()
    try:
        yield registrar
    finally:
        await registrar.close(within_s=0.1)
    assert found in ([], [("carrier", ("127.0.0.1",))])


class RegistrarDesk:
    """A telephone that plays the registrar."""

    def __init__(self, line: Phone) -> None:
        self.line = line
        self.desk = Challenger(realm="pbx", accounts=(LENA,), secret=b"registrar's own!")

    async def hear(self) -> Request:
        async with asyncio.timeout(3):
            return parsed_request(await self.line.heard.get())

    async def serve(self) -> Request:
        """Ask for credentials until they are right; returns the request that had them."""
        while True:
            request, now_ns = await self.hear(), SystemClock().now_ns()
            verdict, _ = self.desk.judge(request, "here", now_ns=now_ns)
            extra = [("Contact", f"{request.headers.get('Contact')};expires=60")]
            status = 200 if verdict is Verdict.ADMITTED else 401
            if status == 401:
                extra = self.desk.challenge("here", is_stale=False, now_ns=now_ns)
            self.line.say(bytes(respond(request, status, source=self.line.peer, to_tag="pbx", extra=extra)))
            if status == 200:
                return request


async def test_we_register_with_a_digest_and_take_it_back_at_the_end() -> None:
    async with endpoint(refuse, CLOSED) as sip, phone(sip) as line:
        desk = RegistrarDesk(line)
        async with registering(sip, line.address) as registrar:
            request = await desk.serve()
            await registrar.settled.wait()

            assert registrar.is_registered
            assert registrar.last == Registered(60, line.address)
            assert request.headers.get("Contact") == f"<sip:lena@127.0.0.1:{sip.listen[1]}>"
            closing = asyncio.create_task(registrar.close(within_s=3))
            last = await desk.serve()
            await closing
            assert last.headers.get("Expires") == "0"
            assert not registrar.is_registered


async def test_the_registrar_may_call_us_though_its_network_is_not_allowed() -> None:
    called: asyncio.Queue[str] = asyncio.Queue()

    async def answer(incoming: IncomingCall) -> None:
        called.put_nowait(incoming.to_user)
        incoming.reject(486)

    async with endpoint(answer, CLOSED) as sip, phone(sip) as line:
        async with registering(sip, line.address):
            await RegistrarDesk(line).serve()

            line.say(line.invite(uri="sip:lena@127.0.0.1", branch="z9hG4bK2"))

            async with asyncio.timeout(3):
                assert await called.get() == "lena"
        assert sip.counters.get("strangers", 0) == 0


async def test_a_wrong_password_is_told_once_and_counted() -> None:
    wrong = Credentials("lena", "guess")
    async with endpoint(refuse, CLOSED) as sip, phone(sip) as line:
        desk = RegistrarDesk(line)
        async with registering(sip, line.address, credentials=wrong) as registrar:
            serving = asyncio.create_task(desk.serve())
            async with asyncio.timeout(3):
                await registrar.settled.wait()
            serving.cancel()

            assert isinstance(registrar.last, Failed)
            assert registrar.last.status == 401
            assert registrar.failures == 1
            assert not registrar.is_registered


async def test_a_registrar_that_is_silent_is_a_failure_and_no_reason_to_wait_at_the_end() -> None:
    async with endpoint(refuse, CLOSED) as sip, phone(sip) as line:
        async with registering(sip, line.address) as registrar:
            async with asyncio.timeout(3):
                await registrar.settled.wait()

            assert isinstance(registrar.last, Failed)
            assert registrar.last.reason == "no answer"
        async with registering(sip, line.address):
            pass


async def test_a_registrar_whose_name_has_no_address_is_a_failure() -> None:
    async with endpoint(refuse, CLOSED) as sip, registering(sip, (NOWHERE, 5060)) as registrar:
        async with asyncio.timeout(3):
            await registrar.settled.wait()

        assert isinstance(registrar.last, Failed)
        assert "has no address" in registrar.last.reason


async def test_a_call_through_a_trunk_answers_its_challenge() -> None:
    async with endpoint(refuse, CLOSED) as sip, phone(sip) as line:
        desk = RegistrarDesk(line)
        calling = asyncio.create_task(
            sip.call(
                "sip:+4930123450@pbx.example",
                sdp=b"v=0\r\n",
                targets=[line.address],
                from_user="lena",
                from_domain="pbx.example",
                credentials=LENA,
            )
        )
        first = await desk.hear()
        extra = desk.desk.challenge("here", is_stale=False, now_ns=SystemClock().now_ns())
        line.say(bytes(respond(first, 401, source=line.peer, to_tag="pbx", extra=extra)))
        assert (await desk.hear()).method == "ACK"
        second = await desk.hear()

        verdict = desk.desk.judge(second, "here", now_ns=SystemClock().now_ns())
        line.say(bytes(respond(second, 486, source=line.peer, to_tag="pbx")))

        assert verdict == (Verdict.ADMITTED, "lena")
        assert first.from_.uri.text == "sip:lena@pbx.example"
        (outcome,) = await asyncio.gather(calling, return_exceptions=True)
        assert "486" in str(outcome)


async def test_an_account_may_call_from_where_nobody_else_may() -> None:
    settings = SipSettings(listen=LOOPBACK, allow=("192.0.2.0/24",), accounts=(LENA,), close_within_s=0.1)
    async with endpoint(refuse, settings) as callee, endpoint() as caller:
        host, port = callee.listen
        outcomes = await asyncio.gather(
            caller.call(f"sip:bot@{host}:{port}", sdp=b"v=0\r\n", credentials=LENA),
            caller.call(f"sip:bot@{host}:{port}", sdp=b"v=0\r\n", credentials=Credentials("lena", "guess")),
            caller.call(f"sip:bot@{host}:{port}", sdp=b"v=0\r\n"),
            return_exceptions=True,
        )

    assert [str(outcome).partition("call: ")[2] for outcome in outcomes] == [
        "486 Busy Here",
        "401 Unauthorized",
        "401 Unauthorized",
    ]
