"""`python -m tests.bench.bench_weights`: what legs of other codecs cost in the plane, beside a G.711 one.

Receiving and building of as many rows as share a tick, all of them speaking. What the kernel does for a
packet is the same for all and added to each (`KERNEL_US`). `bridge.engine.budget` plans with the last column.
"""

import time

import numpy as np

from bridge.engine.codecs import make_codec
from bridge.engine.srtp import SrtpRows
from bridge.plane.codec import CODECS, G722, L16_16K, OPUS, PCMU
from bridge.plane.columns import Columns
from bridge.plane.g711 import encode_ulaw
from bridge.plane.packets import Arrivals
from bridge.plane.plane import Plane
from bridge.plane.ring import PlayoutWriter
from bridge.plane.shape import Shape
from bridge.plane.spec import PlaneSettings, RowSpec
from bridge.rtp.header import RtpPacket, build
from bridge.rtp.srtp import CLEAR, SrtpKeys

_MS = 1_000_000
_PEER = 0x7F00_0001 << 16
KERNEL_US = 5.5
"""A packet received and one sent on a shared port, of `profile_media`."""
_KEYS = SrtpKeys("AES_CM_128_HMAC_SHA1_80", tx="5e" * 30, rx="c4" * 30)


def measure(codec: int, rate_hz: int, *, legs: int, ticks: int = 60, is_encrypted: bool = False) -> float:
    """Median CPU time of one packet received and one sent, in µs."""
    shape = Shape(rate_hz)
    columns = Columns(bytearray(Columns.size_bytes(legs, shape)), legs, shape)
    plane, srtp = Plane(columns, PlaneSettings(), make_codec=make_codec), SrtpRows([columns])
    specs = [_spec(row, codec, rate_hz) for row in range(legs)]
    for row, spec in enumerate(specs):
        plane.open(row, spec, now_ns=0)
        srtp.open(row, _KEYS if is_encrypted else CLEAR, ssrc=row)
    samples = rate_hz // 50
    speech = np.random.default_rng(2).normal(0, 3000, samples).astype(np.int16)
    noise = np.random.default_rng(1).normal(0, 20, samples).astype(np.int16)
    payload = encode_ulaw(noise).tobytes() if codec == PCMU else make_codec(specs[0])[1].encode(noise)
    arrivals = Arrivals(legs)
    for row in range(legs):
        arrivals.add(build(RtpPacket(0, 0, 0, row, payload)), row=row, source=_PEER | 10000 + row)
    writers = [PlayoutWriter(columns, row, 1) for row in range(legs)]
    for writer in writers:
        writer.open_utterance(0)
    everyone, taken_ns = np.arange(legs), []
    for tick in range(ticks):
        arrivals.headers["sequence"][:legs] = tick
        arrivals.headers["timestamp"][:legs] = tick * CODECS[codec].clock_hz // 50
        for writer in writers:
            writer.write(speech, epoch=0)
        begin_ns = time.process_time_ns()
        plane.receive(arrivals, now_ns=tick * 20 * _MS)
        departures = srtp.protect(plane.build(everyone, now_ns=tick * 20 * _MS))
        taken_ns.append(time.process_time_ns() - begin_ns)
        assert len(departures) == legs
    return float(np.median(taken_ns[ticks // 4 :])) / legs / 1000


def _spec(row: int, codec: int, rate_hz: int) -> RowSpec:
    return RowSpec(
        generation=1,
        ssrc=row,
        sequence=row,
        timestamp=row,
        codec=codec,
        rate_hz=rate_hz,
        payload_type=0,
        dtmf_payload_type=101,
        remote_key=_PEER | 10000 + row,
        latch_ip=0,
        sending=True,
        receiving=True,
        interruptible=3,
    )


def main() -> None:
    base_us = measure(PCMU, 8000, legs=200) + KERNEL_US
    print(f"{'codec':>12} {'rate':>6} {'legs':>5} {'µs a pair':>10} {'weight':>7}")
    for name, codec, rate_hz, legs in (
        ("PCMU", PCMU, 8000, 200),
        ("G722", G722, 16_000, 40),
        ("L16", L16_16K, 16_000, 40),
        ("Opus", OPUS, 8000, 10),
        ("Opus", OPUS, 16_000, 10),
        ("Opus", OPUS, 24_000, 10),
        ("Opus", OPUS, 48_000, 10),
    ):
        taken_us = measure(codec, rate_hz, legs=legs)
        weight = (taken_us + KERNEL_US) / base_us
        print(f"{name:>12} {rate_hz:6d} {legs:5d} {taken_us:10.1f} {weight:7.1f}")
    # Only what we send is encrypted here: decrypting costs about as much.
    extra_us = 2 * (measure(PCMU, 8000, legs=200, is_encrypted=True) - measure(PCMU, 8000, legs=200))
    print(f"{'SRTP':>12} {'':6} {200:5d} {extra_us:10.1f} {extra_us / base_us:7.1f} on top")


if __name__ == "__main__":
    main()
