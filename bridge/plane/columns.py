"""Every column that the media process and the control process share, and where it lies in their memory.

One row per leg. A column has exactly one writer, named below; the other side only reads. All words are
8-byte aligned, so a load or store of one is never torn. Indices are published after the samples they cover.
"""

from collections.abc import Iterator
from functools import cache
from mmap import mmap

import numpy as np
from numpy.typing import DTypeLike, NDArray

from bridge.plane.shape import NARROW, Shape

__all__ = [
    "CAPTURE_SAMPLES",
    "COUNTERS",
    "FRAME_SAMPLES",
    "PACKET_BYTES",
    "PLAY_SAMPLES",
    "QUALITIES",
    "Columns",
    "nowhere",
]

FRAME_SAMPLES = NARROW.frame
"""Samples of one packet that we send: 20 ms at 8 kHz."""
PLAY_SAMPLES = NARROW.play
"""Room of one playout ring: 4.096 s at 8 kHz; a power of two."""
CAPTURE_SAMPLES = NARROW.capture
"""Room of one lane of a capture ring: 2.08 s at 8 kHz, a whole number of frames."""
PACKET_BYTES = 320
"""Longest Opus packet of 20 ms that is passed on: 128 kbit/s."""

COUNTERS = (
    "rx_packets",
    "rx_malformed",
    "rx_stranger",
    "rx_late",
    "rx_duplicate",
    "rx_lost",
    "rx_concealed",
    "rx_wrong_payload",
    "tx_packets",
    "tx_late",
    "silence_idle",
    "silence_tts_late",
    "silence_bridge_late",
    "silence_held",
    "silence_ducked",
    "ducked_samples",
    "rtcp_received",
    "rtcp_sent",
    "rtcp_malformed",
    "rtcp_stranger",
    "rtcp_excess",
    "rtcp_bye",
    "rx_keys_ignored",
    "tx_keys",
    "silence_keys",
    "bed_packets",
    "tx_passed",
    "tx_comfort",
    "rx_srtp_auth",
    "rx_srtp_replay",
    "tx_srtp_failed",
)
"""Names of the counters of a row; each is a column of unsigned 64-bit words."""

QUALITIES = (
    "loss_in",
    "loss_out",
    "jitter_out_ticks",
    "round_trip_ms",
    "mos_in",
    "mos_out",
    "mos_in_lowest",
    "mos_out_lowest",
)
"""Names of what is known of a row's network, both ways; each is a column of floats, 0 while unknown."""

_CACHE_LINE_BYTES = 64

_WORDS = (
    "play_stamp",
    "play_start",
    "play_write",
    "play_open",
    "generation",
    "epoch",
    "played",
    "floor_state",
    "last_rx_ns",
    "latched",
    "depth_samples",
    "capture_write",
    *COUNTERS,
    "question",
    "sensitivity",
    "flush_cause",
    "srtp_tx_end",
    "srtp_rx_end",
    "srtp_rx_ssrc",
    "srtcp_sent",
)


