"""Messages whose destination is a name: they wait in order while it is looked up."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from bridge.aio.sip_route import Remembered
from bridge.aio.tasks import Tasks
from bridge.errors import SetupError
from bridge.ports import Clock
from bridge.sip.flow import Address
from bridge.sip.layer import Send
from bridge.sip.locating import Wanted

__all__ = ["Lookups"]

_MOST_LOOKUPS = 16
"""Names that are looked up at a time."""
_MOST_WAITING = 64
"""Messages that wait for one of them."""


class Lookups:
    """Finds where messages go whose destination is a name.

    All messages to one name go to the same address for half a minute: to the server that has the transaction.

    Args:
        locate: Finds the first address to try.
        clock: For the age of answers.
        deliver: Gets each message again, with an address as its destination.
        fail: Gets messages whose name leads nowhere, and why.
    """

    def __init__(
        self,
        locate: Callable[[Wanted], Awaitable[Address]],
        *,
        clock: Clock,
        deliver: Callable[[Send], None],
        fail: Callable[[list[Send], SetupError], None],
    ) -> None:
        self._locate = locate
        self._deliver = deliver
        self._fail = fail
        self._known: Remembered[Wanted, Address] = Remembered(clock, size=256)
        self._waiting: dict[Wanted, list[Send]] = {}
        self._tasks = Tasks("sip look-up")

    def __len__(self) -> int:
        """How many names are looked up now."""
        return len(self._waiting)

    def send(self, send: Send) -> None:
        """Deliver a message once its destination is known; too many are failed at once."""
        wanted = Wanted.at(send.destination)
        waiting = self._waiting.get(wanted)
        if (known := self._known.get(wanted)) is not None:
            self._deliver(replace(send, destination=known))
        elif waiting is not None and len(waiting) < _MOST_WAITING:
            waiting.append(send)
        elif waiting is None and len(self._waiting) < _MOST_LOOKUPS:
            self._waiting[wanted] = [send]
            self._tasks.start(self._look_up(wanted), name=wanted.host)
        else:
            self._fail([send], SetupError(f"too much waits for names to send to {wanted.host}"))

    def forget(self, target: Address) -> None:
        """Look up again what led to an address that does not answer."""
        self._known.drop(lambda known: (known, known.transport) == (target, target.transport))

    async def close(self) -> None:
        """Abandon what is looked up, and what waits for it."""
        await self._tasks.close()

    async def _look_up(self, wanted: Wanted) -> None:
        try:
            target = await self._locate(wanted)
        except SetupError as error:
            self._fail(self._waiting.pop(wanted), error)
            return
        self._known.put(wanted, target)
        for send in self._waiting.pop(wanted):
            self._deliver(replace(send, destination=target))
