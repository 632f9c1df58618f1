"""Calls over IPv6, beside calls over IPv4, at one bridge; what was said is understood at both ends."""

import asyncio
import os
import signal
import wave
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bridge.clock import SystemClock
from bridge.dice import SystemDice
from bridge.load.caller import Caller
from bridge.load.clip import Clip, render_clip_apart
from bridge.plane.g711 import decode_ulaw
from tests.e2e import agents
from tests.e2e.bare_phone import BarePhone
from tests.e2e.callee import callee
from tests.e2e.handshake_phone import HandshakePhone
from tests.e2e.lab import account_when, ended, eventually, matches, rendered
from tests.e2e.running import RunningBridge
from tests.e2e.test_srtp import media_pids
from tests.hearing import transcribe, word_errors

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

SAID = "Please tell the captain that the harbour is full of yellow boats."
HOSTS = ("::1", "127.0.0.1")


async def talk(bridge: RunningBridge, host: str, clip: Clip) -> tuple[str, NDArray[np.int16]]:
    """Call by one family of addresses, talk and listen; return the call's id and what was heard."""
    async with await Caller.start(
        clock=SystemClock(), dice=SystemDice(), local_ip=host, payload_types=(0,), noise=False
    ) as caller:
        await caller.dial(bridge.uri("firm", host=host), timeout_s=10)
        await caller.say(clip)
        told = await account_when(bridge, caller, lambda told: told["state"] == "ended", timeout_s=30)
        assert told["media"]["rx_packets"] > 100
        assert told["media"]["rx_stranger"] == 0
        assert bytes(caller.call.remote_sdp).count(f" {host}\r\n".encode()) == 2
        return told["id"], decode_ulaw(caller.heard().codes)


def recorded(folder: Path, call_id: str) -> NDArray[np.int16]:
    """The caller's side of what the bridge heard."""
    with wave.open(str(next(folder.rglob(f"*{call_id}*.wav")))) as file:
        both = np.frombuffer(file.readframes(file.getnframes()), np.int16).reshape(-1, 2)
    return np.ascontiguousarray(both[:, 0])


def busiest(bridge: RunningBridge) -> int:
    """The media process that carries calls; the spare one has no ports."""
    return max(media_pids(bridge), key=lambda pid: len(os.listdir(f"/proc/{pid}/fd")))


@pytest.mark.parametrize("ports_shared", [False, True], ids=["own-ports", "shared-ports"])
@pytest.mark.parametrize("plain_sockets", [False, True], ids=["batched", "plain"])
async def test_a_phone_on_ipv6_and_one_on_ipv4_talk_with_one_bridge(
    tmp_path: Path, ports_shared: bool, plain_sockets: bool
) -> None:
    settings = {
        "media.ports_shared": str(ports_shared).lower(),
        "media.plain_sockets": str(plain_sockets).lower(),
        "recording.enabled": "true",
        "recording.folder": tmp_path,
    }
    clip = await render_clip_apart(SAID)
    with RunningBridge(settings | agents.routes(firm="longanyang"), in_ipv6=True) as bridge:
        heard = await asyncio.gather(*(talk(bridge, host, clip) for host in HOSTS))

    for call_id, sound in heard:
        understood = transcribe(sound)
        asked = transcribe(recorded(tmp_path, call_id))
        print(f"the caller understood {understood!r}, the bridge {asked!r}")
        assert word_errors(agents.FIRM, understood) <= 0.15
        assert word_errors(SAID, asked) <= 0.2


@pytest.mark.parametrize("has_ice", [False, True], ids=["handshake", "checks"])
async def test_checks_handshakes_and_encryption_work_over_ipv6_bit_for_bit(has_ice: bool) -> None:
    settings = agents.routes(brief="tone") | {"media.srtp": "required", "media.ports_shared": "true"}
    with RunningBridge(settings, in_ipv6=True) as bridge:
        (codes,) = (await rendered(bridge, [agents.BRIEF], voice="tone")).values()
        with BarePhone(("::1", bridge.sip_port)) as bare:
            phone = HandshakePhone(bare, has_ice=has_ice)
            await asyncio.to_thread(phone.call, "brief")
            await asyncio.to_thread(phone.talk, len(codes) / 8000 + 2)
            told = await ended(bridge, bare.call_id)

    assert bare.media[0] == "::1"
    assert (" ::1 " in bare.answer.partition("a=candidate:")[2]) is has_ice
    assert codes.tobytes() in phone.sound()
    assert phone.undecryptable == 0
    assert told["media"]["rx_packets"] > 100
    assert told["media"]["rx_srtp_auth"] == told["media"]["tx_srtp_failed"] == 0
    assert not [text for text in bridge.output if "ERROR" in text or "Traceback" in text]


async def test_a_phone_on_ipv6_is_called_and_its_call_survives_the_media_process() -> None:
    settings = agents.routes(chapters="tone") | {"sip.dial_allow": "::1"}
    with RunningBridge(settings, in_ipv6=True) as bridge:
        spoken = await rendered(bridge, agents.CHAPTERS, voice="tone")
        async with callee(host="::1") as phone:
            placed = await asyncio.to_thread(
                bridge.post, "/api/calls", {"to": phone.uri, "route": "chapters"}
            )
            await eventually(lambda: len(phone.phone.tape.received) > 20, timeout_s=10)
            os.kill(busiest(bridge), signal.SIGKILL)
            told = await ended(bridge, placed["id"], timeout_s=30)
            heard = phone.heard()

    assert phone.from_uri.endswith(f"@[::1]:{bridge.sip_port}")
    assert told["reason"] == "agent finished"
    found = matches(heard, spoken.values())
    # Of the sentence that was being said a frame may be missing.
    assert all(match.begin_sample >= 0 for match in found)
    assert [match.is_complete for match in found[1:]] == [True, True]
