"""What a caller heard, worked out from the packets that reached it.

Words used here, once and for all:

silent packet
    Every sample is an encoded zero. A packet of very soft speech is not silent.
mute
    The first silent packet from which silence holds for 100 ms or more. Its arrival minus the
    instant the caller's onset was spoken is `mute_ms`.
late
    A packet that arrives more than 20 ms after due; due is the RTP timestamp's place on the
    grid of the quickest packet of the call.
whole
    Every sample the service made arrived, in order and bit for bit, once, with nothing in between.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bridge.load.tape import IDLE_CODES, ReceivedPacket, is_silent
from bridge.plane.g711 import decode_alaw, decode_ulaw

__all__ = [
    "FADE_SAMPLES",
    "Arrivals",
    "Heard",
    "Match",
    "Run",
]

TICK_NS = 125_000
MUTE_HOLD_NS = 100_000_000
LATE_NS = 20_000_000
AUDIBLE_LEVEL = 256
"""About -42 dBFS. What is softer is on the wire but nobody calls it a sound."""
_ANCHOR_SAMPLES = 400
"""Samples that must agree before two stretches are taken for the same: 50 ms."""
FADE_SAMPLES = 48
"""A resume fades in over 5 ms; these samples are altered on purpose."""


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch of packets that are not silent."""

    begin_ns: int
    """Arrival of its first packet."""
    end_ns: int
    """Arrival of its last packet, plus the time that one takes to play."""
    begin_sample: int
    """Place of its first sample in `Heard.codes`."""
    end_sample: int


@dataclass(frozen=True, slots=True)
class Match:
    """How one utterance of the service arrived."""

    begin_sample: int
    """Place of its first sample in `Heard.codes`; -1 when it was not found at all."""
    end_sample: int
    """Place after the last sample that was found."""
    matched: int
    """Samples that arrived bit for bit, in order."""
    expected: int
    """Samples the service made, trailing zeros not counted."""
    altered: int = 0
    """Samples within the fade after a pause: there, but not as made."""
    gaps: tuple[tuple[int, int], ...] = ()
    """Silences put in between: (after how many samples of the utterance, length in samples)."""

    @property
    def is_whole(self) -> bool:
        return self.begin_sample >= 0 and self.matched == self.expected and not self.gaps

    @property
    def is_complete(self) -> bool:
        """Every sample came, be it after a pause or within its fade."""
        return self.begin_sample >= 0 and self.matched + self.altered == self.expected


@dataclass(frozen=True, slots=True)
class Arrivals:
    """How regularly packets came."""

    packets: int
    lost: int
    duplicates: int
    reordered: int
    late: int
    timestamp_jumps: int
    """Neighbours in sequence whose timestamps are not one packet apart."""
    lateness_ns: NDArray[np.int64] = field(repr=False)
    """Of each packet, in order of arrival; the quickest one is on time by definition."""


