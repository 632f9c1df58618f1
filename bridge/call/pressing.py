"""Keys that an agent presses: one request at a time, awaited until its last key is up."""

import asyncio
from typing import Protocol

from bridge.errors import CallEnded
from bridge.plane.events import KeysSent, PlaneEvent
from bridge.rtp.dtmf import DIGITS

__all__ = ["Pressing", "PressingLeg", "checked"]

_MOST_KEYS = 64
_HELD_MS = (50, 60_000)
"""A key need not be heard that is shorter than 40 ms (ITU-T Q.24), and our tones take time to fade."""
_PAUSE_MS = (40, 10_000)
"""The end of an event is said three times, 20 ms apart; and Q.24 wants 40 ms of rest."""


class PressingLeg(Protocol):
    """What is needed of a leg; `bridge.engine.supervisor.MediaLeg` in life."""

    def press(self, digits: str, *, duration_ms: int, pause_ms: int) -> int: ...
    def release_keys(self) -> None: ...


class Pressing:
    """Presses keys on one leg."""

    def __init__(self, leg: PressingLeg) -> None:
        self._leg = leg
        self._hand = asyncio.Lock()
        self._ticket = 0
        self._sent: asyncio.Future[int] | None = None
        self._is_closed = False

    async def press(self, digits: str, *, duration_ms: int, pause_ms: int) -> None:
        """Press these keys and return when the pause after the last one is over.

        Cancelled, it calls off the keys that were not pressed yet.

        Raises:
            ValueError: If there is no such key, or it cannot be held for so long.
            CallEnded: If the call is over.
        """
        digits = checked(digits, duration_ms, pause_ms)
        async with self._hand:
            if self._is_closed:
                raise CallEnded("nobody is on the line")
            self._sent = asyncio.get_running_loop().create_future()
            self._ticket = self._leg.press(digits, duration_ms=duration_ms, pause_ms=pause_ms)
            try:
                pressed = await self._sent
            except asyncio.CancelledError:
                self._leg.release_keys()
                raise
            finally:
                self._sent = None
            if pressed < len(digits):
                raise CallEnded(f"the call ended after {pressed} of {len(digits)} keys")

    def on_event(self, event: PlaneEvent) -> None:
        """Take note of one report of the media process."""
        if isinstance(event, KeysSent) and event.ticket == self._ticket:
            self._settle(event.count)

    def close(self) -> None:
        """The call is over: whoever still presses is told so."""
        self._is_closed = True
        self._settle(0)

    def _settle(self, pressed: int) -> None:
        if self._sent is not None and not self._sent.done():
            self._sent.set_result(pressed)


def checked(digits: str, duration_ms: int, pause_ms: int) -> str:
    """Return the keys in upper case.

    Raises:
        ValueError: As in `Pressing.press`.
    """
    if not 0 < len(digits) <= _MOST_KEYS:
        raise ValueError(f"{len(digits)} keys at once; press 1 to {_MOST_KEYS}")
    keys = digits.upper()
    if strange := next((key for key in keys if key not in DIGITS), ""):
        raise ValueError(f"{strange!r} is no key; there are {DIGITS}")
    for name, value, (least, most) in (
        ("duration_ms", duration_ms, _HELD_MS),
        ("pause_ms", pause_ms, _PAUSE_MS),
    ):
        if not least <= value <= most:
            raise ValueError(f"{name} must be {least} to {most}, not {value}")
    return keys
