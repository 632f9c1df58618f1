"""Bad input on a bridge that also carries a good call: a counter or one line, and nothing left behind."""

import asyncio
import os
import signal
import struct
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.e2e import agents
from tests.e2e.bare_phone import BarePhone
from tests.e2e.census import child_pid
from tests.e2e.lab import (
    account,
    account_when,
    calling,
    ended,
    eventually,
    good_call,
    matches,
    nothing_left,
    rendered,
)
from tests.e2e.running import RunningBridge

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(60)]

INACTIVITY_S = 2


@pytest.fixture(scope="module")
def bridge() -> Iterator[RunningBridge]:
    voices = agents.routes(ticker="tone", chapters="tone", story="tone", holding="tone")
    limits = {"media.inactivity_s": INACTIVITY_S, "sip.allow": "127.0.0.1/32"}
    with RunningBridge(voices | limits) as running:
        yield running


async def sip_count(bridge: RunningBridge, kind: str) -> float:
    return await asyncio.to_thread(bridge.metric, "cosybridge_sip_total", f'kind="{kind}"')


def line(bridge: RunningBridge) -> tuple[str, int]:
    return "127.0.0.1", bridge.sip_port


def complaints(bridge: RunningBridge) -> list[str]:
    """What the bridge printed of errors; a traceback would be among them."""
    return [text for text in bridge.output if "ERROR" in text or "Traceback" in text or "error" in text]


async def test_malformed_sip_costs_a_counter(bridge: RunningBridge, tick: NDArray[np.uint8]) -> None:
    rng = np.random.default_rng(3)
    garbage = [
        b"\x01" * 40,
        b"INVITE",
        b"INVITE sip:hello@127.0.0.1 SIP/2.0\r\n\r\n",
        b"INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1\r\nContent-Length: 99999\r\n\r\nv=0",
        b"SIP/2.0 999 What\r\n\r\n",
        b"\xff\xfe" + "INVITE sip:ü SIP/2.0".encode("utf-16"),
        b"OPTIONS sip:a SIP/2.0\r\n" + b"X: y\r\n" * 9000 + b"\r\n",
        *(rng.bytes(int(size)) for size in rng.integers(1, 1400, 60)),
    ]
    async with nothing_left(bridge), good_call(bridge, tick):
        before = await sip_count(bridge, "malformed")
        with BarePhone(line(bridge)) as phone:
            for datagram in garbage:
                phone.send(datagram)
            assert await asyncio.to_thread(phone.options) == "SIP/2.0 200 OK"
        counted = await sip_count(bridge, "malformed") - before
    print(f"{counted:g} of {len(garbage)} datagrams counted as malformed")
    assert counted == len(garbage)
    assert not complaints(bridge)


async def test_rtp_from_strangers_and_garbage_cost_a_counter(
    bridge: RunningBridge, tick: NDArray[np.uint8]
) -> None:
    async with nothing_left(bridge), good_call(bridge, tick) as caller:
        sdp = caller.call.remote_sdp.decode()
        port = int(sdp.partition("m=audio ")[2].split()[0])
        before = (await account(bridge, caller))["media"]
        # One from another address, one from another port of the right one: both may only cost a counter.
        with BarePhone(line(bridge), ip="127.0.0.3") as far, BarePhone(line(bridge)) as near:
            for phone in (far, near):
                phone.media = ("127.0.0.1", port)
                for _ in range(25):
                    phone.speak(level=1)
                    phone.rtp.sendto(os.urandom(90), phone.media)
                    phone.rtp.sendto(b"", phone.media)
                    phone.rtp.sendto(os.urandom(40), ("127.0.0.1", port + 1))  # where RTCP goes
                    await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        after = (await account(bridge, caller))["media"]
        print({name: after[name] - before[name] for name in before if name.startswith("rx_")})
        assert after["rx_stranger"] - before["rx_stranger"] >= 50
        assert after["remote_key"] == before["remote_key"]
    assert not complaints(bridge)


