"""The other end of an encrypted leg, on libsrtp's own binding, and packets to exchange with it."""

import struct
from dataclasses import dataclass, field

import numpy as np
import pylibsrtp

from bridge.engine.srtp import SrtpRows
from bridge.plane.columns import Columns
from bridge.plane.packets import TRAILER_BYTES, Arrivals, Departures
from bridge.rtp.srtp import SUITES, SrtpKeys

OURS, THEIRS = 0x0105_0000, 0xBA5E_0000
PROFILES = {
    "AES_CM_128_HMAC_SHA1_80": pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    "AES_CM_128_HMAC_SHA1_32": pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
    "AEAD_AES_128_GCM": pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    "AEAD_AES_256_GCM": pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
}


def secret(suite: str, seed: int) -> bytes:
    """Master key and salt, different for every seed."""
    return np.random.default_rng(seed).bytes(SUITES[suite].secret_bytes)


def keys_of(suite: str, *, ours: int = 1, theirs: int = 2) -> SrtpKeys:
    return SrtpKeys(suite, tx=secret(suite, ours).hex(), rx=secret(suite, theirs).hex())


def rtp(sequence: int, payload: bytes = bytes(160), *, ssrc: int = THEIRS) -> bytes:
    return struct.pack("!BBHII", 0x80, 0, sequence & 0xFFFF, sequence * 160 & 0xFFFF_FFFF, ssrc) + payload


def report(ssrc: int = THEIRS) -> bytes:
    """An empty receiver report."""
    return struct.pack("!BBHI", 0x80, 201, 1, ssrc)


class Peer:
    """Whoever we talk to: `secret` numbers seen from there."""

    def __init__(self, suite: str, *, ours: int = 2, theirs: int = 1) -> None:
        policy = pylibsrtp.Policy
        self.sender = pylibsrtp.Session(
            policy(secret(suite, ours), policy.SSRC_ANY_OUTBOUND, 0, PROFILES[suite])
        )
        self.receiver = pylibsrtp.Session(
            policy(secret(suite, theirs), policy.SSRC_ANY_INBOUND, 0, PROFILES[suite])
        )


@dataclass
class Bench:
    """A few rows, and batches for them."""

    capacity: int = 4
    columns: Columns = field(init=False)
    rows: SrtpRows = field(init=False)

    def __post_init__(self) -> None:
        self.columns = Columns(bytearray(Columns.size_bytes(self.capacity)), self.capacity)
        self.rows = SrtpRows([self.columns])

    def hear(self, *packets: bytes, row: int = 1, is_rtcp: bool = False) -> list[bytes]:
        """What is left of these, as the plane would see it."""
        arrivals = Arrivals(max(1, len(packets)))
        for packet in packets:
            arrivals.add(packet, row=row, source=5, is_rtcp=is_rtcp)
        self.rows.unprotect(arrivals)
        return [arrivals.packets[at, : arrivals.lengths[at]].tobytes() for at in range(arrivals.count)]

    def send(self, *packets: bytes, row: int = 1) -> list[bytes]:
        """What leaves of these; a row of ``~1`` is the RTCP socket of row 1."""
        sent = self.rows.protect(departures(*((row, packet) for packet in packets)))
        return [sent.packets[at, : sent.lengths[at]].tobytes() for at in range(len(sent))]

    def counter(self, name: str, row: int = 1) -> int:
        return self.columns.counters(row)[name]


def departures(*sent: tuple[int, bytes]) -> Departures:
    """A batch as the plane builds them."""
    packets = np.zeros((len(sent), max(len(data) for _, data in sent) + TRAILER_BYTES), np.uint8)
    for at, (_, data) in enumerate(sent):
        packets[at, : len(data)] = np.frombuffer(data, np.uint8)
    return Departures(
        packets,
        np.array([len(data) for _, data in sent], np.int32),
        np.array([row for row, _ in sent], np.intp),
        np.zeros(len(sent), np.int64),
    )
