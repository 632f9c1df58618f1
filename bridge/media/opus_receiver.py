"""Decodes one leg's Opus as it arrives; makes good what is lost or late (RFC 6716 §4.2.4, RFC 7587 §4.4).

A packet is decoded at once. One that comes after a gap first gives what was lost: the frame just before it
from its own in-band FEC, if it carries that, and the rest made up from the sound before. A straggler that
belongs in the gap finds the decoder's state kept from before it: all is decoded again from there, in order.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bridge.media.hold import Hold
from bridge.media.opus_codec import (
    CLOCK_HZ,
    LONGEST_PACKET_TICKS,
    OpusDecoder,
    carries_previous,
    packet_ticks,
)

__all__ = ["OpusReceiver"]

Pieces = list[tuple[int, NDArray[np.int16]]]

_LONGEST_GAP_TICKS = LONGEST_PACKET_TICKS
"""A longer gap is not filled: what is made up has faded to nothing by then."""
_STEP_TICKS = CLOCK_HZ // 400
"""Opus makes up sound in steps of 2.5 ms."""
_KEPT_PACKETS = 5
"""A straggler that comes after more packets than these is too late: 100 ms, as a rule."""
_KEPT_STATES = 2
_MOST_MISORDERED = 100
"""A packet further behind is not late: the sender began again (RFC 3550 §A.1)."""


@dataclass(slots=True)
class _Gap:
    """Where something is missing: the decoder as it was before, and what has come since."""

    state: bytes
    sequence: int
    heard_end: int
    heard_ticks: int
    hold: tuple[NDArray[np.int16], float]
    since: list[tuple[int, int, bytes]] = field(default_factory=list)


class OpusReceiver:
    """A `RowDecoder` for Opus.

    Args:
        rate_hz: Of the sound given out: 8000, 16000, 24000 or 48000.

    Raises:
        SetupError: If there is no libopus.
    """

    def __init__(self, rate_hz: int) -> None:
        self._decoder = OpusDecoder(rate_hz)
        self._hold = Hold(rate_hz)
        self._ticks_per_sample = CLOCK_HZ // rate_hz
        self._has_heard = False
        self._sequence = 0
        self._heard_end = 0
        """Timestamp behind the newest packet."""
        self._heard_ticks = 0
        """How long the newest packet was."""
        self._made_up = 0
        """Ticks that were made up since."""
        self._gaps: list[_Gap] = []
        self.carried_lost: bool = False
        """Whether the last packet carries again the frame before it, which is lost."""

    def receive(self, sequence: int, timestamp: int, payload: bytes) -> Pieces:
        """Decode one packet, with what it tells about those before it.

        Returns:
            Timestamp and samples of each piece, oldest first. A straggler gives the pieces after it again,
            better than they were. A packet that came before, or too late, gives none.

        Raises:
            ValueError: If it is no Opus; nothing has changed.
        """
        ahead = _signed(sequence - self._sequence, 16)
        if not self._has_heard or ahead <= -_MOST_MISORDERED:
            carries_previous(payload)  # Raises while nothing has changed.
            self._begin(sequence, timestamp)
            return self._advance(sequence, timestamp, payload)
        is_late = self._made_up > 0 and _signed(timestamp - self._end, 32) < 0
        if ahead > 0 and not is_late:
            return self._advance(sequence, timestamp, payload)
        return self._put_in(sequence, timestamp, payload, is_new=ahead > 0)

    def conceal(self, samples: int) -> NDArray[np.int16] | None:
        """Make up what was to come after all that has come; in silence it is the far end's noise.

        To be asked only where nothing newer waits to be played. None before the first packet.
        """
        if not self._has_heard:
            return None
        ticks = samples * self._ticks_per_sample
        whole = -(-ticks // _STEP_TICKS) * _STEP_TICKS
        if not self._made_up:
            self._keep()
        begin = self._made_up // self._ticks_per_sample
        self._made_up += whole
        if self._made_up > _LONGEST_GAP_TICKS:
            self._gaps.clear()  # So much is not decoded again: whoever comes now goes on from here.
        made = self._decoder.conceal(whole // self._ticks_per_sample)
        return self._hold.carry(made, begin=begin)[:samples]

    @property
    def _end(self) -> int:
        return self._heard_end + self._made_up

    def _begin(self, sequence: int, timestamp: int) -> None:
        self._has_heard, self._sequence = True, sequence - 1 & 0xFFFF
        self._heard_end, self._made_up, self._heard_ticks = timestamp, 0, 0
        self._gaps.clear()

    def _put_in(self, sequence: int, timestamp: int, payload: bytes, *, is_new: bool) -> Pieces:
        """Decode what belongs before sound that was given out already."""
        for at in range(len(self._gaps) - 1, -1, -1):
            gap = self._gaps[at]
            if _signed(sequence - gap.sequence, 16) > 0:
                break
        else:
            return self._advance(sequence, timestamp, payload) if is_new else []
        if any(known == sequence for known, _, _ in gap.since):
            return []
        carries_previous(payload)
        late = [*gap.since, (sequence, timestamp, payload)]
        late.sort(key=lambda packet: _signed(packet[0] - gap.sequence, 16))
        self._decoder.restore(gap.state)
        self._hold.restore(gap.hold)
        self._sequence, self._heard_end, self._heard_ticks = gap.sequence, gap.heard_end, gap.heard_ticks
        self._made_up = 0
        del self._gaps[at:]
        for older in self._gaps:
            older.since = [known for known in older.since if _signed(known[0] - gap.sequence, 16) <= 0]
        return [piece for packet in late for piece in self._advance(*packet)]

    def _advance(self, sequence: int, timestamp: int, payload: bytes) -> Pieces:
        """Decode the newest packet, filling the gap before it."""
        ticks = packet_ticks(payload)
        lost = _signed(sequence - self._sequence, 16) - 1
        has_previous = lost > 0 and carries_previous(payload)
        if lost and not self._made_up:
            self._keep()
        gap_ticks = _signed(timestamp - self._end, 32)
        # More time than packets: there was silence in between, and nobody knows where.
        self.carried_lost = has_previous and gap_ticks + self._made_up == lost * self._heard_ticks
        made: NDArray[np.int16] | None = None
        if gap_ticks > 0 and gap_ticks % _STEP_TICKS == 0:
            made = self._fill(payload, gap_ticks, self.carried_lost)
        sound = self._decoder.decode(payload)
        pieces: Pieces = []
        if made is not None:
            begin = timestamp - len(made) * self._ticks_per_sample & 0xFFFFFFFF
            pieces = [(begin, self._held(made, sound, self.carried_lost))]
        pieces.append((timestamp, self._hold.hear(sound)))
        self._sequence, self._made_up = sequence, 0
        self._heard_end, self._heard_ticks = timestamp + ticks & 0xFFFFFFFF, ticks
        for gap in self._gaps:
            gap.since.append((sequence, timestamp, payload))
        self._gaps = [gap for gap in self._gaps if len(gap.since) <= _KEPT_PACKETS]
        return pieces

    def _fill(self, payload: bytes, gap_ticks: int, has_previous: bool) -> NDArray[np.int16] | None:
        """Sound of the gap, up to the packet behind it; none where it is too long."""
        if has_previous:
            wanted = gap_ticks if gap_ticks <= _LONGEST_GAP_TICKS else self._heard_ticks
            return self._decoder.recover(payload, wanted // self._ticks_per_sample)
        if gap_ticks > _LONGEST_GAP_TICKS:
            return None
        return self._decoder.conceal(gap_ticks // self._ticks_per_sample)

    def _held(
        self, made: NDArray[np.int16], behind: NDArray[np.int16], has_previous: bool
    ) -> NDArray[np.int16]:
        """The gap with its level held; what its last frame tells again is as it was sent."""
        real = min(len(made), self._heard_ticks // self._ticks_per_sample) if has_previous else 0
        if not real:
            return self._hold.bridge(made, behind)
        told = made[-real:]
        if real == len(made):
            return self._hold.hear(told)
        return np.concatenate((self._hold.bridge(made[:-real], told), self._hold.hear(told)))

    def _keep(self) -> None:
        state = self._decoder.save()
        self._gaps = [
            *self._gaps[1 - _KEPT_STATES :],
            _Gap(state, self._sequence, self._heard_end, self._heard_ticks, self._hold.save()),
        ]


def _signed(difference: int, bits: int) -> int:
    """A difference of counters that wrap, as the nearer way."""
    half = 1 << bits - 1
    return (difference + half) % (1 << bits) - half
