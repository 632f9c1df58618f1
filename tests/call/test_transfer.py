"""Calls that are handed on, over real sockets: whoever is sent somewhere is a telephone of ours."""

import asyncio
from collections.abc import Callable

import pytest

from bridge.aio.sip import CallRefused, SipCall
from bridge.aio.sip_transfer import Referral, TransferResult
from bridge.call.agent import Call
from bridge.call.hearing import Text
from bridge.call.outside import CLOSED
from bridge.call.routes import Route
from bridge.errors import ConfigError, LocalProtocolError, SetupError
from tests.aio.sip_phones import Phone, describe, endpoint, phone, refuse, uri
from tests.call.switch import Desk, Switch, desk, switch
from tests.call.test_exchange import heard
from tests.sip.messages import OFFER, parsed_request, parsed_response, raw, reply


async def forever(call: Call) -> None:
    await asyncio.Event().wait()


Obedience = Callable[[Referral], None] | None


def obeys(*statuses: int, into: "asyncio.Queue[Referral] | None" = None) -> Obedience:
    """What a phone does that is sent on: says it tries, and how it goes."""

    def on_referral(referral: Referral) -> None:
        referral.accept()
        for status in statuses:
            referral.tell(status)
        if into is not None:
            into.put_nowait(referral)

    return on_referral


class Sending:
    """An agent that sends its caller on, and keeps what came of it."""

    def __init__(self, target: str, *, timeout_s: float = 5.0) -> None:
        self.results: asyncio.Queue[TransferResult | Exception] = asyncio.Queue()
        self.calls: asyncio.Queue[Call] = asyncio.Queue()
        self.target = target
        self._timeout_s = timeout_s
        self._go = asyncio.Event()

    def go(self) -> None:
        self._go.set()

    async def __call__(self, call: Call) -> None:
        self.calls.put_nowait(call)
        await self._go.wait()
        try:
            self.results.put_nowait(await call.transfer(self.target, timeout_s=self._timeout_s))
        except (ConfigError, LocalProtocolError) as error:
            self.results.put_nowait(error)
        await asyncio.Event().wait()


async def sent_on(
    agent: Sending, phone: Desk, bridge: Switch, answer: Obedience
) -> tuple[TransferResult | Exception, str | None]:
    """Let a phone call and be sent on; returns what the agent heard, and how its call ended if it did."""
    call = await phone.dial(bridge.uri())
    call.transfers.on_referral = answer
    agent.go()
    async with asyncio.timeout(5):
        result = await agent.results.get()
    done, _ = await asyncio.wait([call.ended], timeout=0.3)
    return result, call.ended.result() if done else None


async def test_who_is_sent_on_leaves_when_somebody_answers_there() -> None:
    agent = Sending("sip:ann@127.0.0.1:9")
    referrals: asyncio.Queue[Referral] = asyncio.Queue()
    async with switch(agent) as bridge, desk() as caller:
        result, end = await sent_on(agent, caller, bridge, obeys(180, 200, into=referrals))

        assert result == TransferResult(200, "OK")
        assert end == "callee hung up"
        assert referrals.get_nowait().target == agent.target
        (record,) = bridge.exchange.calls()
        assert record["reason"] == "transferred"


@pytest.mark.parametrize("status", [486, 404, 603])
async def test_a_call_goes_on_when_nobody_takes_it(status: int) -> None:
    agent = Sending("sip:ann@127.0.0.1:9")
    async with switch(agent) as bridge, desk() as caller:
        result, end = await sent_on(agent, caller, bridge, obeys(100, status))

        assert isinstance(result, TransferResult)
        assert (result.status, result.succeeded, end) == (status, False, None)
        assert len(bridge.exchange) == 1


async def test_a_phone_that_will_not_be_sent_on_says_so() -> None:
    agent = Sending("sip:ann@127.0.0.1:9")
    async with switch(agent) as bridge, desk() as caller:
        result, end = await sent_on(agent, caller, bridge, None)

        assert isinstance(result, TransferResult)
        assert (result.status, end) == (403, None)


async def test_a_phone_that_says_nothing_more_is_waited_for_as_long_as_was_said() -> None:
    agent = Sending("sip:ann@127.0.0.1:9", timeout_s=0.2)
    async with switch(agent) as bridge, desk() as caller:
        result, end = await sent_on(agent, caller, bridge, obeys(180))

        assert result == TransferResult(408, "nothing came of it within 0.2 s")
        assert end is None


