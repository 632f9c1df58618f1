"""A WebRTC peer that calls the bridge by WHIP as a page does, on aiortc: another stack than ours."""

import asyncio
import fractions
import time

import aiohttp
import av
import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from numpy.typing import NDArray

__all__ = ["BrowserPhone"]

_RATE_HZ = 48_000
_FRAME = 960


class _Microphone(MediaStreamTrack):
    """A quiet room, and what is said into it."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self.speech: NDArray[np.int16] = np.zeros(0, np.int16)
        """Said from now on, at 48 kHz."""
        self._dice = np.random.default_rng(1)
        self._frames = 0
        self._begin_s = time.monotonic()

    async def recv(self) -> av.AudioFrame:
        spoken, self.speech = self.speech[:_FRAME], self.speech[_FRAME:]
        sound = self._dice.normal(0, 20, _FRAME)
        sound[: len(spoken)] += spoken
        frame = av.AudioFrame.from_ndarray(sound.astype(np.int16)[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts = _RATE_HZ, self._frames * _FRAME
        frame.time_base = fractions.Fraction(1, _RATE_HZ)
        self._frames += 1
        await asyncio.sleep(max(0.0, self._begin_s + self._frames * 0.02 - time.monotonic()))
        return frame


class BrowserPhone:
    """One call; use it as a context.

    Args:
        url: ``http://host:port``.
        token: The bridge's, or a join token.
        to: Number to call.
    """

    def __init__(self, url: str, token: str, *, to: str = "hello") -> None:
        self.microphone: _Microphone = _Microphone()
        self.status: int = 0
        self.answer: str = ""
        self.state: str = "new"
        self.place: str = ""
        self._url = url
        self._to = to
        self._client = aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"})
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._frames: list[NDArray[np.int16]] = []
        self._pull: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "BrowserPhone":
        self._peer.addTrack(self.microphone)
        self._peer.on("track", self._on_track)
        self._peer.on("connectionstatechange", self._on_state)
        await self._peer.setLocalDescription(await self._peer.createOffer())
        path = f"{self._url}/api/webrtc?to={self._to}"
        offer = self._peer.localDescription.sdp
        async with self._client.post(path, data=offer, headers={"Content-Type": "application/sdp"}) as answer:
            self.status, self.answer = answer.status, await answer.text()
            self.place = answer.headers.get("Location", "")
        if self.status == 201:
            await self._peer.setRemoteDescription(RTCSessionDescription(self.answer, "answer"))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._peer.close()
        if self._pull is not None:
            self._pull.cancel()
        await self._client.close()

    @property
    def heard(self) -> NDArray[np.int16]:
        """What has been received, at 48 kHz."""
        return np.concatenate(self._frames) if self._frames else np.zeros(0, np.int16)

    async def hang_up(self) -> int:
        """Hang up by the call's address; returns the status of the answer."""
        async with self._client.delete(self._url + self.place) as answer:
            return answer.status

    def _on_track(self, track: MediaStreamTrack) -> None:
        self._pull = asyncio.create_task(self._listen(track))

    def _on_state(self) -> None:
        self.state = self._peer.connectionState

    async def _listen(self, track: MediaStreamTrack) -> None:
        while True:
            frame = await track.recv()
            assert isinstance(frame, av.AudioFrame)
            samples = frame.to_ndarray().astype(np.int16)
            self._frames.append(samples.reshape(-1, len(frame.layout.channels))[:, 0])
