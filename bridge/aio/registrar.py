"""Keeps one registration on an event loop: finds the registrar, carries what both say, tells the state."""

import asyncio
import logging
from collections.abc import Callable

from bridge.aio.following import follow
from bridge.aio.names import Found
from bridge.aio.pump import Pump
from bridge.aio.sip import SipEndpoint
from bridge.aio.tasks import Tasks
from bridge.errors import SetupError
from bridge.ports import Clock, IdSource
from bridge.sip.events import Ask, Unserved
from bridge.sip.locating import MOST_TARGETS, Wanted
from bridge.sip.registration import (
    Account,
    Failed,
    Input,
    Locate,
    Located,
    Output,
    Registered,
    Registration,
    Start,
    Stop,
    Unregistered,
)

__all__ = ["Registrar"]

_log = logging.getLogger(__name__)


class Registrar:
    """One account at one registrar, from `start` to `close`.

    Args:
        account: What is registered, and where.
        endpoint: Whose socket it uses: calls come back the same way.
        clock: For refreshes and pauses.
        dice: For tags, nonces and pauses.
        located: Told the account's name and the registrar's addresses whenever they were looked up.
    """

    def __init__(
        self,
        account: Account,
        endpoint: SipEndpoint,
        *,
        clock: Clock,
        dice: IdSource,
        located: Callable[[str, tuple[str, ...]], None],
    ) -> None:
        self.account: Account = account
        self.failures: int = 0
        """Attempts that came to nothing."""
        self.last: Registered | Failed | None = None
        """What became of the last attempt."""
        self.settled: asyncio.Event = asyncio.Event()
        """Set once there was one."""
        self._endpoint = endpoint
        self._clock = clock
        self._located = located
        self._machine = Registration(account, ids=dice)
        self._pump: Pump[Input, Output] = Pump(self._machine, clock=clock, deliver=self._deliver)
        self._tasks = Tasks(f"registrar {account.name}")
        self._gone = asyncio.Event()
        self._following: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to register; refreshes follow by themselves."""
        self._pump.feed(Start())

    @property
    def is_registered(self) -> bool:
        """Whether the registrar sends calls to us."""
        return self._machine.is_registered(now_ns=self._clock.now_ns())

    def stop(self) -> None:
        """Take the registration back, so that no new calls come; safe twice."""
        self._pump.feed(Stop())

    async def close(self, *, within_s: float = 1.0) -> None:
        """Stop, wait a moment for the registrar's word, and end; safe twice."""
        self.stop()
        try:
            async with asyncio.timeout(within_s):
                await self._gone.wait()
        except TimeoutError:
            _log.info("trunk %s: closed before its registrar had answered", self.account.name)
        self._pump.close()
        await self._tasks.close()

    def _deliver(self, output: Output) -> None:
        match output:
            case Locate(host=host, port=port):
                self._locate(Wanted(host, port, self.account.transport))
            case Ask():
                self._endpoint.ask(output, self._pump.feed)
            case Unserved():
                self._endpoint.unserved(output)
            case Registered():
                if not isinstance(self.last, Registered):
                    _log.info("trunk %s: registered for %d s", self.account.name, output.expires_s)
                self._note(output)
            case Failed():
                self.failures += 1
                _log.warning(
                    "trunk %s: not registered: %s; next attempt in %d s",
                    self.account.name,
                    output.reason,
                    output.retry_in_s,
                )
                self._note(output)
            case Unregistered():
                self._gone.set()

    def _note(self, output: Registered | Failed) -> None:
        self.last = output
        self.settled.set()

    def _locate(self, wanted: Wanted) -> None:
        """Find the registrar, and follow where it is: its calls come from there."""
        if self._following is not None:
            self._following.cancel()
        is_asked = True

        def found(found: Found) -> None:
            nonlocal is_asked
            account, targets = self.account, found.targets
            ips = tuple(dict.fromkeys(ip for ip, _ in targets))
            # Its answers, and its calls, are served from now on.
            self._endpoint.trust(account.name, ips, account.credentials)
            self._located(account.name, ips)
            if is_asked:
                is_asked = False
                ways = [(each, self._endpoint.place(each[0], account.transport)) for each in targets]
                self._pump.feed(Located(*ways[0], tuple(ways[1:MOST_TARGETS])))

        def lost(error: SetupError) -> None:
            nonlocal is_asked
            if is_asked:
                is_asked = False
                self._pump.feed(Located(None, why=str(error)))

        self._following = self._tasks.start(
            follow(self._endpoint.locate, wanted, on_found=found, on_lost=lost), name=wanted.host
        )
