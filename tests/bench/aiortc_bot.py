"""The usual WebRTC bot, for comparison: stock aiortc that sends frames of a speech and takes what it hears.

Takes offers as the bridge does (WHIP). Told by its arguments the file of the speech (Ogg Opus, which it
decodes beforehand) and, if what it hears is to be kept, another for that (`tests.bench.ear_file`). Prints
its URL in a line of JSON and ends with its standard input.
"""

import asyncio
import fractions
import json
import sys
import time
from pathlib import Path

import av
import numpy as np
from aiohttp import web
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from numpy.typing import NDArray

from bridge.media.ogg_opus import OggOpusReader
from tests.bench.ear_file import EarFile

_RATE_HZ = 48_000
_FRAME = 960


class Speech(MediaStreamTrack):
    """Frames of 20 ms on time, over and over; silence where there is no speech."""

    kind = "audio"

    def __init__(self, pcm: NDArray[np.int16]) -> None:
        super().__init__()
        self._frames = pcm[: len(pcm) // _FRAME * _FRAME].reshape(-1, 1, _FRAME)
        self._number = 0
        self._begin_s = time.monotonic()

    async def recv(self) -> av.AudioFrame:
        frame = av.AudioFrame.from_ndarray(
            self._frames[self._number % len(self._frames)], format="s16", layout="mono"
        )
        frame.sample_rate, frame.pts = _RATE_HZ, self._number * _FRAME
        frame.time_base = fractions.Fraction(1, _RATE_HZ)
        self._number += 1
        await asyncio.sleep(max(0.0, self._begin_s + self._number * 0.02 - time.monotonic()))
        return frame


class Bot:
    """Answers every offer.

    Args:
        pcm: What it says, mono at 48 kHz.
        ear: Where what it hears is written; None to take and forget it.
    """

    def __init__(self, pcm: NDArray[np.int16], ear: EarFile | None) -> None:
        self._pcm = pcm
        self._ear = ear
        self._peers: list[RTCPeerConnection] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def offered(self, request: web.Request) -> web.Response:
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._peers.append(peer)
        peer.on("track", self._take)
        peer.addTrack(Speech(self._pcm))
        await peer.setRemoteDescription(RTCSessionDescription(await request.text(), "offer"))
        await peer.setLocalDescription(await peer.createAnswer())
        return web.Response(status=201, text=peer.localDescription.sdp, content_type="application/sdp")

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*(peer.close() for peer in self._peers))

    def _take(self, track: MediaStreamTrack) -> None:
        self._tasks.append(asyncio.create_task(self._listen(track)))

    async def _listen(self, track: MediaStreamTrack) -> None:
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            if self._ear is None:
                continue
            assert isinstance(frame, av.AudioFrame)
            self._ear.take(frame.to_ndarray().reshape(-1, len(frame.layout.channels))[:, 0].astype(np.int16))


async def serve(pcm: NDArray[np.int16], ear: EarFile | None) -> None:
    """Answer until standard input ends."""
    bot = Bot(pcm, ear)
    app = web.Application()
    app.router.add_post("/offer", bot.offered)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    sys.stdout.write(json.dumps({"url": f"http://127.0.0.1:{port}/offer"}) + "\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    await bot.close()
    await runner.cleanup()
    if ear is not None:
        ear.save()


def main() -> None:
    sounds = OggOpusReader(_RATE_HZ).push(Path(sys.argv[1]).read_bytes())
    ear = EarFile(sys.argv[2], _RATE_HZ) if len(sys.argv) > 2 else None
    asyncio.run(serve(np.concatenate([sound.pcm for sound in sounds]), ear))


if __name__ == "__main__":
    main()
