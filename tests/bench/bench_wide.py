"""What one packet pair costs in the plane alone, by codec: receive and build, no socket."""

import time
from dataclasses import replace

import numpy as np

from bridge.engine.codecs import make_codec
from bridge.plane.codec import CODECS, G722, L16_16K, OPUS, PCMU
from bridge.plane.columns import Columns
from bridge.plane.g711 import encode_ulaw
from bridge.plane.packets import Arrivals
from bridge.plane.plane import Plane
from bridge.plane.ring import PlayoutWriter
from bridge.plane.shape import Shape
from bridge.plane.spec import PlaneSettings, RowSpec
from bridge.rtp.header import RtpPacket, build

_MS = 1_000_000
_PEER = 0x7F00_0001 << 16
_CASES = (
    ("G.711", PCMU, 8000, False),
    ("L16, 16 kHz", L16_16K, 16000, False),
    ("G.722", G722, 16000, False),
    ("Opus, 16 kHz", OPUS, 16000, False),
    ("Opus, 48 kHz", OPUS, 48000, False),
    ("Opus, 48 kHz, passed on", OPUS, 48000, True),
)


def spec(codec: int, rate_hz: int) -> RowSpec:
    return RowSpec(
        generation=1,
        ssrc=1,
        sequence=1,
        timestamp=1,
        codec=codec,
        payload_type=0 if codec == PCMU else 96,
        dtmf_payload_type=101,
        remote_key=0,
        latch_ip=0,
        sending=True,
        receiving=True,
        interruptible=3,
        rate_hz=rate_hz,
    )


def measure(codec: int, rate_hz: int, *, is_passed: bool, legs: int = 100, ticks: int = 60) -> float:
    """Median CPU time of one packet received and one sent, in µs, while every leg speaks over low noise."""
    shape = Shape(rate_hz)
    columns = Columns(bytearray(Columns.size_bytes(legs, shape)), legs, shape)
    plane = Plane(columns, PlaneSettings(), make_codec=make_codec)
    leg = spec(codec, rate_hz)
    for row in range(legs):
        plane.open(row, replace(leg, ssrc=row, remote_key=_PEER | 10_000 + row), now_ns=0)
    writers = [PlayoutWriter(columns, row, 1) for row in range(legs)]
    dice = np.random.default_rng(1)
    heard = dice.normal(0, 20, (ticks, shape.frame)).astype(np.int16)
    spoken = (np.cumsum(dice.normal(0, 500, (ticks, shape.frame)), axis=1) % 9000 - 4500).astype(np.int16)
    if codec == PCMU:
        payloads = [encode_ulaw(frame).tobytes() for frame in heard]
    else:
        far, voice = make_codec(leg)[1], make_codec(leg)[1]
        payloads, voiced = [far.encode(frame) for frame in heard], [voice.encode(frame) for frame in spoken]
    taken_ns = []
    for tick in range(ticks):
        arrivals = Arrivals(legs)
        for row in range(legs):
            stamp = tick * CODECS[codec].clock_hz // 50
            packet = RtpPacket(leg.payload_type, tick, stamp, row, payloads[tick])
            arrivals.add(build(packet), row=row, source=_PEER | 10_000 + row)
            if is_passed:
                writers[row].write_packet(voiced[tick], spoken[tick], epoch=0)
            else:
                writers[row].write(spoken[tick], epoch=0)
        begin_ns = time.process_time_ns()
        plane.receive(arrivals, now_ns=tick * 20 * _MS)
        plane.build(np.arange(legs), now_ns=tick * 20 * _MS)
        taken_ns.append(time.process_time_ns() - begin_ns)
    return float(np.median(taken_ns[ticks // 4 :])) / legs / 1000


def main() -> None:
    print(f"{'codec':24}  µs per packet pair, 100 legs")
    for name, codec, rate_hz, is_passed in _CASES:
        print(f"{name:24}  {measure(codec, rate_hz, is_passed=is_passed):8.1f}")


if __name__ == "__main__":
    main()
