"""Packets of rows that no column can serve, decoded and made one by one (`bridge.plane.rowcodecs`)."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from bridge.plane.columns import Columns
from bridge.plane.keypad import EventPacket, Strokes
from bridge.plane.packets import HEADER_BYTES, Arrivals, Departures, Headers
from bridge.plane.passing import Passing
from bridge.plane.pauses import SID, Pause
from bridge.plane.reporting import Reporting
from bridge.plane.rowcodecs import MakeCodec, Piece, RowCodecs
from bridge.plane.rows import Rows
from bridge.plane.spec import RowSpec

__all__ = ["Apart", "Decoded"]

_ONE = np.uint64(1)

Decoded: TypeAlias = tuple[NDArray[np.intp], NDArray[np.int64], NDArray[np.int16]]
"""Rows, when the sound of each begins in samples, and the sound, ``[k, L]``."""


class Apart:
    """Rows that are served one by one; free of cost as long as there are none.

    Args:
        columns: Shared columns.
        rows: Where our streams stand.
        reporting: Told of what is sent.
        make_codec: Makes the codec of a row that no table decodes; None where there are none such.
    """

    def __init__(
        self, columns: Columns, rows: Rows, reporting: Reporting, make_codec: MakeCodec | None
    ) -> None:
        self._columns = columns
        self._rows = rows
        self._reporting = reporting
        self._broken: list[tuple[int, str]] = []
        self.codecs: RowCodecs = RowCodecs(columns, make_codec)
        self._passing = Passing(columns)

    def among(self, rows: NDArray[np.intp]) -> NDArray[np.bool_] | None:
        """Which of these rows' packets are made here; None as long as nobody's are."""
        return self._rows.apart[rows] if len(self.codecs) else None

    def open(self, row: int, spec: RowSpec) -> None:
        """Take a row into service, or what was negotiated anew for it.

        Raises:
            ValueError: If its codec cannot be spoken here.
        """
        self.codecs.open(row, spec)

    def close(self, row: int) -> None:
        """Forget a row; harmless when there is nothing to forget."""
        self.codecs.close(row)
        self._passing.restart(row)

    def drain(self) -> list[tuple[int, str]]:
        """Rows whose codec failed since the last call, and how; to be ended once their slot is over."""
        broken, self._broken = self._broken, []
        return broken

    def decode(
        self, arrivals: Arrivals, index: NDArray[np.intp], rows: NDArray[np.intp], headers: Headers
    ) -> tuple[list[Decoded], list[tuple[int, Piece]]]:
        """Decode audio packets of distinct rows.

        Returns:
            The packets' own sounds, those of one length together, and what they tell of beside, by row.
        """
        owns: dict[int, list[tuple[int, Piece]]] = {}
        patches: list[tuple[int, Piece]] = []
        for at, row in enumerate(rows.tolist()):
            payload = arrivals.packets[index[at], headers.begins[at] : headers.ends[at]].tobytes()
            sequence, timestamp = int(headers.sequences[at]), int(headers.timestamps[at])
            try:
                own, beside = self.codecs.decode(row, sequence, timestamp, payload)
            except ValueError:
                self._columns.rx_malformed[row] += _ONE
                continue
            if own is not None:
                owns.setdefault(len(own[1]), []).append((row, own))
            patches += [(row, piece) for piece in beside]
        batches = [
            (
                np.array([row for row, _ in alike]),
                np.array([when for _, (when, _) in alike]),
                np.stack([sound for _, (_, sound) in alike]),
            )
            for alike in owns.values()
        ]
        return batches, patches

    def pack(
        self,
        rows: NDArray[np.intp],
        pcm: NDArray[np.int16],
        *,
        strokes: Strokes | None,
        pause: Pause | None,
        now_ns: int,
    ) -> Departures:
        """Make the packets, any number each, of those of these rows that are served here and may send.

        Args:
            rows: All rows whose slot has come.
            pcm: Their frames.
            strokes: Keys that are pressed in this slot.
            pause: Which rows say nothing in it; None where nobody may.
            now_ns: When.
        """
        mine, events = self._rows, {} if strokes is None else strokes.by_position()
        sends = mine.sending[rows] & (self._columns.remote_key[rows] != 0)
        apart = mine.apart[rows]
        for row in rows[apart & ~sends].tolist():
            self.codecs.rest(row)
        packets: list[tuple[int, int, bytes]] = []
        for at in (apart & sends).nonzero()[0].tolist():
            row = int(rows[at])
            try:
                if pause is not None and pause.rests[at]:
                    made = self._rest(row, says=bool(pause.sids[at]))
                else:
                    made = self._make(row, pcm[at], events.get(at))
            except Exception as error:
                self._broken.append((row, f"{type(error).__name__}: {error}"))
                continue
            destination = int(self._columns.remote_key[row])
            packets += [(row, destination, packet) for packet in made]
            self._columns.tx_packets[row] += np.uint64(len(made))
            for packet in made:
                self._reporting.sent_one(row, len(packet) - HEADER_BYTES)
        late = rows[apart & sends]
        self._columns.tx_late[late] += mine.is_late(late, now_ns)
        return Departures.of(packets)

    def _rest(self, row: int, *, says: bool) -> list[bytes]:
        """A slot of silence: what waited for its packet to be full goes first."""
        mine = self._rows
        waiting = [mine.packet(row, *sound) for sound in self.codecs.flush(row)]
        number = int(mine.comfort_payload_type[row])
        return [*waiting, mine.packet(row, int(mine.timestamp[row]), SID, second=number)] if says else waiting

    def _make(self, row: int, pcm: NDArray[np.int16], event: EventPacket | None) -> list[bytes]:
        """One row's packets of this slot."""
        mine = self._rows
        if event is not None:
            second, timestamp, payload = event
            waiting = [mine.packet(row, *sound) for sound in self.codecs.flush(row)]
            return [*waiting, mine.packet(row, timestamp, payload, second=second)]
        timestamp = int(mine.timestamp[row])
        if self.codecs.passes(row) and (passed := self._passing.payload(row, pcm)) is not None:
            self._columns.tx_passed[row] += _ONE
            return [mine.packet(row, timestamp, passed)]
        sounds = self.codecs.encode(row, pcm, timestamp)
        if sounds is None:
            # RFC 3551 §4.1: the first packet after a silence in which none were sent.
            mine.marker[row] = 0x80
            return []
        return [mine.packet(row, *sound) for sound in sounds]
