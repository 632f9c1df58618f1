"""The control plane's side of the media engine: ports, legs, and the media processes that carry them."""

import asyncio
import dataclasses
import itertools
import logging
import os
from collections.abc import Callable
from functools import partial
from typing import cast

import numpy as np
from numpy.typing import NDArray

from bridge.aio.tasks import Tasks
from bridge.engine.budget import LIMIT, Budget, weight_of
from bridge.engine.child import MediaSettings
from bridge.engine.commands import Datagram, EngineDied, LegEvent, Message, RowClosed, RowOpened
from bridge.engine.household import Household
from bridge.engine.leg import MediaLeg
from bridge.engine.leg_status import LegStatus
from bridge.engine.ports import BoundPorts, PortRange, host_number, peer_key, raise_file_limit
from bridge.engine.seat import Seat
from bridge.engine.shared import EngineGauges
from bridge.engine.shared_ports import SharedPorts, Spot
from bridge.engine.standby import Standby
from bridge.engine.station import Station
from bridge.engine.verdict import Verdict, is_available
from bridge.engine.verdict_child import VerdictProcess
from bridge.errors import EngineError
from bridge.hosts import is_v6
from bridge.plane.columns import Columns
from bridge.plane.events import RowFailed, VoiceQuestioned
from bridge.plane.shape import NARROW
from bridge.plane.spec import judged
from bridge.ports import Clock, IdSource

__all__ = ["EngineGauges", "LegStatus", "MediaEngine", "MediaLeg", "MediaSettings"]

_START_S = 15.0
"""Loading numpy takes 0.2 s, and some seconds on a machine that is busy with other things."""
_SHARED_PORTS = 32
"""Ports that are shared at most in each process: so many calls from behind one address can share."""

_log = logging.getLogger(__name__)


