"""A plane of one rate whose row speaks by a codec object, and a caller beside it."""

from dataclasses import replace
from typing import ClassVar

import numpy as np

from bridge.plane.codec import CODECS, L16_48K, RowDecoder, RowEncoder
from bridge.plane.columns import Columns
from bridge.plane.events import PlaneEvent
from bridge.plane.packets import Arrivals
from bridge.plane.plane import Plane
from bridge.plane.ring import CaptureReader, PlayoutWriter
from bridge.plane.shape import Shape
from bridge.plane.spec import PlaneSettings, RowSpec
from bridge.rtp.header import RtpPacket, build, parse
from tests.fakes import MS
from tests.plane.rig import PEER, Pcm, spec

__all__ = ["FakeDecoder", "FakeEncoder", "WideRig", "glide", "make_fake", "wide_spec"]


def wide_spec(codec: int, rate_hz: int = 0, **more: int | bool) -> RowSpec:
    """A leg that speaks this codec."""
    changes = {"ptime_ms": 10 if codec == L16_48K else 20, **more}
    rate_hz = rate_hz or CODECS[codec].rate_hz or 48000
    return replace(spec(), codec=codec, payload_type=96, rate_hz=rate_hz, **changes)  # type: ignore[arg-type]


def glide(samples: int, rate_hz: int, *, begin: int = 0) -> Pcm:
    """A tone that rises: nowhere the same, nowhere silent."""
    at = (np.arange(samples) + begin) / rate_hz
    pcm: Pcm = np.rint(8000 * np.sin(2 * np.pi * (300 * at + 150 * at**2)) + 500).astype(np.int16)
    return pcm


class FakeDecoder:
    """Looks sound up: a packet names it, and may bring the frame before it along, as in-band FEC does.

    The first byte counts the frames of 20 ms before the packet's own; the others are a place in `sounds`.
    """

    sounds: ClassVar[list[Pcm]] = []

    def __init__(self, clock_per_sample: int, frame: int) -> None:
        self.clock_per_sample = clock_per_sample
        self.frame = frame
        self.received: list[int] = []
        self.asked: list[int] = []
        self.made: int | None = None
        self.carried_lost = False

    def receive(self, sequence: int, timestamp: int, payload: bytes) -> list[tuple[int, Pcm]]:
        if len(payload) % 2 == 0:
            raise ValueError("an even number of bytes")
        if payload[0] == 0xFE:
            raise RuntimeError("this decoder is broken")
        self.received.append(sequence)
        if payload[0] == 0xFF:
            return []
        pcm = self.sounds[int.from_bytes(payload[1:])]
        ahead = payload[0] * self.frame
        self.carried_lost = ahead > 0
        pieces = [(timestamp, pcm[ahead:])]
        if ahead:
            pieces.insert(0, (timestamp - ahead * self.clock_per_sample & 0xFFFF_FFFF, pcm[:ahead]))
        return pieces

    def conceal(self, samples: int) -> Pcm | None:
        self.asked.append(samples)
        return None if self.made is None else np.full(samples, self.made, np.int16)


class FakeEncoder:
    """Sends samples as they are; says nothing of silence if it may."""

    def __init__(self, *, is_dtx: bool) -> None:
        self.is_dtx = is_dtx
        self.breaks = False

    def encode(self, pcm: Pcm) -> bytes:
        if self.breaks:
            raise RuntimeError("this encoder is broken")
        return b"\xff" if self.is_dtx and np.abs(pcm).max() < 10 else pcm.tobytes()


def make_fake(leg: RowSpec) -> tuple[RowDecoder, RowEncoder]:
    per_sample = leg.clock_hz // leg.rate_hz
    return FakeDecoder(per_sample, leg.rate_hz // 50), FakeEncoder(is_dtx=leg.opus_dtx)


class WideRig:
    """A plane of a few rows at one rate; row 1 carries the call."""

    def __init__(self, call: RowSpec, *, settings: PlaneSettings | None = None) -> None:
        self.call = call
        self.shape = Shape(call.rate_hz)
        size = Columns.size_bytes(3, self.shape)
        self.columns = Columns(bytearray(size), 3, self.shape)
        self.decoders: list[FakeDecoder] = []
        self.encoders: list[FakeEncoder] = []
        self.plane = Plane(self.columns, settings or PlaneSettings(), make_codec=self._make)
        self.row = 1
        self.now_ns = 0
        self.plane.open(self.row, call, now_ns=0)
        self.writer = PlayoutWriter(self.columns, self.row, call.generation)
        self.capture = CaptureReader(self.columns, self.row, call.generation)
        self.events: list[PlaneEvent] = []
        self.heard: list[RtpPacket] = []
        self.sequence = 65530
        self.timestamp = 2**32 - call.clock_hz // 10
        self._arrivals = Arrivals(8)

    def _make(self, leg: RowSpec) -> tuple[RowDecoder, RowEncoder]:
        decoder, encoder = make_fake(leg)
        assert isinstance(decoder, FakeDecoder)
        assert isinstance(encoder, FakeEncoder)
        self.decoders.append(decoder)
        self.encoders.append(encoder)
        return decoder, encoder

    @property
    def decoder(self) -> FakeDecoder:
        """The present one."""
        return self.decoders[-1]

    def packet(self, pcm: Pcm, *, before: Pcm | None = None) -> bytes:
        """The caller's next packet, perhaps with a frame from before it; its clock moves on."""
        FakeDecoder.sounds.append(pcm if before is None else np.concatenate((before, pcm)))
        place = len(FakeDecoder.sounds) - 1
        data = self.raw(bytes([0 if before is None else 1]) + place.to_bytes(4))
        self.timestamp += len(pcm) * self.call.clock_hz // self.call.rate_hz
        self.sequence += 1
        return data

    def raw(self, payload: bytes, *, payload_type: int = 96) -> bytes:
        """A packet with this payload; nothing moves on."""
        return build(
            RtpPacket(
                payload_type=payload_type,
                sequence=self.sequence % 2**16,
                timestamp=self.timestamp % 2**32,
                ssrc=99,
                payload=payload,
            )
        )

    def deliver(self, *packets: bytes) -> None:
        """Let packets arrive now."""
        self._arrivals.count = 0
        for packet in packets:
            self._arrivals.add(packet, row=self.row, source=PEER)
        self.plane.receive(self._arrivals, now_ns=self.now_ns)
        self.events += self.plane.drain()

    def send(self) -> list[RtpPacket]:
        """Build what the row sends in this slot."""
        departures = self.plane.build(np.array([self.row]), now_ns=self.now_ns)
        made = [
            parse(packet[:length].tobytes())
            for packet, length in zip(departures.packets, departures.lengths.tolist(), strict=False)
        ]
        self.heard += made
        self.events += self.plane.drain()
        return made

    def tick(self, *packets: bytes) -> list[RtpPacket]:
        """20 ms of call."""
        self.now_ns += 20 * MS
        self.deliver(*packets)
        return self.send()

    def hear(self, samples: int) -> Pcm:
        """What was recorded of the caller since the last call."""
        heard: Pcm = self.capture.read(samples)[0]
        return heard

    def say(self, pcm: Pcm) -> None:
        """Write one whole utterance."""
        epoch = self.writer.epoch
        self.writer.open_utterance(epoch)
        assert self.writer.write(pcm, epoch=epoch) == len(pcm)
        self.writer.close_utterance(epoch)

    def counter(self, name: str) -> int:
        return self.columns.counters(self.row)[name]
