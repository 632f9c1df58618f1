"""What a process that died has left of a row, in the words that it shared: enough to go on from.

Every word is whole, because it is one store; two of them may disagree by a step, where it died between
their stores. What cannot be true is replaced by what signalling says.
"""

from dataclasses import dataclass
from typing import Self

from bridge.plane.columns import Columns
from bridge.plane.floor import IDLE, FloorState
from bridge.plane.spec import RowSpec

__all__ = ["Remains"]

_HOUR_NS = 3_600_000_000_000


@dataclass(frozen=True, slots=True)
class Remains:
    """Where a row stood when its process died."""

    sequence: int
    """Of the next packet: none with it, or after it, was sent."""
    timestamp: int
    due_ns: int
    floor_state: int
    remote_key: int

    @classmethod
    def of(cls, columns: Columns, row: int, spec: RowSpec, *, now_ns: int) -> Self | None:
        """Read them; None if the row holds nothing of this leg, which then begins anew.

        Generations are never given twice, so this one can only stand there because the leg was carried.
        """
        if int(columns.generation[row]) != spec.generation:
            return None
        due_ns, state = int(columns.tx_due_ns[row]), int(columns.floor_state[row])
        key = int(columns.remote_key[row])
        # A re-INVITE that it did not hear of any more may name another address.
        has_key = key > 0 and int(columns.signalled_key[row]) == spec.remote_key
        return cls(
            sequence=int(columns.tx_sequence[row]) & 0xFFFF,
            timestamp=int(columns.tx_timestamp[row]) & 0xFFFF_FFFF,
            due_ns=due_ns if now_ns - _HOUR_NS < due_ns <= now_ns + _HOUR_NS else now_ns,
            floor_state=state if state in tuple(FloorState) else IDLE,
            remote_key=key if has_key else spec.remote_key,
        )
