"""What one packet pair costs in the plane alone: receive and build, no socket."""

import os
import time

# As the media process has it; set before the library that reads it comes in.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np

from bridge.plane.columns import FRAME_SAMPLES, Columns
from bridge.plane.g711 import encode_ulaw
from bridge.plane.packets import Arrivals
from bridge.plane.plane import Plane
from bridge.plane.ring import PlayoutWriter
from bridge.plane.spec import PlaneSettings, RowSpec, judged
from bridge.rtp.header import RtpPacket, build

_MS = 1_000_000
_PEER = 0x7F00_0001 << 16
_ALONE = PlaneSettings()


def measure(
    legs: int, *, ticks: int = 200, settings: PlaneSettings = _ALONE, noise_level: float = 20
) -> float:
    """Median CPU time of one packet received and one sent, in µs, with every leg speaking over noise."""
    columns = Columns(bytearray(Columns.size_bytes(legs)), legs)
    plane = Plane(columns, settings)
    for row in range(legs):
        plane.open(
            row,
            RowSpec(
                generation=1,
                ssrc=row,
                sequence=row,
                timestamp=row,
                codec=0,
                payload_type=0,
                dtmf_payload_type=101,
                remote_key=_PEER | 10000 + row,
                latch_ip=0,
                sending=True,
                receiving=True,
                interruptible=3,
            ),
            now_ns=0,
        )
    writers = [PlayoutWriter(columns, row, 1) for row in range(legs)]
    noise = np.random.default_rng(1).normal(0, noise_level, (16, FRAME_SAMPLES)).astype(np.int16)
    speech = np.random.default_rng(2).normal(0, 3000, FRAME_SAMPLES).astype(np.int16)
    codes = encode_ulaw(noise)
    arrivals = Arrivals(legs)
    for row in range(legs):
        packet = RtpPacket(0, 0, 0, row, codes[row % 16].tobytes())
        arrivals.add(build(packet), row=row, source=_PEER | 10000 + row)
        writers[row].open_utterance(0)
    everyone, taken_ns = np.arange(legs), []
    for tick in range(ticks):
        now_ns = tick * 20 * _MS
        arrivals.headers["sequence"][:legs] = tick
        arrivals.headers["timestamp"][:legs] = tick * FRAME_SAMPLES
        for writer in writers:
            writer.write(speech, epoch=0)
        begin_ns = time.process_time_ns()
        plane.receive(arrivals, now_ns=now_ns)
        departures = plane.build(everyone, now_ns=now_ns)
        taken_ns.append(time.process_time_ns() - begin_ns)
        assert len(departures) == legs
    return float(np.median(taken_ns[ticks // 4 :])) / legs / 1000


def main() -> None:
    print("µs per packet pair\nlegs   gate alone   judged   judged, noise at -55 dB")
    for legs in (1, 100, 500):
        alone = measure(legs)
        quiet = measure(legs, settings=judged(_ALONE))
        # So loud that every packet is listened to closely.
        loud = measure(legs, settings=judged(_ALONE), noise_level=60)
        print(f"{legs:4d}   {alone:10.2f}   {quiet:6.2f}   {loud:8.2f}")


if __name__ == "__main__":
    main()
