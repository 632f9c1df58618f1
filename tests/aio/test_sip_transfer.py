import asyncio

import pytest

from bridge.aio.sip_transfer import Referral, TransferResult
from bridge.errors import CallEnded, LocalProtocolError
from tests.call.switch import desk


async def test_how_a_transfer_goes_is_told_as_it_goes() -> None:
    def obey(referral: Referral) -> None:
        referral.accept()
        referral.refuse(486)
        for status in (180, 200, 500):
            referral.tell(status)

    async with desk() as callee, desk() as caller:
        call = await caller.dial(callee.uri())
        (await callee.calls.get()).transfers.on_referral = obey

        told = [result async for result in call.refer("sip:ann@127.0.0.1:9")]

        assert told == [
            TransferResult(202, "Accepted", is_over=False),
            TransferResult(100, "Trying", is_over=False),
            TransferResult(180, "Ringing", is_over=False),
            TransferResult(200, "OK", is_over=True),
        ]
        assert [result.succeeded for result in told] == [False, False, False, True]


async def test_one_transfer_at_a_time_and_none_after_the_end() -> None:
    async with desk() as callee, desk() as caller:
        call = await caller.dial(callee.uri())
        first = call.refer("sip:ann@127.0.0.1:9")
        assert (await anext(first)).status == 403
        second = call.refer("sip:ann@127.0.0.1:9")
        await first.aclose()
        theirs = await callee.calls.get()
        theirs.transfers.on_referral = lambda referral: referral.accept()
        assert (await anext(second)).status == 202
        with pytest.raises(LocalProtocolError, match="under way"):
            await anext(call.refer("sip:bob@127.0.0.1:9"))

        await theirs.hangup()

        with pytest.raises(CallEnded):
            async for _ in second:
                pass
        with pytest.raises(CallEnded):
            await anext(call.refer("sip:ann@127.0.0.1:9"))


async def test_a_user_cannot_set_what_is_the_bridges_own() -> None:
    async with desk() as callee, desk() as caller:
        asking = asyncio.ensure_future(caller.dial(callee.uri()))
        incoming = await callee.heard.get()
        with pytest.raises(LocalProtocolError, match="Contact is the bridge's own to set"):
            await incoming.answer(b"", headers=[("Contact", "<sip:evil@192.0.2.1>")])
        await asking
