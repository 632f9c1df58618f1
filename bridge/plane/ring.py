"""The control process's ends of the rings: it writes what shall be played and reads what was heard and sent.

Single producer, single consumer, no lock: samples are stored before the index that covers them, and a reader
checks the row's generation before and after it copies. x86 and the interpreter keep those stores in order.
"""

import numpy as np
from numpy.typing import NDArray

from bridge.plane.columns import PACKET_BYTES, Columns, nowhere
from bridge.plane.passing import is_passable

__all__ = ["CaptureReader", "PlayoutWriter", "stamp_of"]


def stamp_of(generation: int, epoch: int) -> int:
    """What `Columns.play_stamp` holds for samples of this leg and this epoch."""
    return generation << 32 | epoch & 0xFFFF_FFFF


class PlayoutWriter:
    """Writes speech into one row's playout ring.

    A turn reads `epoch` once at its start and hands it to every call. After a flush, and before the plane
    has opened the row, nothing is accepted; compare `epoch` to tell a flush from a full ring.
    """

    def __init__(self, columns: Columns, row: int, generation: int) -> None:
        self._columns = columns
        self._row = row
        self._generation = generation
        # An utterance opened a moment before the plane has opened the row is open from its first sample on.
        self._open_epoch: int | None = None

    def detach(self) -> None:
        """Let go of the shared memory, as if the leg were over: it may be unmapped before this goes."""
        self._columns, self._row = nowhere(), 0

    @property
    def is_open(self) -> bool:
        """Whether the plane carries this leg: false before it opened the row and after it closed it."""
        return int(self._columns.generation[self._row]) == self._generation

    @property
    def epoch(self) -> int:
        """Present epoch of the row."""
        return int(self._columns.epoch[self._row]) if self.is_open else 0

    @property
    def played(self) -> int:
        """Index of the next sample to be played."""
        return int(self._columns.played[self._row]) if self.is_open else 0

    @property
    def write_index(self) -> int:
        """Index that the next sample written will have."""
        return int(self._columns.play_write[self._row]) if self.is_open else 0

    @property
    def ahead(self) -> int:
        """Samples written and not yet played.

        Those that a flush forgot are not among them, though `played` passes them only with the next frame.
        """
        if not self.is_open:
            return 0
        columns, row = self._columns, self._row
        if int(columns.play_stamp[row]) != stamp_of(self._generation, int(columns.epoch[row])):
            return 0  # What lies in the ring is stale and will not be read.
        return int(columns.play_write[row]) - max(int(columns.played[row]), int(columns.play_start[row]))

    def free(self) -> int:
        """Samples that the ring would accept now under the present epoch."""
        if not self.is_open:
            return 0
        waiting = self.ahead
        # The plane may erase the row between two of these loads; then nothing fits.
        room = self._columns.shape.play
        return room - waiting if 0 <= waiting <= room else 0

    def is_current(self, epoch: int) -> bool:
        """Whether a write under this epoch would be heard."""
        return self.is_open and int(self._columns.epoch[self._row]) == epoch

    def begin(self, epoch: int) -> bool:
        """Let everything written from now on belong to `epoch`; false if that epoch is over."""
        if not self.is_current(epoch):
            return False
        columns, row = self._columns, self._row
        stamp = stamp_of(self._generation, epoch)
        if int(columns.play_stamp[row]) != stamp:
            # The plane trusts start and open once it sees the stamp: the stamp goes last.
            columns.play_open[row] = 0
            columns.play_start[row] = columns.play_write[row]
            columns.play_stamp[row] = stamp
            columns.play_open[row] = self._open_epoch == epoch
        return True

    def open_utterance(self, epoch: int) -> bool:
        """More speech is coming: until `close_utterance`, an empty ring means that it is late."""
        self._open_epoch = epoch
        if not self.begin(epoch):
            return False
        self._columns.play_open[self._row] = 1
        return True

    def close_utterance(self, epoch: int) -> bool:
        """Nothing more is coming: the last partial frame may be played, padded with silence."""
        self._open_epoch = None
        if not self.begin(epoch):
            return False
        self._columns.play_open[self._row] = 0
        return True

    def write(self, pcm: NDArray[np.int16], *, epoch: int) -> int:
        """Append samples at the row's rate; return how many were taken: 0 under an epoch that is over."""
        if not self.begin(epoch):
            return 0
        columns, row = self._columns, self._row
        count = min(len(pcm), self.free())
        write = int(columns.play_write[row])
        ring = columns.play_samples[row]
        at = write % len(ring)
        first = min(count, len(ring) - at)
        ring[at : at + first] = pcm[:first]
        ring[: count - first] = pcm[first:count]
        columns.play_write[row] = write + count
        return count

    def write_packet(self, payload: bytes, pcm: NDArray[np.int16], *, epoch: int, skip: int = 0) -> int:
        """Append an Opus packet and the sound it decodes to: all of it, or nothing if there is no room.

        A packet of one mono frame of 20 ms that begins where frames of the row begin is sent as it is, unless
        something is done to its sound; of others, and of those with `skip`, the sound is.

        Args:
            payload: The packet.
            pcm: What it decodes to, at the row's rate.
            epoch: As for `write`.
            skip: Samples at its begin that are not to be heard (pre-skip of Ogg Opus, RFC 7845 §4.2): they
                become silence, so that the packets after it keep their places.

        Returns:
            Samples taken: those of `pcm` or none.
        """
        if not self.begin(epoch) or self.free() < len(pcm):
            return 0
        columns, row = self._columns, self._row
        frame = columns.shape.frame
        if skip:
            pcm = np.concatenate((np.zeros(min(skip, len(pcm)), np.int16), pcm[skip:]))
        elif len(pcm) == frame and len(payload) <= PACKET_BYTES and is_passable(payload):
            write = int(columns.play_write[row])
            slot = write // frame % columns.shape.packets
            # The plane looks for it once the samples are there: they come after it.
            columns.packet_length[row, slot] = 0
            columns.packet_bytes[row, slot, : len(payload)] = np.frombuffer(payload, np.uint8)
            columns.packet_stamp[row, slot] = stamp_of(self._generation, epoch)
            columns.packet_begin[row, slot] = write
            columns.packet_length[row, slot] = len(payload)
        return self.write(pcm, epoch=epoch)


