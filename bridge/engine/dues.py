"""What a media process owes to one leg: orders without an answer, and facts of which only half was told.

When another process takes over, `settle` compares this with the memory that the dead one left, and finds
what must be ordered again and what must still be told. Nobody is left waiting for an answer.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from bridge.engine.commands import (
    Command,
    FlushRow,
    OpenRow,
    PressKeys,
    ReleaseKeys,
    SetInterruptible,
    UpdateRow,
)
from bridge.plane.columns import Columns
from bridge.plane.events import (
    FLUSH_CAUSES,
    Ducked,
    Flushed,
    KeysSent,
    PlaneEvent,
    Resumed,
    VoiceStarted,
    VoiceStopped,
)
from bridge.plane.floor import DUCKED

__all__ = ["Dues", "Settlement"]


@dataclass(frozen=True, slots=True)
class Settlement:
    """What a change of process asks for, in this order."""

    orders: list[Command]
    """To the new process; the first one opens the row."""
    events: list[PlaneEvent]
    """To the owner of the call, through `Dues.tell`: what the dead process did and could not tell, or will
    never finish."""


@dataclass(slots=True)
class _Request:
    """Keys that are being pressed."""

    order: PressKeys
    pressed: int = 0
    """By processes that have died."""
    is_released: bool = False


class Dues:
    """Orders and reports of one leg, as they pass by."""

    def __init__(self, row: int, generation: int) -> None:
        self._row = row
        self._generation = generation
        self._open: OpenRow | None = None
        self._epoch = 0
        self._owes_flush = False
        self._requests: dict[int, _Request] = {}
        self._keys_told = 0
        self._has_voice = False
        self._is_ducked = False

    def order(self, command: Command) -> None:
        """Take note of what the leg orders."""
        match command:
            case OpenRow():
                self._open = command
            case UpdateRow(spec=spec, srtp=srtp) if self._open is not None:
                self._open = dataclasses.replace(self._open, spec=spec, srtp=srtp)
            case SetInterruptible(bits=bits) if self._open is not None:
                spec = dataclasses.replace(self._open.spec, interruptible=bits)
                self._open = dataclasses.replace(self._open, spec=spec)
            case FlushRow():
                self._owes_flush = True
            case PressKeys(ticket=ticket):
                self._requests[ticket] = _Request(command)
            case ReleaseKeys():
                for request in self._requests.values():
                    request.is_released = True
            case _:
                pass

    def tell(self, event: PlaneEvent) -> PlaneEvent:
        """Take note of what the media process reports; return it as the owner is to hear it."""
        match event:
            case Flushed(epoch=epoch, cause=cause):
                self._epoch, self._is_ducked = epoch, False
                if cause == "command":
                    self._owes_flush = False
            case VoiceStarted():
                self._has_voice = True
            case VoiceStopped():
                self._has_voice = False
            case Ducked():
                self._is_ducked = True
            case Resumed():
                self._is_ducked = False
            case KeysSent(ticket=ticket, count=count):
                request = self._requests.pop(ticket, None)
                count += request.pressed if request is not None else 0
                self._keys_told += count
                return dataclasses.replace(event, count=count)
            case _:
                pass
        return event

    def settle(self, columns: Columns, at: int, *, now_ns: int) -> Settlement | None:
        """Find what is due after the death of a process, which must be over; None if the leg was not opened.

        Args:
            columns: The memory that it left.
            at: The leg's row there.
            now_ns: When what could not be told any more is told.
        """
        if self._open is None:
            return None
        orders: list[Command] = [self._open]
        events: list[PlaneEvent] = []
        owes_flush = self._owes_flush
        if int(columns.generation[at]) == self._generation:
            for flushed in self._flushed(columns, at, now_ns):
                events.append(flushed)
                owes_flush = owes_flush and flushed.cause != "command"
            events += self._heard(columns, at, now_ns)
            self._count_keys(columns, at)
        if owes_flush:
            orders.append(FlushRow(self._row, self._generation))
        for ticket, request in self._requests.items():
            left = request.order.digits[request.pressed :]
            if left and not request.is_released:
                orders.append(dataclasses.replace(request.order, digits=left))
                continue
            events.append(KeysSent(self._row, self._generation, now_ns, ticket=ticket, count=0))
        return Settlement(orders, events)

    def _flushed(self, columns: Columns, at: int, now_ns: int) -> Sequence[Flushed]:
        """A flush that raised the epoch and was not told."""
        epoch = int(columns.epoch[at])
        if epoch == self._epoch:
            return ()
        number = int(columns.flush_cause[at])
        flushed = Flushed(
            self._row,
            self._generation,
            now_ns,
            position=int(columns.flush_position[at]),
            epoch=epoch,
            verdict_ns=now_ns,
            cause=FLUSH_CAUSES[number] if number < len(FLUSH_CAUSES) else "command",
        )
        return (flushed,)

    def _heard(self, columns: Columns, at: int, now_ns: int) -> Sequence[PlaneEvent]:
        """The new process hears every voice anew, and ends a duck only where it finds one."""
        told: list[PlaneEvent] = []
        if self._is_ducked and int(columns.floor_state[at]) != DUCKED:
            position = int(columns.played[at])
            told.append(Resumed(self._row, self._generation, now_ns, position=position))
        if self._has_voice:
            told.append(VoiceStopped(self._row, self._generation, now_ns, ended_ns=now_ns))
        return told

    def _count_keys(self, columns: Columns, at: int) -> None:
        """Share out the keys that were begun among the requests; one under way counts, it was heard."""
        begun = int(columns.tx_keys[at]) - self._keys_told
        for request in self._requests.values():
            pressed = max(0, min(begun, len(request.order.digits)))
            request.pressed = pressed
            begun -= pressed
