"""Calls that are over are gone at once: no collector has to find what is left of them."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import pytest

from bridge.clock import SystemClock
from bridge.dice import SystemDice
from bridge.errors import SetupError
from bridge.load.caller import Caller
from tests.e2e import agents
from tests.e2e.bare_phone import BarePhone
from tests.e2e.browser_phone import BrowserPhone
from tests.e2e.lab import calling, eventually
from tests.e2e.running import RunningBridge
from tests.e2e.witness import findings

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

TIMES = 3
KEPT = (
    # Records of calls, which the page shows.
    "bridge.call.trace.",
    "bridge.call.lanes.",
    # Connections to the voice, for the calls to come.
    "bridge.aio.cosyvoice_connection.",
    "bridge.aio.websocket.",
    "bridge.cosyvoice.client_steps.",
    "aiohttp.",
    # What was read lately; there is an end to how much of it.
    "bridge.sip.sdp.",
    "bridge.sip.grammar.",
    # Transactions wait 32 s for what may come again (RFC 3261 §17.2.2, timer J).
    "bridge.sip.layer._Entry",
    "bridge.sip.message.",
    "bridge.sip.transaction.",
    "bridge.sip.timers.",
    "bridge.sip.flow.",
)


@pytest.fixture(scope="module")
def bridge() -> Iterator[RunningBridge]:
    settings = agents.routes(
        ticker="tone", story="tone", witness="tone", failing="tone", holder="tone", guide=""
    )
    for number, name in ((2, "witness"), (3, "failing")):
        settings[f"routes.{number}.agent"] = f"tests.e2e.witness:{name}"
    with RunningBridge(settings | {"webrtc.enabled": "true", "sip.answer_after_ms": "300"}) as running:
        yield running


async def hung_up(bridge: RunningBridge, user: str) -> None:
    async with calling(bridge, user) as caller:
        await caller.first_audible_ns(timeout_s=10)
        await caller.hang_up()


async def heard_to_the_end(bridge: RunningBridge, user: str) -> None:
    async with calling(bridge, user) as caller:
        await asyncio.wait_for(asyncio.shield(caller.call.ended), 20)


async def given_up(bridge: RunningBridge, user: str) -> None:
    async with await Caller.start(clock=SystemClock(), dice=SystemDice()) as caller:
        with pytest.raises(SetupError, match="did not answer"):
            await caller.dial(bridge.uri(user), timeout_s=0.15)


async def left_by_a_page(bridge: RunningBridge, user: str) -> None:
    async with BrowserPhone(f"http://127.0.0.1:{bridge.http_port}", bridge.token, to=user) as page:
        await eventually(lambda: page.state == "connected", timeout_s=10)
        await asyncio.sleep(0.5)


async def misunderstood(bridge: RunningBridge, user: str) -> None:
    def call() -> None:
        with BarePhone(("127.0.0.1", bridge.sip_port)) as phone:
            phone.invite_with(user, "v=0\r\nnonsense\r\n", status=488)
            phone.ack()

    await asyncio.to_thread(call)


async def found(bridge: RunningBridge) -> dict[str, int]:
    """What is alive, as the only call sees it."""
    before = len(findings(bridge))

    async def is_quiet() -> bool:
        calls = await asyncio.to_thread(bridge.get, "/api/calls")
        return all(call["state"] == "ended" for call in calls["calls"])

    await eventually(is_quiet)
    await heard_to_the_end(bridge, "witness")
    await eventually(lambda: len(findings(bridge)) > before)
    return findings(bridge)[-1]


@pytest.mark.parametrize(
    ("ends", "user"),
    [
        (hung_up, "ticker"),
        (hung_up, "guide"),
        (heard_to_the_end, "story"),
        (heard_to_the_end, "failing"),
        (heard_to_the_end, "holder"),
        (given_up, "ticker"),
        (misunderstood, "ticker"),
        (left_by_a_page, "ticker"),
        (left_by_a_page, "guide"),
    ],
    ids=lambda given: given if isinstance(given, str) else given.__name__,
)
async def test_nothing_of_a_call_that_is_over_waits_for_a_collector(
    bridge: RunningBridge, ends: Callable[[RunningBridge, str], Awaitable[None]], user: str
) -> None:
    await ends(bridge, user)  # whatever is made once is made now
    await found(bridge)
    before = await found(bridge)

    for _ in range(TIMES):
        await ends(bridge, user)
    after = await found(bridge)

    grown = {
        name: count - before.get(name, 0)
        for name, count in after.items()
        if count > before.get(name, 0) and not name.startswith(KEPT)
    }
    assert grown == {}
    assert after["bridge.call.session.Session"] == 1
