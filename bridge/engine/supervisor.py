"""The control plane's side of the media engine: ports, rows, and a new process for a dead one."""

import asyncio
import dataclasses
import itertools
import logging
from collections.abc import Callable
from typing import cast

from bridge.aio.tasks import Tasks
from bridge.engine.child import MediaProcess, MediaSettings
from bridge.engine.commands import EngineDied, LegEvent, Message, Ready, RowClosed, RowOpened
from bridge.engine.leg import LegStatus, MediaLeg
from bridge.engine.ports import PortRange, raise_file_limit
from bridge.engine.shared import EngineGauges
from bridge.engine.verdict import Verdict, is_available
from bridge.engine.verdict_child import VerdictProcess
from bridge.errors import EngineError
from bridge.plane.columns import Columns
from bridge.plane.events import RowFailed, VoiceQuestioned
from bridge.plane.spec import judged
from bridge.ports import Clock, IdSource

__all__ = ["EngineGauges", "LegStatus", "MediaEngine", "MediaLeg", "MediaSettings"]

_START_S = 15.0
"""Loading numpy takes 0.2 s, and some seconds on a machine that is busy with other things."""
_STEADY_S = 1.0
"""A life shorter than this counts as a failed start."""
_FREE_RESTARTS = 3
"""Failed starts in a row after which a restart has to wait."""
_PAUSE_S = 0.1
"""Doubles with every further early death in a row."""
_PAUSE_MAX_S = 5.0

_log = logging.getLogger(__name__)


