"""What somebody outside of the agent has a call say, play and press: in turns with the agent, and bounded."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from bridge.aio.tasks import Tasks
from bridge.call.bus import Value
from bridge.call.pressing import Pressing, checked
from bridge.call.turns import Speaker
from bridge.errors import (
    BridgeError,
    CallEnded,
    ConfigError,
    EngineError,
    LocalProtocolError,
    SetupError,
    SynthesisError,
)
from bridge.ports import IdSource

__all__ = ["Mode", "Remote", "TooMuchWaiting"]

Mode: TypeAlias = Literal["queue", "now"]
"""``queue``: after what is being said and what waits already. ``now``: it stops what is being said."""

_MOST_WAITING = 16
_MOST_SOUND_S = 600.0
"""Of recorded sound that waits: a minute at 48 kHz is 6 MB."""
_LEAVE_S = 1.0

_log = logging.getLogger(__name__)


class TooMuchWaiting(BridgeError):  # noqa: N818  an answer, not a fault
    """So much is waiting to be said, played or pressed on this call that no more is taken."""


class Remote:
    """Orders to one call; what becomes of each is told as a notice.

    Args:
        call_id: Our id of the call, for the log.
        speaker: Who speaks on it.
        pressing: Who presses its keys.
        rate_hz: Of the sound that `play` is given.
        ids: For the names of the orders.
        tell: Receives ``speech.dropped``, ``keys.sent`` and ``keys.failed``, and the end of a transfer that
            could not be asked for; speaker and session tell the rest.
    """

    def __init__(
        self,
        call_id: str,
        *,
        speaker: Speaker,
        pressing: Pressing,
        rate_hz: int,
        ids: IdSource,
        tell: Callable[[str, Mapping[str, Value]], None],
    ) -> None:
        self._call_id = call_id
        self._speaker = speaker
        self._pressing = pressing
        self._rate_hz = rate_hz
        self._ids = ids
        self._tell = tell
        self._tasks = Tasks(f"orders {call_id}", patience_s=_LEAVE_S)
        self._speaking: dict[str, asyncio.Task[None]] = {}
        self._sound_s = 0.0
        self._transferring: asyncio.Task[None] | None = None
        self._is_closed = False

    def say(
        self, text: str, *, mode: Mode = "queue", interruptible: str = "any", sensitivity: str | None = None
    ) -> str:
        """Order a text to be said; returns at once with the name under which it is told about.

        Args:
            text: What to say.
            mode: When.
            interruptible: One of `bridge.call.turns.INTERRUPTIBLE`.
            sensitivity: One of `bridge.plane.spec.SENSITIVITIES`; None is as configured.

        Raises:
            TooMuchWaiting: If 16 others wait.
            CallEnded: If the call is over.
        """
        label = self._ids.token(6)

        async def work() -> None:
            await self._speaker.say(
                text,
                interruptible=interruptible,
                sensitivity=sensitivity,
                first=mode == "now",
                label=label,
            )

        self._order(label, work)
        return label

    def play(
        self,
        pcm: NDArray[np.int16],
        *,
        mode: Mode = "queue",
        interruptible: str = "any",
        sensitivity: str | None = None,
    ) -> str:
        """Order sound at the leg's rate to be played, like `say`.

        Raises:
            CallEnded: If the call is over.
            TooMuchWaiting: If 16 others wait, or ten minutes of sound would.
        """
        length_s = len(pcm) / self._rate_hz
        if self._sound_s and self._sound_s + length_s > _MOST_SOUND_S:
            raise TooMuchWaiting(f"{self._sound_s:.0f} s of sound are waiting to be played")
        label = self._ids.token(6)

        async def work() -> None:
            await self._speaker.play(
                pcm,
                interruptible=interruptible,
                sensitivity=sensitivity,
                first=mode == "now",
                label=label,
            )

        self._order(label, work, sound_s=length_s)
        return label

    def stop(self, *, clears: bool = True) -> tuple[bool, int]:
        """End what is being said now, by the agent or by an order.

        Args:
            clears: Forget also the orders to say and play that wait; what the agent has in mind stays there.

        Returns:
            Whether anything was being said, and how many orders were forgotten.
        """
        was_speaking = self._speaker.stop()
        forgotten = 0
        if clears:
            # What holds the floor ends by its flush, exactly; cancelling it would lose what was heard.
            for label, task in list(self._speaking.items()):
                forgotten += not self._speaker.has_begun(label) and task.cancel()
        return was_speaking, forgotten

    def press(self, digits: str, *, duration_ms: int = 100, pause_ms: int = 100) -> str:
        """Order keys to be pressed; returns at once, like `say`.

        Raises:
            ValueError: If there is no such key, or it cannot be held for so long.
            TooMuchWaiting: If 32 other orders wait.
            CallEnded: If the call is over.
        """
        keys = checked(digits, duration_ms, pause_ms)
        label = self._ids.token(6)
        self._insist_on_a_call()
        if len(self._tasks) >= 2 * _MOST_WAITING:
            raise TooMuchWaiting(f"{len(self._tasks)} orders are waiting")

        async def work() -> None:
            try:
                await self._pressing.press(keys, duration_ms=duration_ms, pause_ms=pause_ms)
            except (CallEnded, EngineError) as error:
                self._tell("keys.failed", {"id": label, "error": str(error)})
            else:
                self._tell("keys.sent", {"id": label, "count": len(keys)})

        self._tasks.start(work(), name=f"keys {label}")
        return label

    def transfer(self, work: Coroutine[Any, Any, object]) -> bool:
        """Let a transfer go on by itself; False, and `work` is not begun, if one is under way.

        Raises:
            CallEnded: If the call is over.
        """
        if self._is_closed or (self._transferring is not None and not self._transferring.done()):
            work.close()
            self._insist_on_a_call()
            return False
        self._transferring = self._tasks.start(self._hand_over(work), name="transfer")
        return True

    async def _hand_over(self, work: Coroutine[Any, Any, object]) -> None:
        try:
            await work
        except (CallEnded, LocalProtocolError):
            pass  # the session has told it
        except (ConfigError, SetupError):
            # Admitted a moment ago, and not any more: a name leads elsewhere now.
            self._tell("transfer.ended", {"status": 0, "succeeded": False})

    async def close(self) -> None:
        """The call is over: forget every order."""
        self._is_closed = True
        await self._tasks.close()

    def _insist_on_a_call(self) -> None:
        if self._is_closed:
            raise CallEnded("nobody is on the line")

    def _order(
        self, label: str, work: Callable[[], Coroutine[Any, Any, None]], *, sound_s: float = 0.0
    ) -> None:
        self._insist_on_a_call()
        if len(self._speaking) >= _MOST_WAITING:
            raise TooMuchWaiting(f"{len(self._speaking)} orders to speak are waiting")

        def settle(_task: "asyncio.Task[None]") -> None:
            # Here and not in the task: one that is cancelled before its first step never runs at all.
            del self._speaking[label]
            self._sound_s -= sound_s
            if not self._speaker.has_begun(label):
                self._tell("speech.dropped", {"id": label})

        task = self._tasks.start(self._attempt(work), name=f"speech {label}")
        self._speaking[label] = task
        self._sound_s += sound_s
        task.add_done_callback(settle)

    async def _attempt(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await work()
        except SynthesisError as error:
            _log.warning("call %s: the voice failed: %s", self._call_id, error)
        except CallEnded:
            pass
