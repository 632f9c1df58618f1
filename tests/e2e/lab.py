"""What end-to-end tests share: a caller, the bridge's own account, and what its voice makes of a text."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from bridge.aio.cosyvoice_pool import CosyVoicePool, TtsSettings
from bridge.audio import PcmFormat
from bridge.clock import SystemClock
from bridge.dice import SystemDice
from bridge.load.caller import Caller
from bridge.load.listen import Heard, Match
from bridge.plane.g711 import encode_alaw, encode_ulaw
from bridge.ports import Voice
from tests.e2e.census import Census
from tests.e2e.running import RunningBridge

__all__ = [
    "account",
    "account_when",
    "calling",
    "ended",
    "eventually",
    "good_call",
    "matches",
    "nothing_left",
    "rendered",
]

_POLL_S = 0.05


@asynccontextmanager
async def calling(
    bridge: RunningBridge, user: str, *, payload_types: tuple[int, ...] = (0, 8)
) -> AsyncIterator[Caller]:
    """A caller whose call to `user` is up."""
    async with await Caller.start(
        clock=SystemClock(), dice=SystemDice(), payload_types=payload_types
    ) as caller:
        await caller.dial(bridge.uri(user), timeout_s=10)
        yield caller


async def account(bridge: RunningBridge, caller: Caller) -> dict[str, Any]:
    """What the bridge says of a caller's call."""
    found = await asyncio.to_thread(bridge.get, f"/api/calls/{quote(caller.call.call_id, safe='')}")
    assert isinstance(found, dict)
    return found


async def account_when(
    bridge: RunningBridge, caller: Caller, is_so: Callable[[dict[str, Any]], bool], *, timeout_s: float = 15
) -> dict[str, Any]:
    """The same, once it is as wanted."""
    told: dict[str, Any] = {}

    async def look() -> bool:
        nonlocal told
        told = await account(bridge, caller)
        return is_so(told)

    await eventually(look, timeout_s=timeout_s, what=lambda: f"the call's account is {told}")
    return told


async def eventually(
    look: Callable[[], Any], *, timeout_s: float = 5, what: Callable[[], str] = lambda: ""
) -> None:
    """Ask until `look`, which may be a coroutine function, finds what is wanted."""
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                found = look()
                if await found if asyncio.iscoroutine(found) else found:
                    return
                await asyncio.sleep(_POLL_S)
    except TimeoutError:
        raise AssertionError(f"not within {timeout_s} s: {what()}") from None


async def rendered(
    bridge: RunningBridge, texts: Iterable[str], *, payload_type: int = 0, voice: str = "longanyang"
) -> dict[str, NDArray[np.uint8]]:
    """G.711 of the PCM that the bridge's voice service makes of each text, asked for once more."""
    encode = encode_ulaw if payload_type == 0 else encode_alaw
    settings = TtsSettings(url=bridge.tts_url, api_key=bridge.tts_key)
    synthesizer = CosyVoicePool(settings, clock=SystemClock(), dice=SystemDice())
    await synthesizer.start()
    made: dict[str, NDArray[np.uint8]] = {}
    try:
        await synthesizer.ready()
        for text in texts:
            speech = synthesizer.speak(Voice("cosyvoice-v3-flash", voice, "en"), PcmFormat(8000))
            await speech.send_text(text)
            await speech.finish()
            pcm = b"".join([piece async for piece in speech.audio()])
            made[text] = encode(np.frombuffer(pcm, "<i2").astype(np.int16))
    finally:
        await synthesizer.close()
    return made


_BYE_SLACK_SAMPLES = 800


def matches(heard: Heard, utterances: Iterable[NDArray[np.uint8]]) -> list[Match]:
    """How each utterance arrived, one after the other."""
    found: list[Match] = []
    cursor = 0
    for codes in utterances:
        found.append(heard.match(codes, from_sample=cursor))
        cursor = max(cursor, found[-1].end_sample)
    return found


@asynccontextmanager
async def good_call(bridge: RunningBridge, tick: NDArray[np.uint8]) -> AsyncIterator[Caller]:
    """Another call that goes on meanwhile, and must neither end nor lose a sample."""
    async with calling(bridge, "ticker") as caller:
        await caller.first_audible_ns(timeout_s=10)
        yield caller
        assert not caller.call.ended.done(), f"the other call ended: {caller.call.ended.result()}"
        await asyncio.sleep(0.3)
        assert caller.tape.latest(1)[0].arrival_ns > caller.tape.sent[-1].sent_ns - 200_000_000
        await caller.hang_up()
        told = await account_when(bridge, caller, lambda told: told["state"] == "ended")
    heard = caller.heard()
    found = matches(heard, [tick] * len(told["utterances"]))
    # The bridge may finish an utterance while our BYE is on its way: that tail nobody listens to.
    hung_up_at = len(heard.codes) - _BYE_SLACK_SAMPLES
    assert all(match.is_complete or match.end_sample >= hung_up_at for match in found[:-1])
    spans = [(match.begin_sample, match.end_sample) for match in found if match.begin_sample >= 0]
    assert spans
    # What the bridge is saying as we hang up ends with a fade, whose samples are no copies.
    assert heard.uncovered([*spans, (hung_up_at, len(heard.codes))], from_sample=0) == 0
    assert heard.arrivals().lost == 0
    assert told["reason"] == "caller hung up"
    assert told["media"]["silence_ducked"] == 0


@asynccontextmanager
async def nothing_left(bridge: RunningBridge, *, but: str = "") -> AsyncIterator[None]:
    """Compare what the bridge holds before and after; `but` names what only garbage collection frees."""
    # What still loads holds files for a moment.
    if bridge.has_standby:
        await eventually(lambda: asyncio.to_thread(bridge.metric, "cosybridge_engine_standby"), timeout_s=20)
    before = await asyncio.to_thread(Census.of, bridge, but=but)
    yield
    after = before

    async def is_as_before() -> bool:
        nonlocal after
        after = await asyncio.to_thread(Census.of, bridge, but=but)
        return after == before

    await eventually(is_as_before, timeout_s=5, what=lambda: f"before {before}, after {after}")


async def ended(bridge: RunningBridge, call_id: str, *, timeout_s: float = 10) -> dict[str, Any]:
    told: dict[str, Any] = {}

    async def look() -> bool:
        nonlocal told
        told = await asyncio.to_thread(bridge.get, f"/api/calls/{call_id}")
        return bool(told["state"] == "ended")

    await eventually(look, timeout_s=timeout_s, what=lambda: f"the account is {told}")
    return told
