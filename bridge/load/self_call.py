"""The call that a bridge places to itself when it starts: a short one that proves the whole way."""

import contextlib
from dataclasses import dataclass

from bridge.clock import SystemClock
from bridge.dice import SystemDice
from bridge.errors import CallEnded, NegotiationError, SetupError
from bridge.hosts import spot
from bridge.load.caller import Caller
from bridge.load.clip import render_clip_apart
from bridge.load.scenario import in_mid_sentence, interrupt

__all__ = ["SelfCall", "self_call"]

_DIAL_S = 8.0
_FIRST_SOUND_S = 8.0
_GREETING_NS = 3_500_000_000
"""A greeting may be closed to interruptions; by then the default agent has left it behind."""
_TALK_S = 6.0


@dataclass(frozen=True, slots=True)
class SelfCall:
    """What it found; its text is the line that `serve` prints."""

    first_audio_ms: float
    """From the answer to the first sound at the caller."""
    mute_ms: float | None
    """From the caller's onset to silence at the caller; None when the agent does not let itself be
    interrupted."""

    def __str__(self) -> str:
        first = f"first sound {self.first_audio_ms:.0f} ms after the answer"
        if self.mute_ms is None:
            return f"{first}; not interrupted"
        return f"{first}, silent {self.mute_ms:.0f} ms after the caller's voice began"


async def self_call(target: tuple[str, int], *, user: str = "self-call") -> SelfCall:
    """Call the bridge at `target`, talk over it once, hang up: about seven seconds.

    The caller's media has its own thread, its voice is made in a child process, and nothing here
    blocks the loop, so it may run inside the serving process.

    Raises:
        SetupError: If the call is not answered or nothing is heard; says which.
    """
    clock, dice = SystemClock(), SystemDice()
    clip = await render_clip_apart()
    async with await Caller.start(clock=clock, dice=dice, local_ip=target[0]) as caller:
        try:
            await caller.dial(f"sip:{user}@{spot(*target)}", from_user=user, timeout_s=_DIAL_S)
            heard_ns = await caller.first_audible_ns(timeout_s=_FIRST_SOUND_S)
        except NegotiationError as error:
            raise SetupError(f"the call was refused: {error}") from error
        except TimeoutError:
            raise SetupError(
                f"nothing was heard within {_FIRST_SOUND_S:.0f} s: is the voice service up?"
            ) from None
        except CallEnded as error:
            raise SetupError(f"the bridge hung up before it said a word: {error.reason}") from error
        mute_ms: float | None = None
        # An agent that says little is no fault of the line.
        with contextlib.suppress(TimeoutError, CallEnded):
            await in_mid_sentence(caller, after_ns=heard_ns + _GREETING_NS, timeout_s=_TALK_S)
            mute_ms = (await interrupt(caller, clip, dice=dice, now_ns=clock.now_ns())).mute_ms
        return SelfCall((heard_ns - caller.answered_ns) / 1e6, mute_ms)
