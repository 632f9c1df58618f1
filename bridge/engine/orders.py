"""What the plane is asked by the loop that drives it, and orders about rows that are open, carried out."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bridge.engine.commands import (
    FlushRow,
    GiveVerdict,
    HandKey,
    Message,
    PressKeys,
    ReleaseKeys,
    SetBed,
    SetInterruptible,
    SetSensitivity,
    StopBed,
)
from bridge.plane.events import PlaneEvent
from bridge.plane.packets import Arrivals, Departures
from bridge.plane.spec import RowSpec

__all__ = ["RowPlane", "carry_out"]


class RowPlane(Protocol):
    """What the loop asks of `bridge.plane.plane.Plane`."""

    due_ns: NDArray[np.int64]
    report_due_ns: NDArray[np.int64]
    turned_away: int

    def open(self, row: int, spec: RowSpec, *, now_ns: int) -> bool: ...
    def update(self, row: int, spec: RowSpec, *, now_ns: int) -> None: ...
    def close(self, row: int) -> None: ...
    def set_interruptible(self, row: int, bits: int) -> None: ...
    def flush(self, row: int, *, now_ns: int) -> None: ...
    def verdict(self, row: int, *, epoch: int, is_speech: bool, question: int, now_ns: int) -> None: ...
    def key(self, row: int, digit: str, *, duration_ms: int, now_ns: int) -> None: ...
    def press(
        self, row: int, digits: str, *, ticket: int, duration_ms: int, pause_ms: int, now_ns: int
    ) -> None: ...
    def release(self, row: int) -> None: ...
    def set_sensitivity(self, row: int, sensitivity: int) -> None: ...
    def lay(
        self, row: int, bed: int, *, samples: int, gain_db: int, under_speech_db: int, yields: bool
    ) -> None: ...
    def lift(self, row: int) -> None: ...
    def receive(self, arrivals: Arrivals, *, now_ns: int) -> None: ...
    def build(self, rows: NDArray[np.intp], *, now_ns: int) -> Departures: ...
    def report(self, rows: NDArray[np.intp], *, now_ns: int) -> Departures: ...
    def farewell(self, row: int, *, now_ns: int) -> Departures: ...
    def destination(self, row: int) -> int: ...
    def next_sequence(self, row: int) -> int: ...
    def drain(self) -> Sequence[PlaneEvent]: ...


def carry_out(plane: RowPlane, command: Message, *, now_ns: int) -> None:
    """Do what a command says about an open row; what it leads to is to be drained at once."""
    match command:
        case SetInterruptible(row=row, bits=bits):
            plane.set_interruptible(row, bits)
        case SetSensitivity(row=row, sensitivity=sensitivity):
            plane.set_sensitivity(row, sensitivity)
        case FlushRow(row=row):
            plane.flush(row, now_ns=now_ns)
        case GiveVerdict(row=row, epoch=epoch, is_speech=is_speech, question=question):
            plane.verdict(row, epoch=epoch, is_speech=is_speech, question=question, now_ns=now_ns)
        case PressKeys() | ReleaseKeys() | HandKey():
            _type(plane, command, now_ns=now_ns)
        case SetBed() | StopBed():
            _lay(plane, command)
        case _:
            raise TypeError(f"{type(command).__name__} is no order about an open row")


def _type(plane: RowPlane, command: PressKeys | ReleaseKeys | HandKey, *, now_ns: int) -> None:
    """Keys, ours and the caller's."""
    row = command.row
    match command:
        case PressKeys(digits=digits, ticket=ticket, duration_ms=duration_ms, pause_ms=pause_ms):
            plane.press(row, digits, ticket=ticket, duration_ms=duration_ms, pause_ms=pause_ms, now_ns=now_ns)
        case ReleaseKeys():
            plane.release(row)
        case HandKey(digit=digit, duration_ms=duration_ms):
            plane.key(row, digit, duration_ms=duration_ms, now_ns=now_ns)


def _lay(plane: RowPlane, command: SetBed | StopBed) -> None:
    """What lies under our speech."""
    match command:
        case SetBed():
            plane.lay(
                command.row,
                command.bed,
                samples=command.samples,
                gain_db=command.gain_db,
                under_speech_db=command.under_speech_db,
                yields=command.yields,
            )
        case StopBed():
            plane.lift(command.row)
