import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest

from bridge.aio.sip import CallRefused, Identity, IncomingCall, SipEndpoint
from bridge.app.assembly import accounts, sip_settings, trunks
from bridge.app.settings import Config
from bridge.app.trunk_settings import AccountSection, TrunkSection
from bridge.app.trunking import TrunkOffice
from bridge.call.routes import Route
from bridge.call.trace import CallTrace
from bridge.clock import SystemClock
from bridge.dice import SystemDice
from bridge.errors import SetupError
from bridge.sip.digest import Credentials
from bridge.sip.message import respond
from bridge.sip.registration import Account
from bridge.sip.trunks import Dialled, Trunk
from tests.aio.sip_phones import NOWHERE, endpoint, phone
from tests.aio.test_registrar import CLOSED, LENA, RegistrarDesk

TRUNK = Trunk(
    "carrier",
    ("127.0.0.1", 5060),
    "pbx.example",
    user="lena",
    credentials=LENA,
    from_user="lena",
    allow=("127.0.0.0/8",),
    dials=("+49*",),
    max_calls=1,
    max_calls_per_s=100,
)
NUMBER = "+4930123450"


@dataclass
class Line:
    """Serves calls until it is told that they are over, and notes what is dialled."""

    over: asyncio.Event = field(default_factory=asyncio.Event)
    serving: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    dialled: list[tuple[str, tuple[tuple[str, int], ...], Identity]] = field(default_factory=list)

    async def answer(self, incoming: IncomingCall) -> None:
        self.serving.release()
        await self.over.wait()
        incoming.reject(486)

    async def dial(
        self,
        endpoint: SipEndpoint,
        uri: str,
        route: Route,
        *,
        targets: tuple[tuple[str, int], ...],
        identity: Identity,
        timeout_s: float | None,
        trace: CallTrace | None,
    ) -> CallTrace:
        self.dialled.append((uri, targets, identity))
        self.serving.release()
        await self.over.wait()
        return CallTrace(id="1", sip_call_id="1", direction="outbound", started_ns=0)


@asynccontextmanager
async def office(
    line: Line, *known: Trunk, registrations: Sequence[Account] = ()
) -> AsyncIterator[tuple[TrunkOffice, SipEndpoint]]:
    made = TrunkOffice(known, registrations, line.answer, clock=SystemClock(), dice=SystemDice())
    async with endpoint(made.answer, CLOSED) as sip:
        made.open(sip)
        try:
            yield made, sip
        finally:
            await made.close()


def admitted(made: TrunkOffice) -> Dialled:
    dialled = made.book.dial(NUMBER)
    assert isinstance(dialled, Dialled)
    return dialled


async def test_a_call_over_the_limit_of_its_trunk_is_refused_with_a_time_to_try_again() -> None:
    line = Line()
    async with office(line, TRUNK) as (made, sip), phone(sip) as caller:
        await asyncio.sleep(0)  # the trunk's address is looked up
        caller.say(caller.invite(uri="sip:lena@127.0.0.1"))
        async with asyncio.timeout(3):
            await line.serving.acquire()
        caller.say(caller.invite(uri="sip:lena@127.0.0.1", call_id="second", branch="z9hG4bK2"))
        async with asyncio.timeout(3):
            while not (heard := await caller.heard.get()).startswith(b"SIP/2.0 503"):
                pass
        assert b"Retry-After: " in heard
        assert made.book.calls() == {"carrier": 1}
        assert made.book.refused == {("carrier", "concurrency"): 1}
        line.over.set()


async def test_a_number_is_dialled_as_the_trunk_wants_it() -> None:
    line = Line()
    line.over.set()
    async with office(line, TRUNK) as (made, sip):
        await made.dial(line, sip, admitted(made), Route())

        assert line.dialled == [
            ("sip:+4930123450@pbx.example", (("127.0.0.1", 5060),), Identity("lena", "pbx.example", LENA, ()))
        ]
        assert made.book.calls() == {"carrier": 0}


@pytest.mark.parametrize(
    ("trunk", "sentence"),
    [
        (TRUNK, "carries 1 calls at a time"),
        (replace(TRUNK, max_calls=9, max_calls_per_s=1), "carries 1 new calls"),
    ],
)
async def test_dialling_over_a_limit_says_which(trunk: Trunk, sentence: str) -> None:
    line = Line()
    async with office(line, trunk) as (made, sip):
        dialling = [asyncio.create_task(made.dial(line, sip, admitted(made), Route())) for _ in range(3)]
        async with asyncio.timeout(3):
            await line.serving.acquire()

        with pytest.raises(CallRefused, match=sentence) as caught:
            await dialling[-1]

        assert caught.value.status == 503
        line.over.set()
        await asyncio.gather(*dialling, return_exceptions=True)
        assert made.book.calls() == {"carrier": 0}


