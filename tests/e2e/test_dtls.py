"""Calls whose keys are made by a handshake, on a whole bridge, with a phone that has libsrtp to itself."""

import asyncio
import os
import signal
from collections.abc import Iterator
from dataclasses import replace

import pylibsrtp
import pytest

from bridge.aio.dtls import Association, Certificate
from bridge.rtp.ice import IceTerms
from bridge.sip.dtls import DtlsTerms
from tests.e2e import agents
from tests.e2e.bare_phone import BarePhone
from tests.e2e.handshake_phone import HandshakePhone, session, value
from tests.e2e.lab import ended, eventually, rendered
from tests.e2e.running import RunningBridge
from tests.e2e.secure_phone import SSRC
from tests.e2e.test_rtcp import neighbours
from tests.e2e.test_srtp import media_pids

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(60)]

AGENTS = agents.routes(brief="tone", holding="tone")


@pytest.fixture(scope="module")
def bridge() -> Iterator[RunningBridge]:
    with RunningBridge(AGENTS | {"media.srtp": "required", "media.ports_shared": "true"}) as running:
        yield running


@pytest.mark.parametrize(
    ("setup", "has_ice"), [("actpass", False), ("passive", False), ("active", True), ("passive", True)]
)
async def test_speech_arrives_bit_for_bit_whoever_begins_the_handshake(
    bridge: RunningBridge, setup: str, has_ice: bool
) -> None:
    (codes,) = (await rendered(bridge, [agents.BRIEF], voice="tone")).values()

    with BarePhone(("127.0.0.1", bridge.sip_port)) as bare:
        phone = HandshakePhone(bare, setup=setup, has_ice=has_ice)
        await asyncio.to_thread(phone.call, "brief")
        await asyncio.to_thread(phone.talk, len(codes) / 8000 + 2)
        told = await ended(bridge, bare.call_id)

    media = told["media"]
    assert ("a=ice-lite" in bare.answer) is has_ice
    assert codes.tobytes() in phone.sound()
    assert phone.undecryptable == 0
    assert media["rx_packets"] > 100
    assert media["rx_srtp_auth"] == media["rx_srtp_replay"] == media["tx_srtp_failed"] == 0
    assert media["srtp_rx_ssrc"] == SSRC
    assert not [text for text in bridge.output if "ERROR" in text or "Traceback" in text]


async def test_a_phone_with_two_ports_is_heard_on_one_and_gets_no_reports(bridge: RunningBridge) -> None:
    (codes,) = (await rendered(bridge, [agents.BRIEF], voice="tone")).values()

    with BarePhone(("127.0.0.1", bridge.sip_port)) as bare:
        bare.rtp.close()
        bare.rtp, rtcp = neighbours()
        phone = HandshakePhone(bare, mux=False)
        await asyncio.to_thread(phone.call, "brief")
        # It shakes hands for its reports as well, as RFC 5764 §5.1.2 has it, and nobody is there.
        second = Association(Certificate.make("phone"), DtlsTerms(True, (("sha-256", "00" * 32),)))
        second.begin()
        hello = second.drain()
        host, port = bare.media
        for _ in range(2):
            for datagram in hello:
                rtcp.sendto(datagram, (host, port + 1))
            await asyncio.to_thread(phone.talk, len(codes) / 16_000 + 1)
        told = await ended(bridge, bare.call_id)
        rtcp.setblocking(False)
        with rtcp, pytest.raises(BlockingIOError):
            rtcp.recv(2048)

    media = told["media"]
    assert "a=rtcp-mux" not in bare.answer
    assert "b=RS:0\r\nb=RR:0\r\n" in bare.answer
    assert codes.tobytes() in phone.sound()
    assert phone.reports == []
    assert phone.undecryptable == 0
    assert media["rx_packets"] > 100
    assert media["rx_srtp_auth"] == media["rtcp_received"] == media["rtcp_sent"] == 0
    assert not [text for text in bridge.output if "ERROR" in text or "Traceback" in text]