class MediaEngine:
    """Owns the media processes; made by `start`, ended by `close`.

    When one dies, the standby carries its calls on, and every open leg's `deliver` gets an `EngineReplaced`.
    Where that cannot be, it gets an `EngineDied`, and a new process with fresh memory begins at once. Such
    legs are to be closed; `reserve` gives new ones.
    """

    def __init__(
        self, settings: MediaSettings, *, clock: Clock, dice: IdSource, on_death: Callable[[], None] | None
    ) -> None:
        first, last = settings.ports
        has_judge = settings.verdicts and is_available()
        if has_judge:
            settings = dataclasses.replace(settings, plane=judged(settings.plane))
        self._settings = settings
        self._clock = clock
        self._dice = dice
        self._on_death = on_death
        self._ports = PortRange(
            first, last, bind_ip=settings.bind_ip, bind_ip6=settings.bind_ip6, skip=dice.number(16)
        )
        self._shared: list[SharedPorts] = []
        self._generations = itertools.count(1)
        self._legs: dict[int, MediaLeg] = {}
        self._tasks = Tasks("media")
        self._is_closed = False
        self._household = Household()
        self._standby: Standby | None = Standby(settings, self._household) if settings.standby else None
        self._stations: list[Station] = []
        # Last of all: nothing that fails may leave a process that nobody knows.
        self._judge: VerdictProcess | None = VerdictProcess(self._give) if has_judge else None

    @classmethod
    async def start(
        cls,
        settings: MediaSettings,
        *,
        clock: Clock,
        dice: IdSource,
        on_death: Callable[[], None] | None = None,
    ) -> "MediaEngine":
        """Start the media processes and wait until they take commands; the standby comes a moment later.

        Raises:
            EngineError: If they do not come up, or `MediaSettings.ports` holds no pair.
        """
        raise_file_limit()
        engine = cls(settings, clock=clock, dice=dice, on_death=on_death)
        try:
            engine._begin()
            async with asyncio.timeout(_START_S):
                await asyncio.gather(*(station.ready for station in engine._stations))
        except TimeoutError:
            await engine.close()
            raise EngineError(f"the media process did not come up within {_START_S:.0f} s") from None
        except BaseException:
            await engine.close()
            raise
        if engine._standby is not None:
            engine._standby.begin()
        return engine

    @property
    def pid(self) -> int:
        """Process id of the first media process; 0 between two lives."""
        return self._stations[0].pid

    @property
    def pids(self) -> list[int]:
        """Process ids of the media processes that carry calls now; the standby is none of them."""
        return [station.pid for station in self._stations if station.pid]

    @property
    def standby_pid(self) -> int:
        """Process id of the standby; 0 while there is none."""
        return self._standby.pid if self._standby is not None else 0

    @property
    def has_standby(self) -> bool:
        """Whether a process could take over at once."""
        return self._standby is not None and self._standby.is_ready

    @property
    def columns(self) -> Columns:
        """Shared columns of the first media process.

        Raises:
            EngineError: Between two lives.
        """
        return self._seats()[0].memory.columns

    @property
    def gauges(self) -> EngineGauges:
        """Health of the media processes together; of one that is lost, its last reading until the next."""
        return EngineGauges.together(self._readings())

    @property
    def readings(self) -> list[EngineGauges]:
        """The same of each by itself, in an order that stays."""
        return [EngineGauges(reading) for reading in self._readings()]

    def _readings(self) -> list[NDArray[np.uint64]]:
        readings = []
        for station in self._stations:
            seat = station.seat
            reading = seat.memory.readings() if seat is not None else station.last_readings
            if reading is not None:
                readings.append(reading)
        return readings

    @property
    def is_realtime(self) -> bool:
        """Whether the system granted real-time priority."""
        return all(station.is_realtime for station in self._stations)

    @property
    def restarts(self) -> int:
        """How often a dead process was replaced, its calls saved or lost."""
        return sum(station.restarts + station.takeovers for station in self._stations)

    @property
    def takeovers(self) -> int:
        """How often the standby saved the calls."""
        return sum(station.takeovers for station in self._stations)

    def reserve(
        self,
        rate_hz: int = NARROW.rate_hz,
        *,
        remote: tuple[str, int] | None = None,
        latch_ip: str | None = None,
        in_ipv6: bool = False,
    ) -> MediaLeg:
        """Take a row of the process that has most to spare, and a port pair or a place on a shared one.

        Args:
            rate_hz: Audio rate of the row.
            remote: Where the peer's packets will come from, by its description; None = not known yet.
            latch_ip: The peer is behind NAT at this address.
            in_ipv6: Its packets go by IPv6, and by that alone; else by IPv4.

        Raises:
            EngineError: If no port or row is left, or the media process is down at this moment.
        """
        roomy = [seat for seat in self._seats() if seat.free_rows.has(rate_hz)]
        if not roomy:
            raise self._full(rate_hz)
        weight = weight_of(rate_hz)
        for seat in roomy:
            seat.budget.observe(seat.memory.cpu_ns, now_ns=self._clock.now_ns())
        roomy = [seat for seat in roomy if seat.budget.fits(weight)]
        if not roomy:
            raise self._busy()
        # One that is being replaced will carry the call in a moment; another one does now.
        seat = min(roomy, key=lambda seat: (seat.process is None, seat.budget.planned, seat.load))
        spot, ports = self._place(seat.shared, remote, latch_ip, in_ipv6=in_ipv6)
        leg = MediaLeg(
            seat=seat,
            row=seat.free_rows.take(rate_hz),
            generation=next(self._generations),
            ports=ports,
            spot=spot,
            dice=self._dice,
            on_close=partial(self._forget, seat.shared, seat.budget),
        )
        self._legs[leg.generation] = leg
        return leg

    def refit(self, leg: MediaLeg, rate_hz: int) -> None:
        """Give a leg that is not open yet a row of another rate: the answer told the codec.

        Raises:
            EngineError: If no row of this rate is left, or no time for its codec, or the media process died
                since the reservation; the leg is as it was.
        """
        if not leg.can_afford(rate_hz):
            raise self._busy()
        if not leg.refit(rate_hz):
            raise self._full(rate_hz)

    @property
    def calls(self) -> int:
        """How many G.711 calls fit at a time, as far as is known."""
        fit = sum(station.budget.calls for station in self._stations)
        return min(fit, self._settings.capacity) if fit else self._settings.capacity

    def _busy(self) -> EngineError:
        return EngineError(
            f"the media processes are as busy as they may be: {self.calls} G.711 calls, or fewer of dearer "
            f"codecs, fit into {LIMIT:.0%} of their cores; see media.processes and media.ports_shared"
        )

    def _full(self, rate_hz: int) -> EngineError:
        name = "capacity" if rate_hz == NARROW.rate_hz else "wide_capacity"
        return EngineError(
            f"all {getattr(self._settings, name)} rows of the media engine carry calls; "
            f"raise media.{name} or take fewer calls"
        )

    async def close(self) -> None:
        """Close every leg, end the media processes and wait for their end; safe twice.

        Whoever cancels this, or a bug in it, costs the good order and leaves no process behind.
        """
        self._is_closed = True
        for leg in list(self._legs.values()):
            leg.close()
        try:
            await asyncio.gather(*(station.close() for station in self._stations))
            if self._standby is not None:
                await self._standby.close()
            if self._judge is not None:
                await self._judge.close()
        finally:
            await self._household.close()
            for shared in self._shared:
                shared.close()
            await self._tasks.close()

    def _place(
        self,
        shared: SharedPorts | None,
        remote: tuple[str, int] | None,
        latch_ip: str | None,
        *,
        in_ipv6: bool,
    ) -> tuple[Spot | None, BoundPorts]:
        if shared is not None and remote is not None and is_v6(remote[0]) is in_ipv6:
            nat_ip = 0 if latch_ip is None else host_number(latch_ip)
            taken = shared.take(peer_key(remote), nat_ip, now_ns=self._clock.now_ns())
            if taken is not None:
                return taken
        return None, self._ports.bind(in_ipv6=in_ipv6)

    def hear(self, message: Message) -> None:
        """Take a report; called by a station."""
        match message:
            case RowClosed():
                pass
            case VoiceQuestioned():
                if self._judge is not None:
                    self._judge.wake()
            case _ if (leg := self._legs.get(getattr(message, "generation", 0))) is not None:
                self._deliver(leg, cast("LegEvent | RowOpened | Datagram", message))
            case _:
                pass  # A last word about a leg that was closed meanwhile.

    def legs_of(self, seat: Seat) -> list[MediaLeg]:
        """The legs whose rows are of this seat; called by a station."""
        return [leg for leg in self._legs.values() if leg.is_carried_by(seat)]

    def carry_on(self, legs: list[MediaLeg]) -> None:
        """Repeat to a new process what these legs have asked for, then tell them; called by a station."""
        now_ns = self._clock.now_ns()
        told = [(leg, leg.resume(now_ns=now_ns)) for leg in legs]
        for leg, events in told:
            for event in events:
                self._deliver(leg, event)

    def bereave(self, legs: list[MediaLeg]) -> None:
        """Tell these legs that their media is lost; called by a station."""
        now_ns = self._clock.now_ns()
        for leg in legs:
            self._deliver(leg, EngineDied(row=leg.row, generation=leg.generation, at_ns=now_ns))

    def mourn(self) -> None:
        """A process died; called by a station."""
        if self._on_death is not None:
            self._on_death()

    def seated(self) -> None:
        """A seat came or went; called by a station."""
        if self._judge is not None:
            for place, station in enumerate(self._stations):
                self._judge.watch(None if station.seat is None else station.seat.memory, place=place)

    def _begin(self) -> None:
        count = _process_count(self._settings)
        for place in range(count):
            shared = SharedPorts(self._ports, size=_SHARED_PORTS) if self._settings.ports_shared else None
            if shared is not None:
                self._shared.append(shared)
            station = Station(
                self._settings,
                -(-self._settings.capacity // count),
                place=place,
                shared=shared,
                owner=self,
                standby=self._standby,
                household=self._household,
                tasks=self._tasks,
                clock=self._clock,
            )
            self._stations.append(station)
        self.seated()

    def _seats(self) -> list[Seat]:
        if self._is_closed:
            raise EngineError("the media engine is closed")
        seats = [station.seat for station in self._stations if station.seat is not None]
        if not seats:
            raise EngineError("the media process is down and will be restarted in a moment")
        return seats

    def _give(self, verdicts: list[Verdict]) -> None:
        for told in verdicts:
            if (leg := self._legs.get(told.generation)) is not None and leg.is_open:
                leg.verdict(epoch=told.epoch, is_speech=told.is_speech, question=told.question)

    def _deliver(self, leg: MediaLeg, event: LegEvent | RowOpened | Datagram) -> None:
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

    def _forget(self, shared: SharedPorts | None, budget: Budget, leg: MediaLeg) -> None:
        self._legs.pop(leg.generation, None)
        budget.give_back(leg.weight)
        if leg.spot is None:
            self._ports.release(leg.ports)
        elif shared is not None:
            shared.leave(leg.spot, now_ns=self._clock.now_ns())


def _process_count(settings: MediaSettings) -> int:
    """One less than there are cores, for signalling needs one: but one at least, and no more than rows."""
    wanted = settings.processes or _cores() - 1
    return max(1, min(wanted, settings.capacity))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