async def test_garbage_on_the_page_and_the_voice_closes_that_connection_alone(
    bridge: RunningBridge, tick: NDArray[np.uint8]
) -> None:
    async def spoil(port: int, data: bytes) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(data)
            writer.write_eof()
            async with asyncio.timeout(5):
                await reader.read()
        except OSError:
            pass  # cut off without a word is an answer, too, even before we have said our last
        finally:
            writer.close()

    upgrade = (
        b"GET /api-ws/v1/inference HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    async with nothing_left(bridge), good_call(bridge, tick):
        for port in (bridge.http_port, bridge.tts_port):
            await spoil(port, os.urandom(500))
            await spoil(port, b"GET /" + b"a" * 100_000)
            await spoil(port, upgrade + os.urandom(500))
        told = await asyncio.to_thread(bridge.get, "/api/calls")
        assert any(call["state"] == "up" for call in told["calls"])
    assert not complaints(bridge)


async def test_garbage_from_the_peer_itself_does_not_end_its_call(
    bridge: RunningBridge, tick: NDArray[np.uint8]
) -> None:
    async with nothing_left(bridge), good_call(bridge, tick):
        with BarePhone(line(bridge)) as phone:
            await asyncio.to_thread(phone.invite, "story")
            phone.ack()
            await asyncio.to_thread(phone.hear)
            phone.speak(5)
            for number in range(50):
                phone.speak()
                phone.rtp.sendto(os.urandom(1 + number * 7), phone.media)
                # Fifteen contributing sources are announced, none is there.
                phone.rtp.sendto(struct.pack("!BBHII", 0x9F, 0, 1, 1, 1), phone.media)
                phone.rtp.sendto(phone.packet(b"\xff" * 160, payload_type=96), phone.media)
                await asyncio.sleep(0.02)
            told = await asyncio.to_thread(bridge.get, f"/api/calls/{phone.call_id}")
            media = told["media"]
            print({name: media[name] for name in media if name.startswith("rx_")})
            assert told["state"] == "up"
            assert media["rx_malformed"] >= 40
            assert media["rx_wrong_payload"] >= 40
        await ended(bridge, phone.call_id)
    assert not complaints(bridge)


async def test_a_source_that_is_not_allowed_hears_nothing(
    bridge: RunningBridge, tick: NDArray[np.uint8]
) -> None:
    async with nothing_left(bridge), good_call(bridge, tick):
        before = await sip_count(bridge, "strangers")
        with BarePhone(line(bridge), ip="127.0.0.2") as phone:
            for attempt in (phone.options, lambda: phone.invite("story")):
                phone.sip.settimeout(0.5)
                with pytest.raises(TimeoutError):
                    await asyncio.to_thread(attempt)
        assert await sip_count(bridge, "strangers") - before == 2


async def test_a_peer_that_vanishes_is_hung_up(bridge: RunningBridge, tick: NDArray[np.uint8]) -> None:
    async with nothing_left(bridge), good_call(bridge, tick):
        with BarePhone(line(bridge)) as phone:
            await asyncio.to_thread(phone.invite, "ticker")
            phone.ack()
            for _ in range(25):
                phone.speak()
                await asyncio.sleep(0.02)
        told = await ended(bridge, phone.call_id)
        lasted_s = (told["ended_ns"] - told["answered_ns"]) / 1e9
        print(f"hung up after {lasted_s:.2f} s, 0.5 s of them with media")
        assert told["reason"] == "no media"
        assert INACTIVITY_S < lasted_s < INACTIVITY_S + 2
    assert not complaints(bridge)


async def test_a_peer_that_never_sends_rtp_is_hung_up(bridge: RunningBridge, tick: NDArray[np.uint8]) -> None:
    async with nothing_left(bridge), good_call(bridge, tick):
        with BarePhone(line(bridge)) as phone:
            await asyncio.to_thread(phone.invite, "ticker")
            phone.ack()
            assert await asyncio.to_thread(phone.until, "BYE")
        told = await ended(bridge, phone.call_id)
        assert told["reason"] == "no media"
        assert told["media"]["rx_packets"] == 0


async def test_calls_go_on_when_the_media_process_dies(bridge: RunningBridge) -> None:
    await eventually(lambda: _media_pid(bridge, "cosy-standby") > 0, timeout_s=10)
    async with nothing_left(bridge):
        dead = _media_pid(bridge, "cosy-media")
        async with calling(bridge, "chapters") as one, calling(bridge, "holding") as other:
            await one.first_audible_ns(timeout_s=10)
            await asyncio.sleep(0.3)
            os.kill(dead, signal.SIGKILL)
            assert await asyncio.wait_for(asyncio.shield(one.call.ended), 30) == "callee hung up"
            told = await account_when(bridge, one, lambda told: told["state"] == "ended")
            assert told["reason"] == "agent finished"
            assert not other.call.ended.done()
            assert other.tape.latest(1)[0].arrival_ns > other.tape.sent[-1].sent_ns - 200_000_000
        await eventually(lambda: _media_pid(bridge, "cosy-standby") > 0, timeout_s=10)
    assert _media_pid(bridge, "cosy-media") != dead
    made = await rendered(bridge, agents.CHAPTERS, voice="tone")
    # Of what was being said as it died a frame may be missing, after which no match goes on.
    heard, cursor = one.heard(), 0
    for at, text in enumerate(agents.CHAPTERS):
        match = heard.match(made[text], from_sample=cursor)
        assert match.is_complete or (at == 0 and match.begin_sample >= 0)
        cursor = max(match.end_sample, match.begin_sample + len(made[text]) - 800)
    assert any(f"the media process {dead} ended by signal 9" in text for text in bridge.output)
    assert not any("Traceback" in text for text in bridge.output)


async def test_without_a_standby_its_calls_end_and_the_next_one_works() -> None:
    voices = agents.routes(ticker="tone", chapters="tone", holding="tone")
    with RunningBridge(voices | {"media.standby": "false"}) as bridge:
        async with nothing_left(bridge, but="bridge /memfd"):
            async with calling(bridge, "ticker") as one, calling(bridge, "holding") as other:
                await one.first_audible_ns(timeout_s=10)
                os.kill(_media_pid(bridge, "cosy-media"), signal.SIGKILL)
                for caller in (one, other):
                    assert await asyncio.wait_for(asyncio.shield(caller.call.ended), 3) == "callee hung up"
                    told = await account_when(bridge, caller, lambda told: told["state"] == "ended")
                    assert told["reason"] == "media failed"
            await eventually(lambda: _media_pid(bridge, "cosy-media") > 0, timeout_s=10)
            async with calling(bridge, "chapters") as next_one:
                await asyncio.wait_for(asyncio.shield(next_one.call.ended), 30)
            made = await rendered(bridge, agents.CHAPTERS, voice="tone")
            found = matches(next_one.heard(), (made[text] for text in agents.CHAPTERS))
            assert all(match.is_complete for match in found)
        assert any("media process" in text and "2 calls lost" in text for text in bridge.output)
        assert not any("Traceback" in text for text in bridge.output)


def _media_pid(bridge: RunningBridge, name: str) -> int:
    """Of the process that carries the calls, or of the one that waits; 0 if there is none."""
    try:
        return child_pid(bridge, "bridge.engine.process", name=name)
    except LookupError:
        return 0
