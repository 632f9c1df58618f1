"""Where a call of ours goes when its first server does not serve it."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from bridge.aio.sip import CallRefused, SipCall, SipEndpoint, SipSettings
from bridge.call.outside import CLOSED, Way
from bridge.call.placing import Listener, reach
from bridge.errors import SetupError
from tests.aio.sip_phones import FAST, LOOPBACK, describe, endpoint, phone, refuse, serve_until_it_ends

NOBODY = Listener(lambda _status: None, lambda _call, _tag, _sdp: None, lambda: False)
SIX = ("::1", 0)
BOTH = SipSettings(
    listen=LOOPBACK, listen_also=SIX, allow=("127.0.0.0/8", "::1/128"), timers=FAST, close_within_s=0.1
)


async def called(ours: SipEndpoint, *targets: tuple[str, int], offers: list[str]) -> SipCall:
    def offer(local_ip: str) -> bytes:
        offers.append(local_ip)
        return describe().offer()

    async with AsyncExitStack() as stack, asyncio.timeout(10):
        way = Way(ours, "sip:hello@pbx.example", targets)
        return await reach(way, CLOSED, stack, offer=offer, timeout_s=5, listener=NOBODY)


async def test_a_server_that_sees_us_elsewhere_is_called_with_an_offer_of_its_own() -> None:
    async with (
        phone() as silent,
        endpoint(serve_until_it_ends, BOTH) as served,
        endpoint(settings=BOTH) as ours,
    ):
        offers: list[str] = []
        six = "::1", served.ports["UDP6"]
        call = await called(ours, silent.address, six, ("127.0.0.1", 9), offers=offers)
        await call.hangup()

        assert offers == ["127.0.0.1", "::1"]
        # Both of IPv4 were tried, as one call, before the one of IPv6.
        assert ours.counters["calls_placed"] == 2


async def test_who_was_reached_and_declines_is_not_asked_again_elsewhere() -> None:
    async with endpoint(refuse, BOTH) as served, endpoint(settings=BOTH) as ours:
        offers: list[str] = []
        with pytest.raises(CallRefused, match="486"):
            await called(ours, served.listen, ("::1", served.ports["UDP6"]), offers=offers)

        assert offers == ["127.0.0.1"]


async def test_the_last_failure_is_told_when_nobody_serves() -> None:
    async with endpoint(refuse, BOTH) as served, phone() as silent, endpoint(settings=BOTH) as ours:
        served.drain()
        six = "::1", served.ports["UDP6"]
        with pytest.raises(CallRefused, match="503"):
            await called(ours, silent.address, six, offers=[])
        with pytest.raises(SetupError, match="did not answer"):
            await called(ours, six, silent.address, offers=[])


async def test_a_way_without_addresses_leads_where_its_uri_does() -> None:
    async with endpoint(serve_until_it_ends) as served, endpoint(settings=BOTH) as ours:
        way = Way(ours, f"sip:hello@localhost:{served.listen[1]}")
        async with AsyncExitStack() as stack:
            call = await reach(
                way,
                CLOSED,
                stack,
                offer=lambda _: describe().offer(),
                timeout_s=5,
                listener=NOBODY,
            )
            await call.hangup()
        assert served.counters["calls_received"] == 1