class Heard:
    """One call as the caller received it, laid out by RTP timestamp.

    Args:
        packets: In order of arrival; other payload types and other sources are left out.
        payload_type: 0 (PCMU) or 8 (PCMA).
    """

    def __init__(self, packets: Iterable[ReceivedPacket], payload_type: int) -> None:
        self.payload_type: int = payload_type
        audio = [p for p in packets if p.payload_type == payload_type and p.payload]
        self._packets = [p for p in audio if p.ssrc == audio[0].ssrc]
        idle = IDLE_CODES[payload_type]
        self._is_idle: NDArray[np.bool_] = np.zeros(256, np.bool_)
        self._is_idle[list(idle)] = True
        starts = _unwrap([p.timestamp for p in self._packets], 32)
        starts -= starts.min() if len(starts) else 0
        self._starts: NDArray[np.int64] = starts
        self._lengths: NDArray[np.int64] = np.array([len(p.payload) for p in self._packets], np.int64)
        self._arrivals_ns: NDArray[np.int64] = np.array([p.arrival_ns for p in self._packets], np.int64)
        self._silent: NDArray[np.bool_] = np.array(
            [is_silent(p.payload, payload_type) for p in self._packets], np.bool_
        )
        total = int((starts + self._lengths).max(initial=0))
        self.codes: NDArray[np.uint8] = np.full(total, idle[0], np.uint8)
        """Everything heard, one code a sample; what never came reads as silence."""
        for start, packet in zip(starts.tolist(), self._packets, strict=True):
            self.codes[start : start + len(packet.payload)] = np.frombuffer(packet.payload, np.uint8)

    @property
    def pcm(self) -> NDArray[np.int16]:
        """`codes`, decoded."""
        decode = decode_ulaw if self.payload_type == 0 else decode_alaw
        return decode(self.codes)

    @property
    def packets(self) -> Sequence[ReceivedPacket]:
        """The audio packets of the call's first source, in order of arrival."""
        return self._packets

    @property
    def grid_ns(self) -> int:
        """When the first sample of `codes` would have arrived with the quickest packet's transit time."""
        return int((self._arrivals_ns - self._starts * TICK_NS).min())

    def arrivals(self) -> Arrivals:
        """Loss, order and punctuality of the whole call."""
        sequences = _unwrap([p.sequence for p in self._packets], 16)
        unique = np.unique(sequences)
        in_order = np.argsort(sequences, kind="stable")
        steps = np.diff(sequences[in_order])
        ticks = np.diff(self._starts[in_order])
        lateness = self.lateness_ns()
        return Arrivals(
            packets=len(self._packets),
            lost=int(unique[-1] - unique[0] + 1 - len(unique)) if len(unique) else 0,
            duplicates=len(sequences) - len(unique),
            reordered=int(np.count_nonzero(np.diff(sequences) < 0)),
            late=int(np.count_nonzero(lateness > LATE_NS)),
            timestamp_jumps=int(np.count_nonzero((steps == 1) & (ticks != self._lengths[in_order][:-1]))),
            lateness_ns=lateness,
        )

    def received_by(self, instant_ns: int | None) -> int:
        """Packets that had arrived at an instant; all of them for None."""
        if instant_ns is None:
            return len(self._packets)
        return int(np.count_nonzero(self._arrivals_ns <= instant_ns))

    def lateness_ns(self) -> NDArray[np.int64]:
        """How long after due each packet arrived; due is the grid of the quickest packet."""
        if not self._packets:
            return np.zeros(0, np.int64)
        return self._arrivals_ns - self._starts * TICK_NS - self.grid_ns

    def audible_ns(self, after_ns: int = 0) -> int | None:
        """Arrival of the first packet with a sound in it, at or after an instant."""
        for packet in self._packets:
            if packet.arrival_ns >= after_ns and self._is_audible(packet.payload):
                return packet.arrival_ns
        return None

    def mute_ns(self, onset_ns: int, *, hold_ns: int = MUTE_HOLD_NS) -> int | None:
        """Arrival of the first silent packet, not before the onset, from which silence holds."""
        for index in np.nonzero(self._silent & (self._arrivals_ns >= onset_ns))[0].tolist():
            if self._silence_holds(index, hold_ns):
                return int(self._arrivals_ns[index])
        return None

    def mute_ms(self, onset_ns: int) -> float | None:
        """From the caller's onset to the mute; None when the bot never fell silent."""
        muted_ns = self.mute_ns(onset_ns)
        return None if muted_ns is None else (muted_ns - onset_ns) / 1e6

    def was_audible(self, begin_ns: int, end_ns: int) -> bool:
        """Whether the bot could be heard in that time: a mute counts only if it was talking."""
        within = (self._arrivals_ns >= begin_ns) & (self._arrivals_ns < end_ns)
        return any(self._is_audible(self._packets[i].payload) for i in np.nonzero(within)[0].tolist())

    def runs(self, *, gap_ms: int = 60) -> list[Run]:
        """Stretches of sound; silences shorter than `gap_ms` do not part them."""
        found: list[Run] = []
        for index in np.nonzero(~self._silent)[0].tolist():
            begin, length = int(self._starts[index]), int(self._lengths[index])
            arrival_ns = int(self._arrivals_ns[index])
            run = Run(arrival_ns, arrival_ns + length * TICK_NS, begin, begin + length)
            if found and begin - found[-1].end_sample < gap_ms * 8:
                found[-1] = Run(found[-1].begin_ns, run.end_ns, found[-1].begin_sample, run.end_sample)
            else:
                found.append(run)
        return found

    def sample_after(self, instant_ns: int) -> int:
        """Place of the first sample of the first packet that arrived at or after an instant."""
        later = self._starts[self._arrivals_ns >= instant_ns]
        return int(later.min()) if len(later) else len(self.codes)

    def instant_ns(self, sample: int) -> int:
        """When a sample could be played at the earliest: its packet's arrival plus its place in it."""
        holds = np.nonzero((self._starts <= sample) & (sample < self._starts + self._lengths))[0]
        if not len(holds):
            raise LookupError(f"sample {sample} never arrived")
        return int(self._arrivals_ns[holds[0]]) + (sample - int(self._starts[holds[0]])) * TICK_NS

    def match(self, expected: NDArray[np.uint8], *, from_sample: int = 0) -> Match:
        """Find the codes of one utterance in what was heard, and say how much of it came.

        Args:
            expected: G.711 codes of the service's PCM.
            from_sample: Where to begin to look.
        """
        (sounding,) = np.nonzero(~self._is_idle[expected])
        if not len(sounding):
            return Match(-1, -1, 0, 0)
        lead, length = int(sounding[0]), int(sounding[-1]) + 1
        expected = expected[:length]
        begin = self._find(expected, lead, from_sample)
        if begin < 0:
            return Match(-1, -1, 0, length)
        place, done, matched, altered = begin, 0, 0, 0
        gaps: list[tuple[int, int]] = []
        while True:
            same = _common(self.codes[place:], expected[done:])
            place, done, matched = place + same, done + same, matched + same
            resumed = self._resume(expected, place, done) if done < length else None
            if resumed is None:
                return Match(begin, place, matched, length, altered, tuple(gaps))
            back, gap, fade, kept = resumed
            gaps.append((done - back, gap))
            matched += kept - back
            altered += fade - kept
            place, done = place - back + gap + fade, done - back + fade

    def uncovered(self, spans: Iterable[tuple[int, int]], *, from_sample: int) -> int:
        """Count the samples heard from `from_sample` on that are not silent and belong to no span."""
        stray = ~self._is_idle[self.codes]
        stray[: max(0, from_sample)] = False
        for begin, end in spans:
            stray[max(0, begin) : max(0, end)] = False
        return int(np.count_nonzero(stray))

    def _is_audible(self, payload: bytes) -> bool:
        decode = decode_ulaw if self.payload_type == 0 else decode_alaw
        pcm = decode(np.frombuffer(payload, np.uint8)).astype(np.int32)
        return bool(np.abs(pcm).max(initial=0) >= AUDIBLE_LEVEL)

    def _silence_holds(self, index: int, hold_ns: int) -> bool:
        held = 0
        for later in range(index, len(self._packets)):
            if not self._silent[later]:
                return False
            held += int(self._lengths[later]) * TICK_NS
            if held >= hold_ns:
                return True
        return False

    def _find(self, expected: NDArray[np.uint8], lead: int, from_sample: int) -> int:
        # The second, shorter anchor finds what was cut off, or paused, within its first 50 ms.
        for size in (_ANCHOR_SAMPLES, 80):
            anchor = expected[lead : lead + size].tobytes()
            place = self.codes.tobytes().find(anchor, max(0, from_sample))
            if place >= 0:
                return place - lead
        return -1

    def _resume(self, expected: NDArray[np.uint8], place: int, done: int) -> tuple[int, int, int, int] | None:
        """Look past a silence for the rest: samples to step back, silence, fade, unaltered ones of it.

        A pause begins with a packet, but the codes before it may go on agreeing with a pause in the
        speech itself; so step back to where that packet began.
        """
        before = np.nonzero(self._starts <= place)[0]
        if not len(before):
            return None
        last = before[np.argmax(self._starts[before])]
        pause = int(self._starts[last])
        if place >= pause + int(self._lengths[last]):
            # No packet at all: the sender skipped these slots, which sounds like silence, too.
            pause += int(self._lengths[last])
        elif not self._silent[last]:
            return None
        back = place - pause
        sounding = np.sort(self._starts[~self._silent & (self._starts >= pause)])
        if not len(sounding) or back > done:
            return None
        again = int(sounding[0])
        rest = expected[done - back :]
        fade = min(FADE_SAMPLES, len(rest), len(self.codes) - again)
        same = _common(self.codes[again + fade :], rest[fade:])
        if same < min(80, len(rest) - fade):
            return None
        kept = self.codes[again : again + fade] == rest[:fade]
        return back, again - pause, fade, int(np.count_nonzero(kept))


def _common(left: NDArray[np.uint8], right: NDArray[np.uint8]) -> int:
    """Length of the common beginning."""
    size = min(len(left), len(right))
    (differ,) = np.nonzero(left[:size] != right[:size])
    return int(differ[0]) if len(differ) else size


def _unwrap(numbers: list[int], bits: int) -> NDArray[np.int64]:
    """Continue counters past their wrap, each relative to the one before (RFC 3550 §A.1)."""
    raw = np.array(numbers, np.int64)
    if len(raw) < 2:
        return raw
    half, turn = 1 << (bits - 1), 1 << bits
    steps = (np.diff(raw) + half) % turn - half
    return np.concatenate((raw[:1], raw[0] + np.cumsum(steps)))