async def test_nobody_is_sent_where_nobody_may_call() -> None:
    agent = Sending("sip:ann@127.0.0.1:9")
    async with switch(agent) as bridge, desk() as caller:
        bridge.outside.forbidden.add(agent.target)
        result, end = await sent_on(agent, caller, bridge, obeys(200))

        assert isinstance(result, ConfigError)
        assert end is None


async def test_an_agent_sends_its_caller_to_one_place_at_a_time() -> None:
    results: asyncio.Queue[object] = asyncio.Queue()

    async def agent(call: Call) -> None:
        first = asyncio.ensure_future(call.transfer("sip:ann@127.0.0.1:9"))
        try:
            await asyncio.sleep(0.05)
            await call.transfer("sip:bob@127.0.0.1:9")
        except LocalProtocolError as error:
            results.put_nowait(error)
        results.put_nowait(await first)

    async with switch(agent) as bridge, desk() as caller:
        call = await caller.dial(bridge.uri())
        asked: asyncio.Queue[Referral] = asyncio.Queue()
        call.transfers.on_referral = asked.put_nowait
        async with asyncio.timeout(5):
            assert isinstance(await results.get(), LocalProtocolError)
            (await asked.get()).refuse(404)
            assert await results.get() == TransferResult(404, "Not Found")


async def referred(call: SipCall, target: str) -> list[int]:
    """Ask the other side to call somebody; returns every status it told."""
    async with asyncio.timeout(5):
        return [told.status async for told in call.refer(target)]


async def test_a_peer_that_asks_for_a_call_is_followed_with_the_same_agent() -> None:
    served: list[str] = []

    async def agent(call: Call) -> None:
        served.append(call.to)
        await forever(call)

    async with switch(agent) as bridge, desk() as caller, desk() as ann:
        call = await caller.dial(bridge.uri())

        statuses = await referred(call, ann.uri("ann"))

        assert statuses[:2] == [202, 100]
        assert statuses[-2:] == [180, 200]
        assert served == ["hello", "ann"]
        incoming = await ann.heard.get()
        assert incoming.to_user == "ann"
        # Who sent us on does not leave, so we do.
        async with asyncio.timeout(5):
            assert await call.ended == "callee hung up"
        await bridge.until_calls(1)
        assert [each["reason"] for each in bridge.exchange.calls()] == ["", "transferred"]


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("busy", [202, 100, 486]),
        ("forbidden", [403]),
        ("nowhere", [202, 100, 408]),
    ],
)
async def test_what_cannot_be_followed_is_told_and_the_call_goes_on(target: str, expected: list[int]) -> None:
    async with switch(forever) as bridge, desk() as caller, endpoint(refuse) as busy:
        targets = {
            "busy": uri(busy),
            "forbidden": "sip:boss@127.0.0.1:9",
            "nowhere": f"sip:a@{'a' * 300}",
        }
        bridge.outside.forbidden.add(targets["forbidden"])
        call = await caller.dial(bridge.uri())

        assert await referred(call, targets[target]) == expected

        assert not call.ended.done()
        assert len(bridge.exchange) == 1


async def test_an_address_that_asks_for_calls_without_end_is_refused() -> None:
    async with switch(forever) as bridge, desk() as caller:
        bridge.outside.forbidden.add(target := "sip:boss@127.0.0.1:9")
        calls = [await caller.dial(bridge.uri()) for _ in range(12)]
        told = [(await referred(call, target))[-1] for call in calls]
        assert told[:10] == [403] * 10
        assert told[-1] == 503


async def test_a_bridge_that_follows_nobody_refuses() -> None:
    async with switch(forever) as bridge, desk() as caller:
        bridge.outside.follows_referrals = False
        call = await caller.dial(bridge.uri())

        assert await referred(call, "sip:ann@127.0.0.1:9") == [403]


async def test_a_call_without_media_is_not_followed() -> None:
    async with switch(forever) as bridge, desk() as caller, phone() as ann:
        call = await caller.dial(bridge.uri())
        asking = asyncio.ensure_future(referred(call, uri(ann)))
        invite = parsed_request(await heard(ann, b"INVITE"))
        ann.peer = bridge.line.listen
        ann.say(bytes(reply(invite, 200, contact=f"<{uri(ann)}>", body=b"hello")))

        assert (await asking)[-1] == 488


