"""What a row sends while it has nothing to say, where the peer takes comfort noise (RFC 3389).

One SID at the begin of a silence, then nothing but a SID now and then. Sequence numbers count the packets
that are sent, timestamps run on, and the first packet of sound after it has the marker (RFC 3551 §4.1).
"""

import numpy as np
from numpy.typing import NDArray

from bridge.plane.columns import Columns
from bridge.plane.floor import DUCKED
from bridge.plane.masks import somewhere
from bridge.plane.playout import Survey
from bridge.plane.rows import Rows
from bridge.plane.spec import RowSpec

__all__ = ["SID", "Pause", "Pauses"]

SID = bytes([127])
"""How our silence sounds: digital silence is -127 dBov, and has no spectrum (§3)."""

_REFRESH_SLOTS = 50
"""A SID a second: of the timers that watch a stream the shortest known count 5 s, and forget no stream for
losing a packet or two; NAT bindings last longer. It is 2 % of the packets that silence would be."""
_FIRST_SLOTS = 5
"""A stream begins with sound, be it silence: peers that learn its source from it want up to four packets."""


class Pause:
    """What becomes of the slots of one tick; masks over its rows."""

    __slots__ = ("rests", "sids")

    def __init__(self, rests: NDArray[np.bool_], sids: NDArray[np.bool_]) -> None:
        self.rests: NDArray[np.bool_] = rests
        """Rows that send no sound."""
        self.sids: NDArray[np.bool_] = sids
        """Those of them that send a SID; the others send nothing."""


class Pauses:
    """The silences of every row.

    Args:
        columns: Shared columns.
        rows: Where our streams stand.
    """

    def __init__(self, columns: Columns, rows: Rows) -> None:
        n = columns.capacity
        self._columns = columns
        self._rows = rows
        self._takes = np.zeros(n, np.bool_)
        self._remote_key = np.zeros(n, np.int64)
        # Slots that are still sent as sound, and slots until the next SID.
        self._first = np.zeros(n, np.int64)
        self._left = np.zeros(n, np.int64)
        self.count: int = 0
        """Rows whose peer takes comfort noise; without any, nothing else of this needs to be asked."""

    def open(self, row: int, spec: RowSpec) -> None:
        """Take a row into service, or what was negotiated anew for it."""
        did = self._takes[row]
        self._takes[row] = spec.comfort_payload_type >= 0
        self.count += int(self._takes[row]) - int(did)
        if not did or self._remote_key[row] != spec.remote_key:
            self._first[row], self._left[row] = _FIRST_SLOTS, 0
        self._remote_key[row] = spec.remote_key

    def close(self, row: int) -> None:
        """Forget a row; harmless when there is nothing to forget."""
        self.count -= int(self._takes[row])
        self._takes[row] = False

    def waits(
        self,
        rows: NDArray[np.intp],
        survey: Survey,
        sends: NDArray[np.bool_],
        keys: NDArray[np.bool_] | None,
    ) -> NDArray[np.bool_]:
        """Where there is nothing to say, before anything is taken out of the rings.

        Late speech, a duck, a hold and keys of ours are no such silence.
        """
        is_ducked = self._columns.floor_state[rows] == DUCKED
        talks = sends if keys is None else sends & ~keys
        waits: NDArray[np.bool_] = (
            self._takes[rows] & talks & ~survey.open & (survey.available == 0) & ~is_ducked
        )
        return waits

    def step(
        self,
        rows: NDArray[np.intp],
        pcm: NDArray[np.int16],
        *,
        waits: NDArray[np.bool_],
        sends: NDArray[np.bool_],
    ) -> Pause:
        """Choose what these distinct rows send in this slot: no sound where they wait and nothing is heard.

        A bed is heard, and so is the end of what was cut off.
        """
        places = waits.nonzero()[0]
        rests = waits.copy()
        rests[places] = (self._first[rows[places]] == 0) & ~pcm[places].any(axis=1)
        self._first[rows] = np.maximum(self._first[rows] - sends, 0)
        left = np.where(rests, self._left[rows], 0)
        sids = rests & (left == 0)
        self._left[rows] = np.where(sids, _REFRESH_SLOTS, left) - rests
        self._columns.tx_comfort[rows] += sids.astype(np.uint64)
        return Pause(rests, sids)

    def payload_types(self, rows: NDArray[np.intp]) -> NDArray[np.uint8]:
        """Second byte of the header of each row's SID: the marker is for sound."""
        return self._rows.comfort_payload_type[rows].astype(np.uint8)

    def end_slot(self, rows: NDArray[np.intp], pause: Pause) -> None:
        """The next packet of sound of those that rest is the first after a silence."""
        if somewhere(pause.rests):
            self._rows.marker[rows[pause.rests]] = 0x80
