"""Drive any machine on an event loop: feed, drain, re-arm."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from bridge.ports import Clock

__all__ = ["Machine", "Pump"]

In_contra = TypeVar("In_contra", contravariant=True)
Out_co = TypeVar("Out_co", covariant=True)
In = TypeVar("In")
Out = TypeVar("Out")


class Machine(Protocol[In_contra, Out_co]):
    """The contract of every pure room."""

    @property
    def deadline_ns(self) -> int | None:
        """When `handle_timeout` wants to be called; None while nothing is pending."""
        ...

    def receive(self, item: In_contra, *, now_ns: int) -> None:
        """Advance on one input."""
        ...

    def handle_timeout(self, *, now_ns: int) -> None:
        """Do what is due; harmless when early."""
        ...

    def drain(self) -> Sequence[Out_co]:
        """Outputs decided since the last call, in order."""
        ...


class Pump(Generic[In, Out]):
    """Own one machine and its one timer.

    Args:
        deliver: Called on the loop with each output, in order. Must not block. It may
            `feed` again: what follows is delivered after the outputs already drained. What it
            raises goes to the loop's exception handler: it concerns neither the other outputs
            nor whoever happened to feed.
    """

    def __init__(self, machine: Machine[In, Out], *, clock: Clock, deliver: Callable[[Out], None]) -> None:
        self._machine = machine
        self._clock = clock
        self._deliver = deliver
        self._timer: asyncio.TimerHandle | None = None
        self._armed_ns: int | None = None
        self._is_settling = False
        self._is_closed = False

    def feed(self, item: In) -> None:
        """Hand one input over and carry out what follows from it.

        Whatever the machine raises goes to the caller, after the outputs that
        were decided before it raised.
        """
        try:
            self._machine.receive(item, now_ns=self._clock.now_ns())
        finally:
            self._settle()

    def close(self) -> None:
        """Disarm the timer for good; outputs not yet drained are lost."""
        self._is_closed = True
        self._disarm()

    def _fire(self) -> None:
        self._timer = self._armed_ns = None
        try:
            self._machine.handle_timeout(now_ns=self._clock.now_ns())
        finally:
            self._settle()

    def _settle(self) -> None:
        # A delivery that feeds again only adds to what the outer turn drains: order is kept
        # and the stack does not grow.
        if self._is_settling or self._is_closed:
            return
        self._is_settling = True
        try:
            while outputs := self._machine.drain():
                for output in outputs:
                    self._deliver_one(output)
        finally:
            self._is_settling = False
            self._arm()

    def _deliver_one(self, output: Out) -> None:
        try:
            self._deliver(output)
        except Exception as error:
            asyncio.get_running_loop().call_exception_handler(
                {"message": f"{type(output).__name__} was not carried out", "exception": error}
            )

    def _arm(self) -> None:
        deadline_ns = None if self._is_closed else self._machine.deadline_ns
        if deadline_ns == self._armed_ns:
            return
        self._disarm()
        if deadline_ns is not None:
            delay_s = max(0, deadline_ns - self._clock.now_ns()) / 1e9
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._fire)
            self._armed_ns = deadline_ns

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._armed_ns = None
