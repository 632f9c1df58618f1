"""Where the repetition of a broken sentence goes on from what was received of it the first time.

A service that is asked for the same text again may make the same sound, the same somewhat earlier or later
(a pause before a sentence falls away at the start of a task), or another of about the same length.
"""

from collections.abc import Sequence

from bridge.ports import WordTime

__all__ = ["TAIL_S", "find_seam"]

TAIL_S = 0.5
"""The last sound before the break, which is looked for in the repetition …"""
_NEAR_S = 0.5
"""… no further than this from where it was."""
_SHORTEST_S = 0.02
"""Less sound than this may occur anywhere."""
_LONGEST_S = 3
"""Sound that is held, for want of word times, before it goes on without."""


def find_seam(
    held: bytes | bytearray, *, tail: bytes, skip: int, rate: int, words: Sequence[WordTime] | None
) -> int | None:
    """Tell from which of its samples on the repetition is heard; None while more of it is needed.

    Args:
        held: The repetition so far, PCM.
        tail: The last sound before the break, PCM: up to `TAIL_S`; looked at no further back than `skip`.
        skip: Samples that were received of what is repeated.
        rate: Sampling frequency in Hz.
        words: Word times of the repetition known so far; None if none are to come.
    """
    received = len(held) // 2
    if received < skip:
        return None
    tail = tail[-2 * skip :]
    if (found := _continued(held, tail, skip, rate)) is not None:
        return found
    if received - skip < _NEAR_S * rate and _can_be_found(tail, rate):
        return None
    if words is None or received - skip > _LONGEST_S * rate:
        return skip
    # The word that was broken is said again from its start; a pause goes on where it was.
    broken = next((word for word in words if word.end_ms * rate > skip * 1000), None)
    return None if broken is None else min(skip, max(0, broken.begin_ms) * rate // 1000)


def _continued(held: bytes | bytearray, tail: bytes, skip: int, rate: int) -> int | None:
    """Where exactly the same sound goes on, if it does."""
    end = 2 * skip
    begin = end - len(tail)
    if held[begin:end] == tail:
        return skip
    if not tail.strip(b"\x00") and not begin:
        return 0  # only silence was received: nothing has sounded yet
    if not _can_be_found(tail, rate):
        return None
    near = 2 * int(_NEAR_S * rate)
    low = max(0, begin - near)
    # Searched backwards by turning both round: `rfind` takes more than linear time of a stranger's sound.
    before = held[low:end][::-1].find(tail[::-1])
    places = (end - before - len(tail) if before >= 0 else -1, held.find(tail, begin, end + near))
    found = [at for at in places if at >= 0 and at % 2 == 0]
    nearest = min(found, key=lambda at: abs(at - begin), default=None)
    return None if nearest is None else (nearest + len(tail)) // 2


def _can_be_found(tail: bytes, rate: int) -> bool:
    return len(tail) >= 2 * _SHORTEST_S * rate and bool(tail.strip(b"\x00"))
