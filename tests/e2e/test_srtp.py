"""Encrypted calls on a whole bridge, with a phone that has libsrtp to itself."""

import asyncio
import os
import signal
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import agents
from tests.e2e.bare_phone import BarePhone
from tests.e2e.lab import calling, ended, rendered
from tests.e2e.running import RunningBridge
from tests.e2e.secure_phone import SECRETS, SSRC, SecurePhone

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(60)]

AGENTS = agents.routes(reader="tone", holding="tone")


@pytest.fixture(scope="module")
def bridge() -> Iterator[RunningBridge]:
    with RunningBridge(AGENTS | {"media.srtp": "preferred"}) as running:
        yield running


async def test_speech_arrives_bit_for_bit_under_every_suite(bridge: RunningBridge) -> None:
    (codes,) = (await rendered(bridge, [agents.READING], voice="tone")).values()

    await asyncio.gather(*(listen(bridge, suite, codes.tobytes()) for suite in SECRETS))

    assert not [text for text in bridge.output if "ERROR" in text or "Traceback" in text]


async def listen(bridge: RunningBridge, suite: str, codes: bytes) -> None:
    with BarePhone(("127.0.0.1", bridge.sip_port)) as bare:
        # Its sequence numbers turn over after a third of a second.
        phone = SecurePhone(bare, suite, first=65_520)
        await asyncio.to_thread(phone.call, "reader")
        await asyncio.to_thread(phone.talk, 3)
        phone.report()
        await asyncio.to_thread(phone.talk, len(codes) / 8000 - 1)
        told = await ended(bridge, bare.call_id)

    media = told["media"]
    assert codes in phone.sound()
    assert phone.undecryptable == 0
    assert phone.reports
    assert all(struct.unpack_from("!BB", report)[1] in (200, 201) for report in phone.reports)
    assert media["rx_srtp_auth"] == media["rx_srtp_replay"] == media["tx_srtp_failed"] == 0
    assert media["rx_packets"] > 100
    assert media["rx_lost"] == 0
    assert media["rtcp_received"] == 1
    assert media["srtp_rx_end"] > 65_600
    assert media["srtp_rx_ssrc"] == SSRC
    assert media["srtcp_sent"] == media["rtcp_sent"] >= 1


async def test_a_phone_under_the_wrong_key_and_strangers_in_the_clear_are_counted_and_not_heard(
    bridge: RunningBridge,
) -> None:
    with BarePhone(("127.0.0.1", bridge.sip_port)) as bare:
        phone = SecurePhone(bare, "AES_CM_128_HMAC_SHA1_80", lies=True)
        await asyncio.to_thread(phone.call, "holding")
        await asyncio.to_thread(phone.talk, 1, payload=bytes([0x80, 0x00] * 80))
        bare.speak(20, level=1)
        await asyncio.sleep(0.3)
        told = await asyncio.to_thread(bridge.get, f"/api/calls/{bare.call_id}")
        bare.bye()
        await ended(bridge, bare.call_id)

    media = told["media"]
    assert media["rx_srtp_auth"] == 70
    assert media["rx_packets"] == media["rx_stranger"] == media["rx_malformed"] == 0
    assert phone.heard
    assert phone.undecryptable == 0


async def test_who_offers_no_keys_is_served_in_the_clear_where_that_is_allowed(bridge: RunningBridge) -> None:
    async with calling(bridge, "reader") as caller:
        await caller.first_audible_ns(timeout_s=10)

    assert b"RTP/AVP" in caller.call.remote_sdp
    assert b"crypto" not in caller.call.remote_sdp


def test_policy_decides_who_is_refused() -> None:
    key = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + "A" * 40
    with RunningBridge(AGENTS | {"media.srtp": "required", "start.self_call": "true"}) as bridge:
        target = ("127.0.0.1", bridge.sip_port)
        with BarePhone(target) as clear, BarePhone(target) as irregular, BarePhone(target) as secure:
            clear.invite("holding", status=488)
            irregular.invite("holding", key, status=488)
            secure.invite("holding", key, profile="RTP/SAVP")
            secure.ack()
            secure.bye()
        assert any("self-call  left out" in line for line in bridge.output)
        assert not any("inline:" in line or "A" * 40 in line for line in bridge.output)
    with RunningBridge(AGENTS) as bridge, BarePhone(("127.0.0.1", bridge.sip_port)) as phone:
        phone.invite("holding", key, profile="RTP/SAVP", status=488)


async def test_encrypted_calls_outlive_the_death_of_the_media_process(bridge: RunningBridge) -> None:
    (codes,) = (await rendered(bridge, [agents.READING], voice="tone")).values()
    before = media_pids(bridge)

    calls = [asyncio.create_task(listen_on(bridge, suite, codes.tobytes())) for suite in SECRETS]
    await asyncio.sleep(4)
    # The standby has no call's socket; whoever has most descriptors carries them.
    os.kill(max(before, key=lambda pid: len(os.listdir(f"/proc/{pid}/fd"))), signal.SIGKILL)

    await asyncio.gather(*calls)
    assert any("took 4 calls over" in text for text in bridge.output)
    assert not any("Traceback" in text for text in bridge.output)


def media_pids(bridge: RunningBridge) -> list[int]:
    children = Path(f"/proc/{bridge.process.pid}/task/{bridge.process.pid}/children").read_text().split()
    return [int(pid) for pid in children if b"engine.process" in Path(f"/proc/{pid}/cmdline").read_bytes()]


async def listen_on(bridge: RunningBridge, suite: str, codes: bytes) -> None:
    with BarePhone(("127.0.0.1", bridge.sip_port)) as bare:
        # Its counter has turned over by the time that another process takes the call.
        phone = SecurePhone(bare, suite, first=65_420)
        await asyncio.to_thread(phone.call, "reader")
        await asyncio.to_thread(phone.talk, 3.5)
        phone.report()
        await asyncio.to_thread(phone.talk, 3.5)
        phone.report()
        await asyncio.to_thread(phone.talk, len(codes) / 8000 - 4)
        told = await ended(bridge, bare.call_id)

    media = told["media"]
    print(suite, {name: value for name, value in media.items() if "srt" in name})
    heard = b"".join(phone.heard[number] for number in sorted(phone.heard))
    # A gap in time, and no sample of the speech is lost or heard in another's call.
    assert codes[:8000] in heard
    assert codes[-8000:] in heard
    assert told["reason"] == "agent finished"
    # No number came twice: a replay could not have been decrypted.
    assert phone.undecryptable == 0
    assert media["rx_srtp_auth"] == media["rx_srtp_replay"] == media["tx_srtp_failed"] == 0
    assert media["srtp_rx_end"] > 65_420 + 300
    assert media["rtcp_received"] == 2