async def test_what_became_of_every_trunk_is_said_in_one_line_each() -> None:
    line = Line()
    async with phone() as pbx, phone() as silent:
        registered = Account("one", "lena", "pbx.example", pbx.address, LENA)
        mute = Account("two", "lena", "pbx.example", silent.address, LENA)
        lost = Account("three", "lena", "pbx.example", (NOWHERE, 5060), LENA)
        known = [
            replace(TRUNK, name=name, server=server)
            for name, server in (
                ("one", pbx.address),
                ("two", silent.address),
                ("three", ("lost.example", 5060)),
                ("four", (NOWHERE, 5060)),
            )
        ]
        async with office(line, *known, registrations=(registered, mute, lost)) as (made, sip):
            pbx.peer = sip.listen
            await RegistrarDesk(pbx).serve()
            await made.settled(within_s=0.1)

            one, two, three, four = made.lines()

    assert one.startswith("trunk one: registered sip:lena@pbx.example at 127.0.0.1:")
    assert two.endswith("has not answered yet")
    assert "NOT registered at lost.example:5060" in three
    assert "has no address; next attempt in" in three
    assert four.startswith("trunk four: calls go to aaa")


@asynccontextmanager
async def routed(line: Line, service_route: str) -> AsyncIterator[tuple[TrunkOffice, SipEndpoint]]:
    """An office whose registrar names a route for calls."""
    async with phone() as pbx:
        account = Account("carrier", "lena", "pbx.example", pbx.address, LENA)
        async with office(line, TRUNK, registrations=(account,)) as (made, sip):
            pbx.peer = sip.listen
            request = await RegistrarDesk(pbx).hear()
            extra = [("Service-Route", service_route)] if service_route else []
            pbx.say(bytes(respond(request, 200, source=pbx.peer, to_tag="pbx", extra=extra)))
            async with asyncio.timeout(3):
                await made.registrars["carrier"].settled.wait()
            yield made, sip


async def test_a_service_route_is_taken_by_calls() -> None:
    line = Line()
    line.over.set()
    async with routed(line, "<sip:127.0.0.1:5099;lr>") as (made, sip):
        await made.dial(line, sip, admitted(made), Route())

    (_, targets, identity) = line.dialled[0]
    assert targets == (("127.0.0.1", 5099),)
    assert identity.headers == (("Route", "<sip:127.0.0.1:5099;lr>"),)


async def test_without_a_service_route_calls_go_where_we_registered() -> None:
    line = Line()
    line.over.set()
    async with routed(line, "") as (made, sip):
        await made.dial(line, sip, admitted(made), Route())

        registered = made.registrars["carrier"].account.server
    assert line.dialled[0][1][0] == registered


async def test_a_broken_service_route_is_said_when_it_is_needed() -> None:
    line = Line()
    async with routed(line, "<sip:>") as (made, sip):
        with pytest.raises(SetupError, match="broken Service-Route"):
            await made.dial(line, sip, admitted(made), Route())


def test_the_settings_become_trunks_registrations_and_accounts() -> None:
    section = TrunkSection.model_validate(
        {
            "name": "a",
            "server": "pbx.example:5070",
            "user": "100",
            "auth_user": "login",
            "password": "secret-1",
            "registers": True,
            "nat": True,
            "allow": ["192.0.2.0/24"],
            "country_code": "49",
            "numbers": "national",
        }
    )
    plain = TrunkSection(name="b", server=("b.example", 5060))
    account = AccountSection.model_validate({"user": "lena", "password": "open sesame"})
    config = Config(trunks=(section, plain), accounts=(account,))

    first, second = trunks(config)
    (registration,) = accounts(config)
    settings = sip_settings(config)

    assert (first.domain, first.from_user, first.credentials) == (
        "pbx.example",
        "100",
        Credentials("login", "secret-1"),
    )
    assert first.plan.normalised("030123450") == "+4930123450"
    assert (second.from_user, second.credentials) == ("cosybridge", None)
    assert (registration.server, registration.learns_address) == (("pbx.example", 5070), True)
    assert settings.allow[-1] == "192.0.2.0/24"
    assert settings.accounts == (LENA,)
    for shown in (repr(config), repr(first), repr(registration), repr(settings)):
        assert "secret-1" not in shown
        assert "sesame" not in shown