class CaptureReader:
    """Reads what the caller said (lane 0) and what we sent (lane 1), in step, from the opening of the row."""

    def __init__(self, columns: Columns, row: int, generation: int) -> None:
        self._columns = columns
        self._row = row
        self._generation = generation
        self._read = 0
        # What may be trusted: the plane writes a frame before it publishes the index.
        self._safe_samples = columns.shape.capture - 2 * columns.shape.frame
        self.skipped_samples: int = 0
        """Samples that were overwritten before they were read."""

    @property
    def is_open(self) -> bool:
        """Whether the row still belongs to this leg."""
        return int(self._columns.generation[self._row]) == self._generation

    @property
    def position(self) -> int:
        """Index of the next sample that `read` returns: samples since the row was opened."""
        return self._read

    def available(self) -> int:
        """Samples that wait in each lane, those already overwritten included."""
        return int(self._columns.capture_write[self._row]) - self._read if self.is_open else 0

    def keep_last(self, samples: int) -> int:
        """Pass over all but the newest `samples` without copying them; return how many wait now."""
        self._read = max(self._read, int(self._columns.capture_write[self._row]) - samples)
        return self.available()

    def read(self, max_samples: int) -> NDArray[np.int16]:
        """Return ``[2, k]`` samples, k ≤ `max_samples`; empty once the row was given away."""
        columns, row = self._columns, self._row
        if not self.is_open:
            return np.empty((2, 0), np.int16)
        self._skip_to(int(columns.capture_write[row]) - self._safe_samples)
        start = self._read
        count = max(0, min(max_samples, int(columns.capture_write[row]) - start))
        lanes = columns.capture[row]
        at = start % columns.shape.capture
        first = min(count, columns.shape.capture - at)
        samples = np.concatenate((lanes[:, at : at + first], lanes[:, : count - first]), axis=1)
        # The writer may have come round while we copied: what it reached is not ours to return.
        self._skip_to(int(columns.capture_write[row]) - self._safe_samples)
        if not self.is_open:
            return np.empty((2, 0), np.int16)
        lost = min(self._read - start, count)
        self._read = max(self._read, start + count)
        return samples[:, lost:]

    def _skip_to(self, oldest: int) -> None:
        if oldest > self._read:
            self.skipped_samples += oldest - self._read
            self._read = oldest
