"""What one packet pair costs in the plane alone: receive and build, no socket."""

import time

import numpy as np

from bridge.plane.columns import FRAME_SAMPLES, Columns
from bridge.plane.g711 import encode_ulaw
from bridge.plane.packets import Arrivals
from bridge.plane.plane import Plane
from bridge.plane.ring import PlayoutWriter
from bridge.plane.spec import PlaneSettings, RowSpec
from bridge.rtp.header import RtpPacket, build

_MS = 1_000_000
_PEER = 0x7F00_0001 << 16


def measure(legs: int, *, ticks: int = 200) -> float:
    """Median CPU time of one packet received and one sent, in µs, with every leg speaking over low noise."""
    columns = Columns(bytearray(Columns.size_bytes(legs)), legs)
    plane = Plane(columns, PlaneSettings())
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
    noise = np.random.default_rng(1).normal(0, 20, (16, FRAME_SAMPLES)).astype(np.int16)
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
    print("legs   µs per packet pair")
    for legs in (1, 100, 500):
        print(f"{legs:4d}   {measure(legs):8.2f}")


if __name__ == "__main__":
    main()
