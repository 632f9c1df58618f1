"""aiortc calls the bridge by SIP: an ICE agent, a DTLS client and an SRTP session that are not ours."""

import asyncio
import fractions
from collections.abc import Iterator

import aiohttp
import av
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.e2e import agents
from tests.e2e.bare_phone import BarePhone
from tests.e2e.lab import ended, eventually
from tests.e2e.running import RunningBridge
from tests.hearing import transcribe, word_errors

pytest.importorskip("aiortc", reason="aiortc is not installed")
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack

pytestmark = [pytest.mark.interop, pytest.mark.timeout(90)]

RATE_HZ = 16_000


class Quiet(MediaStreamTrack):
    """Twenty milliseconds of silence, fifty times a second."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._frames = 0

    async def recv(self) -> av.AudioFrame:
        await asyncio.sleep(0.02)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 160), np.int16), format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 8000, 160 * self._frames, fractions.Fraction(1, 8000)
        self._frames += 1
        return frame


class Peer:
    """A peer connection that keeps what it hears."""

    def __init__(self) -> None:
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.sound: list[NDArray[np.int16]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self.connection.on("track", self._keep)
        self.connection.addTrack(Quiet())

    async def offer(self) -> str:
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return str(self.connection.localDescription.sdp)

    async def accept(self, answer: str) -> None:
        await self.connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await self.connection.close()

    def _keep(self, track: MediaStreamTrack) -> None:
        self._tasks.append(asyncio.create_task(self._hear(track)))

    async def _hear(self, track: MediaStreamTrack) -> None:
        resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE_HZ)
        while True:
            frame = await track.recv()
            assert isinstance(frame, av.AudioFrame)
            frames = resampler.resample(frame)
            self.sound += [frame.to_ndarray()[0] for frame in frames]


@pytest.fixture(scope="module")
def bridge() -> Iterator[RunningBridge]:
    with RunningBridge(agents.routes(reader="", holding="") | {"media.srtp": "required"}) as running:
        yield running


async def test_a_reading_reaches_a_peer_with_ice_and_a_handshake(bridge: RunningBridge) -> None:
    peer = Peer()
    try:
        with BarePhone(("127.0.0.1", bridge.sip_port)) as phone:
            await asyncio.to_thread(phone.invite_with, "reader", await peer.offer())
            await peer.accept(phone.answer.partition("\r\n\r\n")[2])
            phone.ack()
            told = await ended(bridge, phone.call_id, timeout_s=40)
    finally:
        await peer.close()

    media = told["media"]
    assert told["reason"] == "agent finished"
    assert word_errors(agents.READING, transcribe(np.concatenate(peer.sound), RATE_HZ)) < 0.15
    assert media["rx_packets"] > 200
    assert media["rx_srtp_auth"] == media["rx_srtp_replay"] == media["tx_srtp_failed"] == 0
    assert media["rx_malformed"] == media["rx_stranger"] == 0
    assert media["rtcp_received"] > 0


async def test_a_peer_that_closes_its_media_ends_the_call(bridge: RunningBridge) -> None:
    peer = Peer()
    with BarePhone(("127.0.0.1", bridge.sip_port)) as phone:
        try:
            await asyncio.to_thread(phone.invite_with, "holding", await peer.offer())
            await peer.accept(phone.answer.partition("\r\n\r\n")[2])
            phone.ack()
            await eventually(lambda: peer.connection.connectionState == "connected", timeout_s=10)
            await eventually(lambda: peer.sound)
        finally:
            await peer.close()
        told = await ended(bridge, phone.call_id)

    assert told["reason"] == "peer closed its media"


async def test_a_page_calls_by_http_and_hears_the_same(bridge: RunningBridge) -> None:
    peer = Peer()
    headers = {"Authorization": f"Bearer {bridge.token}", "Content-Type": "application/sdp"}
    url = f"http://127.0.0.1:{bridge.http_port}/api/webrtc?to=reader"
    try:
        async with aiohttp.ClientSession() as http:
            async with http.post(url, data=await peer.offer(), headers=headers) as response:
                assert response.status == 201, await response.text()
                answer = await response.text()
            await peer.accept(answer)
            told = await ended(bridge, response.headers["Location"].rpartition("/")[2], timeout_s=40)
    finally:
        await peer.close()

    assert "a=ice-lite" in answer
    assert told["reason"] == "agent finished"
    assert word_errors(agents.READING, transcribe(np.concatenate(peer.sound), RATE_HZ)) < 0.15
    assert told["media"]["srtp_rx_end"] > 0
    assert told["media"]["tx_srtp_failed"] == told["media"]["rx_srtp_auth"] == 0
