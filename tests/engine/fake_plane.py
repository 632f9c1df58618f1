"""A plane small enough to see through: it counts slots, remembers packets and sends numbered ones."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bridge.engine.sockets import FOREVER_NS
from bridge.plane.events import Digit, Flushed, PlaneEvent
from bridge.plane.packets import Arrivals, Departures
from bridge.plane.spec import RowSpec

SLOT_NS = 20_000_000


def spec(generation: int = 1, *, remote_key: int = 0, sending: bool = True) -> RowSpec:
    return RowSpec(
        generation=generation,
        ssrc=7,
        sequence=1,
        timestamp=1,
        codec=0,
        payload_type=0,
        dtmf_payload_type=101,
        remote_key=remote_key,
        latch_ip=0,
        sending=sending,
        receiving=True,
        interruptible=3,
    )


@dataclass
class FakePlane:
    capacity: int = 32
    due_ns: NDArray[np.int64] = field(init=False)
    report_due_ns: NDArray[np.int64] = field(init=False)
    specs: dict[int, RowSpec] = field(default_factory=dict)
    heard: list[tuple[int, bytes, int]] = field(default_factory=list)
    built_ns: dict[int, list[int]] = field(default_factory=dict)
    interruptible: dict[int, int] = field(default_factory=dict)
    verdicts: list[tuple[int, int, bool]] = field(default_factory=list)
    keys: list[tuple[object, ...]] = field(default_factory=list)
    broken: bool = False
    poisoned: set[int] = field(default_factory=set)
    speechless: set[int] = field(default_factory=set)
    events: list[PlaneEvent] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.due_ns = np.full(self.capacity, FOREVER_NS, np.int64)
        self.report_due_ns = np.full(self.capacity, FOREVER_NS, np.int64)

    def open(self, row: int, spec: RowSpec, *, now_ns: int) -> bool:
        if self.broken:
            raise ValueError("this plane is broken")
        self.specs[row] = spec
        self.due_ns[row] = now_ns
        return False

    def update(self, row: int, spec: RowSpec, *, now_ns: int) -> None:
        self.specs[row] = spec

    def close(self, row: int) -> None:
        self.specs.pop(row, None)
        self.due_ns[row] = FOREVER_NS

    def set_interruptible(self, row: int, bits: int) -> None:
        self.interruptible[row] = bits

    def flush(self, row: int, *, now_ns: int) -> None:
        self.events.append(Flushed(row, self.specs[row].generation, now_ns, 0, 1, now_ns, "command"))

    def verdict(self, row: int, *, epoch: int, is_speech: bool, question: int, now_ns: int) -> None:
        self.verdicts.append((row, epoch, is_speech))
        if is_speech:
            self.events.append(Flushed(row, self.specs[row].generation, now_ns, 0, 1, now_ns, "speech"))

    def key(self, row: int, digit: str, *, duration_ms: int, now_ns: int) -> None:
        self.keys.append(("key", row, digit, duration_ms))
        self.events.append(Digit(row, self.specs[row].generation, now_ns, digit, duration_ms))

    def press(
        self, row: int, digits: str, *, ticket: int, duration_ms: int, pause_ms: int, now_ns: int
    ) -> None:
        self.keys.append(("press", row, digits, ticket, duration_ms, pause_ms))

    def release(self, row: int) -> None:
        self.keys.append(("release", row))

    def receive(self, arrivals: Arrivals, *, now_ns: int) -> None:
        if self.poisoned & set(arrivals.rows[: arrivals.count].tolist()):
            raise IndexError("row\npoisoned")
        for at in range(arrivals.count):
            data = arrivals.packets[at, : arrivals.lengths[at]].tobytes()
            self.heard.append((int(arrivals.rows[at]), data, int(arrivals.sources[at])))

    def build(self, rows: NDArray[np.intp], *, now_ns: int) -> Departures:
        if self.poisoned & set(rows.tolist()):
            raise IndexError("row\npoisoned")
        self.due_ns[rows] += SLOT_NS
        packets = np.zeros((len(rows), 172), np.uint8)
        for at, row in enumerate(rows.tolist()):
            self.built_ns.setdefault(row, []).append(now_ns)
            packets[at, 0] = len(self.built_ns[row]) % 256
        keys = np.array([self.specs[row].remote_key for row in rows.tolist()], np.int64)
        return Departures(packets, np.full(len(rows), 172, np.int32), rows, keys)

    def report(self, rows: NDArray[np.intp], *, now_ns: int) -> Departures:
        if self.speechless & set(rows.tolist()):
            raise IndexError("row\nspeechless")
        self.report_due_ns[rows] = FOREVER_NS
        return self._control(b"report", rows)

    def farewell(self, row: int, *, now_ns: int) -> Departures:
        if row in self.speechless:
            raise IndexError("row\nspeechless")
        return self._control(b"goodbye", np.array([row]))

    def _control(self, text: bytes, rows: NDArray[np.intp]) -> Departures:
        packets = np.tile(np.frombuffer(text, np.uint8), (len(rows), 1))
        keys = np.array([self.specs[row].remote_key for row in rows.tolist()], np.int64)
        return Departures(packets, np.full(len(rows), len(text), np.int32), rows, keys)

    def next_sequence(self, row: int) -> int:
        return self.specs[row].sequence

    def destination(self, row: int) -> int:
        return self.specs[row].remote_key

    def drain(self) -> list[PlaneEvent]:
        events, self.events = self.events, []
        return events
