import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bridge.aio.sip_lookups import Lookups
from bridge.errors import SetupError
from bridge.sip.flow import Address
from bridge.sip.layer import Send
from bridge.sip.locating import Wanted
from tests.aio.cosyvoice_fake import eventually
from tests.fakes import ManualClock

HOME = Address("192.0.2.1", 5060)


class Post:
    """Look-ups that are answered when the test wants, and what became of every message."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.asked: list[Wanted] = []
        self.answer: asyncio.Future[Address] = asyncio.get_running_loop().create_future()
        self.delivered: list[tuple[bytes, tuple[str, int]]] = []
        self.failed: list[Send] = []
        self.lookups = Lookups(
            self.locate,
            clock=self.clock,
            deliver=lambda send: self.delivered.append((send.data, send.destination)),
            fail=lambda sends, _: self.failed.extend(sends),
        )

    async def locate(self, wanted: Wanted) -> Address:
        self.asked.append(wanted)
        return await asyncio.shield(self.answer)

    async def settle(self) -> None:
        await eventually(lambda: not len(self.lookups))


@asynccontextmanager
async def post() -> AsyncIterator[Post]:
    made = Post()
    yield made
    await made.lookups.close()


async def test_messages_to_one_name_wait_for_one_look_up_and_keep_their_order() -> None:
    async with post() as here:
        for number in range(5):
            here.lookups.send(Send(b"%d" % number, ("pbx.example", 5060)))
        assert len(here.lookups) == 1
        here.answer.set_result(HOME)
        await here.settle()

        here.lookups.send(Send(b"at once", ("pbx.example", 5060)))

        assert here.asked == [Wanted("pbx.example", 5060, "UDP")]
        assert b"".join(data for data, _ in here.delivered) == b"01234at once"
        assert {where for _, where in here.delivered} == {HOME}


async def test_an_answer_is_used_on_for_half_a_minute_unless_it_was_wrong() -> None:
    async with post() as here:
        here.answer.set_result(HOME)
        for wait_ms in (0, 29_999, 1):
            here.clock.advance(wait_ms)
            here.lookups.send(Send(b"x", ("pbx.example", 5060)))
            await here.settle()
        assert len(here.asked) == 2

        here.lookups.forget(Address(*HOME, "TCP"))
        here.lookups.send(Send(b"x", ("pbx.example", 5060)))
        assert len(here.lookups) == 0
        here.lookups.forget(HOME)
        here.lookups.send(Send(b"x", ("pbx.example", 5060)))

        assert len(here.lookups) == 1


async def test_what_waits_is_bounded_and_what_is_too_much_fails_at_once() -> None:
    async with post() as here:
        for number in range(17):
            here.lookups.send(Send(b"", (f"host{number}.example", 5060)))
        assert (len(here.lookups), len(here.failed)) == (16, 1)
        for _ in range(64):
            here.lookups.send(Send(b"", ("host0.example", 5060)))

        assert (len(here.lookups), len(here.failed)) == (16, 2)


async def test_messages_to_a_name_without_an_address_fail() -> None:
    async with post() as here:
        here.answer.set_exception(SetupError("nowhere"))
        for key in ("a", "b"):
            here.lookups.send(Send(b"", ("pbx.example", 5060), key))
        await here.settle()

        assert [send.key for send in here.failed] == ["a", "b"]
        assert not here.delivered
