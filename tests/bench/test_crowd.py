import socket
import time

import numpy as np

from bridge.load.tape import read_packet
from tests.bench.crowd import Ear, Mouth, phones
from tests.bench.generator import compound

PAYLOADS = np.stack((np.full(160, 0x11, np.uint8), np.full(160, 0x22, np.uint8)))


def bound() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.settimeout(2)
    return sock


def close(sockets: list[socket.socket]) -> None:
    for sock in sockets:
        sock.close()


def test_every_phone_sends_a_stream_of_its_own_from_a_port_of_its_own() -> None:
    mine, legs = phones(2), [bound(), bound()]
    try:
        mouth = Mouth(mine, PAYLOADS)
        for phone, leg in enumerate(legs):
            mouth.call(phone, leg.getsockname()[1])

        left = mouth.say(np.array([0, 1, 1]), np.array([0, 0, 1]))
        heard = [legs[0].recvfrom(2048), legs[1].recvfrom(2048), legs[1].recvfrom(2048)]

        assert left.all()
        assert mouth.sent.tolist() == [1, 2]
        assert [address for _, address in heard] == [
            mine[0].getsockname(),
            mine[1].getsockname(),
            mine[1].getsockname(),
        ]
        packets = [read_packet(data, arrival_ns=0) for data, _ in heard]
        assert [(p.sequence, p.timestamp, p.payload[0]) for p in packets if p] == [
            (0, 0, 0x11),
            (0, 0, 0x11),
            (1, 160, 0x22),
        ]
    finally:
        close(mine + legs)


def test_what_comes_back_is_stamped_by_the_kernel_and_sorted_into_sound_and_reports() -> None:
    mine, leg = phones(3), bound()
    try:
        ear = Ear(mine, keep=3, watch_ssrc=0)
        before_ns = time.monotonic_ns()
        leg.sendto(b"\x80\0" + bytes(10) + b"\xff" * 160, mine[2].getsockname())
        leg.sendto(b"\x80\0\0\1" + bytes(8) + b"\x12" * 160, mine[2].getsockname())
        leg.sendto(compound(5, 6, 0), mine[2].getsockname())
        leg.sendto(b"\x80\0\0\7" + bytes(7) + b"\1" + b"\xff" * 160, mine[0].getsockname())
        after_ns = time.monotonic_ns()

        ear.listen(0, 3)
        leg.sendto(b"\x80\0" + bytes(10) + b"\xff" * 160, mine[1].getsockname())
        ear.listen(1, 2)

        heard = ear.received.until_now()
        assert heard.phone.tolist() == [0, 2, 2]
        assert heard.sequence.tolist() == [7, 0, 1]
        assert heard.ssrc.tolist() == [1, 0, 0]
        assert heard.is_silent.tolist() == [True, True, False]
        assert (heard.reports, heard.overflow) == (1, 1)
        # Both clocks are read a little apart.
        stamps = heard.arrival_ns
        assert ((stamps > before_ns - 1_000_000) & (stamps < after_ns + 1_000_000)).all()
        # What there is no room to remember is watched all the same or not at all.
        assert [timestamp for timestamp, _ in ear.watched] == [0, 0]
    finally:
        close([*mine, leg])


def test_more_than_a_burst_in_one_phone_is_fetched_whole() -> None:
    mine, leg = phones(1), bound()
    try:
        ear = Ear(mine, keep=100)
        for number in range(40):
            leg.sendto(b"\x80\0\0" + bytes([number]) + bytes(8) + b"\xff" * 160, mine[0].getsockname())

        ear.listen(0, 1)

        assert ear.received.until_now().sequence.tolist() == list(range(40))
    finally:
        close([*mine, leg])
