"""Calls that a media process carries for phones of ours, each speaking and hearing a pattern of its own."""

import asyncio
import socket
import struct
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from bridge.engine.commands import LegEvent
from bridge.engine.supervisor import MediaEngine, MediaLeg
from bridge.plane.events import Digit
from bridge.plane.g711 import decode_ulaw, encode_ulaw

__all__ = ["Flood", "Line", "StarvedError", "converse", "fitted", "resident_kib", "vector"]

_VECTORS = Path(__file__).parent.parent / "vectors"
_FRAME = 160
_SLOT_S = 0.02
_LATE_S = 0.05
_LAST_FRAMES = 25
_WRITE_SAMPLES = 24_000


def vector(name: str) -> bytes:
    """One datagram of the collection."""
    return (_VECTORS / name).read_bytes()


def fitted(packet: bytes, *, sequence: int, timestamp: int, ssrc: int) -> bytes:
    """The same as part of a stream."""
    return packet[:2] + struct.pack(">HII", sequence % 2**16, timestamp % 2**32, ssrc) + packet[12:]


def resident_kib(pid: int) -> int:
    """Memory that a process holds for itself.

    What it shares with others is as large as ever, but its pages are only counted once they are touched.
    """
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0])


class StarvedError(Exception):
    """The machine gave the phones no time: what they sent was no call, and nothing can be said of it."""


class Line:
    """A phone, the leg that carries its call, and what both of them heard.

    Args:
        engine: Who carries it.
        number: Tells its patterns from those of others.
    """

    def __init__(self, engine: MediaEngine, number: int) -> None:
        self.number = number
        self._engine, self._stalls = engine, engine.gauges.stalls
        self.rtp, self.rtcp = _bound(), _bound()
        self.ssrc = 0xA000 + number
        self.sequence = 1000 * number
        self.events: list[LegEvent] = []
        self.spoken: list[bytes] = []
        """Payloads that the phone sent."""
        self._heard: list[bytes] = []
        self._captured: list[NDArray[np.int16]] = []
        dice = np.random.default_rng(number)
        self.bot: NDArray[np.int16] = _loud(dice, _WRITE_SAMPLES)
        """What the bridge says."""
        self._voice = encode_ulaw(_loud(dice, 2 * _WRITE_SAMPLES)).tobytes()
        self.leg: MediaLeg = engine.reserve()
        self.leg.open(
            codec=0,
            payload_type=0,
            dtmf_payload_type=101,
            remote=self.rtp.getsockname(),
            latch_ip=None,
            sending=True,
            receiving=True,
            interruptible=0,
            rtcp=self.rtcp.getsockname(),
            deliver=self.events.append,
        )
        self.port = ("127.0.0.1", self.leg.local_port)
        self.rtcp_port = ("127.0.0.1", self.leg.local_port + 1)
        self._capture = self.leg.capture()

    def check_machine(self) -> None:
        """See to it that the media process had its time since the call began.

        Raises:
            StarvedError: If it had not: its wake-ups were more than 20 ms late.
        """
        if stalls := self._engine.gauges.stalls - self._stalls:
            raise StarvedError(f"the media process was late {stalls} times")

    def talk(self) -> None:
        """Let the bridge say its pattern."""
        writer = self.leg.writer
        epoch = writer.epoch
        writer.open_utterance(epoch)
        assert writer.write(self.bot, epoch=epoch) == len(self.bot)
        writer.close_utterance(epoch)

    def speak(self, *, times: int = 1) -> None:
        """Send the next frame, more than once if asked to."""
        at = len(self.spoken) * _FRAME
        self.spoken.append(self._voice[at : at + _FRAME])
        packet = self.of_stream(struct.pack(">BBHII", 0x80, 0, 0, 0, 0) + self.spoken[-1], is_audio=True)
        for _ in range(times):
            self.rtp.sendto(packet, self.port)

    def of_stream(self, packet: bytes, *, is_audio: bool = False) -> bytes:
        """A packet as the next one of the phone's stream."""
        self.sequence += 1
        timestamp = (len(self.spoken) - is_audio) * _FRAME
        return fitted(packet, sequence=self.sequence, timestamp=timestamp, ssrc=self.ssrc)

    def listen(self) -> None:
        """Take what has come."""
        self._captured.append(self._capture.read(1 << 16)[0])
        while True:
            try:
                self._heard.append(self.rtp.recv(2000)[12:])
            except BlockingIOError:
                return

    def heard_by_phone(self) -> bytes:
        """Codes of everything that was said to the phone, silence left out."""
        return b"".join(payload for payload in self._heard if payload.strip(b"\xff"))

    def is_complete(self) -> bool:
        """Whether there is nothing left to wait for."""
        return len(self.heard_by_phone()) >= len(self.bot) and self.is_heard_whole()

    def is_heard_whole(self) -> bool:
        """Whether all that the phone said since its source was known has come, bit for bit and in order.

        Its last half second is left out: once nothing follows, the delay may be cut short.
        """
        said = decode_ulaw(np.frombuffer(b"".join(self.spoken[2:-_LAST_FRAMES]), np.uint8)).tobytes()
        return said in np.concatenate(self._captured).tobytes()

    def counters(self) -> dict[str, int]:
        return {name: int(value) for name, value in self.leg.status.snapshot().items()}

    def keys(self) -> str:
        return "".join(event.digit for event in self.events if isinstance(event, Digit))

    def close(self) -> None:
        self.leg.close()
        self.rtp.close()
        self.rtcp.close()


async def converse(lines: list[Line], frames: int, *, victim_times: int = 1) -> None:
    """All phones speak so many frames, one every 20 ms, and listen.

    The first of them may repeat each of its packets.

    Raises:
        StarvedError: If they were late themselves.
    """
    loop = asyncio.get_running_loop()
    begin = loop.time()
    for frame in range(frames):
        due = begin + (frame + 1) * _SLOT_S
        await asyncio.sleep(max(0.0, due - loop.time()))
        if loop.time() > due + _LATE_S:
            raise StarvedError(f"the phones were {loop.time() - due:.3f} s late")
        for line in lines:
            line.speak(times=victim_times if line is lines[0] else 1)
            line.listen()


class Flood:
    """Packets from a stranger, 2500 a second, from a thread.

    Args:
        packets: What it sends, in turn.
        ip: Where it sends from.
        target: Where to.
    """

    RATE = 2500
    """Fifty times that of a call."""

    def __init__(self, packets: list[bytes], *, ip: str, target: tuple[str, int]) -> None:
        self.sent = 0
        self._packets = packets
        self._target = target
        self._socket = _bound(ip)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="flood")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        begin = time.monotonic()
        while not self._stop.wait(0.002):
            due = int((time.monotonic() - begin) * self.RATE)
            # After a halt of ours it does not catch up: nobody could tell what that would test.
            for _ in range(min(due - self.sent, 20)):
                self._socket.sendto(self._packets[self.sent % len(self._packets)], self._target)
                self.sent += 1


def _loud(dice: np.random.Generator, samples: int) -> NDArray[np.int16]:
    """Sound that is nowhere silent, and the same after G.711."""
    return decode_ulaw(dice.integers(0, 0x60, samples, np.uint8))


def _bound(ip: str = "127.0.0.1") -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((ip, 0))
    made.setblocking(False)
    return made
