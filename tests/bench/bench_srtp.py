"""What encryption adds to one packet pair, by suite; and to rows that have none."""

import time

import numpy as np

from bridge.engine.srtp import SrtpRows
from bridge.plane.columns import Columns
from bridge.plane.packets import Arrivals
from bridge.rtp.srtp import SUITES
from tests.engine.srtp_peer import OURS, Peer, departures, keys_of, rtp

_TICKS = 40


def measure(legs: int, suite: str, *, secured: int | None = None) -> float:
    """Median CPU time of one packet decrypted and one encrypted, in µs; `secured` of the legs have keys."""
    columns = Columns(bytearray(Columns.size_bytes(legs)), legs)
    rows, peers = SrtpRows([columns]), [Peer(suite) for _ in range(legs if secured is None else secured)]
    for row in range(len(peers)):
        rows.open(row, keys_of(suite), ssrc=OURS)
    arrivals, taken_ns = Arrivals(legs), []
    for tick in range(_TICKS):
        arrivals.count = 0
        for row in range(legs):
            packet = rtp(tick)
            arrivals.add(peers[row].sender.protect(packet) if row < len(peers) else packet, row=row, source=1)
        built = departures(*((row, rtp(tick, ssrc=OURS)) for row in range(legs)))
        begin_ns = time.process_time_ns()
        rows.unprotect(arrivals)
        left = rows.protect(built)
        taken_ns.append(time.process_time_ns() - begin_ns)
        assert len(left) == arrivals.count == legs
        # A phone that is well hears the last one.
        for row, peer in enumerate(peers):
            assert peer.receiver.unprotect(left.packets[row, : left.lengths[row]].tobytes())
    return float(np.median(taken_ns[_TICKS // 4 :])) / legs / 1000


def through_bytes(legs: int, suite: str) -> float:
    """The same through the binding's own methods, which copy: the cryptography and no bookkeeping."""
    ours, theirs = [Peer(suite, ours=1, theirs=2) for _ in range(legs)], [Peer(suite) for _ in range(legs)]
    taken_ns = []
    for tick in range(_TICKS):
        arrived = [peer.sender.protect(rtp(tick)) for peer in theirs]
        spoken = [rtp(tick, ssrc=OURS) for _ in range(legs)]
        begin_ns = time.process_time_ns()
        for peer, packet in zip(ours, arrived, strict=True):
            peer.receiver.unprotect(packet)
        for peer, packet in zip(ours, spoken, strict=True):
            peer.sender.protect(packet)
        taken_ns.append(time.process_time_ns() - begin_ns)
    return float(np.median(taken_ns[_TICKS // 4 :])) / legs / 1000


def main() -> None:
    print("suite                     legs   µs per packet pair   through bytes")
    for suite in SUITES:
        for legs in (1, 100, 500):
            print(f"{suite:25} {legs:4d}   {measure(legs, suite):18.2f}   {through_bytes(legs, suite):13.2f}")
    print("rows without keys, 500 legs: µs per packet pair of theirs")
    for secured in (0, 1):
        cost = measure(500, "AES_CM_128_HMAC_SHA1_80", secured=secured)
        print(f"  beside {secured} encrypted: {cost:.4f}")


if __name__ == "__main__":
    main()
