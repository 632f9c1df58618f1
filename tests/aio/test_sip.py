import asyncio

import pytest

from bridge.aio.sip import CallRefused, IncomingCall, SipCall, SipSettings
from bridge.errors import ConfigError, SetupError
from tests.aio.sip_phones import (
    FAST,
    LOOPBACK,
    NOWHERE,
    describe,
    endpoint,
    phone,
    refuse,
    serve_until_it_ends,
    uri,
)
from tests.sip.messages import OFFER, parsed_request, parsed_response, raw, reply


async def test_a_call_is_answered_and_hung_up_by_the_caller() -> None:
    served: asyncio.Queue[SipCall] = asyncio.Queue()

    async def answer(incoming: IncomingCall) -> None:
        assert (incoming.to_user, incoming.local_ip, incoming.nat) == ("hello", "127.0.0.1", False)
        assert incoming.from_uri.startswith("sip:me@127.0.0.1")
        incoming.ring()
        incoming.ring()
        call = await incoming.answer(describe(50000).answer(incoming.sdp))
        await call.confirmed()
        served.put_nowait(call)
        await call.ended

    async with endpoint(answer) as callee, endpoint() as caller:
        ours = describe()
        call = await caller.call(uri(callee), sdp=ours.offer(), from_user="me")
        assert ours.accept(call.remote_sdp).remote == ("127.0.0.1", 50000)
        theirs = await served.get()
        assert theirs.call_id == call.call_id

        await call.hangup()
        await call.hangup()

        assert await theirs.ended == "caller hung up"
        assert call.ended.result() == "hung up"
        assert callee.counters["calls_received"] == 1


async def test_a_call_is_hung_up_by_the_callee() -> None:
    async def answer(incoming: IncomingCall) -> None:
        call = await incoming.answer(describe(50000).answer(incoming.sdp))
        await call.confirmed()
        await call.hangup("said goodbye")

    async with endpoint(answer) as callee, endpoint() as caller:
        call = await caller.call(uri(callee), sdp=describe().offer())

        assert await call.ended == "callee hung up"
        assert repr(call) == f"SipCall({call.call_id})"


async def test_a_refusal_reaches_the_caller_with_its_status() -> None:
    async with endpoint(refuse) as callee, endpoint() as caller:
        with pytest.raises(CallRefused, match="486 Busy Here") as caught:
            await caller.call(uri(callee), sdp=describe().offer())

        assert caught.value.status == 486


async def test_a_call_that_nobody_serves_is_refused() -> None:
    async def forget(incoming: IncomingCall) -> None:
        assert incoming.is_waiting

    async with endpoint(forget) as callee, endpoint() as caller:
        with pytest.raises(CallRefused, match="480"):
            await caller.call(uri(callee), sdp=describe().offer())


async def test_a_callee_that_rings_too_long_is_given_up() -> None:
    async def ring_on(incoming: IncomingCall) -> None:
        incoming.ring()
        await incoming.ringing(10)

    async with endpoint(ring_on) as callee, endpoint() as caller:
        with pytest.raises(SetupError, match=r"did not answer within 0\.05 s"):
            await caller.call(uri(callee), sdp=describe().offer(), timeout_s=0.05)


async def test_a_call_cancelled_as_its_answer_arrives_is_hung_up() -> None:
    async with endpoint() as caller, phone() as callee:
        placing = asyncio.create_task(caller.call(uri(callee), sdp=describe().offer()))
        invite = parsed_request(await callee.heard.get())
        host, port = callee.address
        success = reply(invite, 200, contact=f"<sip:c@{host}:{port}>", body=OFFER)

        # Both within one turn of the loop: the task that waits learns of them together.
        caller._received(bytes(success), callee.address)
        placing.cancel()

        with pytest.raises(asyncio.CancelledError):
            await placing
        assert (await callee.heard.get()).startswith(b"ACK ")
        assert (await callee.heard.get()).startswith(b"BYE ")


