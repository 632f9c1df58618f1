"""Rows that a column cannot serve: their codecs, their packets, and the time of their RTP clocks.

A codec such as Opus or G.722 has a state for each leg, so packets are decoded and encoded one by one. Rows of
G.711 with packets of another length than 20 ms are packed here too, and decoded with all others.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from bridge.plane.codec import OPUS, RowDecoder, RowEncoder
from bridge.plane.columns import Columns
from bridge.plane.g711 import ENCODE
from bridge.plane.packetise import Packetiser
from bridge.plane.spec import RowSpec

__all__ = ["MakeCodec", "Piece", "RowCodecs"]

MakeCodec: TypeAlias = Callable[[RowSpec], tuple[RowDecoder, RowEncoder]]
Piece: TypeAlias = tuple[int, NDArray[np.int16]]
"""When it begins, in samples of the row, and its sound."""

_FRAME_MS = 20
_SLOTS_PER_S = 50
_DTX_BYTES = 2
"""A payload no longer than this says that there is nothing to hear (RFC 7587 §3.1.3)."""


class _Table:
    """G.711 of one row, whose frames are regrouped."""

    def __init__(self, codec: int) -> None:
        self._codec = codec

    def encode(self, pcm: NDArray[np.int16]) -> bytes:
        codes: NDArray[np.uint8] = ENCODE[self._codec].take(pcm.view(np.uint16))
        return codes.tobytes()


class RowCodecs:
    """Decoders and encoders by row.

    Args:
        columns: Shared columns.
        make: Makes a leg's codec; None where only tables are spoken.
    """

    def __init__(self, columns: Columns, make: MakeCodec | None = None) -> None:
        n = columns.capacity
        self._make = make
        self._rate_hz = columns.shape.rate_hz
        self._specs: dict[int, RowSpec] = {}
        self.decoders: dict[int, RowDecoder] = {}
        self._encoders: dict[int, RowEncoder] = {}
        self._packetisers: dict[int, Packetiser] = {}
        self.decodes: NDArray[np.bool_] = np.zeros(n, np.bool_)
        """Rows whose packets are decoded here."""
        # Timestamps as they came last, counted on through their wraps.
        self._timestamp = np.zeros(n, np.int64)
        self._clock_hz = np.full(n, self._rate_hz, np.int64)

    def __len__(self) -> int:
        """Rows that are served here."""
        return len(self._encoders)

    def open(self, row: int, spec: RowSpec) -> None:
        """Take a row into service, or what was negotiated anew for it: codecs that go on keep their state.

        Raises:
            ValueError: If the rows here have another rate, or nobody can make the codec.
        """
        if spec.rate_hz != self._rate_hz:
            raise ValueError(f"the rows here have {self._rate_hz} Hz, not {spec.rate_hz}")
        before = self._specs.get(row)
        if before is not None and _sound(before) == _sound(spec):
            return
        self.close(row)
        self._specs[row] = spec
        if not spec.is_by_column:
            if self._make is None:
                raise ValueError(f"nobody makes codec {spec.codec}")
            self.decoders[row], self._encoders[row] = self._make(spec)
            self.decodes[row] = True
            self._clock_hz[row] = spec.clock_hz
        elif spec.ptime_ms != _FRAME_MS:
            self._encoders[row] = _Table(spec.codec)
        if spec.ptime_ms != _FRAME_MS:
            self._packetisers[row] = Packetiser(spec.ptime_ms, spec.clock_hz // _SLOTS_PER_S)

    def close(self, row: int) -> None:
        """Forget a row; harmless when there is nothing to forget."""
        self._specs.pop(row, None)
        self.decoders.pop(row, None)
        self._encoders.pop(row, None)
        self._packetisers.pop(row, None)
        self.decodes[row] = False

    def restart(self, row: int) -> None:
        """Another source sends from now on: a decoder that knows nothing of the one before."""
        if row in self.decoders and self._make is not None:
            self.decoders[row], _ = self._make(self._specs[row])

    def samples(self, rows: NDArray[np.intp], timestamps: NDArray[np.int64]) -> NDArray[np.int64]:
        """Count timestamps of packets, just come, of these distinct rows in samples, without wraps."""
        before = self._timestamp[rows]
        now = before + (timestamps - before + 0x8000_0000 & 0xFFFF_FFFF) - 0x8000_0000
        self._timestamp[rows] = now
        counted: NDArray[np.int64] = now * self._rate_hz // self._clock_hz[rows]
        return counted

    def decode(
        self, row: int, sequence: int, timestamp: int, payload: bytes
    ) -> tuple[Piece | None, list[Piece]]:
        """Decode a packet that `samples` has counted; return its own sound, and what it tells beside.

        Raises:
            ValueError: If it is not of this codec.
        """
        own: Piece | None = None
        beside: list[Piece] = []
        here = int(self._timestamp[row])
        for when, pcm in self.decoders[row].receive(sequence, timestamp, payload):
            step = (when - timestamp + 0x8000_0000 & 0xFFFF_FFFF) - 0x8000_0000
            piece = (here + step) * self._rate_hz // int(self._clock_hz[row]), pcm
            if step == 0 and len(pcm):
                own = piece
            else:
                beside.append(piece)
        return own, beside

    def passes(self, row: int) -> bool:
        """Whether packets that the voice made may be sent as they are."""
        return self._specs[row].codec == OPUS

    def encode(self, row: int, pcm: NDArray[np.int16], timestamp: int) -> list[tuple[int, bytes]] | None:
        """Encode the frame of one slot; return timestamp and payload of every packet that leaves with it.

        An empty list means that a longer packet is not full yet, None that the codec has nothing to tell and
        we have nothing to say: the slot stays empty (RFC 7587 §3.1.3).
        """
        payload = self._encoders[row].encode(pcm)
        if len(payload) <= _DTX_BYTES and (not payload or not np.count_nonzero(pcm)):
            return None
        packetiser = self._packetisers.get(row)
        return [(timestamp, payload)] if packetiser is None else packetiser.put(payload, timestamp)

    def flush(self, row: int) -> list[tuple[int, bytes]]:
        """What of a row waits for its packet to be full: a key is about to be pressed."""
        packetiser = self._packetisers.get(row)
        return [] if packetiser is None else packetiser.flush()

    def rest(self, row: int) -> None:
        """A row sends nothing now: what waits will never be sent."""
        if (packetiser := self._packetisers.get(row)) is not None:
            packetiser.forget()


def _sound(spec: RowSpec) -> tuple[int, ...]:
    """Everything of a row that its codec depends on."""
    return (
        spec.codec,
        spec.ptime_ms,
        spec.opus_bitrate,
        spec.opus_fec,
        spec.opus_dtx,
        spec.opus_max_rate_hz,
        spec.opus_loss_percent,
    )
