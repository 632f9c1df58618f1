"""One plane, its columns, and a caller who sends what a test says and remembers what came back."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bridge.plane.bed import silent_shelf
from bridge.plane.columns import FRAME_SAMPLES, Columns
from bridge.plane.events import PlaneEvent
from bridge.plane.g711 import decode_ulaw, encode_alaw, encode_ulaw
from bridge.plane.packets import Arrivals
from bridge.plane.plane import Plane
from bridge.plane.ring import CaptureReader, PlayoutWriter
from bridge.plane.spec import PlaneSettings, RowSpec
from bridge.rtp.header import RtpPacket, build, parse
from tests.fakes import MS

__all__ = [
    "PEER",
    "STRANGER",
    "Pcm",
    "Rig",
    "hiss",
    "key_of",
    "slam",
    "spec",
    "speech_onsets",
    "speech_sentence",
    "speech_stops",
]

Pcm = NDArray[np.int16]
_VECTORS = Path(__file__).parent.parent / "vectors"
_ONSET_SAMPLES = 2400
_STOPS_SAMPLES = 5600


def key_of(ip: str, port: int) -> int:
    """Address as the plane writes it."""
    a, b, c, d = map(int, ip.split("."))
    return (a << 24 | b << 16 | c << 8 | d) << 16 | port


PEER = key_of("192.0.2.1", 4000)
STRANGER = key_of("198.51.100.9", 4000)


def spec(
    *,
    generation: int = 7,
    codec: int = 0,
    remote_key: int = PEER,
    latch_ip: int = 0,
    sending: bool = True,
    receiving: bool = True,
    interruptible: int = 3,
    dtmf_payload_type: int = 101,
    sequence: int = 65534,
    timestamp: int = 2**32 - 160,
    sensitivity: int = -1,
    gain_db: int = 0,
) -> RowSpec:
    return RowSpec(
        generation=generation,
        ssrc=0xB07,
        sequence=sequence,
        timestamp=timestamp,
        codec=codec,
        payload_type=8 if codec else 0,
        dtmf_payload_type=dtmf_payload_type,
        remote_key=remote_key,
        latch_ip=latch_ip,
        sending=sending,
        receiving=receiving,
        interruptible=interruptible,
        sensitivity=sensitivity,
        gain_db=gain_db,
    )


def hiss(samples: int = FRAME_SAMPLES, *, level_db: float = -62.0, seed: int = 0) -> Pcm:
    """Line noise."""
    noise = np.random.default_rng(seed).normal(0, 32768 * 10 ** (level_db / 20), samples)
    return noise.clip(-32768, 32767).astype(np.int16)


def slam(*, ms: int = 80, decay_ms: float = 30, tail: float = 0.0, peak: int = 12000, seed: int = 0) -> Pcm:
    """A door: a burst of noise that decays, with a reverberant tail if asked for."""
    dice = np.random.default_rng(seed)
    burst = dice.normal(0, 1, ms * 8) * np.exp(-np.arange(ms * 8) / (decay_ms * 8))
    room = dice.normal(0, 1, ms * 8 + 2400) * tail * np.exp(-np.arange(ms * 8 + 2400) / (45 * 8))
    room[: len(burst)] += burst
    sound = room if tail else burst
    pcm: Pcm = (sound / np.abs(sound).max() * peak).astype(np.int16)
    return pcm


def speech_onsets() -> list[Pcm]:
    """300 ms of rendered speech each, beginning where a word begins after silence."""
    codes = np.fromfile(_VECTORS / "speech_onsets.ulaw", np.uint8)
    return list(decode_ulaw(codes).reshape(-1, _ONSET_SAMPLES))


def speech_stops() -> list[Pcm]:
    """700 ms each of words with a stop near their onset: okay, okay, up to now, it takes."""
    codes = np.fromfile(_VECTORS / "speech_stops.ulaw", np.uint8)
    return list(decode_ulaw(codes).reshape(-1, _STOPS_SAMPLES))


def speech_sentence() -> Pcm:
    """A whole sentence of rendered speech, with its silence before and after."""
    return decode_ulaw(np.fromfile(_VECTORS / "speech_sentence.ulaw", np.uint8))


class Rig:
    """A plane of a few rows; row 1 carries the call."""

    def __init__(
        self, call: RowSpec | None = None, *, settings: PlaneSettings | None = None, capacity: int = 4
    ) -> None:
        self.columns = Columns(bytearray(Columns.size_bytes(capacity)), capacity)
        self.shelf = silent_shelf()
        self.plane = Plane(self.columns, settings or PlaneSettings(), shelf=self.shelf)
        self.call = call or spec()
        self.row = 1
        self.now_ns = 0
        self.plane.open(self.row, self.call, now_ns=0)
        self.writer = PlayoutWriter(self.columns, self.row, self.call.generation)
        self.capture = CaptureReader(self.columns, self.row, self.call.generation)
        self.events: list[PlaneEvent] = []
        self.heard: list[RtpPacket] = []
        self.sequence = 65530
        self.timestamp = 2**32 - 800
        self._arrivals = Arrivals(32)

    def packet(
        self, pcm: Pcm | None = None, *, payload_type: int | None = None, payload: bytes | None = None
    ) -> bytes:
        """The caller's next packet; its clock moves on."""
        sound = hiss() if pcm is None else pcm
        encode = encode_alaw if self.call.codec else encode_ulaw
        packet = RtpPacket(
            payload_type=self.call.payload_type if payload_type is None else payload_type,
            sequence=self.sequence,
            timestamp=self.timestamp,
            ssrc=99,
            payload=encode(sound).tobytes() if payload is None else payload,
        )
        self.sequence = (self.sequence + 1) % 2**16
        if payload_type is None:
            self.timestamp = (self.timestamp + len(sound)) % 2**32
        return build(packet)

    def deliver(self, *packets: bytes, source: int = PEER, row: int | None = None) -> list[PlaneEvent]:
        """Let packets arrive now, in one batch; return what happened."""
        self._arrivals.count = 0
        for packet in packets:
            self._arrivals.add(packet, row=self.row if row is None else row, source=source)
        self.plane.receive(self._arrivals, now_ns=self.now_ns)
        return self._drain()

    def send(self) -> list[PlaneEvent]:
        """Build the call's next packet."""
        departures = self.plane.build(np.array([self.row]), now_ns=self.now_ns)
        lengths = departures.lengths.tolist()
        self.heard += [
            parse(packet[:length].tobytes())
            for packet, length in zip(departures.packets, lengths, strict=True)
        ]
        return self._drain()

    def tick(self, pcm: Pcm | None = None) -> list[PlaneEvent]:
        """20 ms of call: one packet in, one packet out."""
        self.now_ns += 20 * MS
        return self.deliver(self.packet(pcm)) + self.send()

    def talk(self, pcm: Pcm, *, phase: int = 0) -> list[PlaneEvent]:
        """The caller makes this sound over the line's hiss, `phase` samples after the packet's begin."""
        count = -(-(phase + len(pcm)) // FRAME_SAMPLES)
        line = hiss(count * FRAME_SAMPLES, seed=len(self.heard)).astype(np.int64)
        line[phase : phase + len(pcm)] += pcm
        frames = line.clip(-32768, 32767).astype(np.int16).reshape(count, FRAME_SAMPLES)
        return [event for frame in frames for event in self.tick(frame)]

    def wait(self, ms: int) -> list[PlaneEvent]:
        """The caller listens."""
        return [event for at in range(ms // 20) for event in self.tick(hiss(seed=at))]

    def say(self, pcm: Pcm) -> None:
        """Write one whole utterance."""
        epoch = self.writer.epoch
        self.writer.open_utterance(epoch)
        assert self.writer.write(pcm, epoch=epoch) == len(pcm)
        self.writer.close_utterance(epoch)

    def drone(self, ms: int = 4000) -> Pcm:
        """Something to say that is never silent and nowhere the same."""
        pcm = (np.arange(ms * 8) % 7919 + 1000).astype(np.int16)
        self.say(pcm)
        return pcm

    def lay(
        self, bed: Pcm, *, gain_db: int = 0, under_speech_db: int = -12, yields: bool = True, place: int = 0
    ) -> None:
        """Put a loop on the shelf and under what the call says."""
        self.shelf[place, : len(bed)] = bed
        self.plane.lay(
            self.row,
            place,
            samples=len(bed),
            gain_db=gain_db,
            under_speech_db=under_speech_db,
            yields=yields,
        )

    def sent(self) -> Pcm:
        """What we sent so far, as the capture ring has it."""
        pcm: Pcm = self.capture.read(1 << 20)[1]
        return pcm

    def sound(self) -> NDArray[np.uint8]:
        """Codes of everything that came back, in one piece."""
        return np.frombuffer(b"".join(packet.payload for packet in self.heard), np.uint8)

    def counter(self, name: str) -> int:
        return self.columns.counters(self.row)[name]

    def _drain(self) -> list[PlaneEvent]:
        events = self.plane.drain()
        self.events += events
        return events
