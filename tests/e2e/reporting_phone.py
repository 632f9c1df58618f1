"""A phone that also speaks RTCP and loses packets on purpose; it shares no code with what it tests.

It counts as RFC 3550 appendix A does, and keeps the truth: which of its packets it never sent. Of the
bridge's it pretends not to have got some.
"""

import socket
import struct
import threading
import time
from dataclasses import dataclass, field

from tests.e2e.bare_phone import BarePhone

__all__ = ["Block", "Report", "ReportingPhone"]

SSRC = 0xBA5E
_FRAME_S = 0.02


@dataclass(frozen=True)
class Block:
    """What the bridge says of our stream."""

    ssrc: int
    fraction: int
    lost: int
    highest: int
    jitter: int
    last_sr: int
    delay: int


@dataclass
class Report:
    """One compound of the bridge, as far as a test asks."""

    at_s: float
    source: tuple[str, int]
    kinds: list[int] = field(default_factory=list)
    ssrc: int = 0
    ntp_middle: int = 0
    late_s: float = 0.0
    """How much later than it says it arrived, by the wall clock."""
    packets: int = 0
    octets: int = 0
    blocks: list[Block] = field(default_factory=list)
    cname: bytes = b""


class ReportingPhone:
    """Talks until it is stopped, from a thread of its own.

    Args:
        phone: A phone whose call is up.
        rtcp: The socket for reports; the phone's RTP socket shares its port.
        to: Where reports go.
        drops_sent: Every so manieth packet of ours gets lost on its way.
        drops_heard: Every so manieth packet of the bridge gets lost on its way.
        trip_s: How much longer than it really is the way to the bridge and back shall seem.
    """

    def __init__(
        self,
        phone: BarePhone,
        *,
        rtcp: socket.socket,
        to: tuple[str, int],
        drops_sent: int,
        drops_heard: int,
        trip_s: float,
    ) -> None:
        self.reports: list[Report] = []
        self.told: list[tuple[int, int]] = []
        """Fraction and count of loss that we reported, oldest first."""
        self.never_sent: list[int] = []
        """Numbers of our packets that were lost."""
        self._phone = phone
        self._rtcp, self._to = rtcp, to
        self._drops_sent, self._drops_heard, self._trip_s = drops_sent, drops_heard, trip_s
        self._heard: dict[str, int] = {"ssrc": 0, "first": -1, "highest": -1, "received": 0, "octets": 0}
        self._before = (0, 0)
        self._sent = 0
        self._last_sr: tuple[int, float] = (0, 0.0)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Send no more, and read what has come meanwhile."""
        self._stopping.set()
        self._thread.join(5)

    def listen(self, timeout_s: float) -> None:
        """Read reports for a while after the end."""
        until_s = time.monotonic() + timeout_s
        while time.monotonic() < until_s:
            self._listen()
            time.sleep(_FRAME_S)

    def _run(self) -> None:
        due_s = begin_s = time.monotonic()
        report_s = begin_s + 0.7
        while not self._stopping.is_set():
            self._speak()
            self._listen()
            # A sender report that has just come cannot seem to have been held for less than no time.
            if time.monotonic() >= max(report_s, self._last_sr[1] + self._trip_s):
                report_s += 1.0
                self._rtcp.sendto(self._compound(), self._to)
            due_s += _FRAME_S
            time.sleep(max(0.0, due_s - time.monotonic()))

    def _speak(self) -> None:
        packet = self._phone.packet(b"\xff" * 160)
        number = struct.unpack_from("!H", packet, 2)[0]
        if number % self._drops_sent == 0 and number > 2:
            self.never_sent.append(number)
        else:
            self._phone.rtp.sendto(packet, self._phone.media)
            self._sent += 1

    def _listen(self) -> None:
        for sock in {self._phone.rtp, self._rtcp}:
            sock.setblocking(False)
            while True:
                try:
                    data, source = sock.recvfrom(2048)
                except BlockingIOError:
                    break
                if 192 <= data[1] <= 223:
                    self._take_report(data, source)
                else:
                    self._take_voice(data)

    def _take_voice(self, data: bytes) -> None:
        heard = self._heard
        _, _, number, _, heard["ssrc"] = struct.unpack_from("!BBHII", data)
        if heard["first"] < 0:
            heard["first"] = heard["highest"] = number
        # It begins below 2**15 and the test is short: nothing wraps.
        heard["highest"] = max(heard["highest"], number)
        if number == heard["first"] or number % self._drops_heard:
            heard["received"] += 1

    def _take_report(self, data: bytes, source: tuple[str, int]) -> None:
        report = Report(time.monotonic(), source)
        at = 0
        while at < len(data):
            first, kind, words = struct.unpack_from("!BBH", data, at)
            assert first >> 6 == 2
            report.kinds.append(kind)
            blocks_at = at + 8
            if kind == 200:
                fields = struct.unpack_from("!IIIIII", data, at + 4)
                report.ssrc, report.packets, report.octets = fields[0], fields[4], fields[5]
                report.ntp_middle = (fields[1] & 0xFFFF) << 16 | fields[2] >> 16
                report.late_s = time.time() + 2_208_988_800 - fields[1] - fields[2] / (1 << 32)
                blocks_at = at + 28
                self._last_sr = report.ntp_middle, time.monotonic()
            if kind in (200, 201):
                for number in range(first & 0x1F):
                    ssrc, loss, *rest = struct.unpack_from("!IIIIII", data, blocks_at + 24 * number)
                    report.blocks.append(Block(ssrc, loss >> 24, loss & 0xFFFFFF, *rest))
            if kind == 202:
                assert data[at + 8] == 1
                report.cname = data[at + 10 : at + 10 + data[at + 9]]
            at += 4 * (words + 1)
        assert at == len(data)
        self.reports.append(report)

    def _compound(self) -> bytes:
        """A sender report with one block, and our name."""
        now_s = time.time() + 2_208_988_800
        ntp = int(now_s) << 32 | int(now_s % 1 * (1 << 32))
        heard = self._heard
        expected = heard["highest"] - heard["first"] + 1
        lost = expected - heard["received"]
        expected_now, received_now = expected - self._before[0], heard["received"] - self._before[1]
        self._before = expected, heard["received"]
        fraction = max(0, (expected_now - received_now << 8) // max(expected_now, 1))
        middle, at_s = self._last_sr
        held_s = time.monotonic() - at_s - self._trip_s if middle else 0.0
        self.told.append((fraction, lost))
        block = struct.pack(
            "!IIIIII", heard["ssrc"], fraction << 24 | lost, heard["highest"], 40, middle, int(held_s * 65536)
        )
        head = struct.pack("!BBHIQIII", 0x81, 200, 12, SSRC, ntp, 0, self._sent, self._sent * 160)
        return head + block + struct.pack("!BBHIBB6s", 0x81, 202, 3, SSRC, 1, 4, b"bare\0\0")
