import asyncio
import logging

import pytest

from bridge.aio.sip import CallRefused, IncomingCall, SipCall, SipSettings
from bridge.errors import CallEnded, NegotiationError
from tests.aio.sip_phones import FAST, LOOPBACK, describe, endpoint, phone, serve_until_it_ends, uri
from tests.sip.messages import OFFER, parsed_request, parsed_response, raw, reply


async def test_the_bridge_lets_it_ring_as_long_as_it_is_told() -> None:
    settings = SipSettings(listen=LOOPBACK, answer_after_ms=60)
    loop = asyncio.get_running_loop()

    async with endpoint(serve_until_it_ends, settings) as callee, endpoint() as caller:
        began_s = loop.time()
        call = await caller.call(uri(callee), sdp=describe().offer())

        assert loop.time() - began_s >= 0.055
        await call.hangup()


async def test_a_delayed_offer_is_made_by_us_and_answered_in_the_ack() -> None:
    answers: asyncio.Queue[bytes] = asyncio.Queue()

    async def offer(incoming: IncomingCall) -> None:
        assert incoming.sdp == b""
        call = await incoming.answer(describe(50000).offer())
        answers.put_nowait(await call.answered_sdp())
        await call.ended

    async with endpoint(offer) as callee, phone(callee) as caller:
        caller.say(caller.invite(body=b""))
        await caller.heard.get()
        success = parsed_response(await caller.heard.get())
        assert (success.status, b"m=audio 50000" in success.body) == (200, True)

        caller.say(raw("ACK", branch="z9hG4bKa", to_tag=success.to.tag, body=OFFER))

        assert await answers.get() == OFFER


async def test_a_caller_that_never_acknowledges_is_hung_up_on() -> None:
    ended: asyncio.Queue[str] = asyncio.Queue()

    async def answer(incoming: IncomingCall) -> None:
        call = await incoming.answer(describe(50000).answer(incoming.sdp))
        try:
            await call.confirmed()
        except CallEnded as end:
            ended.put_nowait(end.reason)

    settings = SipSettings(listen=LOOPBACK, timers=FAST)
    async with endpoint(answer, settings) as callee, phone(callee) as caller:
        caller.say(caller.invite())

        assert await ended.get() == "no ack"
        heard = [await caller.heard.get() for _ in range(caller.heard.qsize())]
        assert heard[-1].startswith(b"BYE ")
        assert sum(data.startswith(b"SIP/2.0 200") for data in heard) > 3


async def test_a_reinvite_reaches_the_call_and_its_answer_the_peer() -> None:
    offers: list[bytes] = []
    answers: asyncio.Queue[bytes] = asyncio.Queue()
    calls: asyncio.Queue[SipCall] = asyncio.Queue()

    async def answer(incoming: IncomingCall) -> None:
        ours = describe(50000)
        call = await incoming.answer(ours.answer(incoming.sdp))

        def renegotiate(offer: bytes) -> bytes:
            offers.append(offer)
            return ours.answer(offer) if offer else ours.offer()

        call.on_reinvite = renegotiate
        call.on_answer = answers.put_nowait
        calls.put_nowait(call)
        await call.ended

    async with endpoint(answer) as callee, phone(callee) as caller:
        hold = OFFER + b"a=sendonly\r\n"
        caller.say(caller.invite())
        await caller.heard.get()
        tag = parsed_response(await caller.heard.get()).to.tag
        caller.say(raw("ACK", branch="z9hG4bKa1", to_tag=tag))
        call = await calls.get()
        caller.say(caller.invite(branch="z9hG4bK2", number=2, to_tag=tag, body=hold))
        held = parsed_response(await caller.heard.get())
        caller.say(raw("ACK", branch="z9hG4bKa2", to_tag=tag, number=2))
        assert (held.status, b"a=recvonly" in held.body) == (200, True)
        assert call.remote_sdp == hold

        caller.say(caller.invite(branch="z9hG4bK3", number=3, to_tag=tag, body=b""))
        assert b"m=audio 50000" in parsed_response(await caller.heard.get()).body
        caller.say(raw("ACK", branch="z9hG4bKa3", to_tag=tag, number=3, body=OFFER))

        assert await answers.get() == OFFER
        assert call.remote_sdp == OFFER
        assert offers == [hold, b""]


async def test_an_answer_that_nobody_waits_for_is_kept_all_the_same() -> None:
    calls: asyncio.Queue[SipCall] = asyncio.Queue()

    async def answer(incoming: IncomingCall) -> None:
        call = await incoming.answer(describe(50000).answer(incoming.sdp))
        call.on_reinvite = lambda offer: describe(50000).offer()
        calls.put_nowait(call)
        await call.ended

    async with endpoint(answer) as callee, phone(callee) as caller:
        caller.say(caller.invite())
        await caller.heard.get()
        tag = parsed_response(await caller.heard.get()).to.tag
        call = await calls.get()
        caller.say(raw("ACK", branch="z9hG4bKa1", to_tag=tag))
        caller.say(caller.invite(branch="z9hG4bK3", number=3, to_tag=tag, body=b""))
        await caller.heard.get()
        caller.say(raw("ACK", branch="z9hG4bKa3", to_tag=tag, number=3, body=OFFER + b"a=x\r\n"))
        caller.say(raw("BYE", branch="z9hG4bKb", to_tag=tag, number=4))
        await call.ended

        assert call.remote_sdp == OFFER + b"a=x\r\n"