async def test_what_was_captured_opens_under_the_right_key_and_no_other(bridge: RunningBridge) -> None:
    with BarePhone(("127.0.0.1", bridge.sip_port)) as bare:
        phone = HandshakePhone(bare)
        await asyncio.to_thread(phone.call, "holding")
        await asyncio.to_thread(phone.talk, 1)
        bare.bye()
        await ended(bridge, bare.call_id)

    assert phone.keys is not None
    captured = [data for data in phone.captured if not 192 <= data[1] < 224]
    assert len(captured) > 30
    right, wrong = session(phone.keys.rx, inbound=True), session(phone.keys.tx, inbound=True)
    for data in captured:
        payload = right.unprotect(data)[12:]
        assert payload == phone.heard[int.from_bytes(data[2:4])]
        assert payload[:16] not in data
        with pytest.raises(pylibsrtp.Error):
            wrong.unprotect(data)


async def test_a_phone_with_another_certificate_than_it_said_is_hung_up(bridge: RunningBridge) -> None:
    with BarePhone(("127.0.0.1", bridge.sip_port)) as bare:
        phone = HandshakePhone(bare, lies=True)
        await asyncio.to_thread(phone.call, "holding")
        await asyncio.to_thread(bare.until, "BYE")

    assert phone.keys is None
    await eventually(lambda: any("not the one of the description" in line for line in bridge.output))


async def test_who_offers_neither_keys_nor_a_handshake_is_refused(bridge: RunningBridge) -> None:
    with BarePhone(("127.0.0.1", bridge.sip_port)) as bare:
        await asyncio.to_thread(bare.invite, "holding", status=488)
        bare.ack()
    with BarePhone(("127.0.0.1", bridge.sip_port)) as bare:
        phone = HandshakePhone(bare, setup="holdconn")
        await asyncio.to_thread(phone.call, "holding", status=488)


async def test_checks_are_answered_as_long_as_the_call_stands_and_can_move_it(bridge: RunningBridge) -> None:
    with BarePhone(("127.0.0.1", bridge.sip_port)) as bare, BarePhone(("127.0.0.1", 9)) as elsewhere:
        phone = HandshakePhone(bare, has_ice=True)
        await asyncio.to_thread(phone.call, "holding")
        await asyncio.to_thread(phone.talk, 1)
        ice = IceTerms(value(bare.answer, "ice-ufrag:"), value(bare.answer, "ice-pwd:"))
        moved = HandshakePhone(elsewhere, has_ice=True)
        elsewhere.media = bare.media

        refused = await asyncio.to_thread(moved.check, replace(ice, password="p" * 32))
        agreed = await asyncio.to_thread(moved.check, ice)
        await eventually(lambda: elsewhere.hear()[0] >> 6 == 2)
        bare.bye()
        await ended(bridge, bare.call_id)

    assert not refused
    assert agreed


async def test_a_call_by_handshake_outlives_the_death_of_the_media_process(bridge: RunningBridge) -> None:
    with BarePhone(("127.0.0.1", bridge.sip_port)) as bare:
        phone = HandshakePhone(bare, has_ice=True)
        await asyncio.to_thread(phone.call, "holding")
        await asyncio.to_thread(phone.talk, 1)
        before = len(phone.heard)
        # The standby has no call's socket; whoever has most descriptors carries them.
        victim = max(media_pids(bridge), key=lambda pid: len(os.listdir(f"/proc/{pid}/fd")))
        os.kill(victim, signal.SIGKILL)
        await asyncio.to_thread(phone.talk, 2)
        ice = IceTerms(value(bare.answer, "ice-ufrag:"), value(bare.answer, "ice-pwd:"))
        is_answered = await asyncio.to_thread(phone.check, ice)
        bare.bye()
        told = await ended(bridge, bare.call_id)

    assert is_answered
    assert len(phone.heard) > before + 60
    assert phone.undecryptable == 0
    assert told["media"]["rx_srtp_auth"] == told["media"]["rx_srtp_replay"] == 0
