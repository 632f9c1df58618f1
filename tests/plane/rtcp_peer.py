"""The rig's caller speaks RTCP too: what it sends, and what it is told."""

import numpy as np

from bridge.plane.events import PlaneEvent
from bridge.plane.packets import Arrivals, Departures
from bridge.plane.spec import PlaneSettings, RowSpec
from bridge.rtp.rtcp import ReceiverReport, ReportBlock, RtcpPacket, SenderReport, build, parse
from tests.fakes import MS
from tests.plane.rig import PEER, Pcm, Rig, spec

__all__ = ["OURS", "PEER_RTCP", "THEIRS", "RtcpRig", "reporting_spec"]

OURS, THEIRS = 0xB07, 99
"""SSRCs of the rig's call and caller."""
PEER_RTCP = PEER + 1


def reporting_spec(*, rtcp_key: int = PEER_RTCP, rtcp_mux: bool = False, generation: int = 7) -> RowSpec:
    plain = spec(generation=generation)
    return RowSpec(
        **{name: getattr(plain, name) for name in plain.__slots__ if not name.startswith(("rtcp", "cname"))},
        rtcp_key=rtcp_key,
        rtcp_mux=rtcp_mux,
        cname="0123456789abcdef01234567",
    )


class RtcpRig:
    """A rig whose call has RTCP, on a port of its own unless told otherwise."""

    def __init__(self, call: RowSpec | None = None, *, settings: PlaneSettings | None = None) -> None:
        self.rig = Rig(call or reporting_spec(), settings=settings)
        self.sent: list[tuple[int, int, int, list[RtcpPacket]]] = []
        """When, by which socket, to whom, and what was sent."""
        self._arrivals = Arrivals(64)

    def tell(
        self, *packets: RtcpPacket | bytes, source: int = PEER_RTCP, apart: bool = True, row: int = 1
    ) -> list[PlaneEvent]:
        """Let one compound arrive now."""
        data = b"".join(one if isinstance(one, bytes) else build([one]) for one in packets)
        self._arrivals.count = 0
        self._arrivals.add(data, row=row, source=source, is_rtcp=apart)
        self.rig.plane.receive(self._arrivals, now_ns=self.rig.now_ns)
        return self.rig.plane.drain()

    def tick(self, pcm: Pcm | None = None, *, lose: bool = False) -> None:
        """20 ms: a packet in, unless it is lost, one out, and reports that are due."""
        rig = self.rig
        rig.now_ns += 20 * MS
        packet = rig.packet(pcm)
        if not lose:
            rig.deliver(packet)
        rig.send()
        due = np.flatnonzero(rig.plane.report_due_ns <= rig.now_ns)
        if len(due):
            self.keep(rig.plane.report(due, now_ns=rig.now_ns))

    def wait(self, ms: int) -> None:
        for _ in range(ms // 20):
            self.tick()

    def keep(self, departures: Departures) -> None:
        for name, key, packet, length in zip(
            departures.rows.tolist(),
            departures.destinations.tolist(),
            departures.packets,
            departures.lengths.tolist(),
            strict=True,
        ):
            self.sent.append((self.rig.now_ns, name, key, parse(packet[:length].tobytes())))

    def report(self) -> SenderReport | ReceiverReport:
        """The report of the last compound sent."""
        found = self.sent[-1][3][0]
        assert isinstance(found, SenderReport | ReceiverReport)
        return found

    def block(self) -> ReportBlock:
        (block,) = self.report().blocks
        return block

    def counter(self, name: str) -> int:
        return self.rig.counter(name)

    def quality(self, name: str) -> float:
        return float(getattr(self.rig.columns, name)[1])
