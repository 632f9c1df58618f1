"""What is told of calls, and what is kept of them, from their beginning to their end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bridge.aio.sip import CallRefused, SipSettings
from bridge.call.bus import Notice, Subscription
from bridge.call.exchange import Exchange
from bridge.call.routes import Route
from bridge.plane.events import Digit
from tests.aio.sip_phones import LOOPBACK, Phone, endpoint, phone, uri
from tests.call.test_exchange import Media, exchange, heard, leave, wait
from tests.sip.messages import OFFER, parsed_request, parsed_response, raw, reply


async def told(subscription: Subscription, until: str) -> list[Notice]:
    notices: list[Notice] = []
    async with asyncio.timeout(5):
        while not notices or notices[-1].kind != until:
            notice = await subscription.next()
            assert notice is not None
            notices.append(notice)
    return notices


@asynccontextmanager
async def ringing(served: Exchange) -> AsyncIterator[tuple[Phone, str]]:
    """A telephone whose call is let ring for a minute, and our id of that call."""
    settings = SipSettings(listen=LOOPBACK, answer_after_ms=60_000, close_within_s=0.1)
    async with endpoint(served.answer, settings) as callee, phone(callee) as caller:
        caller.say(caller.invite())
        await heard(caller, b"SIP/2.0 180")
        yield caller, served.calls()[0]["id"]


def kinds(notices: list[Notice]) -> list[str]:
    return [notice.kind for notice in notices]


async def test_a_call_that_comes_is_told_from_its_invite_to_its_end() -> None:
    media = Media()
    served = exchange(media)
    listening = served.bus.subscribe()
    async with endpoint(served.answer) as callee, phone(callee) as caller:
        caller.say(caller.invite())
        tag = parsed_response(await heard(caller, b"SIP/2.0 200")).to.tag
        caller.say(raw("ACK", branch="z9hG4bKa", to_tag=tag))
        (summary,) = served.calls()
        media.legs[0].deliver(Digit(0, 7, 0, digit="5", duration_ms=80))
        assert served.ledger.hang_up(summary["id"], "enough")
        bye = parsed_request(await heard(caller, b"BYE "))
        caller.say(bytes(reply(bye, 200, to_tag="phone")))
        notices = await told(listening, "call.ended")

    assert kinds(notices) == ["call.started", "call.ringing", "call.answered", "digit", "call.ended"]
    assert {notice.call for notice in notices} == {summary["id"]}
    assert dict(notices[0].data) == {"direction": "inbound", "to": "bot", "from": "sip:lena@192.0.2.2"}
    assert dict(notices[2].data) == {"codec": "PCMA", "rate_hz": 8000}
    assert dict(notices[3].data) == {"digit": "5", "duration_ms": 80}
    assert dict(notices[4].data) == {"reason": "enough", "status": None}
    assert not served.ledger.hang_up(summary["id"], "again")


async def test_a_caller_who_gives_up_is_remembered() -> None:
    served = exchange(Media())
    listening = served.bus.subscribe()
    async with ringing(served) as (caller, call_id):
        caller.say(raw("CANCEL", via=f"SIP/2.0/UDP {caller.address[0]}:{caller.address[1]}"))
        notices = await told(listening, "call.ended")

        assert kinds(notices) == ["call.started", "call.ringing", "call.ended"]
        (summary,) = served.calls()
        assert (summary["id"], summary["state"]) == (call_id, "ended")
        assert summary["reason"] == "caller gave up"


async def test_a_call_may_be_refused_while_it_rings() -> None:
    served = exchange(Media())
    listening = served.bus.subscribe()
    async with ringing(served) as (caller, call_id):
        assert served.call(call_id)["state"] == "ringing"  # type: ignore[index]

        assert served.ledger.hang_up(call_id, "not now")

        assert await heard(caller, b"SIP/2.0 603")
        ended = (await told(listening, "call.ended"))[-1]
        assert dict(ended.data) == {"reason": "not now", "status": None}


async def test_a_call_of_ours_is_told_while_it_rings() -> None:
    served = exchange(Media(), leave)
    listening = served.bus.subscribe()
    async with phone() as callee, endpoint() as caller:
        callee.peer = caller.listen
        dialling = asyncio.create_task(served.dial(caller, uri(callee), Route(agent=leave)))
        invite = parsed_request(await heard(callee, b"INVITE "))
        assert served.calls()[0]["state"] == "calling"
        callee.say(bytes(reply(invite, 100)))
        callee.say(bytes(reply(invite, 180)))
        callee.say(bytes(reply(invite, 180)))
        before = await told(listening, "call.ringing")
        assert served.calls()[0]["state"] == "ringing"
        host, port = callee.address
        callee.say(bytes(reply(invite, 200, contact=f"<sip:c@{host}:{port}>", body=OFFER)))
        callee.say(bytes(reply(parsed_request(await heard(callee, b"BYE ")), 200)))
        trace = await dialling
        after = await told(listening, "call.ended")

    assert kinds(before) == ["call.started", "call.ringing"]
    assert dict(before[1].data) == {"status": 180}
    assert kinds(after) == ["call.answered", "call.ended"]
    assert trace.state == "ended"
    assert served.call(trace.sip_call_id) == trace.detail()


async def test_why_nobody_took_our_call_is_kept() -> None:
    served = exchange(Media())
    listening = served.bus.subscribe()
    async with phone() as callee, endpoint() as caller:
        callee.peer = caller.listen
        dialling = asyncio.create_task(served.dial(caller, uri(callee), Route(agent=wait)))
        invite = parsed_request(await heard(callee, b"INVITE "))
        callee.say(bytes(reply(invite, 486)))
        with pytest.raises(CallRefused):
            await dialling

    (ended,) = (notice for notice in await told(listening, "call.ended") if notice.kind == "call.ended")
    assert dict(ended.data) == {"reason": "declined with 486", "status": 486}
    (summary,) = served.calls()
    assert (summary["state"], summary["reason"], summary["status"]) == ("ended", "declined with 486", 486)


async def test_a_call_of_ours_may_be_given_up_while_it_rings() -> None:
    served = exchange(Media())
    async with phone() as callee, endpoint() as caller:
        callee.peer = caller.listen
        dialling = asyncio.create_task(served.dial(caller, uri(callee), Route(agent=wait)))
        invite = parsed_request(await heard(callee, b"INVITE "))
        callee.say(bytes(reply(invite, 180)))

        assert served.ledger.hang_up(served.calls()[0]["id"], "changed our mind")

        assert await heard(callee, b"CANCEL ")
        with pytest.raises(asyncio.CancelledError):
            await dialling
        callee.say(bytes(reply(invite, 487)))

    assert served.calls()[0]["reason"] == "changed our mind"
