"""Changes of a call that we ask for, and those of a caller who is not answered yet, over loopback."""

import asyncio

import pytest

from bridge.aio.sip import CallRefused, IncomingCall
from bridge.errors import CallEnded
from bridge.sip.events import OfferDue
from tests.aio.sip_phones import describe, endpoint, phone, serve_until_it_ends, uri
from tests.sip.messages import OFFER, parsed_response, raw


async def answers_changes(incoming: IncomingCall) -> None:
    negotiator = describe(50000)
    call = await incoming.answer(negotiator.answer(incoming.sdp))
    call.on_reinvite = negotiator.answer
    await call.ended


async def test_a_peer_is_put_on_hold_and_taken_back() -> None:
    ours = describe()
    async with endpoint(answers_changes) as callee, endpoint() as caller:
        call = await caller.call(uri(callee), sdp=ours.offer())
        ours.accept(call.remote_sdp)

        ours.hold(True)
        held = await call.reoffer(ours.offer)
        ours.accept(held)
        ours.hold(False)
        resumed = await call.reoffer(ours.offer())

        assert b"a=recvonly" in held
        assert b"a=sendrecv" in resumed
        assert call.remote_sdp == resumed
        await call.hangup()


async def test_both_sides_hold_at_once_and_both_get_their_way() -> None:
    ours, theirs = describe(), describe(50000)
    took: asyncio.Queue[bytes] = asyncio.Queue()

    async def serve(incoming: IncomingCall) -> None:
        call = await incoming.answer(theirs.answer(incoming.sdp))
        call.on_reinvite = theirs.answer
        await call.confirmed()
        theirs.hold(True)
        theirs.accept(await call.reoffer(theirs.offer))
        took.put_nowait(call.remote_sdp)
        await call.ended

    async with endpoint(serve) as callee, endpoint() as caller:
        call = await caller.call(uri(callee), sdp=ours.offer())
        ours.accept(call.remote_sdp)
        call.on_reinvite = ours.answer
        ours.hold(True)
        ours.accept(await call.reoffer(ours.offer))
        await took.get()

        for side in (ours, theirs):
            assert side.negotiated is not None
            assert (side.negotiated.sending, side.negotiated.receiving) == (False, False)
        await call.hangup()


async def test_a_peer_that_wants_no_change_keeps_the_call() -> None:
    async with endpoint(serve_until_it_ends) as callee, endpoint() as caller:
        call = await caller.call(uri(callee), sdp=describe().offer())

        with pytest.raises(CallRefused) as refused:
            await call.reoffer(OFFER)

        assert refused.value.status == 488
        assert not call.ended.done()
        await call.hangup()


async def test_a_change_of_a_call_that_has_ended_says_so() -> None:
    async with endpoint(serve_until_it_ends) as callee, endpoint() as caller:
        call = await caller.call(uri(callee), sdp=describe().offer())
        await call.hangup("enough")

        with pytest.raises(CallEnded, match="enough"):
            await call.reoffer(OFFER)


def fails(sdp: bytes) -> bytes:
    raise RuntimeError("a bug")


async def test_a_refresh_offers_the_call_as_it_is_by_now(caplog: pytest.LogCaptureFixture) -> None:
    async with endpoint(answers_changes) as callee, endpoint() as caller:
        ours = describe()
        call = await caller.call(uri(callee), sdp=ours.offer())

        # What the agent says when a call must be refreshed by an offer: its wait is 45 s at least.
        call.deliver(OfferDue(call.name, "", OFFER))
        call.on_reinvite = lambda _: ours.offer()
        call.deliver(OfferDue(call.name, "", OFFER))
        call.on_reinvite = fails
        call.deliver(OfferDue(call.name, "", OFFER))

        assert "an offer failed" in caplog.text
        await call.hangup()


async def test_a_caller_may_change_the_call_before_it_is_answered() -> None:
    async def offer(incoming: IncomingCall) -> None:
        assert incoming.wants_early_offer
        incoming.on_reinvite = describe(50002).answer
        sdp = describe(50000).offer()
        incoming.progress(sdp)
        assert await incoming.early_answer() == OFFER
        await asyncio.sleep(0.02)
        call = await incoming.answer(sdp)
        await call.ended

    async with endpoint(offer) as callee, phone(callee) as caller:
        caller.say(caller.invite(body=b"").replace(b"Max-Forwards", b"Require: 100rel\r\nMax-Forwards"))
        await caller.heard.get()
        progress = parsed_response(await caller.heard.get())
        rack = f"RAck: {progress.headers.get('RSeq')} 1 INVITE"
        tag, via = progress.to.tag, f"SIP/2.0/UDP 127.0.0.1:{caller.address[1]}"
        caller.say(raw("PRACK", via=via, branch="z9hG4bKp", to_tag=tag, number=2, extra=(rack,), body=OFFER))
        assert parsed_response(await caller.heard.get()).cseq.method == "PRACK"
        caller.say(raw("UPDATE", via=via, branch="z9hG4bKu", to_tag=tag, number=3, body=OFFER))
        changed = parsed_response(await caller.heard.get())
        success = parsed_response(await caller.heard.get())
        caller.say(raw("ACK", branch="z9hG4bKa", to_tag=tag))

        assert (progress.status, b"m=audio 50000" in progress.body) == (183, True)
        assert (changed.status, b"m=audio 50002" in changed.body) == (200, True)
        assert (success.status, success.body) == (200, b"")
