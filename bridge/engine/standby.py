"""The process that waits: everything loaded, nothing to carry, ready to take the place of one that dies."""

import asyncio
import logging
from dataclasses import replace

from bridge.engine.budget import Costs
from bridge.engine.child import MediaProcess, MediaSettings
from bridge.engine.commands import Message, Ready
from bridge.engine.household import Household

__all__ = ["Standby"]

_REST_S = 1.0
"""Time after which the next one is begun: calls that were just taken over come first."""
_PAUSE_MAX_S = 60.0
"""One that dies while it waits is replaced after a rest that doubles up to this."""

_log = logging.getLogger(__name__)


class Standby:
    """Keeps one spare media process; `begin` once there is time for it.

    Args:
        settings: What the spare is told at its start; it can take any seat.
        household: Where processes begin and end.
    """

    def __init__(self, settings: MediaSettings, household: Household) -> None:
        # What the first process has measured holds for its heirs.
        self._settings = replace(settings, costs=Costs(0, 0))
        self._household = household
        self._loading: MediaProcess | None = None
        self._ready: asyncio.Queue[MediaProcess] = asyncio.Queue()
        self._timer: asyncio.TimerHandle | None = None
        self._pause_s = _REST_S
        self._is_closed = False

    @property
    def is_ready(self) -> bool:
        """Whether a process could take over at once."""
        return not self._ready.empty()

    @property
    def pid(self) -> int:
        """Process id of the spare, ready or not; 0 if there is none."""
        spare = self._loading or self._waiting()
        return spare.pid if spare is not None else 0

    def begin(self) -> None:
        """See to it that there is a spare; harmless if there is."""
        self._cancel()
        if self._is_closed or self._loading is not None or self.is_ready:
            return
        try:
            self._loading = self._household.begin(self._settings, on_message=self._hear, on_end=self._mourn)
        except OSError as error:
            _log.error("cannot start a standby of the media process: %s", error.strerror or error)
            self._begin_later()

    def begin_soon(self) -> None:
        """As `begin`, after a short rest."""
        if self._timer is None and not self._is_closed:
            self._timer = asyncio.get_running_loop().call_later(_REST_S, self.begin)

    async def take(self, *, patience_s: float) -> MediaProcess | None:
        """The spare, which is the caller's from now on; None if none is ready in time.

        One that is being loaded is waited for, and one is begun if there is none.
        """
        if not self.is_ready:
            self.begin()
        try:
            async with asyncio.timeout(patience_s):
                return await self._ready.get()
        except TimeoutError:
            return None

    async def close(self) -> None:
        """End the spare; safe twice."""
        self._is_closed = True
        self._cancel()
        spares = [self._loading, self._waiting()]
        self._loading, self._ready = None, asyncio.Queue()
        for spare in spares:
            if spare is not None:
                await self._household.end(spare)

    def _waiting(self) -> MediaProcess | None:
        if self._ready.empty():
            return None
        spare = self._ready.get_nowait()
        self._ready.put_nowait(spare)
        return spare

    def _hear(self, message: Message) -> None:
        if isinstance(message, Ready) and self._loading is not None:
            spare, self._loading = self._loading, None
            self._pause_s = _REST_S
            self._ready.put_nowait(spare)

    def _mourn(self) -> None:
        """The spare is gone before anybody needed it."""
        if self._is_closed:
            return
        spare = self._loading
        self._loading = None
        if spare is None:
            spare = self._ready.get_nowait()
        spare.abandon()
        self._household.bury(spare)
        _log.warning("the standby of the media process, %d, ended; the next one follows", spare.pid)
        self._begin_later()

    def _begin_later(self) -> None:
        self._cancel()
        self._timer = asyncio.get_running_loop().call_later(self._pause_s, self.begin)
        self._pause_s = min(self._pause_s * 2, _PAUSE_MAX_S)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