class MediaEngine:
    """Owns the media process; made by `start`, ended by `close`.

    When the process dies, every open leg's `deliver` gets an `EngineDied`, and a new process with
    fresh memory takes over at once. Legs of the old one are to be closed; `reserve` gives new ones.
    """

    def __init__(
        self, settings: MediaSettings, *, clock: Clock, dice: IdSource, on_death: Callable[[], None] | None
    ) -> None:
        first, last = settings.ports
        self._judge: VerdictProcess | None = None
        if settings.verdicts and is_available():
            self._judge = VerdictProcess(self._give)
            settings = dataclasses.replace(settings, plane=judged(settings.plane))
        self._settings = settings
        self._clock = clock
        self._dice = dice
        self._on_death = on_death
        self._ports = PortRange(first, last, bind_ip=settings.bind_ip, skip=dice.number(16))
        self._generations = itertools.count(1)
        self._legs: dict[int, MediaLeg] = {}
        self._life: MediaProcess | None = None
        self._ready: asyncio.Future[Ready] = asyncio.get_running_loop().create_future()
        self._tasks = Tasks("media")
        self._burials: list[asyncio.Task[None]] = []
        self._early_deaths = 0
        self._greeting: Ready | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._is_closed = False
        self.restarts: int = 0
        """How often a dead process was replaced."""
        self._last_gauges = EngineGauges.zero()
        self._begin()

    @classmethod
    async def start(
        cls,
        settings: MediaSettings,
        *,
        clock: Clock,
        dice: IdSource,
        on_death: Callable[[], None] | None = None,
    ) -> "MediaEngine":
        """Start the media process and wait until it takes commands.

        Raises:
            EngineError: If it does not come up, or `MediaSettings.ports` holds no pair.
        """
        raise_file_limit()
        engine = cls(settings, clock=clock, dice=dice, on_death=on_death)
        try:
            await asyncio.wait_for(engine._ready, _START_S)
        except TimeoutError:
            await engine.close()
            raise EngineError(f"the media process did not come up within {_START_S:.0f} s") from None
        except BaseException:
            await engine.close()
            raise
        return engine

    @property
    def pid(self) -> int:
        """Process id of the media process; 0 between two lives."""
        return self._life.pid if self._life is not None else 0

    @property
    def columns(self) -> Columns:
        """Shared columns of the present life.

        Raises:
            EngineError: Between two lives.
        """
        return self._living().memory.columns

    @property
    def gauges(self) -> EngineGauges:
        """Health of the media process, or between two lives the last reading of the dead one."""
        return self._life.memory.gauges() if self._life is not None else self._last_gauges

    @property
    def is_realtime(self) -> bool:
        """Whether the system granted real-time priority."""
        return self._greeting is not None and self._greeting.is_realtime

    def reserve(self) -> MediaLeg:
        """Bind a port pair and take a row.

        Raises:
            EngineError: If no port or row is left, or the media process is down at this moment.
        """
        life = self._living()
        if not life.free_rows:
            raise EngineError(
                f"all {self._settings.capacity} rows of the media engine carry calls; "
                "raise media.capacity or take fewer calls"
            )
        ports = self._ports.bind()
        leg = MediaLeg(
            life=life,
            row=life.free_rows.popleft(),
            generation=next(self._generations),
            ports=ports,
            dice=self._dice,
            on_close=self._forget,
        )
        self._legs[leg.generation] = leg
        return leg

    async def close(self) -> None:
        """Close every leg, end the media process and wait for its end; safe twice."""
        self._is_closed = True
        if self._retry is not None:
            self._retry.cancel()
        for leg in list(self._legs.values()):
            leg.close()
        life, self._life = self._life, None
        if life is not None:
            await life.stop()
        if self._judge is not None:
            await self._judge.close()
        await asyncio.gather(*self._burials)
        await self._tasks.close()
        self._ready.cancel()

    def _living(self) -> MediaProcess:
        if self._is_closed:
            raise EngineError("the media engine is closed")
        if self._life is None:
            raise EngineError("the media process is down and will be restarted in a moment")
        return self._life

    def _begin(self) -> None:
        self._retry = None
        self._greeting = None
        try:
            self._life = MediaProcess(self._settings, on_message=self._hear, on_end=self._mourn)
        except OSError as error:
            raise EngineError(f"cannot start the media process: {error.strerror or error}") from error
        if self._judge is not None:
            self._judge.watch(self._life.memory)

    def _hear(self, message: Message) -> None:
        match message:
            case Ready():
                self._greeting = message
                if not self._ready.done():
                    self._ready.set_result(message)
            case RowClosed(row=row):
                if self._life is not None:
                    self._life.free_rows.append(row)
            case VoiceQuestioned():
                if self._judge is not None:
                    self._judge.wake()
            case _ if (leg := self._legs.get(getattr(message, "generation", 0))) is not None:
                self._deliver(leg, cast("LegEvent | RowOpened", message))
            case _:
                pass  # A last word about a leg that was closed meanwhile.

    def _give(self, verdicts: list[Verdict]) -> None:
        for told in verdicts:
            if (leg := self._legs.get(told.generation)) is not None and leg.is_open:
                leg.verdict(epoch=told.epoch, is_speech=told.is_speech, question=told.question)

    def _deliver(self, leg: MediaLeg, event: LegEvent | RowOpened) -> None:
        try:
            leg.receive(event)
        except Exception as error:
            # One call's bug must not cost the other calls their events; but it has missed one itself.
            kind = type(event).__name__
            _log.error("a call failed on %s and ends: %s", kind, error, exc_info=error)
            if not isinstance(event, RowFailed | EngineDied):
                message = f"its owner failed on {kind}: {type(error).__name__}"
                now_ns = self._clock.now_ns()
                self._deliver(leg, RowFailed(leg.row, leg.generation, now_ns, message=message))

    def _mourn(self) -> None:
        """The media process is gone: say so, begin again, then tell everyone."""
        life = self._life
        if life is None or self._is_closed:
            return
        age_s = asyncio.get_running_loop().time() - life.started_s
        lost = [leg for leg in self._legs.values() if leg.is_carried_by(life)]
        for leg in lost:
            leg.status.freeze()
        self._last_gauges = life.memory.gauges()
        if self._judge is not None:
            self._judge.watch(None)
        life.abandon()
        self._life = None
        self._burials = [burial for burial in self._burials if not burial.done()]
        self._burials.append(self._tasks.start(_bury(life, len(lost)), name=f"bury {life.pid}"))
        if not self._ready.done():
            self._ready.set_exception(
                EngineError("the media process ended while it started; see its last line")
            )
            return
        self._early_deaths = self._early_deaths + 1 if age_s < _STEADY_S else 0
        if self._early_deaths <= _FREE_RESTARTS:
            self._restart()
        else:
            pause_s = min(_PAUSE_S * 2 ** (self._early_deaths - _FREE_RESTARTS), _PAUSE_MAX_S)
            self._retry = asyncio.get_running_loop().call_later(pause_s, self._restart)
        now_ns = self._clock.now_ns()
        for leg in lost:
            self._deliver(leg, EngineDied(row=leg.row, generation=leg.generation, at_ns=now_ns))
        if self._on_death is not None:
            self._on_death()

    def _restart(self) -> None:
        self.restarts += 1
        try:
            self._begin()
        except EngineError as error:
            _log.error("%s; trying again in %.0f s", error, _PAUSE_MAX_S)
            self._retry = asyncio.get_running_loop().call_later(_PAUSE_MAX_S, self._restart)

    def _forget(self, leg: MediaLeg) -> None:
        self._legs.pop(leg.generation, None)
        self._ports.release(leg.ports)


async def _bury(life: MediaProcess, lost: int) -> None:
    status = await life.reap()
    cause = f"by signal {-status}" if status < 0 else f"with status {status}"
    _log.error("the media process %d ended %s; %d calls lost their media", life.pid, cause, lost)
