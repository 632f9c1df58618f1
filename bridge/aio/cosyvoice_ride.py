"""A task's ride on a connection of the pool: which one carries it, and when the task wants to be asked."""

import asyncio
from collections.abc import Callable
from typing import Protocol
from weakref import WeakMethod

from bridge.aio.cosyvoice_connection import Bearer, Connection
from bridge.cosyvoice.message import ContinueTask, FinishTask, RunTask, encode_action
from bridge.ports import Clock

__all__ = ["Ride", "Rider"]

_TIMER_SLACK_S = 0.001


class Rider(Protocol):
    """A machine of `bridge.cosyvoice` that is the client's side of a task."""

    strays: int

    @property
    def deadline_ns(self) -> int | None: ...

    def bind(self, *, now_ns: int) -> None: ...


class Ride:
    """From the connection that a task is bound to until the task has ended.

    Args:
        task: The machine; not yet bound.
        clock: For deadlines.
        free: Called when the connection carries the task no more, with whether it may be used again.
        due: Called when the task's deadline has come, or a little before: a method of who rides, who is held
            weakly and so goes when nobody else wants him.
    """

    def __init__(
        self,
        task: Rider,
        *,
        clock: Clock,
        free: Callable[[Connection, bool], None],
        due: Callable[[], None],
    ) -> None:
        self.bound_ns: int = 0
        """When an open connection was bound (mark t6); 0 while there is none."""
        self._task = task
        self._clock = clock
        self._free = free
        self._due = WeakMethod(due)
        self._connection: Connection | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_armed(self) -> bool:
        """Whether a timer runs."""
        return self._timer is not None

    def begin(self, bearer: Bearer, connection: Connection) -> None:
        """Start the task on `connection`, which is idle and open, for this bearer."""
        self._connection = connection
        connection.bearer = bearer
        connection.tasks_carried += 1
        self.bound_ns = self._clock.now_ns()
        self._task.bind(now_ns=self.bound_ns)

    def write(self, action: RunTask | ContinueTask | FinishTask) -> None:
        """Tell the service; without a connection there is nobody to tell."""
        if self._connection is not None:
            self._connection.write(encode_action(action))

    def write_sound(self, data: bytes) -> None:
        """Let the service hear this."""
        if self._connection is not None:
            self._connection.write_bytes(data)

    def end(self, *, reusable: bool) -> None:
        """Give the connection back, if there is one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.bearer = None
            connection.counters["strays"] += self._task.strays
            self._free(connection, reusable)

    def arm(self) -> None:
        """Keep a timer that fires no later than the deadline.

        A deadline that moves back with every frame costs nothing: the timer fires early once and is set anew.
        """
        deadline_ns = self._task.deadline_ns
        if deadline_ns is None:
            self._disarm()
            return
        loop = asyncio.get_running_loop()
        due_s = loop.time() + max(0, deadline_ns - self._clock.now_ns()) / 1e9
        if self._timer is not None and self._timer.when() <= due_s + _TIMER_SLACK_S:
            return
        self._disarm()
        self._timer = loop.call_at(due_s, self._fire)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fire(self) -> None:
        self._timer = None
        if (due := self._due()) is not None:
            due()
