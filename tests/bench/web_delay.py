"""How late a bot hears what was said to it, and for how long it hears nothing, found in the sound itself.

What came out is laid over what was said, a window at a time; so any receiver can be judged from outside.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median, median_low

import numpy as np
from numpy.typing import NDArray

from tests.bench.ear_file import Piece
from tests.traces.levels import PIECE_MS, is_silent, powers, quietest_around

__all__ = ["BLOCK_MS", "Curve", "Judged", "curve", "judge", "recovery_ms"]

BLOCK_MS = 20
_RATE_HZ = 8000
_BLOCK = _RATE_HZ * BLOCK_MS // 1000
_PIECE = _RATE_HZ * PIECE_MS // 1000
_AROUND = 5
"""Blocks before and after one that help to find where it was said."""
_NEAR = 25
"""Blocks before and after one whose delay is the usual one: half a second."""
_EARLIEST, _LATEST = -60 * _RATE_HZ // 1000, 1500 * _RATE_HZ // 1000
"""Delays in samples that are looked for."""
_SURE = 0.5
"""Correlation of a window that was found."""
_HEARD = 0.5
"""Correlation of a block that is what was said, and not made up."""
_SLACK = 24
"""Samples that one block may lie off its window's delay: 3 ms."""
_STEADY_MS = 10.0


@dataclass(frozen=True, slots=True)
class Curve:
    """One point for each block that came out, in order."""

    at_ns: NDArray[np.int64]
    """When it was there."""
    delay_ms: NDArray[np.float64]
    """Since its packet was sent; NaN where what is around it was not recognised."""
    is_heard: NDArray[np.bool_]
    """It is what was said there."""
    sounds_ns: NDArray[np.int64]
    """When each 5 ms were there that were no silence."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One run."""

    delay_p50_ms: float
    delay_p95_ms: float
    delay_end_ms: float
    """Median of the last two seconds."""
    longest_stall_ms: float
    """Nothing that could be recognised as what was said came out for so long: silence, or sound made up."""
    stalls: int
    """Of more than 60 ms."""
    longest_silence_ms: float
    """Nothing came out for so long, or something 12 dB below what was said."""
    silences: int
    """Of more than 60 ms."""
    heard_share: float

    def as_json(self) -> dict[str, float]:
        return asdict(self)


