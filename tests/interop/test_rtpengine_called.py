"""The bridge calls a phone behind rtpengine: it offers a handshake, and rtpengine takes either role in it."""

import asyncio
import uuid

import pytest

from bridge.aio.sip import IncomingCall, SipEndpoint, SipSettings
from bridge.clock import SystemClock
from bridge.dice import SystemDice
from tests.e2e import agents
from tests.e2e.callee import Callee
from tests.e2e.lab import ended, matches, nothing_left, rendered
from tests.e2e.running import RunningBridge
from tests.e2e.test_api import steering
from tests.interop.test_rtpengine_dtls import Anchor, anchor, place

__all__ = ["anchor"]  # a fixture that lives elsewhere

pytestmark = [pytest.mark.interop("rtpengine"), pytest.mark.timeout(60)]

GREETING = "Good morning, this call was placed by a program."


class AnchoredPhone(Callee):
    """Lets rtpengine stand between itself and its caller.

    Args:
        anchor: The rtpengine.
        role: What rtpengine is to be in the handshake.
    """

    def __init__(self, anchor: Anchor, role: str) -> None:
        super().__init__()
        self.offer: str = ""
        self.told: str = ""
        """What rtpengine answered the caller."""
        self._anchor = anchor
        self._role = role

    async def answer(self, incoming: IncomingCall) -> None:
        names = {"call-id": uuid.uuid4().hex, "from-tag": "bridge"}
        self.offer = incoming.sdp.decode()
        offered = await asyncio.to_thread(
            self._anchor.ask,
            "offer",
            **names,
            sdp=self.offer,
            ICE="remove",
            **{"transport-protocol": "RTP/AVP", "rtcp-mux": ["demux"], "DTLS-reverse": self._role},
        )
        answered = await asyncio.to_thread(
            self._anchor.ask,
            "answer",
            **names,
            sdp=self._description.decode(),
            ICE="remove",
            **{"to-tag": "phone", "rtcp-mux": ["accept"]},
        )
        self.told = answered["sdp"]
        self.call = await incoming.answer(self.told.encode())
        self.phone.start(place(offered["sdp"]), payload_type=0)
        await self.call.ended


@pytest.mark.parametrize("role", ["active", "passive"])
async def test_a_greeting_reaches_a_phone_that_we_call_through_it(anchor: Anchor, role: str) -> None:
    phone = AnchoredPhone(anchor, role)
    keys = {"media.srtp": "required", "media.srtp_keys": "dtls", "media.processes": "1"}
    with RunningBridge(agents.routes(holding="tone") | keys) as bridge:
        codes = await rendered(bridge, [GREETING])
        settings = SipSettings(listen=("127.0.0.1", 0), close_within_s=0.2)
        phone.endpoint = await SipEndpoint.start(
            settings, clock=SystemClock(), dice=SystemDice(), on_call=phone.answer
        )
        try:
            async with nothing_left(bridge), steering(bridge) as api:
                _, placed = await api.ask("POST", "/api/calls", {"to": phone.uri, "greeting": GREETING})
                said = await api.until("speech.ended")
                await asyncio.sleep(0.5)
                await api.ask("DELETE", f"/api/calls/{placed['id']}")
                told = await ended(bridge, placed["id"])
        finally:
            await phone.endpoint.close()
            await asyncio.to_thread(phone.phone.close)

    media = told["media"]
    assert "a=setup:actpass" in phone.offer
    assert f"a=setup:{role}" in phone.told
    assert said["heard"] == GREETING
    assert all(match.is_complete for match in matches(phone.heard(), codes.values()))
    assert media["rx_packets"] > 50
    assert media["srtp_rx_end"] > 0
    assert media["rx_srtp_auth"] == media["rx_srtp_replay"] == media["tx_srtp_failed"] == 0
