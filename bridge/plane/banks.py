"""One plane for each audio rate, seen as one: rows are numbered through, the narrow ones first.

Rows of 8 kHz are as quick as if there were no others: what only concerns them is handed on as it is.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bridge.plane.columns import Columns
from bridge.plane.events import PlaneEvent
from bridge.plane.packets import Arrivals, Departures
from bridge.plane.plane import Plane
from bridge.plane.rowcodecs import MakeCodec
from bridge.plane.spec import PlaneSettings, RowSpec

__all__ = ["Banks"]


class Banks:
    """All rows of one media process; what each call does says `Plane`.

    Args:
        columns: Of each bank, in the order of their rows; the first one is the narrow bank.
        settings: Thresholds, the same for all rows.
        wall_offset_ns: What to add to `now_ns` to get nanoseconds since 1970.
        make_codec: Makes the codec of a row that no table decodes.
    """

    def __init__(
        self,
        columns: Sequence[Columns],
        settings: PlaneSettings,
        *,
        wall_offset_ns: int = 0,
        make_codec: MakeCodec | None = None,
    ) -> None:
        capacities = [bank.capacity for bank in columns]
        self._first = np.concatenate(([0], np.cumsum(capacities)))
        """Number of the first row of each bank, and of the one after the last."""
        due = np.empty((2, int(self._first[-1])), np.int64)
        self._planes = [
            Plane(
                bank,
                settings,
                wall_offset_ns=wall_offset_ns,
                make_codec=make_codec,
                due=due[:, first : first + bank.capacity],
            )
            for bank, first in zip(columns, self._first.tolist(), strict=False)
        ]
        self._narrow = self._planes[0]
        self._wide: list[set[int]] = [set() for _ in self._planes]
        """Rows in use of every bank, by their number in it; the narrow bank's are not kept."""
        self._is_narrow = True
        self.due_ns: NDArray[np.int64] = due[0]
        """When the next packet of each row is to be built; `FOREVER_NS` while a row is free."""
        self.report_due_ns: NDArray[np.int64] = due[1]
        """When each row is to be handed to `report`; `FOREVER_NS` while it is free."""

    def open(self, row: int, spec: RowSpec, *, now_ns: int) -> bool:
        bank, at = self._find(row)
        is_taken_over = self._planes[bank].open(at, spec, now_ns=now_ns)
        if bank:
            self._wide[bank].add(at)
            self._is_narrow = False
        return is_taken_over

    def update(self, row: int, spec: RowSpec, *, now_ns: int) -> None:
        bank, at = self._find(row)
        self._planes[bank].update(at, spec, now_ns=now_ns)

    def close(self, row: int) -> None:
        bank, at = self._find(row)
        self._planes[bank].close(at)
        self._wide[bank].discard(at)
        self._is_narrow = not any(self._wide)

    def set_interruptible(self, row: int, bits: int) -> None:
        bank, at = self._find(row)
        self._planes[bank].set_interruptible(at, bits)

    def flush(self, row: int, *, now_ns: int) -> None:
        bank, at = self._find(row)
        self._planes[bank].flush(at, now_ns=now_ns)

    def verdict(self, row: int, *, epoch: int, is_speech: bool, question: int = 0, now_ns: int) -> None:
        bank, at = self._find(row)
        self._planes[bank].verdict(at, epoch=epoch, is_speech=is_speech, question=question, now_ns=now_ns)

    def key(self, row: int, digit: str, *, duration_ms: int, now_ns: int) -> None:
        bank, at = self._find(row)
        self._planes[bank].key(at, digit, duration_ms=duration_ms, now_ns=now_ns)

    def press(
        self, row: int, digits: str, *, ticket: int, duration_ms: int, pause_ms: int, now_ns: int
    ) -> None:
        bank, at = self._find(row)
        self._planes[bank].press(
            at, digits, ticket=ticket, duration_ms=duration_ms, pause_ms=pause_ms, now_ns=now_ns
        )

    def release(self, row: int) -> None:
        bank, at = self._find(row)
        self._planes[bank].release(at)

    def peer_ssrc(self, row: int) -> int:
        bank, at = self._find(row)
        return self._planes[bank].peer_ssrc(at)

    def next_sequence(self, row: int) -> int:
        bank, at = self._find(row)
        return self._planes[bank].next_sequence(at)

    def destination(self, row: int) -> int:
        bank, at = self._find(row)
        return self._planes[bank].destination(at)

    def drain(self) -> list[PlaneEvent]:
        """Events since the last call: in order within every bank."""
        events = self._narrow.drain()
        for plane, first in zip(self._planes[1:], self._first[1:].tolist(), strict=False):
            events += [dataclasses.replace(event, row=event.row + first) for event in plane.drain()]
        return events

    def receive(self, arrivals: Arrivals, *, now_ns: int) -> None:
        if self._is_narrow:
            self._narrow.receive(arrivals, now_ns=now_ns)
            return
        banks = self._banks_of(arrivals.rows[: arrivals.count])
        for bank in np.unique(banks).tolist():
            seen = arrivals.from_row(int(self._first[bank]))
            self._planes[bank].receive(seen, now_ns=now_ns, index=np.flatnonzero(banks == bank))

    def build(self, rows: NDArray[np.intp], *, now_ns: int) -> Departures:
        if self._is_narrow:
            return self._narrow.build(rows, now_ns=now_ns)
        return Departures.join(
            [
                self._renumber(self._planes[bank].build(mine, now_ns=now_ns), bank)
                for bank, mine in self._shares(rows)
            ]
        )

    def report(self, rows: NDArray[np.intp], *, now_ns: int) -> Departures:
        if self._is_narrow:
            return self._narrow.report(rows, now_ns=now_ns)
        return Departures.join(
            [
                self._renumber(self._planes[bank].report(mine, now_ns=now_ns), bank)
                for bank, mine in self._shares(rows)
            ]
        )

    def farewell(self, row: int, *, now_ns: int) -> Departures:
        bank, at = self._find(row)
        return self._renumber(self._planes[bank].farewell(at, now_ns=now_ns), bank)

    def _find(self, row: int) -> tuple[int, int]:
        """Bank of a row, and its number in it."""
        bank = int(self._banks_of(np.array([row]))[0])
        return bank, row - int(self._first[bank])

    def _banks_of(self, rows: NDArray[np.intp]) -> NDArray[np.intp]:
        return np.searchsorted(self._first, rows, side="right") - 1

    def _shares(self, rows: NDArray[np.intp]) -> list[tuple[int, NDArray[np.intp]]]:
        """What of these rows each bank has, by their numbers in it; never nothing."""
        banks = self._banks_of(rows)
        chosen = np.unique(banks).tolist() or [0]
        return [(bank, rows[banks == bank] - self._first[bank]) for bank in chosen]

    def _renumber(self, departures: Departures, bank: int) -> Departures:
        first = int(self._first[bank])
        if not first:
            return departures
        rows = departures.rows
        # `~row` is the row's RTCP socket.
        numbers = np.where(rows < 0, rows - first, rows + first)
        return Departures(departures.packets, departures.lengths, numbers, departures.destinations)
