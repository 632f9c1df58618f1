"""What a lab caller does in a call: listens, talks over the bot, listens again."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bridge.errors import CallEnded
from bridge.load.caller import Caller
from bridge.load.clip import Clip
from bridge.load.listen import Heard
from bridge.load.tape import ReceivedPacket, Tape, is_silent
from bridge.ports import IdSource

__all__ = ["Interruption", "in_mid_sentence", "interrupt"]

_TALKING_PACKETS = 12
"""240 ms without a silent packet: nobody pauses between sentences there."""
_LOUD_PACKETS = 3
_LOUD_LEVEL = 1600
"""-26 dBFS in each of the last packets: a vowel, not the breath between two words."""


@dataclass(frozen=True, slots=True)
class Interruption:
    """What the caller saw of one interruption."""

    onset_ns: int
    """t0."""
    mute_ns: int | None
    """t2; None when the bot went on talking."""

    @property
    def mute_ms(self) -> float | None:
        return None if self.mute_ns is None else (self.mute_ns - self.onset_ns) / 1e6


async def in_mid_sentence(caller: Caller, *, after_ns: int, timeout_s: float) -> None:
    """Return when the bot is in the middle of its words, at or after an instant.

    Raises:
        TimeoutError: If it does not talk within `timeout_s`.
        CallEnded: If it hung up.
    """

    def talking(tape: Tape) -> bool | None:
        packets = [p for p in tape.latest(_TALKING_PACKETS) if p.payload_type == caller.payload_type]
        if len(packets) < _TALKING_PACKETS or packets[-1].arrival_ns < after_ns:
            return None
        is_talking = not any(is_silent(packet.payload, packet.payload_type) for packet in packets)
        return True if is_talking and _is_loud(packets[-_LOUD_PACKETS:], caller.payload_type) else None

    await caller.until(talking, timeout_s=timeout_s)


async def interrupt(caller: Caller, clip: Clip, *, dice: IdSource, now_ns: int) -> Interruption:
    """Say `clip` to its end, starting anywhere within the next 20 ms, and note when the bot fell silent.

    A caller's mouth knows nothing of the 20 ms grid, and a fixed phase would flatter some and hurt others.
    """
    playing = caller.begin(clip, at_ns=now_ns + 20_000_000 + dice.number(32) % 20_000_000)
    onset_ns = await asyncio.wrap_future(playing.onset)
    mute_ns: int | None = None
    try:
        mute_ns = await caller.until(
            lambda tape: Heard(tape.latest(100), caller.payload_type).mute_ns(onset_ns),
            timeout_s=clip.duration_ms / 1e3,
        )
    except TimeoutError:
        pass  # it talked on: that is a result, too
    except CallEnded:
        return Interruption(onset_ns, None)
    await asyncio.wrap_future(playing.end)
    return Interruption(onset_ns, mute_ns)


def _is_loud(packets: Sequence[ReceivedPacket], payload_type: int) -> bool:
    return all(
        int(np.abs(Heard([packet], payload_type).pcm.astype(np.int32)).max()) >= _LOUD_LEVEL
        for packet in packets
    )
