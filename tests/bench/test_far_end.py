import socket
import time

import numpy as np

from bridge.load.tape import read_packet
from tests.bench.far_end import FarEnd

PAYLOADS = np.stack((np.full(160, 0x11, np.uint8), np.full(160, 0x22, np.uint8)))


def test_every_row_sends_its_own_stream_and_what_comes_back_is_stamped_by_the_kernel() -> None:
    legs = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(3)]
    try:
        for leg in legs:
            leg.bind(("127.0.0.1", 0))
            leg.settimeout(2)
        far = FarEnd(3, PAYLOADS, keep=10, watch_ssrc=0)
        far.call([leg.getsockname()[1] for leg in legs])

        far.send(1, 3)
        far.send(1, 3)
        packets = [read_packet(legs[2].recv(2048), arrival_ns=0) for _ in range(2)]
        before_ns = time.monotonic_ns()
        legs[0].sendto(b"\x80\0" + bytes(10) + b"\xff" * 160, far.socket.getsockname())
        legs[0].sendto(b"\x80\0\0\1" + bytes(8) + b"\x12" * 160, far.socket.getsockname())
        after_ns = time.monotonic_ns()
        far.drain()

        assert far.sent.tolist() == [0, 2, 2]
        assert [(p.sequence, p.timestamp, p.payload[0]) for p in packets if p] == [
            (0, 0, 0x11),
            (1, 160, 0x22),
        ]
        assert far.received.count == 2
        assert far.received.is_silent[:2].tolist() == [True, False]
        assert far.received.sequence[:2].tolist() == [0, 1]
        stamps = far.received.arrival_ns[:2]
        assert ((stamps > before_ns - 1_000_000) & (stamps < after_ns + 1_000_000)).all()
        assert [timestamp for timestamp, _ in far.watched] == [0, 0]
        far.socket.close()
    finally:
        for leg in legs:
            leg.close()