def curve(said: NDArray[np.int16], began_ns: int, pieces: Sequence[Piece], rate_hz: int) -> Curve:
    """Lay what came out over what was said.

    Args:
        said: At 48 kHz, from the first packet on; packet n left 20 n ms after `began_ns`.
        began_ns: When the first packet left.
        pieces: What came out.
        rate_hz: Of the pieces: a multiple of 8000.
    """
    sound = _thin(np.concatenate([samples for _, samples in pieces]), rate_hz)
    spoken = _thin(said, 48_000)
    ends = np.cumsum([len(samples) for _, samples in pieces]) * _RATE_HZ // rate_hz
    stamps = np.array([stamp_ns for stamp_ns, _ in pieces], np.int64)
    count = len(sound) // _BLOCK
    at_ns = stamps[np.minimum(np.searchsorted(ends, (np.arange(count) + 1) * _BLOCK), len(stamps) - 1)]
    # Where in what was said the block would begin that came out at once.
    nows = ((at_ns - began_ns) * _RATE_HZ // 1_000_000_000).tolist()
    delays: list[int | None] = [None] * count
    for block in range(_AROUND, count - _AROUND):
        window = sound[(block - _AROUND) * _BLOCK : (block + _AROUND + 1) * _BLOCK]
        first = max(0, nows[block] - _LATEST - _AROUND * _BLOCK)
        last = max(first, nows[block] - _EARLIEST + (_AROUND + 1) * _BLOCK)
        if (place := _find(window, spoken[first:last])) is not None:
            delays[block] = nows[block] - first - place - _AROUND * _BLOCK
    usual = _usual(delays)
    is_heard = np.zeros(count, np.bool_)
    for block in range(count):
        own = sound[block * _BLOCK : (block + 1) * _BLOCK]
        # A loud packet that is lost makes its whole window strange, or like the next period of the voice,
        # though all others came in time.
        for delay in (delays[block], usual[block]):
            if delay is None:
                continue
            begin = nows[block] - delay
            near = spoken[max(0, begin - _SLACK) : max(0, begin + _BLOCK + _SLACK)]
            is_heard[block] |= bool(_likeness(own, near).max(initial=0) >= _HEARD)
    known = [np.nan if each is None else each * 1000 / _RATE_HZ for each in delays]
    return Curve(at_ns, np.array(known), is_heard, _sounding(sound, spoken, at_ns, nows, usual))


def judge(found: Curve, *, from_ns: int, until_ns: int) -> Judged:
    """Sum up the blocks of a time."""
    chosen = (found.at_ns >= from_ns) & (found.at_ns < until_ns)
    is_known = chosen & found.is_heard & ~np.isnan(found.delay_ms)
    delays = found.delay_ms[is_known]
    stamps = np.concatenate(([from_ns], found.at_ns[chosen & found.is_heard], [until_ns]))
    # Every step has one block of its own.
    missing_ms = np.diff(stamps) / 1e6 - BLOCK_MS
    sounds = found.sounds_ns[(found.sounds_ns >= from_ns) & (found.sounds_ns < until_ns)]
    silent_ms = np.diff(np.concatenate(([from_ns], sounds, [until_ns]))) / 1e6 - PIECE_MS
    last = found.delay_ms[is_known & (found.at_ns >= until_ns - 2_000_000_000)]
    return Judged(
        delay_p50_ms=round(float(np.median(delays)), 1) if len(delays) else 0.0,
        delay_p95_ms=round(float(np.percentile(delays, 95)), 1) if len(delays) else 0.0,
        delay_end_ms=round(float(np.median(last)), 1) if len(last) else 0.0,
        longest_stall_ms=round(float(missing_ms.max()), 1),
        stalls=int(np.count_nonzero(missing_ms > 60.0)),
        longest_silence_ms=round(float(silent_ms.max()), 1),
        silences=int(np.count_nonzero(silent_ms > 60.0)),
        heard_share=round(float(found.is_heard[chosen].mean()) if chosen.any() else 0.0, 3),
    )


def recovery_ms(found: Curve, *, lost_ns: int, until_ns: int) -> float | None:
    """From a loss until the delay is what it was, and stays so; None if it never is."""
    is_known = found.is_heard & ~np.isnan(found.delay_ms)
    before = found.delay_ms[is_known & (found.at_ns < lost_ns) & (found.at_ns >= lost_ns - 2_000_000_000)]
    after = is_known & (found.at_ns >= lost_ns) & (found.at_ns < until_ns)
    if not len(before) or not after.any():
        return None
    stamps, delays = found.at_ns[after], found.delay_ms[after]
    late = np.flatnonzero(delays > median(before.tolist()) + _STEADY_MS)
    if not len(late):
        return 0.0
    if late[-1] + 1 >= len(delays):
        return None
    return round(float(stamps[late[-1] + 1] - lost_ns) / 1e6, 1)


def _sounding(
    sound: NDArray[np.float64],
    spoken: NDArray[np.float64],
    at_ns: NDArray[np.int64],
    nows: Sequence[int],
    usual: Sequence[int | None],
) -> NDArray[np.int64]:
    """When each piece was there that is no silence, or of which nobody knows what it should be."""
    number = BLOCK_MS // PIECE_MS
    least = quietest_around(powers(spoken, _PIECE))
    begins = np.array([now - (delay or 0) for now, delay in zip(nows, usual, strict=True)], np.int64)
    places = (begins[:, None] // _PIECE + np.arange(number)).ravel()
    is_known = np.repeat([delay is not None for delay in usual], number)
    is_known &= (places >= 0) & (places < len(least))
    own = powers(sound[: len(at_ns) * _BLOCK], _PIECE)
    silent = is_known & is_silent(own, least[np.clip(places, 0, len(least) - 1)])
    times: NDArray[np.int64] = (at_ns[:, None] + np.arange(number) * PIECE_MS * 1_000_000).ravel()
    return times[~silent]


def _usual(delays: Sequence[int | None]) -> list[int | None]:
    """Of each, the median of those known around it."""
    found: list[int | None] = []
    for block in range(len(delays)):
        near = delays[max(0, block - _NEAR) : block + _NEAR + 1]
        known = [delay for delay in near if delay is not None]
        found.append(median_low(known) if known else None)
    return found


def _thin(sound: NDArray[np.int16], rate_hz: int) -> NDArray[np.float64]:
    """At 8 kHz, well enough to compare."""
    step = rate_hz // _RATE_HZ
    whole = sound[: len(sound) // step * step].astype(np.float64)
    thin: NDArray[np.float64] = whole.reshape(-1, step).mean(axis=1)
    return thin


def _find(window: NDArray[np.float64], among: NDArray[np.float64]) -> int | None:
    """Where the window lies, or None where nothing is like it."""
    likeness = _likeness(window, among)
    if not len(likeness):
        return None
    best = int(np.argmax(likeness))
    return best if likeness[best] >= _SURE else None


def _likeness(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """Normalised correlation of a part with every place of a whole."""
    if len(whole) < len(part) or not part.any():
        return np.zeros(0)
    size = 1 << int(len(whole) + len(part) - 1).bit_length()
    products = np.fft.irfft(np.fft.rfft(whole, size) * np.conj(np.fft.rfft(part, size)), size)
    squares = np.concatenate(([0.0], np.cumsum(whole**2)))
    energies = squares[len(part) :] - squares[: -len(part)]
    scale = np.sqrt(np.maximum(energies, 1.0) * float((part**2).sum()))
    likeness: NDArray[np.float64] = products[: len(energies)] / scale
    return likeness
