"""Phones with a socket each, for calls whose packets differ in length or under keys: a few dozen of them.

What comes is kept as it came, with the kernel's time, and is decrypted when all is over.
"""

import select
import socket
import struct
from dataclasses import dataclass, field

import numpy as np
import pylibsrtp

from bridge.plane.codec import OPUS
from bridge.plane.g711 import encode_ulaw
from tests.bench.far_end import kernel_offset_ns
from tests.bench.layouts import SO_TIMESTAMPNS
from tests.bench.survival_specs import SurvivalSpec, keys_of
from tests.bench.survival_streams import Heard, Stream
from tests.bench.survival_tones import phone_packets

__all__ = ["Lines"]

_MOST_BYTES = 512
_HEADER = struct.Struct("!BBHII")
_STAMP = struct.Struct("qq")
_POLICY = pylibsrtp.Policy
_PROFILES = {
    "AES_CM_128_HMAC_SHA1_80": _POLICY.SRTP_PROFILE_AES128_CM_SHA1_80,
    "AEAD_AES_128_GCM": _POLICY.SRTP_PROFILE_AEAD_AES_128_GCM,
}


@dataclass
class _Line:
    """One phone."""

    sock: socket.socket
    first: int
    sender: pylibsrtp.Session | None
    receiver: pylibsrtp.Session | None
    target: tuple[str, int] = ("", 0)
    sent: int = 0
    came: list[tuple[int, bytes]] = field(default_factory=list)


class Lines:
    """All phones of a run.

    Args:
        spec: What they speak.
        count: Number of phones.
    """

    def __init__(self, spec: SurvivalSpec, count: int) -> None:
        self._spec = spec
        is_opus = spec.codec == OPUS
        self._ticks = 960 if is_opus else 160
        noise = np.random.default_rng(2).normal(0, 6, (50, 160)).astype(np.int16)
        self._payloads = phone_packets(50) if is_opus else [codes.tobytes() for codes in encode_ulaw(noise)]
        self._offset_ns = kernel_offset_ns()
        self._poll = select.epoll()
        self._lines = [self._line(leg) for leg in range(count)]
        self._by_fd = {line.sock.fileno(): line for line in self._lines}

    @property
    def ports(self) -> list[int]:
        """Where each phone listens."""
        return [line.sock.getsockname()[1] for line in self._lines]

    @property
    def sent(self) -> int:
        """Packets that all of them sent."""
        return sum(line.sent for line in self._lines)

    def call(self, ports: list[int]) -> None:
        """Name the loopback ports of the legs."""
        for line, port in zip(self._lines, ports, strict=True):
            line.target = ("127.0.0.1", port)

    def send(self, begin: int, end: int) -> None:
        """One packet from each of the phones `begin` to `end`."""
        for leg in range(begin, end):
            line = self._lines[leg]
            number = line.first + line.sent
            second = self._spec.open["payload_type"]
            stamp = number * self._ticks & 0xFFFF_FFFF
            packet = _HEADER.pack(0x80, second, number & 0xFFFF, stamp, 0x10000 + leg)
            packet += self._payloads[number % len(self._payloads)]
            line.sock.sendto(packet if line.sender is None else line.sender.protect(packet), line.target)
            line.sent += 1

    def drain(self) -> None:
        """Take in everything that waits."""
        for fd, _ in self._poll.poll(0):
            line = self._by_fd[fd]
            try:
                while True:
                    data, control, _, _ = line.sock.recvmsg(_MOST_BYTES, 64)
                    s, ns = _STAMP.unpack(control[0][2])
                    line.came.append((s * 1_000_000_000 + ns + self._offset_ns, data))
            except BlockingIOError:
                continue

    def streams(self, ssrcs: list[int]) -> tuple[list[Stream], Heard]:
        """What came for each, decrypted, and what cannot be told by a stream."""
        told: Heard = dict.fromkeys(("strangers", "undecryptable", "replayed", "reports"), 0)
        streams = []
        for line, ssrc in zip(self._lines, ssrcs, strict=True):
            kept: list[tuple[int, int, int, bytes]] = []
            for arrival_ns, data in line.came:
                is_report = 192 <= data[1] < 224
                plain = _decrypt(line.receiver, data, is_report, told)
                if is_report:
                    told["reports"] += 1
                    continue
                # The header is never encrypted, so an index that came twice is seen even where it is refused.
                _, _, number, stamp, source = _HEADER.unpack(data[:12])
                if source == ssrc:
                    kept.append((arrival_ns, number, stamp, plain[12:]))
                else:
                    told["strangers"] += 1
            streams.append(_stream(kept))
        return streams, told

    def close(self) -> None:
        """Hang up."""
        self._poll.close()
        for line in self._lines:
            line.sock.close()

    def _line(self, leg: int) -> _Line:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._poll.register(sock, select.EPOLLIN)
        keys, first = keys_of(self._spec, leg), self._spec.first_sequence
        sessions: list[pylibsrtp.Session | None] = [None, None]
        if keys.suite:
            profile = _PROFILES[keys.suite]
            ways = ((keys.rx, _POLICY.SSRC_ANY_OUTBOUND), (keys.tx, _POLICY.SSRC_ANY_INBOUND))
            sessions = [pylibsrtp.Session(_POLICY(bytes.fromhex(key), way, 0, profile)) for key, way in ways]
        begin = 1 if first < 0 else first - leg % self._spec.spread
        return _Line(sock, begin, sender=sessions[0], receiver=sessions[1])


def _decrypt(receiver: pylibsrtp.Session | None, data: bytes, is_report: bool, told: Heard) -> bytes:
    if receiver is None:
        return data
    try:
        return receiver.unprotect_rtcp(data) if is_report else receiver.unprotect(data)
    except pylibsrtp.Error as error:
        told["replayed" if "replay" in str(error) else "undecryptable"] += 1
        return b""


def _stream(kept: list[tuple[int, int, int, bytes]]) -> Stream:
    payloads = np.zeros((len(kept), _MOST_BYTES), np.uint8)
    for at, (_, _, _, payload) in enumerate(kept):
        payloads[at, : len(payload)] = np.frombuffer(payload, np.uint8)
    numbers = np.array([packet[:3] for packet in kept], np.int64).reshape(-1, 3)
    lengths = np.array([len(packet[3]) for packet in kept], np.int64)
    return Stream(numbers[:, 0], numbers[:, 1], numbers[:, 2], payloads, lengths)
