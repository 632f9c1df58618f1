"""The receiving half of the plane: whose packets they are, what they carry, and who takes it (RFC 3550)."""

import numpy as np
from numpy.typing import NDArray

from bridge.plane.apart import Apart
from bridge.plane.arrival import ArrivalRing
from bridge.plane.bargein import BargeIn
from bridge.plane.columns import Columns
from bridge.plane.events import Latched, PlaneEvent
from bridge.plane.keys import Keys
from bridge.plane.latch import Latch
from bridge.plane.masks import everywhere, somewhere
from bridge.plane.packets import Arrivals, Headers, parse_headers
from bridge.plane.reception import Reception
from bridge.plane.reporting import Reporting
from bridge.plane.rows import Rows
from bridge.plane.shape import thin

__all__ = ["Intake"]

_COMFORT_NOISE = 13
_ONE = np.uint64(1)


class Intake:
    """Hands what has arrived to the voice gate, the jitter ring, the keys and the statistics.

    Args:
        columns: Shared columns.
        rows: What was negotiated for each row.
        latch: Whom a row believes.
        reception: Sequence numbers and jitter.
        arrival: The jitter ring.
        apart: Codecs that work row by row.
        bargein: Voices.
        keys: Keys.
        reporting: RTCP.
        events: Where to append what happened.
    """

    def __init__(
        self,
        columns: Columns,
        rows: Rows,
        *,
        latch: Latch,
        reception: Reception,
        arrival: ArrivalRing,
        apart: Apart,
        bargein: BargeIn,
        keys: Keys,
        reporting: Reporting,
        events: list[PlaneEvent],
    ) -> None:
        self._columns = columns
        self._per_tick = columns.shape.per_tick
        self._rows = rows
        self._latch = latch
        self._reception = reception
        self._arrival = arrival
        self._apart = apart
        self._codecs = apart.codecs
        self._bargein = bargein
        self._keys = keys
        self._reporting = reporting
        self._events = events
        self._order = np.zeros(columns.capacity, np.intp)
        self.turned_away: int = 0
        """Packets of strangers that the last `receive` dropped together, because some row had several."""

    def receive(self, arrivals: Arrivals, *, now_ns: int, index: NDArray[np.intp] | None = None) -> None:
        """See `Plane.receive`."""
        if index is None:
            index = np.arange(arrivals.count)
        index = index[self._rows.open[arrivals.rows[index]]]
        index = self._reporting.take(arrivals, index, now_ns=now_ns)
        self.turned_away, is_sifted = 0, False
        while len(index):
            # Each round takes the first packet that is left of every row; nearly always there is one round.
            rows = arrivals.rows[index]
            self._order[rows[::-1]] = index[::-1]
            is_first = self._order[rows] == index
            if everywhere(is_first):
                self._receive(arrivals, index, now_ns)
                return
            if not is_sifted:
                index, is_sifted = self._sift(arrivals, index), True
                continue
            self._receive(arrivals, index[is_first], now_ns)
            index = index[~is_first]

    def _sift(self, arrivals: Arrivals, index: NDArray[np.intp]) -> NDArray[np.intp]:
        """Turn strangers away all at once: what floods a row must not cost a round each."""
        rows, sources = arrivals.rows[index], arrivals.sources[index]
        headers = parse_headers(arrivals, index)
        strange = self._latch.are_strangers(rows, sources, headers.ssrcs)
        np.add.at(self._columns.rx_stranger, rows[strange & headers.valid], _ONE)
        np.add.at(self._columns.rx_malformed, rows[strange & ~headers.valid], _ONE)
        self.turned_away = int(np.count_nonzero(strange))
        return index[~strange]

    def _receive(self, arrivals: Arrivals, index: NDArray[np.intp], now_ns: int) -> None:
        """Take packets of distinct rows."""
        headers = parse_headers(arrivals, index)
        rows = arrivals.rows[index]
        if not everywhere(headers.valid):
            self._columns.rx_malformed[rows[~headers.valid]] += _ONE
            valid = headers.valid
            headers, rows, index = headers.only(valid), rows[valid], index[valid]
        plausible = self._reception.is_plausible(self._reception.step(rows, headers.sequences))
        sources = arrivals.sources[index]
        admission = self._latch.admit(rows, sources, headers, plausible, now_ns=now_ns)
        for at in admission.restarted:
            self._reception.restart(int(rows[at]), int(headers.sequences[at]))
            self._arrival.restart(int(rows[at]))
            self._codecs.restart(int(rows[at]))
            self._keys.restart(int(rows[at]), now_ns=now_ns)
            # The packet before, which only proved the source, came from it too.
            self._columns.rx_packets[rows[at]] += _ONE
        for at in admission.moved:
            row, generation = int(rows[at]), int(self._columns.generation[rows[at]])
            self._events.append(Latched(row, generation, now_ns, remote_key=int(sources[at])))
        accepted = admission.accepted
        if not everywhere(accepted):
            headers, rows, index = headers.only(accepted), rows[accepted], index[accepted]
        self._columns.rx_packets[rows] += _ONE
        self._columns.last_rx_ns[rows] = now_ns
        fresh = self._reception.account(rows, headers.sequences) & self._rows.receiving[rows]
        if not everywhere(fresh):
            headers, rows, index = headers.only(fresh), rows[fresh], index[fresh]
        self._sort(arrivals, index, rows, headers, now_ns)

    def _sort(
        self,
        arrivals: Arrivals,
        index: NDArray[np.intp],
        rows: NDArray[np.intp],
        headers: Headers,
        now_ns: int,
    ) -> None:
        """Give every believed packet to whoever understands its payload type."""
        has_payload = headers.ends > headers.begins
        is_audio = (headers.payload_types == self._rows.payload_type[rows]) & has_payload
        if not everywhere(is_audio):
            for at in np.flatnonzero(~is_audio).tolist():
                payload = arrivals.packets[index[at], headers.begins[at] : headers.ends[at]]
                self._take_other(int(rows[at]), headers, at, payload.tobytes(), now_ns)
            headers, rows, index = headers.only(is_audio), rows[is_audio], index[is_audio]
        if not len(rows):
            return
        if len(self._codecs) and somewhere(decodes := self._codecs.decodes[rows]):
            self._decode(arrivals, index[decodes], rows[decodes], headers.only(decodes), now_ns)
            others = ~decodes
            headers, rows, index = headers.only(others), rows[others], index[others]
            if not len(rows):
                return
        self._reception.time(rows, headers.timestamps, arrived_ns=now_ns - arrivals.waited_ns[index])
        shapes = headers.begins << 16 | headers.ends
        if everywhere(shapes == shapes[0]):
            self._listen(arrivals, index, rows, headers, now_ns)
            return
        for shape in np.unique(shapes):
            alike = shapes == shape
            self._listen(arrivals, index[alike], rows[alike], headers.only(alike), now_ns)

    def _listen(
        self,
        arrivals: Arrivals,
        index: NDArray[np.intp],
        rows: NDArray[np.intp],
        headers: Headers,
        now_ns: int,
    ) -> None:
        """Decode audio packets of one shape; the gate first hears what the jitter ring then keeps."""
        codes = arrivals.packets[index, int(headers.begins[0]) : int(headers.ends[0])]
        pcm = self._rows.decode(rows, codes)
        self._bargein.hear(rows, pcm, now_ns=now_ns)
        self._arrival.place(rows, headers.timestamps, pcm, now_ns=now_ns)

    def _decode(
        self,
        arrivals: Arrivals,
        index: NDArray[np.intp],
        rows: NDArray[np.intp],
        headers: Headers,
        now_ns: int,
    ) -> None:
        """Decode audio packets one by one, then take those of one length together."""
        stamps = self._codecs.samples(rows, headers.timestamps)
        arrived_ns = now_ns - arrivals.waited_ns[index]
        self._reception.time(rows, stamps // self._per_tick, arrived_ns=arrived_ns)
        batches, patches = self._apart.decode(arrivals, index, rows, headers)
        for who, when, pcm in batches:
            self._bargein.hear(who, thin(pcm, self._per_tick), now_ns=now_ns)
            self._arrival.place(who, when, pcm, now_ns=now_ns)
            if repeats := [row for row in who.tolist() if self._codecs.decoders[row].carried_lost]:
                self._arrival.repeated(np.array(repeats))
        for row, (begin, sound) in patches:
            self._arrival.patch(row, begin, sound)

    def _take_other(self, row: int, headers: Headers, at: int, payload: bytes, now_ns: int) -> None:
        """One packet that is not the negotiated audio."""
        payload_type = int(headers.payload_types[at])
        if payload_type == _COMFORT_NOISE:
            self._arrival.mender.describe_silence(row, payload)
            return
        if payload_type not in (self._rows.dtmf_payload_type[row], self._rows.dtmf_offered[row]):
            self._columns.rx_wrong_payload[row] += _ONE
            return
        self._arrival.mender.hush(row)
        self._keys.take_event(row, payload, timestamp=int(headers.timestamps[at]), now_ns=now_ns)
