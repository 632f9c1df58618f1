"""Agents that are heard, or hear, before a call is answered: over real sockets, with rows in memory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bridge.aio.sip import CallRefused, SipEndpoint
from bridge.call.agent import Call
from bridge.call.exchange import Exchange
from bridge.call.routes import Route
from bridge.call.settings import CallSettings
from bridge.clock import SystemClock
from bridge.dice import SystemDice
from bridge.errors import CallEnded, EngineError, NegotiationError, SetupError
from bridge.sip.message import Request
from tests.aio.sip_phones import Phone, describe, endpoint, phone, uri
from tests.call.fakes import ScriptedVoice
from tests.call.test_exchange import G722, Media, Nobody, heard
from tests.fakes import ManualClock
from tests.sip.messages import OFFER, parsed_request, parsed_response, raw, reply

ELSEWHERE = OFFER.replace(b"49170", b"49270")
LISTENS = OFFER + b"a=recvonly\r\n"


class Stage:
    """An agent that does what the test says, one step after the other."""

    def __init__(self) -> None:
        self.call: asyncio.Queue[Call] = asyncio.Queue()
        self.go: asyncio.Queue[str] = asyncio.Queue()
        self.done: asyncio.Queue[str] = asyncio.Queue()
        self.left = asyncio.Event()

    async def __call__(self, call: Call) -> None:
        self.call.put_nowait(call)
        try:
            while (step := await self.go.get()) != "leave":
                await self._do(step, call)
                self.done.put_nowait(step)
        finally:
            self.left.set()

    async def _do(self, step: str, call: Call) -> None:
        match step:
            case "answer":
                await call.answer()
            case "answered":
                await call.answered()
            case "reject":
                await call.reject(486)
            case "hold":
                await call.hold()

    async def step(self, name: str) -> None:
        self.go.put_nowait(name)
        async with asyncio.timeout(5):
            assert await self.done.get() == name

    async def gone(self) -> None:
        async with asyncio.timeout(5):
            await self.left.wait()

    async def begun(self) -> Call:
        async with asyncio.timeout(5):
            return await self.call.get()


def house(media: Media, agent: Stage, *, ring_timeout_s: float = 60.0) -> Exchange:
    return Exchange(
        media=media,
        synthesizer=ScriptedVoice(ManualClock()),
        routes=[Route(agent=agent, early_media=True)],
        settings=CallSettings(ring_timeout_s=ring_timeout_s),
        clock=SystemClock(),
        dice=SystemDice(),
        observer=Nobody(),
    )


async def test_a_caller_hears_the_agent_until_it_answers() -> None:
    media, agent = Media(), Stage()
    served = house(media, agent)
    async with endpoint(served.answer) as callee, phone(callee) as caller:
        caller.say(caller.invite())
        early = parsed_response(await heard(caller, b"SIP/2.0 183"))
        assert b"m=audio 40000 RTP/AVP 8 101" in early.body
        call = await agent.begun()
        assert (call.is_answered, served.calls()[0]["state"]) == (False, "ringing")
        assert media.legs[0].terms[0]["remote"] == ("192.0.2.2", 49170)

        await agent.step("answer")

        answer = parsed_response(await heard(caller, b"SIP/2.0 200"))
        assert (answer.body, answer.to.tag) == (early.body, early.to.tag)
        caller.say(raw("ACK", branch="z9hG4bKa", to_tag=answer.to.tag))
        assert (call.is_answered, served.calls()[0]["state"]) == (True, "up")
        await agent.step("answer")  # harmless
        agent.go.put_nowait("leave")
        assert await heard(caller, b"BYE ")


async def test_a_caller_who_can_acknowledge_it_is_held_before_the_answer() -> None:
    media, agent = Media(), Stage()
    async with endpoint(house(media, agent).answer) as callee, phone(callee) as caller:
        caller.say(caller.invite(extra=("Supported: 100rel", "Allow: INVITE, PRACK, UPDATE")))
        early = parsed_response(await heard(caller, b"SIP/2.0 183"))
        rack = f"RAck: {early.headers.get('RSeq')} 1 INVITE"
        via = "SIP/2.0/UDP {}:{}".format(*caller.address)
        caller.say(raw("PRACK", via=via, branch="z9hG4bKp", number=2, to_tag=early.to.tag, extra=(rack,)))
        await heard(caller, b"SIP/2.0 200")

        agent.go.put_nowait("hold")
        update = parsed_request(await heard(caller, b"UPDATE "))
        assert b"a=sendonly" in update.body
        caller.say(bytes(reply(update, 200, to_tag="phone", body=LISTENS)))
        async with asyncio.timeout(5):
            assert await agent.done.get() == "hold"
        assert media.legs[0].terms[-1]["receiving"] is False

        agent.go.put_nowait("answer")
        answer = parsed_response(await heard(caller, b"SIP/2.0 200"))
        assert answer.body == b""


async def test_a_caller_may_change_what_it_hears_with_its_acknowledgement() -> None:
    media, agent = Media(), Stage()
    async with endpoint(house(media, agent).answer) as callee, phone(callee) as caller:
        caller.say(caller.invite(extra=("Supported: 100rel",)))
        early = parsed_response(await heard(caller, b"SIP/2.0 183"))
        call = await agent.begun()
        rack, via = f"RAck: {early.headers.get('RSeq')} 1 INVITE", "SIP/2.0/UDP {}:{}".format(*caller.address)
        parts = {"via": via, "to_tag": early.to.tag, "contact": None}
        caller.say(raw("PRACK", branch="z9hG4bKp", number=2, extra=(rack,), body=ELSEWHERE, **parts))  # type: ignore[arg-type]

        agreed = parsed_response(await heard(caller, b"SIP/2.0 200"))

        assert (agreed.cseq.method, b"m=audio 40000 RTP/AVP 8 101" in agreed.body) == ("PRACK", True)
        assert media.legs[0].terms[-1]["remote"] == ("192.0.2.2", 49270)
        assert not call.is_answered
        await agent.step("answer")
        answer = parsed_response(await heard(caller, b"SIP/2.0 200"))
        assert (answer.cseq.method, answer.body) == ("INVITE", b"")


async def test_a_caller_is_turned_away_by_the_agent_that_it_hears() -> None:
    agent = Stage()
    served = house(Media(), agent)
    async with endpoint(served.answer) as callee, phone(callee) as caller:
        caller.say(caller.invite())
        await heard(caller, b"SIP/2.0 183")
        agent.go.put_nowait("reject")
        assert await heard(caller, b"SIP/2.0 486")
        await agent.gone()
        await served.empty()
        assert served.calls()[0]["reason"] == "rejected with 486"


async def test_an_agent_that_leaves_without_an_answer_turns_its_caller_away() -> None:
    media, agent = Media(), Stage()
    async with endpoint(house(media, agent).answer) as callee, phone(callee) as caller:
        caller.say(caller.invite())
        await heard(caller, b"SIP/2.0 183")
        agent.go.put_nowait("leave")
        assert await heard(caller, b"SIP/2.0 480")


async def test_nobody_hears_an_agent_for_ever_without_an_answer() -> None:
    agent = Stage()
    served = house(Media(), agent, ring_timeout_s=0.05)
    async with endpoint(served.answer) as callee, phone(callee) as caller:
        caller.say(caller.invite())
        assert await heard(caller, b"SIP/2.0 480")
        await agent.gone()
        await served.empty()
        assert served.calls()[0]["reason"] == "not answered"


async def test_a_caller_who_gives_up_ends_the_agent_that_it_heard() -> None:
    media, agent = Media(), Stage()
    served = house(media, agent)
    async with endpoint(served.answer) as callee, phone(callee) as caller:
        host, port = caller.address
        caller.say(caller.invite())
        await heard(caller, b"SIP/2.0 183")
        await agent.begun()
        caller.say(raw("CANCEL", via=f"SIP/2.0/UDP {host}:{port}"))
        await heard(caller, b"SIP/2.0 487")
        await agent.gone()
        await served.empty()
        assert media.legs[0].is_closed


async def test_an_agent_whose_media_fails_turns_its_caller_away() -> None:
    async with endpoint(house(Media(breaks=True), Stage()).answer) as callee, phone(callee) as caller:
        caller.say(caller.invite())
        assert await heard(caller, b"SIP/2.0 503")


async def test_a_rejection_has_a_status_that_refuses() -> None:
    async with endpoint(house(Media(), agent := Stage()).answer) as callee, phone(callee) as caller:
        caller.say(caller.invite())
        call = await agent.begun()
        with pytest.raises(ValueError, match="not 302"):
            await call.reject(302)


async def test_a_call_that_rings_early_is_answered_or_refused_but_once() -> None:
    waiting: asyncio.Queue[BaseException | None] = asyncio.Queue()

    async with endpoint() as caller:

        async def pick_up(incoming) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
            call = incoming.early(describe(50000).answer(incoming.sdp))
            await call.ended
            assert not await incoming.ringing(1.0)
            with pytest.raises(CallEnded):
                await incoming.answer(b"")
            waiting.put_nowait(None)

        async with endpoint(pick_up) as callee:
            with pytest.raises(SetupError):
                await caller.call(uri(callee), sdp=describe().offer(), timeout_s=0.2)
            async with asyncio.timeout(5):
                assert await waiting.get() is None


class Outgoing:
    """A call of ours to a bare telephone, with an agent that is on stage."""

    def __init__(self, line: SipEndpoint, callee: Phone, media: Media) -> None:
        self.callee, self.media, self.agent = callee, media, Stage()
        self.exchange = house(media, self.agent)
        route = Route(agent=self.agent, early_media=True)
        self.dialling = asyncio.create_task(self.exchange.dial(line, uri(callee), route))
        self.invite: Request

    async def rings(self, *, tag: str = "a", body: bytes = OFFER, reliable: bool = False) -> None:
        self.invite = parsed_request(await heard(self.callee, b"INVITE "))
        self.say(183, tag=tag, body=body, extra=(("Require", "100rel"), ("RSeq", "1")) if reliable else ())

    def say(
        self, status: int, *, tag: str = "a", body: bytes = b"", extra: tuple[tuple[str, str], ...] = ()
    ) -> None:
        host, port = self.callee.address
        contact = f"<sip:{tag}@{host}:{port}>"
        response = reply(self.invite, status, to_tag=tag, contact=contact, body=body, extra=extra)
        self.callee.say(bytes(response))

    def state(self) -> str:
        return str(self.exchange.calls()[0]["state"])


@asynccontextmanager
async def outgoing(media: Media | None = None) -> AsyncIterator[Outgoing]:
    async with phone() as callee, endpoint() as line:
        callee.peer = line.listen
        call = Outgoing(line, callee, media or Media())
        yield call
        call.dialling.cancel()
        await asyncio.gather(call.dialling, return_exceptions=True)


async def test_an_agent_hears_whom_it_calls_before_the_answer() -> None:
    async with outgoing() as call:
        await call.rings()
        agent = await call.agent.begun()
        assert (agent.is_answered, call.state()) == (False, "ringing")
        (terms,) = call.media.legs[0].terms
        assert (terms["remote"], terms["receiving"]) == (("192.0.2.2", 49170), True)

        call.say(180)
        call.say(183, tag="b", body=ELSEWHERE)  # the first one is heard
        call.say(200, body=OFFER)

        await call.agent.step("answered")
        assert (agent.is_answered, call.state()) == (True, "up")
        assert len(call.media.legs[0].terms) == 1
        call.agent.go.put_nowait("leave")
        bye = parsed_request(await heard(call.callee, b"BYE "))
        call.callee.say(bytes(reply(bye, 200, to_tag="a")))
        trace = await call.dialling
        assert (trace.state, trace.reason) == ("ended", "agent finished")


async def test_what_was_answered_reliably_before_is_not_taken_again() -> None:
    async with outgoing() as call:
        await call.rings(reliable=True)
        prack = parsed_request(await heard(call.callee, b"PRACK "))
        call.callee.say(bytes(reply(prack, 200, to_tag="a")))
        call.say(200, body=ELSEWHERE)
        await call.agent.step("answered")
        assert len(call.media.legs[0].terms) == 1


async def test_the_phone_that_answers_wins_over_the_one_that_was_heard() -> None:
    async with outgoing() as call:
        await call.rings()
        call.say(200, tag="b", body=ELSEWHERE)
        await call.agent.step("answered")
        assert [terms["remote"][1] for terms in call.media.legs[0].terms] == [49170, 49270]


async def test_a_phone_that_answers_in_another_codec_is_asked_for_the_one_that_was_heard() -> None:
    async with outgoing() as call:
        await call.rings()
        call.say(200, tag="b", body=G722)
        again = parsed_request(await heard(call.callee, b"INVITE "))
        assert b"m=audio 40000 RTP/AVP 8 0 101" in again.body
        call.callee.say(bytes(reply(again, 200, to_tag="b", body=ELSEWHERE)))
        await call.agent.step("answered")
        assert call.media.legs[0].terms[-1]["remote"][1] == 49270


async def test_a_phone_that_insists_on_another_codec_is_hung_up_on() -> None:
    async with outgoing() as call:
        await call.rings()
        call.say(200, tag="b", body=G722)
        again = parsed_request(await heard(call.callee, b"INVITE "))
        call.callee.say(bytes(reply(again, 488, to_tag="b")))
        assert await heard(call.callee, b"BYE ")
        with pytest.raises(CallRefused):
            await call.dialling
        await call.agent.gone()


@pytest.mark.parametrize("status", [486, 302])
async def test_who_was_heard_may_still_decline_and_nobody_else_is_called(status: int) -> None:
    async with outgoing() as call:
        await call.rings()
        await call.agent.begun()
        call.say(status)
        with pytest.raises(CallRefused):
            await call.dialling
        await call.agent.gone()
        (told,) = call.exchange.calls()
        assert (told["state"], told["status"]) == ("ended", status)
        assert call.media.legs[0].is_closed


async def test_an_agent_that_has_heard_enough_takes_the_call_back() -> None:
    async with outgoing() as call:
        await call.rings()
        call.agent.go.put_nowait("leave")
        cancel = parsed_request(await heard(call.callee, b"CANCEL "))
        call.callee.say(bytes(reply(cancel, 200, to_tag="a")))
        call.say(487)
        with pytest.raises(SetupError):
            await call.dialling


@pytest.mark.parametrize("media", [Media(wide_hz=()), Media(breaks=True)])
async def test_what_cannot_be_heard_is_no_obstacle_to_an_answer(media: Media) -> None:
    async with outgoing(media) as call:
        await call.rings(body=G722 if not media._breaks else OFFER)
        call.say(200, tag="b", body=OFFER)
        if media._breaks:
            with pytest.raises(EngineError):
                await call.dialling
        else:
            await call.agent.step("answered")


async def test_a_useless_answer_after_something_was_heard_ends_the_call() -> None:
    async with outgoing() as call:
        await call.rings()
        await call.agent.begun()
        call.say(200, tag="b", body=b"hello")
        assert await heard(call.callee, b"BYE ")
        with pytest.raises(NegotiationError):
            await call.dialling
        await call.agent.gone()