async def test_an_address_that_was_looked_up_already_is_believed() -> None:
    async with endpoint(serve_until_it_ends) as callee, endpoint() as caller:
        call = await caller.call(f"sip:x@{NOWHERE}", sdp=describe().offer(), targets=[callee.listen])

        assert call.remote_uri == f"sip:x@{NOWHERE}"
        await call.hangup()


async def test_a_callee_that_is_not_there_is_given_up() -> None:
    async with phone() as silent, endpoint(settings=SipSettings(listen=LOOPBACK, timers=FAST)) as caller:
        with pytest.raises(SetupError, match="did not answer: no answer"):
            await caller.call(uri(silent), sdp=describe().offer())

        assert caller.calls == 0


@pytest.mark.parametrize(
    ("target", "message"),
    [("hello", "is not a SIP URI"), (f"sip:x@{NOWHERE}", "has no address")],
)
async def test_an_address_that_leads_nowhere_says_so(target: str, message: str) -> None:
    async with endpoint() as caller:
        with pytest.raises(SetupError, match=message):
            await caller.call(target, sdp=b"")


async def test_draining_refuses_new_calls_and_keeps_the_old() -> None:
    async with endpoint(serve_until_it_ends) as callee, endpoint() as caller:
        call = await caller.call(uri(callee), sdp=describe().offer())

        callee.drain()

        with pytest.raises(CallRefused) as caught:
            await caller.call(uri(callee), sdp=describe().offer())
        assert caught.value.status == 503
        assert not call.ended.done()


async def test_closing_hangs_up_every_call_and_refuses_who_still_waits() -> None:
    arrived = asyncio.Event()

    async def answer_first_only(incoming: IncomingCall) -> None:
        if incoming.to_user == "first":
            await serve_until_it_ends(incoming)
        arrived.set()
        await incoming.ringing(10)

    async with endpoint(answer_first_only) as callee, endpoint() as caller:
        call = await caller.call(uri(callee, "first"), sdp=describe().offer())
        waiting = asyncio.create_task(caller.call(uri(callee, "second"), sdp=describe().offer()))
        await arrived.wait()

        await callee.close()
        await callee.close()

        assert await call.ended == "callee hung up"
        with pytest.raises(CallRefused, match="503"):
            await waiting
        assert callee.calls == 0


async def test_closing_does_not_wait_for_a_peer_that_has_vanished() -> None:
    async with endpoint(serve_until_it_ends) as callee, phone(callee) as caller:
        caller.say(caller.invite())
        await caller.heard.get()
        tag = parsed_response(await caller.heard.get()).to.tag
        caller.say(raw("ACK", branch="z9hG4bKa1", to_tag=tag))
        async with asyncio.timeout(3):
            await callee.close()

        assert callee.calls == 1


async def test_a_wrong_network_is_named_and_frees_the_port() -> None:
    with pytest.raises(ConfigError, match=r"sip\.allow"):
        async with endpoint(settings=SipSettings(listen=LOOPBACK, allow=("x",))):
            pass


async def test_strangers_and_rubbish_cost_one_counter_each() -> None:
    settings = SipSettings(listen=LOOPBACK, allow=("192.0.2.0/24",))
    async with endpoint(settings=settings) as closed, endpoint() as open_, phone() as caller:
        caller.peer = closed.listen
        caller.say(raw("OPTIONS"))
        caller.peer = open_.listen
        caller.say(b"rubbish\r\n\r\n")
        caller.say(raw("OPTIONS", via=f"SIP/2.0/UDP 127.0.0.1:{caller.address[1]}"))

        assert parsed_response(await caller.heard.get()).status == 200
        assert closed.counters["strangers"] == 1
        assert open_.counters["malformed"] == 1


async def test_our_address_depends_on_who_asks() -> None:
    async with endpoint(settings=SipSettings(listen=("0.0.0.0", 0), advertised_ip="198.51.100.7")) as served:
        assert served.local_ip("127.0.0.1") == "127.0.0.1"
        assert served.local_ip("sip:x@127.0.0.1:5060") == "127.0.0.1"
        assert served.local_ip("192.0.2.1") == "198.51.100.7"
        assert served.local_ip("sip:x@phone.example.com") == "198.51.100.7"
