"""Agents that put their callers on hold, over real sockets; and why callers say they hung up."""

import asyncio

from bridge.aio.sip import CallRefused
from bridge.call.agent import Call
from bridge.errors import NegotiationError
from tests.aio.sip_phones import describe, phone
from tests.call.switch import desk, switch
from tests.sip.messages import parsed_response, raw


class Holding:
    """An agent that holds its caller and takes them back, step by step."""

    def __init__(self) -> None:
        self.steps: asyncio.Queue[str] = asyncio.Queue()
        self.done: asyncio.Queue[str] = asyncio.Queue()

    async def step(self, name: str) -> str:
        self.steps.put_nowait(name)
        async with asyncio.timeout(5):
            return await self.done.get()

    async def __call__(self, call: Call) -> None:
        while True:
            name = await self.steps.get()
            try:
                await (call.hold() if name == "hold" else call.resume())
            except NegotiationError as error:
                self.done.put_nowait(type(error).__name__)
            else:
                self.done.put_nowait(name)


async def test_a_caller_is_held_and_taken_back() -> None:
    agent, theirs = Holding(), describe()
    async with switch(agent) as bridge, desk() as telephone:
        call = await telephone.line.call(bridge.uri(), sdp=theirs.offer())
        theirs.accept(call.remote_sdp)
        offers: list[bytes] = []

        def answer(offer: bytes) -> bytes:
            offers.append(offer)
            return theirs.answer(offer)

        call.on_reinvite = answer

        assert await agent.step("hold") == "hold"
        assert await agent.step("hold") == "hold"
        assert theirs.negotiated is not None
        assert (theirs.negotiated.sending, theirs.negotiated.receiving) == (False, True)
        assert await agent.step("resume") == "resume"

        assert [b"a=sendonly" in offer for offer in offers] == [True, False]
        assert (theirs.negotiated.sending, theirs.negotiated.receiving) == (True, True)
        await call.hangup()


async def test_whom_we_hold_stays_held_whatever_they_offer() -> None:
    agent, theirs = Holding(), describe()
    async with switch(agent) as bridge, desk() as telephone:
        call = await telephone.line.call(bridge.uri(), sdp=theirs.offer())
        theirs.accept(call.remote_sdp)
        call.on_reinvite = theirs.answer
        await agent.step("hold")

        answer = await call.reoffer(theirs.offer)

        assert b"a=sendonly" in answer
        await call.hangup()


async def test_a_caller_who_will_not_be_held_goes_on_as_before() -> None:
    agent, theirs = Holding(), describe()
    async with switch(agent) as bridge, desk() as telephone:
        call = await telephone.line.call(bridge.uri(), sdp=theirs.offer())

        assert await agent.step("hold") == CallRefused.__name__

        answer = await call.reoffer(theirs.offer)
        assert b"a=sendrecv" in answer
        await call.hangup()


async def test_why_the_caller_hung_up_is_in_the_record() -> None:
    agent = Holding()
    async with switch(agent) as bridge, phone(bridge.line) as caller:
        caller.say(caller.invite())
        while (answer := parsed_response(await caller.heard.get())).status != 200:
            pass
        tag = answer.to.tag
        caller.say(raw("ACK", branch="z9hG4bKa", to_tag=tag))
        caller.say(raw("BYE", branch="z9hG4bKb", to_tag=tag, number=2, extra=("Reason: Q.850;cause=31",)))
        await bridge.until_calls(0)

        (record,) = bridge.exchange.calls()

        assert (record["reason"], record["cause"]) == ("caller hung up", "Q.850;cause=31")