@pytest.mark.parametrize(
    ("fault", "reason"), [(NegotiationError("no codec"), "no usable answer"), (ValueError("a bug"), "failed")]
)
async def test_an_answer_to_a_reinvite_that_is_of_no_use_ends_the_call(fault: Exception, reason: str) -> None:
    ended: asyncio.Queue[str] = asyncio.Queue()

    async def answer(incoming: IncomingCall) -> None:
        call = await incoming.answer(describe(50000).answer(incoming.sdp))

        def refuse(sdp: bytes) -> None:
            raise fault

        call.on_reinvite, call.on_answer = lambda offer: describe(50000).offer(), refuse
        ended.put_nowait(await call.ended)
        assert call.remote_sdp == OFFER

    async with endpoint(answer) as callee, phone(callee) as caller:
        caller.say(caller.invite())
        await caller.heard.get()
        tag = parsed_response(await caller.heard.get()).to.tag
        caller.say(raw("ACK", branch="z9hG4bKa1", to_tag=tag))
        caller.say(caller.invite(branch="z9hG4bK3", number=3, to_tag=tag, body=b""))
        await caller.heard.get()

        caller.say(raw("ACK", branch="z9hG4bKa3", to_tag=tag, number=3, body=b"rubbish"))

        assert await ended.get() == reason
        assert (await caller.heard.get()).startswith(b"BYE ")


@pytest.mark.parametrize(
    ("fault", "status"), [(None, 488), (NegotiationError("no codec"), 488), (ValueError("a bug"), 500)]
)
async def test_a_reinvite_that_cannot_be_served_leaves_the_call_as_it_was(
    fault: Exception | None, status: int
) -> None:
    async def answer(incoming: IncomingCall) -> None:
        call = await incoming.answer(describe(50000).answer(incoming.sdp))

        def renegotiate(offer: bytes) -> bytes:
            assert fault is not None
            raise fault

        call.on_reinvite = renegotiate if fault is not None else None
        await call.ended

    async with endpoint(answer) as callee, phone(callee) as caller:
        caller.say(caller.invite())
        await caller.heard.get()
        tag = parsed_response(await caller.heard.get()).to.tag
        caller.say(raw("ACK", branch="z9hG4bKa1", to_tag=tag))

        caller.say(caller.invite(branch="z9hG4bK2", number=2, to_tag=tag))

        assert parsed_response(await caller.heard.get()).status == status
        assert callee.calls == 1


async def test_progress_is_heard_and_a_repeated_success_acknowledged_again() -> None:
    async with phone() as callee, endpoint() as caller:
        callee.peer = caller.listen
        placing = asyncio.create_task(
            caller.call(uri(callee), sdp=describe().offer(), headers=(("X-Trace", "7"),))
        )
        invite = parsed_request(await callee.heard.get())
        assert invite.headers.get("X-Trace") == "7"
        host, port = callee.address
        callee.say(bytes(reply(invite, 180)))
        success = bytes(reply(invite, 200, contact=f"<sip:c@{host}:{port}>", body=OFFER))
        callee.say(success)
        call = await placing
        assert call.remote_sdp == OFFER
        assert (await callee.heard.get()).startswith(b"ACK ")

        callee.say(success)

        assert (await callee.heard.get()).startswith(b"ACK ")


@pytest.mark.parametrize("answers_first", [True, False])
async def test_a_bug_in_serving_ends_that_call_and_is_loud(
    answers_first: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(incoming: IncomingCall) -> None:
        if answers_first:
            call = await incoming.answer(describe(50000).answer(incoming.sdp))
            await call.confirmed()
        raise ValueError("a bug")

    async with endpoint(fail) as callee, endpoint() as caller:
        if answers_first:
            call = await caller.call(uri(callee), sdp=describe().offer())
            assert await call.ended == "callee hung up"
        else:
            with pytest.raises(CallRefused, match="500"):
                await caller.call(uri(callee), sdp=describe().offer())

    assert "failed: a bug" in caplog.text


async def test_a_caller_that_gives_up_is_no_bug(caplog: pytest.LogCaptureFixture) -> None:
    rang: asyncio.Queue[IncomingCall] = asyncio.Queue()
    results: asyncio.Queue[bool] = asyncio.Queue()

    async def answer_late(incoming: IncomingCall) -> None:
        incoming.ring()
        rang.put_nowait(incoming)
        results.put_nowait(await incoming.ringing(10))
        incoming.ring()
        incoming.reject(486)
        await incoming.answer(b"")

    async with endpoint(answer_late) as callee, endpoint() as caller:
        placing = asyncio.create_task(caller.call(uri(callee), sdp=describe().offer()))
        incoming = await rang.get()
        placing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await placing

        assert await results.get() is False
        assert not incoming.is_waiting
        assert repr(incoming) == f"IncomingCall({incoming.call_id})"
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize(("status", "expected"), [(503, ["10"]), (486, [])])
async def test_only_a_full_house_says_when_to_try_again(status: int, expected: list[str]) -> None:
    async def refuse_with(incoming: IncomingCall) -> None:
        incoming.reject(status)

    async with endpoint(refuse_with) as callee, phone(callee) as caller:
        caller.say(caller.invite())
        await caller.heard.get()

        refused = parsed_response(await caller.heard.get())

        assert (refused.status, refused.headers.all("Retry-After")) == (status, expected)