def _layout(capacity: int, shape: Shape) -> Iterator[tuple[str, DTypeLike, tuple[int, ...], int, int]]:
    """Yield name, dtype, shape, offset and end of every column, in the order in which they lie."""
    fields: list[tuple[str, DTypeLike, tuple[int, ...]]] = [(name, np.uint64, (capacity,)) for name in _WORDS]
    fields += [
        ("remote_key", np.int64, (capacity,)),
        ("jitter_ticks", np.float64, (capacity,)),
        ("play_samples", np.int16, (capacity, shape.play)),
        ("capture", np.int16, (capacity, 2, shape.capture)),
        ("lost_out", np.int64, (capacity,)),
        ("tx_sequence", np.int64, (capacity,)),
        ("tx_timestamp", np.int64, (capacity,)),
        ("tx_due_ns", np.int64, (capacity,)),
        ("tx_octets", np.int64, (capacity,)),
        ("flush_position", np.int64, (capacity,)),
        ("signalled_key", np.int64, (capacity,)),
        ("level_db", np.float64, (capacity, 2)),
        ("packet_stamp", np.uint64, (capacity, shape.packets)),
        ("packet_begin", np.int64, (capacity, shape.packets)),
        ("packet_length", np.int64, (capacity, shape.packets)),
        ("packet_bytes", np.uint8, (capacity, shape.packets, PACKET_BYTES)),
    ]
    fields += [(name, np.float64, (capacity,)) for name in QUALITIES]
    offset = 0
    for name, dtype, size in fields:
        end = offset + int(np.prod(size)) * np.dtype(dtype).itemsize
        yield name, dtype, size, offset, end
        offset = -(-end // _CACHE_LINE_BYTES) * _CACHE_LINE_BYTES


class Columns:
    """Named arrays over one piece of memory; index = row.

    Args:
        buffer: Writable memory of at least `size_bytes` bytes, zeroed at first use.
        capacity: Number of rows.
        shape: Audio rate of all of them.

    Raises:
        ValueError: If the buffer is too small.
    """

    # Written by control: the playout ring and its header.
    play_samples: NDArray[np.int16]
    """Samples of the playout ring, ``[n, shape.play]``."""
    play_stamp: NDArray[np.uint64]
    """``generation << 32 | epoch`` of everything in ``[play_start, play_write)``."""
    play_start: NDArray[np.uint64]
    """Absolute index of the first sample under the present stamp."""
    play_write: NDArray[np.uint64]
    """Absolute index after the last sample written."""
    play_open: NDArray[np.uint64]
    """1 while the utterance being written has more to come."""

    packet_begin: NDArray[np.int64]
    """``[n, shape.packets]``: index in the playout ring of the first sample of each Opus packet."""
    packet_stamp: NDArray[np.uint64]
    """``generation << 32 | epoch`` of each."""
    packet_length: NDArray[np.int64]
    """Bytes of each; 0 = none."""
    packet_bytes: NDArray[np.uint8]
    """``[n, shape.packets, PACKET_BYTES]``."""

    # Written by the plane: the status line.
    generation: NDArray[np.uint64]
    """Which leg owns the row; 0 while it is free."""
    epoch: NDArray[np.uint64]
    """Raised by one at every flush; what was written under an older one is never played."""
    played: NDArray[np.uint64]
    """Absolute index of the next sample to be played: everything before it was sent or flushed."""
    floor_state: NDArray[np.uint64]
    """A `bridge.plane.floor.FloorState`."""
    last_rx_ns: NDArray[np.uint64]
    """When the last believed packet arrived; 0 = never."""
    remote_key: NDArray[np.int64]
    """Where we send: ``ip << 16 | port``; 0 = unknown."""
    signalled_key: NDArray[np.int64]
    """Where signalling last told to send, in the same form."""
    latched: NDArray[np.uint64]
    """1 once the source of the peer's media is known by its packets."""
    jitter_ticks: NDArray[np.float64]
    """Interarrival jitter (RFC 3550 §6.4.1), in ticks of 8 kHz."""
    depth_samples: NDArray[np.uint64]
    """Sound that waits in the jitter ring, in ticks of 8 kHz."""

    rx_packets: NDArray[np.uint64]
    """Packets from the believed source, whatever became of them."""
    rx_malformed: NDArray[np.uint64]
    """Datagrams that are no RTP."""
    rx_stranger: NDArray[np.uint64]
    """Packets from a source that is not believed."""
    rx_late: NDArray[np.uint64]
    """Packets whose time had passed for good."""
    rx_duplicate: NDArray[np.uint64]
    """Packets that had arrived before."""
    rx_lost: NDArray[np.uint64]
    """Sequence numbers that never came (one that comes late is taken off again)."""
    rx_concealed: NDArray[np.uint64]
    """Slots of 10 ms filled by concealment."""
    rx_wrong_payload: NDArray[np.uint64]
    """Packets of a payload type that was not negotiated, or without payload."""
    tx_packets: NDArray[np.uint64]
    """Packets built."""
    tx_late: NDArray[np.uint64]
    """Packets that left more than 20 ms after they were due."""
    silence_idle: NDArray[np.uint64]
    """Slots in which there was nothing to say: silent packets, or rests where comfort noise was agreed."""
    silence_tts_late: NDArray[np.uint64]
    """Silent packets because an open utterance had too few samples."""
    silence_bridge_late: NDArray[np.uint64]
    """Slots in which nothing was sent because we were too late for them."""
    silence_held: NDArray[np.uint64]
    """Slots in which nothing was sent because the leg is on hold."""
    silence_ducked: NDArray[np.uint64]
    """Silent packets because the caller spoke."""
    ducked_samples: NDArray[np.uint64]
    """Length of all those, in samples."""
    rx_keys_ignored: NDArray[np.uint64]
    """Events that are no keys or last no time, and keys that come faster than anyone presses them."""
    tx_keys: NDArray[np.uint64]
    """Keys that we have pressed."""
    silence_keys: NDArray[np.uint64]
    """Packets without speech because we were pressing keys: theirs, and those of the pauses after them."""
    rx_srtp_auth: NDArray[np.uint64]
    """Datagrams on an encrypted leg that were not made with its keys, cleartext among them."""
    rx_srtp_replay: NDArray[np.uint64]
    """Encrypted packets that came again, or too late to tell."""
    tx_srtp_failed: NDArray[np.uint64]
    """Packets that could not be encrypted, and so were not sent."""

    srtp_tx_end: NDArray[np.uint64]
    """SRTP index after that of the last packet sent: ``rollover counter << 16 | sequence number``."""
    srtp_rx_end: NDArray[np.uint64]
    """SRTP index after the highest one received; 0 = none."""
    srtp_rx_ssrc: NDArray[np.uint64]
    """Stream that `srtp_rx_end` counts."""
    srtcp_sent: NDArray[np.uint64]
    """SRTCP packets made under the present keys."""

    tx_passed: NDArray[np.uint64]
    """Opus packets that left as the voice made them."""
    tx_comfort: NDArray[np.uint64]
    """Packets that say how our silence sounds, where the peer takes comfort noise (RFC 3389)."""

    bed_packets: NDArray[np.uint64]
    """Packets with a bed in them, speech on top of it or not: a bed is no speech, and no other count knows
    of it."""

    capture: NDArray[np.int16]
    """``[n, 2, shape.capture]``: lane 0 what the caller said, lane 1 what we sent."""
    capture_write: NDArray[np.uint64]
    """Absolute index after the last sample of both lanes."""
    question: NDArray[np.uint64]
    """Which voice is to be judged (see `bridge.plane.inquiry`); 0 = none."""
    sensitivity: NDArray[np.uint64]
    """How easily the row is interrupted: 0 low, 1 medium, 2 high."""
    level_db: NDArray[np.float64]
    """``[n, 2]``: loudness of what the caller said and of what we sent, over full scale, falling slowly."""

    tx_sequence: NDArray[np.int64]
    """Sequence number of our next packet. Raised before the packet that had it is sent: whoever takes over
    finds none here that was used."""
    tx_timestamp: NDArray[np.int64]
    """Timestamp of our next packet."""
    tx_due_ns: NDArray[np.int64]
    """When that packet is due."""
    tx_octets: NDArray[np.int64]
    """Bytes of payload that were sent."""
    flush_position: NDArray[np.int64]
    """Index after the last sample that was sent before the last flush."""
    flush_cause: NDArray[np.uint64]
    """What caused it: an index into `bridge.plane.events.FLUSH_CAUSES`."""

    rtcp_received: NDArray[np.uint64]
    """Compound RTCP packets from the peer."""
    rtcp_sent: NDArray[np.uint64]
    """Compound RTCP packets built."""
    rtcp_malformed: NDArray[np.uint64]
    """Datagrams from the peer that should be RTCP and are not."""
    rtcp_stranger: NDArray[np.uint64]
    """RTCP from a source that is not believed, or about another stream."""
    rtcp_excess: NDArray[np.uint64]
    """RTCP from the peer beyond what is read within a second."""
    rtcp_bye: NDArray[np.uint64]
    """Times that the peer said goodbye to its stream; signalling ends the call."""

    loss_in: NDArray[np.float64]
    """Part of the peer's packets that was lost or too late, over the last seconds."""
    loss_out: NDArray[np.float64]
    """Part of ours that was lost, by the peer's last report."""
    lost_out: NDArray[np.int64]
    """Packets of ours lost since the beginning, by the peer's last report."""
    jitter_out_ticks: NDArray[np.float64]
    """Jitter of our stream, by the peer's last report, in ticks of 8 kHz."""
    round_trip_ms: NDArray[np.float64]
    """Network there and back, by the peer's last report that told it."""
    mos_in: NDArray[np.float64]
    """Mean opinion score of what we hear, now."""
    mos_out: NDArray[np.float64]
    """Mean opinion score of what the peer hears, as far as its reports tell."""
    mos_in_lowest: NDArray[np.float64]
    """The lowest that `mos_in` has been."""
    mos_out_lowest: NDArray[np.float64]
    """The lowest that `mos_out` has been."""

    def __init__(self, buffer: memoryview | mmap | bytearray, capacity: int, shape: Shape = NARROW) -> None:
        if (have := memoryview(buffer).nbytes) < (need := self.size_bytes(capacity, shape)):
            raise ValueError(f"{capacity} rows need {need} bytes, not {have}")
        self.capacity: int = capacity
        self.shape: Shape = shape
        """Lengths of the rings, which go with the rate of the rows."""
        self._all: list[NDArray[np.generic]] = []
        for name, dtype, size, offset, _end in _layout(capacity, shape):
            column = np.frombuffer(buffer, dtype=dtype, count=int(np.prod(size)), offset=offset)
            setattr(self, name, column.reshape(size))
            self._all.append(getattr(self, name))

    @staticmethod
    def size_bytes(capacity: int, shape: Shape = NARROW) -> int:
        """Memory that `capacity` rows of this shape take."""
        *_, last = _layout(capacity, shape)
        return last[-1]

    def clear(self, row: int) -> None:
        """Zero everything of one row, its sound included, so that no later leg can hear it."""
        for column in self._all:
            column[row] = 0

    def counters(self, row: int) -> dict[str, int]:
        """Present values of the counters of one row, by name."""
        return {name: int(getattr(self, name)[row]) for name in COUNTERS}


@cache
def nowhere() -> Columns:
    """One row in memory of our own that no leg ever has: for whoever has let go of the shared one."""
    return Columns(bytearray(Columns.size_bytes(1)), 1)
