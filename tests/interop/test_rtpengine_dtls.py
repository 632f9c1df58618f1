"""rtpengine between a phone in the clear and the bridge: its ICE, its DTLS and its SRTP against ours."""

import asyncio
import contextlib
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e import agents
from tests.e2e.bare_phone import BarePhone
from tests.e2e.lab import ended, rendered
from tests.e2e.running import RunningBridge, free_port

pytestmark = [pytest.mark.interop("rtpengine"), pytest.mark.timeout(60)]

AGENTS = agents.routes(brief="tone")


class Anchor:
    """An rtpengine on loopback, and its control protocol: bencoded dictionaries over UDP."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._start()

    def _start(self) -> None:
        port, media = free_port(), 40_000 + free_port() % 10_000 // 2 * 2
        self._process = subprocess.Popen(
            [
                self._path,
                "--table=-1",
                "--interface=127.0.0.1",
                f"--listen-ng=127.0.0.1:{port}",
                f"--port-min={media}",
                f"--port-max={media + 99}",
                "--foreground",
                "--log-stderr",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._control.connect(("127.0.0.1", port))

    def ask(self, command: str, **more: object) -> dict[str, Any]:
        """Ask until it answers, for it takes a moment to start."""
        cookie = uuid.uuid4().hex[:8].encode()
        asked = cookie + b" " + encoded({"command": command, **more})
        self._control.settimeout(0.5)
        for _ in range(50):
            if self._process.poll() is not None:
                # Somebody took its port between our look and its own.
                self._control.close()
                self._start()
                self._control.settimeout(0.5)
            with contextlib.suppress(OSError):
                self._control.send(asked)
                answered, _, body = self._control.recv(65_535).partition(b" ")
                if answered == cookie:
                    found = decoded(body)[0]
                    assert isinstance(found, dict)
                    return found
            time.sleep(0.1)
        raise AssertionError(f"rtpengine does not answer {command}")

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(10)
        self._control.close()


def encoded(value: object) -> bytes:
    match value:
        case dict():
            pairs = sorted((str(key).replace("_", "-"), item) for key, item in value.items())
            return b"d" + b"".join(encoded(key) + encoded(item) for key, item in pairs) + b"e"
        case list():
            return b"l" + b"".join(map(encoded, value)) + b"e"
        case _:
            data = str(value).encode()
            return str(len(data)).encode() + b":" + data


def decoded(data: bytes) -> tuple[object, bytes]:
    kind, rest = data[:1], data[1:]
    if kind in b"dl":
        items: list[object] = []
        while rest[:1] != b"e":
            item, rest = decoded(rest)
            items.append(item)
        return (dict(zip(items[::2], items[1::2], strict=True)) if kind == b"d" else items), rest[1:]
    if kind == b"i":
        number, _, rest = rest.partition(b"e")
        return int(number), rest
    length, _, rest = data.partition(b":")
    return rest[: int(length)].decode(), rest[int(length) :]


@pytest.fixture
def anchor(peer: str) -> Iterator[Anchor]:
    made = Anchor(peer)
    yield made
    made.close()


@pytest.fixture(scope="module")
def bridge() -> Iterator[RunningBridge]:
    with RunningBridge(AGENTS | {"media.srtp": "required"}) as running:
        yield running


@pytest.mark.parametrize(("ice", "role"), [("force", "active"), ("remove", "active"), ("remove", "passive")])
async def test_speech_passes_through_it_bit_for_bit(
    bridge: RunningBridge, anchor: Anchor, ice: str, role: str
) -> None:
    (codes,) = (await rendered(bridge, [agents.BRIEF], voice="tone")).values()
    call = {"call-id": uuid.uuid4().hex, "from-tag": "phone"}

    with BarePhone(("127.0.0.1", bridge.sip_port)) as phone:
        offer = await asyncio.to_thread(
            anchor.ask,
            "offer",
            **call,
            sdp=plain(phone),
            ICE=ice,
            DTLS=role,
            **{"transport-protocol": "UDP/TLS/RTP/SAVP", "rtcp-mux": ["offer"], "SDES": ["off"]},
        )
        await asyncio.to_thread(phone.invite_with, "brief", offer["sdp"])
        phone.ack()
        sdp = phone.answer.partition("\r\n\r\n")[2]
        answer = await asyncio.to_thread(
            anchor.ask, "answer", **call, sdp=sdp, ICE="remove", **{"to-tag": "bridge", "rtcp-mux": ["demux"]}
        )
        phone.media = place(answer["sdp"])
        heard = await asyncio.to_thread(talk, phone, len(codes) / 8000 + 3)
        told = await ended(bridge, phone.call_id)

    media = told["media"]
    assert ("a=ice-lite" in sdp) is (ice == "force")
    assert "a=setup:" in sdp
    assert told["reason"] == "agent finished"
    assert codes.tobytes()[8000:-800] in heard
    assert media["rx_packets"] > 100
    assert media["srtp_rx_end"] > 0
    assert media["rx_srtp_auth"] == media["rx_srtp_replay"] == media["tx_srtp_failed"] == 0


def plain(phone: BarePhone) -> str:
    ip, port = phone.rtp.getsockname()
    return (
        f"v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n"
        f"m=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
    )


def place(sdp: str) -> tuple[str, int]:
    ip = sdp.partition("c=IN IP4 ")[2].split()[0]
    return ip, int(sdp.partition("m=audio ")[2].split()[0])


def talk(phone: BarePhone, duration_s: float) -> bytes:
    """Send a frame for each that comes, every 20 ms; what came, in order."""
    heard: dict[int, bytes] = {}
    phone.rtp.settimeout(0.02)
    for _ in range(int(duration_s / 0.02)):
        phone.speak()
        with contextlib.suppress(TimeoutError):
            data = phone.rtp.recv(2048)
            if not 192 <= data[1] < 224:
                heard[int.from_bytes(data[2:4])] = data[12:]
    return b"".join(heard[number] for number in sorted(heard))
