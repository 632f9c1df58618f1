"""One place of the media engine: a seat, and a process on it for as long as that can be had.

A process that dies is replaced by the standby, and its calls go on. Where that cannot be, they are told that
they have lost their media, and a new process begins with fresh memory.
"""

import asyncio
import logging
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bridge.aio.tasks import Tasks
from bridge.engine.budget import Budget, Costs
from bridge.engine.child import MediaProcess, MediaSettings
from bridge.engine.commands import Message, Ready
from bridge.engine.household import Household
from bridge.engine.leg import MediaLeg
from bridge.engine.pulse import Pulse
from bridge.engine.seat import Seat
from bridge.engine.shared_ports import SharedPorts
from bridge.engine.standby import Standby
from bridge.errors import EngineError
from bridge.ports import Clock

__all__ = ["Station", "StationOwner"]

_STEADY_S = 1.0
"""A life shorter than this counts as a failed start."""
_FREE_RESTARTS = 3
"""Failed starts in a row after which a restart has to wait."""
_PAUSE_S = 0.1
"""Doubles with every further early death in a row."""
_PAUSE_MAX_S = 5.0
_PATIENCE_S = 3.0
"""A standby that is still loading is waited for: a gap is better than a call that ends."""
_POISON_S = 10.0
_MOST_TAKEOVERS = 2
"""After so many takeovers within that time nobody takes over: something in these calls kills processes."""
_LOOK_S = 0.1
_HANG_NS = 250_000_000
"""A process that does nothing for so long while it carries calls is as good as dead, …"""
_HANG_ALONE_NS = 5_000_000_000
"""… but where nobody can take over, it may come back."""

_log = logging.getLogger(__name__)


class StationOwner(Protocol):
    """Who knows the legs; `bridge.engine.supervisor.MediaEngine` in life."""

    def hear(self, message: Message) -> None:
        """Take a report of a process."""
        ...

    def legs_of(self, seat: Seat) -> list[MediaLeg]:
        """The legs whose rows are of this seat."""
        ...

    def carry_on(self, legs: list[MediaLeg]) -> None:
        """A new process sits there: repeat to it what the legs have asked for, then tell them."""
        ...

    def bereave(self, legs: list[MediaLeg]) -> None:
        """Nobody will carry these legs any more."""
        ...

    def mourn(self) -> None:
        """Take note that a process died."""
        ...

    def seated(self) -> None:
        """Take note that there is another seat, or none: its memory is another one."""
        ...