class Holding:
    """An agent that keeps its calls where a test finds them."""

    def __init__(self) -> None:
        self.calls: asyncio.Queue[Call] = asyncio.Queue()

    async def __call__(self, call: Call) -> None:
        self.calls.put_nowait(call)
        await asyncio.Event().wait()


async def test_two_parties_are_joined_and_the_other_bridge_goes_on_where_it_was() -> None:
    ours, theirs = Holding(), Holding()
    async with switch(ours) as bridge, switch(theirs) as other, desk() as caller:
        call = await caller.dial(bridge.uri())
        first = await ours.calls.get()
        consulting = asyncio.ensure_future(
            bridge.exchange.dial(bridge.line, other.uri("ann"), Route(agent=ours))
        )
        second, ann = await ours.calls.get(), await theirs.calls.get()
        assert (second.to, ann.to) == ("ann", "ann")
        asked: asyncio.Queue[Referral] = asyncio.Queue()

        async def obey() -> None:
            referral = await asked.get()
            referral.accept()
            joined = await caller.dial(referral.target, headers=(("Replaces", referral.replaces),))
            referral.tell(200)
            assert not joined.ended.done()

        call.transfers.on_referral = asked.put_nowait
        obeying = asyncio.ensure_future(obey())
        async with asyncio.timeout(5):
            result = await first.transfer(second)
            await obeying
            await consulting
            assert await call.ended == "callee hung up"

        assert result.succeeded
        assert theirs.calls.empty(), "the session goes on: nobody begins anew"
        assert len(other.exchange) == 1
        assert ann.caller == "sip:cosybridge@127.0.0.1:" + str(caller.line.listen[1])
        assert len(other.media.legs) == 1
        assert len(other.media.legs[0].terms) == 2
        assert not other.media.legs[0].is_closed
        await other.until_calls(1)


async def test_nobody_takes_the_place_of_a_call_that_is_not_there() -> None:
    async with switch(forever) as bridge, desk() as caller:
        with pytest.raises(CallRefused, match="481"):
            await caller.dial(bridge.uri(), headers=(("Replaces", "a;to-tag=b;from-tag=c"),))


async def taken_over(offer: bytes) -> tuple[Holding, Switch, int]:
    """Let a second phone take the first one's place; returns what is left."""
    agent = Holding()
    async with switch(agent) as bridge, desk() as first, desk() as second:
        asked: asyncio.Queue[Referral] = asyncio.Queue()
        call = await first.dial(bridge.uri())
        await agent.calls.get()
        # Our own description of the dialog: what an attended transfer would carry.
        theirs = await second.dial(bridge.uri())
        await agent.calls.get()
        call.transfers.on_referral = asked.put_nowait
        sessions = bridge.exchange.ledger.sessions()
        sending = asyncio.ensure_future(sessions[0].transfer(sessions[1], timeout_s=5))
        referral = await asked.get()
        # The place is one at the second phone; turned round, it is the one at the bridge.
        call_id, to_tag, from_tag = referral.replaces.split(";")
        place = f"{call_id};to-tag={from_tag.partition('=')[2]};from-tag={to_tag.partition('=')[2]}"
        joined = await first.line.call(bridge.uri(), sdp=offer, headers=(("Replaces", place),))
        referral.accept()
        referral.tell(603)
        async with asyncio.timeout(5):
            assert await theirs.ended == "callee hung up"
            await sending
        assert not joined.ended.done()
        return agent, bridge, len(bridge.media.legs)


async def test_a_caller_whose_sound_does_not_fit_gets_a_session_of_its_own() -> None:
    fitting, _, legs = await taken_over(describe().offer())
    assert (fitting.calls.empty(), legs) == (True, 2)

    anew, _, legs = await taken_over(OFFER)
    assert (anew.calls.qsize(), legs) == (1, 3)


async def redirecting(target: Phone, bridge: Switch, *contacts: str, status: int = 302) -> None:
    """Send whoever calls on to somewhere else."""
    invite = parsed_request(await heard(target, b"INVITE"))
    target.peer = bridge.line.listen
    extra = tuple(("Contact", contact) for contact in contacts)
    target.say(bytes(reply(invite, status, contact="", extra=extra)))


