"""How a bridge refuses to start, and how it stops; another bridge meanwhile carries a call."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bridge.aio.sip import CallRefused, IncomingCall, SipEndpoint, SipSettings
from bridge.clock import SystemClock
from bridge.dice import SystemDice
from bridge.errors import CallEnded
from bridge.sip.offer import Negotiator
from bridge.sip.timers import Timers
from tests.e2e import agents
from tests.e2e.bare_phone import BarePhone
from tests.e2e.lab import account_when, calling, good_call, matches, nothing_left, rendered
from tests.e2e.running import RunningBridge, free_port

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(60)]

ROOT = Path(__file__).parents[2]
VOICES = agents.routes(ticker="tone", chapters="tone", holding="tone")


@pytest.fixture(scope="module")
def bridge() -> Iterator[RunningBridge]:
    with RunningBridge(VOICES) as running:
        yield running


def second(bridge: RunningBridge, **settings: object) -> RunningBridge:
    """Another bridge that speaks with the first one's voice, and so starts quickly."""
    changed = {key.replace("__", "."): value for key, value in settings.items()}
    return RunningBridge({**VOICES, "tts_server.enabled": "false", "tts.url": bridge.tts_url, **changed})


def refused_start(*arguments: str) -> tuple[int, list[str]]:
    """Run a start that must fail: its exit code and everything it printed."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("COSYBRIDGE_", "DASHSCOPE_"))}
    done = subprocess.run(
        [sys.executable, "-m", "bridge", "serve", *arguments],
        env=environment,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )
    return done.returncode, (done.stdout + done.stderr).splitlines()


def free_elsewhere(*taken: str) -> list[str]:
    """Settings that put every port but the one in question where it is free."""
    sets = {
        "sip.listen": f"127.0.0.1:{free_port()}",
        "http.listen": f"127.0.0.1:{free_port(socket.SOCK_STREAM)}",
        "tts_server.listen": f"127.0.0.1:{free_port(socket.SOCK_STREAM)}",
        "media.ports": "18000-18099",
        "media.bind_ip": "127.0.0.1",
        "start.self_call": "false",
    }
    sets |= dict(setting.split("=") for setting in taken)
    return [part for key, value in sets.items() for part in ("--set", f"{key}={value}")]


def test_a_misspelt_key_is_refused_with_its_line_and_a_suggestion(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('[sip]\nlisten = "127.0.0.1:15060"\nadvertized_ip = "198.51.100.7"\n')

    code, lines = refused_start("--config", str(file))

    print(lines)
    assert code == 2
    assert len(lines) == 1
    assert f"{file}:3" in lines[0]
    assert "sip.advertised_ip" in lines[0]


async def test_every_taken_port_is_named_with_its_holder(
    bridge: RunningBridge, tick: NDArray[np.uint8]
) -> None:
    taken = {
        "sip.listen": bridge.sip_port,
        "http.listen": bridge.http_port,
        "tts_server.listen": bridge.tts_port,
    }
    async with nothing_left(bridge), good_call(bridge, tick):
        starts = [
            asyncio.to_thread(refused_start, *free_elsewhere(f"{setting}=127.0.0.1:{port}"))
            for setting, port in taken.items()
        ]
        refusals = await asyncio.gather(*starts)

    for (setting, port), (code, lines) in zip(taken.items(), refusals, strict=True):
        print(lines)
        assert code == 1
        assert len(lines) == 1
        assert f"{setting} 127.0.0.1:{port}" in lines[0]
        assert "taken by" in lines[0]
        assert "-m bridge" in lines[0], "whoever holds it is named"


async def test_a_call_for_which_no_port_is_left_is_refused_and_the_next_one_works(
    bridge: RunningBridge,
) -> None:
    with second(bridge, media__ports="17200-17201") as other:
        async with nothing_left(other), calling(other, "holding") as caller:
            await caller.first_audible_ns(timeout_s=10)
            with pytest.raises(CallRefused) as refusal:
                async with calling(other, "holding"):
                    pass
            assert refusal.value.status == 503
            assert not caller.call.ended.done()
        async with calling(other, "holding") as next_one:
            await next_one.first_audible_ns(timeout_s=10)
        refused = [text for text in other.output if "call refused" in text]
    print(refused)
    assert len(refused) == 1
    assert "media.ports" in refused[0]
    assert not any("Traceback" in text for text in other.output)


async def test_a_bridge_that_has_spoken_leaves_nothing_in_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The voice's runtime would keep a device id and a store of telemetry there.
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CACHE_HOME", "ORT_DISABLE_TELEMETRY"):
        monkeypatch.delenv(name, raising=False)
    with RunningBridge() as other:
        async with calling(other, "hello") as caller:
            await caller.first_audible_ns(timeout_s=15)
        found = await asyncio.to_thread(files_under, tmp_path)

    assert found == []


def files_under(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_at_sigterm_running_calls_may_finish_and_new_ones_are_refused(
    bridge: RunningBridge, tick: NDArray[np.uint8]
) -> None:
    made = await rendered(bridge, agents.CHAPTERS, voice="tone")
    async with nothing_left(bridge), good_call(bridge, tick):
        with second(bridge, call__drain_s=20) as other:
            async with calling(other, "chapters") as caller:
                await caller.first_audible_ns(timeout_s=10)
                other.process.send_signal(signal.SIGTERM)
                await asyncio.sleep(0.3)
                with pytest.raises(CallRefused) as refusal:
                    async with calling(other, "chapters"):
                        pass
                assert refusal.value.status == 503
                reason = await asyncio.wait_for(asyncio.shield(caller.call.ended), 25)
            code = await asyncio.to_thread(other.process.wait, 5)
        found = matches(caller.heard(), (made[text] for text in agents.CHAPTERS))
    print(f"exit code {code}, the running call ended with {reason!r}: {other.output[-3:]}")
    assert code == 0
    assert all(match.is_complete for match in found), "the running call was cut short"
    assert not any("Traceback" in text for text in other.output)


async def test_a_second_sigterm_ends_every_call_at_once(bridge: RunningBridge) -> None:
    with second(bridge, call__drain_s=30) as other:
        async with calling(other, "holding") as caller:
            await caller.first_audible_ns(timeout_s=10)
            other.process.send_signal(signal.SIGTERM)
            await asyncio.sleep(0.5)
            assert not caller.call.ended.done()
            began = time.monotonic()
            other.process.send_signal(signal.SIGTERM)
            reason = await asyncio.wait_for(asyncio.shield(caller.call.ended), 3)
            code = await asyncio.to_thread(other.process.wait, 5)
            took_s = time.monotonic() - began
    print(f"gone {took_s:.2f} s after the second signal; the caller was told {reason!r}")
    assert code == 0
    assert took_s < 3
    assert not any("Traceback" in text for text in other.output)


async def test_what_drain_does_not_wait_for_is_ended_with_bye(bridge: RunningBridge) -> None:
    with second(bridge, call__drain_s=1) as other:
        async with calling(other, "holding") as caller:
            await caller.first_audible_ns(timeout_s=10)
            other.process.send_signal(signal.SIGTERM)
            await asyncio.wait_for(asyncio.shield(caller.call.ended), 4)
            assert await asyncio.to_thread(other.process.wait, 5) == 0


async def test_a_call_that_lasts_too_long_is_hung_up(bridge: RunningBridge, tick: NDArray[np.uint8]) -> None:
    async with good_call(bridge, tick):
        with second(bridge, call__max_duration_s=2) as other:
            async with nothing_left(other), calling(other, "ticker") as caller:
                await asyncio.wait_for(asyncio.shield(caller.call.ended), 10)
                told = await account_when(other, caller, lambda told: told["state"] == "ended")
    lasted_s = (told["ended_ns"] - told["answered_ns"]) / 1e9
    print(f"hung up after {lasted_s:.2f} s")
    assert told["reason"] == "maximum duration reached"
    assert 2 <= lasted_s < 3


async def test_a_peer_that_never_acknowledges_gets_a_bye() -> None:
    # The bridge waits for 64·T1 = 32 s; the same endpoint with T1 = 10 ms shows the same in 0.64 s.
    ends: list[str] = []

    async def answer(incoming: IncomingCall) -> None:
        negotiator = Negotiator(ip="127.0.0.1", port=40_000, session_id=1)
        call = await incoming.answer(negotiator.answer(incoming.sdp))
        try:
            await call.confirmed()
        except CallEnded as end:
            ends.append(end.reason)

    timers = Timers(t1_ns=10_000_000, t2_ns=80_000_000, t4_ns=100_000_000)
    endpoint = await SipEndpoint.start(
        SipSettings(listen=("127.0.0.1", 0), timers=timers),
        clock=SystemClock(),
        dice=SystemDice(),
        on_call=answer,
    )
    try:
        with BarePhone(endpoint.listen) as phone:
            await asyncio.to_thread(phone.invite, "hello")
            assert "SIP/2.0 200" in await asyncio.to_thread(phone.until, "SIP/2.0 200"), "repeated"
            assert await asyncio.to_thread(phone.until, "BYE")
        assert ends == ["no ack"]
    finally:
        await endpoint.close()