class Station:
    """Begins at once; `ready` says when it serves.

    Args:
        settings: What processes are told.
        capacity: Rows of this place.
        place: Which one it is.
        shared: Ports that its legs may share; None = every leg has its own.
        owner: Told of everything.
        standby: Where replacements come from; None if there are none.
        household: Where processes begin and end.
        tasks: Where replacements run.
        clock: For the watch over processes that hang.

    Raises:
        EngineError: If the system refuses memory or the process.
    """

    def __init__(
        self,
        settings: MediaSettings,
        capacity: int,
        *,
        place: int,
        shared: SharedPorts | None = None,
        owner: StationOwner,
        standby: Standby | None,
        household: Household,
        tasks: Tasks,
        clock: Clock,
    ) -> None:
        self._household = household
        self._settings = settings
        self._capacity = capacity
        self._place = place
        self._shared = shared
        self._owner = owner
        self._standby = standby
        self._tasks = tasks
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self.seat: Seat | None = None
        """None between the loss of one and the next."""
        self.ready: asyncio.Future[Ready] = self._loop.create_future()
        self.budget: Budget = Budget(settings.costs)
        """How many calls it may carry."""
        self.restarts: int = 0
        """How often a new process began with fresh memory."""
        self.takeovers: int = 0
        """How often the standby carried the calls on."""
        self._early_deaths = 0
        self.last_readings: NDArray[np.uint64] | None = None
        """Gauges of the last seat that was lost."""
        self._replacing: asyncio.Task[None] | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._is_closed = False
        self._begin()
        self._watch = self._loop.call_later(_LOOK_S, self._look_again)

    @property
    def pid(self) -> int:
        """Process id; 0 while there is none."""
        process = self.seat.process if self.seat is not None else None
        return process.pid if process is not None else 0

    @property
    def is_realtime(self) -> bool:
        """Whether the system granted real-time priority."""
        process = self.seat.process if self.seat is not None else None
        return process is not None and process.greeting is not None and process.greeting.is_realtime

    async def close(self) -> None:
        """End the process and wait for its end; safe twice.

        Those that have died before are the household's.
        """
        self._is_closed = True
        self._watch.cancel()
        if self._retry is not None:
            self._retry.cancel()
        if self._replacing is not None:
            # Cancelled before it has taken the standby, or over: it waits for nothing in between.
            self._replacing.cancel()
            await asyncio.wait({self._replacing})
        seat, self.seat = self.seat, None
        try:
            if seat is not None and seat.process is not None:
                await self._household.end(seat.process)
        finally:
            if seat is not None:
                seat.give_up()
            self.ready.cancel()

    def _begin(self) -> None:
        self._retry = None
        try:
            seat = self._seat()
        except OSError as error:
            raise EngineError(f"cannot start the media process: {error.strerror or error}") from error
        self.seat = seat
        self._since_s = self._loop.time()
        self._pulse = Pulse()
        self._owner.seated()

    def _seat(self) -> Seat:
        seat = Seat(
            self._capacity,
            wide=self._settings.wide_capacity,
            place=self._place,
            shared=self._shared,
            budget=self.budget,
        )
        try:
            process = self._household.begin(self._settings, on_message=self._hear, on_end=self._mourn)
            try:
                seat.sit(process)
            except OSError:
                process.abandon()
                self._household.bury(process, patience_s=0)
                raise
        except OSError:
            seat.give_up()
            raise
        return seat

    def _hear(self, message: Message) -> None:
        if isinstance(message, Ready):
            if message.pair_ns:
                self.budget.begin(Costs(message.tick_ns, message.pair_ns))
            if not self.ready.done():
                self.ready.set_result(message)
        elif self.seat is not None:
            self.seat.note(message)
            self._owner.hear(message)

    def look(self) -> None:
        """Put an end to a process that hangs; the station does so itself ten times a second."""
        seat = self.seat
        if seat is None or (process := seat.process) is None:
            return
        has_work = seat.is_busy and process.has_had_time()
        still_ns = self._pulse.still_ns(seat.memory.ticks, is_busy=has_work, now_ns=self._clock.now_ns())
        has_heir = self._standby is not None and self._standby.is_ready
        if still_ns >= (_HANG_NS if has_heir else _HANG_ALONE_NS):
            _log.error("the media process %d has done nothing for %d ms", process.pid, still_ns // 10**6)
            process.kill()

    def _look_again(self) -> None:
        self._watch = self._loop.call_later(_LOOK_S, self._look_again)
        self.look()

    def _mourn(self) -> None:
        """The process is gone, or cannot be understood."""
        seat = self.seat
        if seat is None or self._is_closed or (process := seat.vacate()) is None:
            return
        if not self.ready.done():
            self.seat = None
            seat.give_up()
            self._bury(process)
            message = "the media process ended while it started; see its last line"
            self.ready.set_exception(EngineError(message))
            return
        at_s = self._loop.time()
        self._early_deaths = self._early_deaths + 1 if at_s - self._since_s < _STEADY_S else 0
        if self._standby is not None and self._may_replace(seat, at_s):
            # A fence: whatever the old process still does must be over before the new one writes or sends.
            fence = self._household.bury(process, patience_s=0)
            replacing = self._replace(seat, process, fence, self._standby)
            self._replacing = self._tasks.start(replacing, name=f"replace {process.pid}")
        else:
            self._lose(seat, process)
        self._owner.mourn()

    @staticmethod
    def _may_replace(seat: Seat, at_s: float) -> bool:
        recent = [taken_s for taken_s in seat.takeovers_s if at_s - taken_s < _POISON_S]
        return len(recent) < _MOST_TAKEOVERS

    async def _replace(
        self, seat: Seat, dead: MediaProcess, fence: "asyncio.Task[int]", standby: Standby
    ) -> None:
        at_s = self._loop.time()
        status = await asyncio.shield(fence)
        heir = await standby.take(patience_s=_PATIENCE_S)
        if heir is None:
            self._lose(seat, dead)
            return
        heir.on_message, heir.on_end = self._hear, self._mourn
        try:
            seat.sit(heir)
        except OSError as error:
            _log.error("the standby cannot be given the calls: %s", error.strerror or error)
            self._household.bury(heir, patience_s=0)
            heir.abandon()
            self._lose(seat, dead)
            return
        self._since_s = self._loop.time()
        self._pulse = Pulse()
        self.takeovers += 1
        seat.takeovers_s.append(self._since_s)
        legs = self._owner.legs_of(seat)
        self._owner.carry_on(legs)
        seat.repeat()
        standby.begin_soon()
        _log.error(
            "the media process %d ended %s; %d took %d calls over after %.0f ms",
            dead.pid,
            _cause(status),
            heir.pid,
            len(legs),
            (self._since_s - at_s) * 1000,
        )

    def _lose(self, seat: Seat, dead: MediaProcess) -> None:
        """Nobody takes over: begin again, then tell everyone."""
        legs = self._owner.legs_of(seat)
        for leg in legs:
            leg.status.freeze()
        self.last_readings = seat.memory.readings()
        seat.give_up()
        self.seat = None
        self._owner.seated()
        self._bury(dead, len(legs))
        if self._early_deaths <= _FREE_RESTARTS:
            self._restart()
        else:
            pause_s = min(_PAUSE_S * 2 ** (self._early_deaths - _FREE_RESTARTS), _PAUSE_MAX_S)
            self._retry = self._loop.call_later(pause_s, self._restart)
        self._owner.bereave(legs)

    def _restart(self) -> None:
        self.restarts += 1
        try:
            self._begin()
        except EngineError as error:
            _log.error("%s; trying again in %.0f s", error, _PAUSE_MAX_S)
            self._retry = self._loop.call_later(_PAUSE_MAX_S, self._restart)

    def _bury(self, dead: MediaProcess, lost: int = 0) -> None:
        def tell(burial: "asyncio.Task[int]") -> None:
            if not burial.cancelled() and burial.exception() is None:
                _log.error(
                    "the media process %d ended %s; %d calls lost their media",
                    dead.pid,
                    _cause(burial.result()),
                    lost,
                )

        self._household.bury(dead).add_done_callback(tell)


def _cause(status: int) -> str:
    return f"by signal {-status}" if status < 0 else f"with status {status}"