async def test_a_call_that_is_sent_on_is_answered_there() -> None:
    async def leave(call: Call) -> None:
        return None

    async with switch(leave) as bridge, desk() as ann, phone() as away:
        bridge.outside.forbidden.add("sip:boss@127.0.0.1:9")
        sending = asyncio.ensure_future(
            redirecting(
                away, bridge, "<sip:boss@127.0.0.1:9>;q=0.9", f"<{uri(away)}>;q=0.8", f"<{ann.uri('ann')}>"
            )
        )
        route = Route(agent=leave, headers=(("X-Customer", "4711"),))

        trace = await bridge.exchange.dial(bridge.line, uri(away), route)
        await sending

        assert trace.reason == "agent finished"
        incoming = await ann.heard.get()
        assert (incoming.to_user, incoming.headers) == ("ann", {"X-Customer": "4711"})


async def test_in_the_end_there_is_the_last_refusal() -> None:
    async with switch(forever) as bridge, phone() as away, endpoint(refuse) as busy:
        sending = asyncio.ensure_future(redirecting(away, bridge, f"<{uri(busy)}>", "<sip:a@127.0.0.1:9>"))
        bridge.outside.forbidden.add("sip:a@127.0.0.1:9")

        with pytest.raises(CallRefused, match="486"):
            await bridge.exchange.dial(bridge.line, uri(away), Route(agent=forever))

        await sending
        assert bridge.media.legs[0].is_closed


async def test_a_bridge_without_a_dial_plan_goes_nowhere() -> None:
    async with switch(forever) as bridge, phone() as away:
        bridge.exchange.outside = CLOSED
        sending = asyncio.ensure_future(redirecting(away, bridge, "<sip:a@127.0.0.1:9>"))

        with pytest.raises(CallRefused, match="302"):
            await bridge.exchange.dial(bridge.line, uri(away), Route(agent=forever))

        await sending
        with pytest.raises(ConfigError, match="no dial plan"):
            await CLOSED.address_of("100")
        with pytest.raises(ConfigError, match="no dial plan"):
            async with CLOSED.way("100"):
                pass


async def test_a_call_that_nobody_answers_ends_after_the_time_it_may_ring() -> None:
    async with switch(forever) as bridge, phone() as silent:
        with pytest.raises(SetupError, match=r"0\.1 s"):
            await bridge.exchange.dial(bridge.line, uri(silent), Route(agent=forever), timeout_s=0.1)


async def test_an_agent_knows_who_calls_and_by_what_way_and_answers_with_headers() -> None:
    agent = Holding()
    headers = (
        ("X-Customer", "4711"),
        ("P-Asserted-Identity", '"Lena" <sip:+4930@127.0.0.1>'),
        ("Diversion", "<sip:+4931@127.0.0.1>;reason=user-busy"),
    )
    async with switch(agent, headers=(("X-Bridge", "yes"),)) as bridge, desk() as caller:
        call = await caller.dial(bridge.uri(), headers=headers)
        seen = await agent.calls.get()

        assert (seen.asserted, seen.diverted_by) == ("sip:+4930@127.0.0.1", "sip:+4931@127.0.0.1")
        assert (seen.headers, seen.caller_name) == ({"X-Customer": "4711"}, "")
        assert call.headers == (("X-Bridge", "yes"),)


async def test_a_text_beside_the_sound_is_an_event_of_the_call() -> None:
    texts: asyncio.Queue[object] = asyncio.Queue()

    async def listening(call: Call) -> None:
        async for event in call.events():
            texts.put_nowait(event)

    async with switch(listening) as bridge, phone(bridge.line) as caller:
        caller.say(caller.invite())
        tag = parsed_response(await heard(caller, b"SIP/2.0 200")).to.tag
        caller.say(raw("ACK", branch="z9hG4bKa", to_tag=tag))
        text = raw("MESSAGE", branch="z9hG4bKm", number=2, to_tag=tag, body="Grüße".encode())
        caller.say(text.replace(b"application/sdp", b"text/plain;charset=utf-8"))

        async with asyncio.timeout(5):
            assert await texts.get() == Text("Grüße")
