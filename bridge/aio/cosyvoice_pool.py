"""Speech from a CosyVoice service, the cloud's or our own, over connections that are warm beforehand.

An utterance is bound to an idle open connection in the turn in which it is asked for. A connection
comes back when its task has ended; after a cancel it stays in quarantine until the terminal event,
and is closed and replaced when that takes too long.
"""

import asyncio
import logging
import math
import ssl
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from bridge.aio.cosyvoice_connection import Address, Connection, DialError, Dialler, Passenger
from bridge.aio.cosyvoice_keys import KeyProvider, Keys
from bridge.aio.cosyvoice_speech import PooledSpeech
from bridge.aio.tasks import Tasks
from bridge.audio import OpusFormat, PcmFormat
from bridge.cosyvoice.failures import BUSY, CLOSED, to_error
from bridge.cosyvoice.request import VoiceRequest
from bridge.cosyvoice.task import ClientPatience, ClientTask, Failed
from bridge.ports import Clock, IdSource, Voice

__all__ = ["CosyVoicePool", "TtsSettings"]

_log = logging.getLogger(__name__)

_S = 1_000_000_000
_BACKOFF_S = (0.1, 0.3, 1.0, 3.0, 10.0)
"""Between dials for spares that fail. A speech that has no connection is not made to wait for it."""

_PROVEN_NS = 1 * _S
"""A connection without a task that lives for less says nothing good about the service."""

_COUNTERS = (
    "dialled",
    "dial_failures",
    "warm_starts",
    "cold_starts",
    "replaced",
    "retired",
    "lost",
    "malformed",
    "strays",
    "turned_away",
)

_CLOSING = Failed(CLOSED, "the client is closing", retryable=False)


@dataclass(frozen=True, slots=True)
class TtsSettings:
    """Which service, and how many connections stand by."""

    url: str
    api_key: str | KeyProvider = field(default="", repr=False)
    """The key itself, or what gives one whenever a connection is opened."""
    spares: int = 1
    """Idle connections kept open, at least."""
    spare_share: float = 0.2
    """… and this share of the utterances now being spoken."""
    word_times: bool = True
    parameters: Mapping[str, object] = field(default_factory=dict)
    """Further parameters for every task, as on the wire: ``volume``, ``rate``, ``instruction`` …"""
    buffer_ms: int = 15_000
    """Sound taken ahead of the listener; the service is held back above it."""
    retire_s: float = 45.0
    """A connection idle for longer is replaced: the service closes it after 60 s."""
    ping_s: float = 10.0
    """Between signs of life."""
    pong_s: float = 5.0
    """A connection that answers no ping for longer is replaced."""
    max_connections: int = 1_000
    """Open connections at most, those being dialled included."""
    most_waiting: int = 1_000
    """Utterances that may wait for a connection; more are refused at once, with ``Busy``."""
    most_ahead: int = 2_000
    """Counted characters that the service has and has not spoken; above it text waits with us."""
    open_timeout_s: float = 5.0
    headers: Mapping[str, str] = field(default_factory=dict)
    """Further headers of the handshake, such as ``X-DashScope-WorkSpace``."""
    patience: ClientPatience = field(default_factory=ClientPatience)
    name: str = "tts"
    """What the log calls it."""


class CosyVoicePool:
    """A `bridge.ports.Synthesizer`. `start` it, and `close` it.

    Args:
        settings: Which service.
        clock: For the marks.
        dice: For task ids.
    """

    def __init__(self, settings: TtsSettings, *, clock: Clock, dice: IdSource) -> None:
        self.counters: Counter[str] = Counter(dict.fromkeys(_COUNTERS, 0))
        """What happened so far, by the names of `_COUNTERS`."""
        self._settings = settings
        self._clock = clock
        self._dice = dice
        tls = ssl.create_default_context() if settings.url.startswith("wss:") else None
        self._keys = Keys(settings.api_key)
        address = Address(settings.url, "", settings.open_timeout_s, tls, settings.headers)
        self._dialler = Dialler(address, clock=clock, counters=self.counters)
        self._links = _Links()
        self._tasks = Tasks("cosyvoice")

    @property
    def idle(self) -> int:
        """Connections that stand by, open and without a task."""
        return len(self._links.idle)

    @property
    def busy(self) -> int:
        """Connections that carry a task, those in quarantine included."""
        return len(self._links.busy)

    async def start(self) -> None:
        """Begin to dial the spares; `ready` tells when one stands by."""
        self._tasks.start(self._watch(), name="watch")
        self._tend()

    async def ready(self) -> None:
        """Return once a connection stands by.

        Raises:
            SynthesisError: If the service refuses or cannot be reached; names the cause and the fix.
        """
        links = self._links
        while not links.idle:
            if not links.closed:
                if not links.dialling and links.count < self._settings.max_connections:
                    self._dial()
                await links.changed.wait()
            if (failure := links.failure) is not None and not links.idle:
                raise to_error(failure)

    def speak(self, voice: Voice, format: PcmFormat | OpusFormat) -> PooledSpeech:
        request = VoiceRequest(
            voice.model,
            voice.name,
            format="opus" if isinstance(format, OpusFormat) else "pcm",
            sample_rate=format.rate,
            language_hints=(voice.language,) if voice.language else (),
            word_timestamp_enabled=self._settings.word_times,
            additional_params=self._settings.parameters,
        )
        return self.begin(request)

    def begin(self, request: VoiceRequest) -> PooledSpeech:
        """Bind an open connection and start a task on it, without waiting for either."""
        rate = request.counted_rate
        speech = PooledSpeech(
            ClientTask(request.run_task(self._dice.token()), rate=rate, patience=self._settings.patience),
            clock=self._clock,
            # Packed sound is smaller; how much smaller, nobody can say beforehand.
            most_bytes=self._settings.buffer_ms * request.sample_rate // 1000 * 2,
            free=self.freed,
            forget=self.forget,
            most_ahead=self._settings.most_ahead,
        )
        self.carry(speech)
        return speech

    def carry(self, passenger: Passenger) -> None:
        """Bind an open connection to what starts a task on it, or let it wait for one.

        `freed` has to be called when it needs the connection no more, `forget` when it waits no more.
        """
        if self._links.closed:
            passenger.lost(_CLOSING)
        elif (connection := self._warmest()) is not None:
            self.counters["warm_starts"] += 1
            self._bind(passenger, connection)
        elif len(self._links.waiting) >= self._settings.most_waiting:
            self.counters["turned_away"] += 1
            passenger.lost(self._turned_away())
        else:
            self.counters["cold_starts"] += 1
            self._links.waiting.append(passenger)
            if self._links.count >= self._settings.max_connections:
                passenger.queue()
        self._tend()

    def forget(self, passenger: Passenger) -> None:
        """Let nobody wait for a connection who has given up."""
        if passenger in self._links.waiting:
            self._links.waiting.remove(passenger)

    def freed(self, connection: Connection, reusable: bool) -> None:
        """Take back a connection whose task has ended.

        Args:
            connection: The one that was bound.
            reusable: Whether another task may start on it.
        """
        self._links.busy.discard(connection)
        if reusable and connection.is_open:
            self._links.proved()
            self._stand_by(connection)
        elif connection.is_usable:
            self.counters["replaced"] += 1
            self._retire(connection)
        else:
            self.counters["lost"] += 1
        self._tend()

    async def close(self) -> None:
        """End every speech and close every connection."""
        self._links.close()
        connections = [*self._links.idle, *self._links.busy]
        while self._links.waiting:
            self._links.waiting.popleft().lost(_CLOSING)
        await asyncio.gather(*(connection.close() for connection in connections))
        await self._tasks.close()
        await self._dialler.close()
        self._links.idle.clear()
        self._links.busy.clear()

    def _warmest(self) -> Connection | None:
        """Take the idle connection with the latest sign of life."""
        usable = [connection for connection in self._links.idle if connection.is_open]
        return max(usable, key=lambda connection: connection.last_sign_ns, default=None)

    def _bind(self, passenger: Passenger, connection: Connection) -> None:
        self._links.idle.discard(connection)
        self._links.busy.add(connection)
        passenger.bind(connection)

    def _turned_away(self) -> Failed:
        settings = self._settings
        message = (
            f"{self.busy} of {settings.max_connections} connections are in use and "
            f"{settings.most_waiting} utterances wait for one: raise max_connections, or ask for less"
        )
        return Failed(BUSY, message, retryable=True)

    def _stand_by(self, connection: Connection) -> None:
        """Give an open connection to whoever waits, or keep it."""
        connection.idle_since_ns = self._clock.now_ns()
        if self._links.waiting:
            self._bind(self._links.waiting.popleft(), connection)
            return
        self._links.idle.add(connection)
        self._links.tell()

    def _tend(self) -> None:
        """Dial what is missing and part from what has been idle for too long."""
        if self._links.closed:
            return
        settings, links = self._settings, self._links
        wanted = max(settings.spares, math.ceil(settings.spare_share * len(links.busy)))
        oldest_ns = self._clock.now_ns() - round(settings.retire_s * _S)
        stale = [connection for connection in links.idle if connection.idle_since_ns <= oldest_ns]
        fresh = len(links.idle) - len(stale)
        if fresh >= wanted:
            for connection in stale:
                links.idle.discard(connection)
                self.counters["retired"] += 1
                self._retire(connection)
        # Whoever waits does not stand behind a backoff; spares do.
        missing = len(links.waiting) + (0 if links.backing_off else max(0, wanted - fresh))
        for _ in range(min(missing - links.dialling, settings.max_connections - links.count)):
            self._dial()

    def _dial(self) -> None:
        self._links.dialling += 1
        self._tasks.start(self._serve(), name="connection")

    async def _serve(self) -> None:
        """Open one connection and read it until it ends."""
        try:
            connection = await self._open()
        except DialError as error:
            self._dial_failed(error.failure)
            return
        except Exception as error:
            # Not foreseen, so it is loud; but whoever waits is told all the same.
            self._dial_failed(Failed(CLOSED, f"dialling failed: {error}", retryable=False))
            raise
        finally:
            self._links.dialling -= 1
        try:
            if not self._links.closed:
                self._opened(connection)
                await connection.read()
        finally:
            self._parted(connection)
            # Nobody reads it any more. It is closed already, unless the client closes in this very moment.
            connection.abort()

    async def _open(self) -> Connection:
        address = await self._keys.address(self._dialler.address)
        try:
            return await self._dialler.dial(address)
        except DialError as error:
            address = await self._keys.after(address, error)
        return await self._dialler.dial(address)

    def _opened(self, connection: Connection) -> None:
        # The pauses between dials start anew only when the connection has proved to be of use.
        self._links.failure = None
        self.counters["dialled"] += 1
        self._stand_by(connection)
        self._tend()

    def _parted(self, connection: Connection) -> None:
        was_ours = connection in self._links.idle or connection in self._links.busy
        self._links.idle.discard(connection)
        self._links.busy.discard(connection)
        lived_ns = self._clock.now_ns() - connection.opened_ns
        if connection.tasks_carried or lived_ns >= _PROVEN_NS:
            self._links.proved()
        elif was_ours and not self._links.closed:
            # Accepted and dropped at once, or a service that ends: dialling again at once would be a storm.
            message = f"a new connection to {self._dialler.address.url} was lost: {connection.end.message}"
            self._back_off(Failed(CLOSED, message, retryable=True))
        if was_ours and not self._links.closed:
            self.counters["lost"] += 1
        self._tend()

    def _dial_failed(self, failure: Failed) -> None:
        self.counters["dial_failures"] += 1
        # The cause is the service's, not one caller's: nobody who waits is better off waiting longer.
        while self._links.waiting:
            self._links.waiting.popleft().lost(failure)
        self._back_off(failure)

    def _back_off(self, failure: Failed) -> None:
        links = self._links
        if links.complaint != failure.message:
            links.complaint = failure.message
            _log.warning("%s: %s", self._settings.name, failure.message)
        delay_s = _BACKOFF_S[min(links.failures, len(_BACKOFF_S) - 1)]
        links.failed(failure)
        if links.backing_off is not None:
            links.backing_off.cancel()
        links.backing_off = asyncio.get_running_loop().call_later(delay_s, self._backed_off)

    def _backed_off(self) -> None:
        self._links.backing_off = None
        self._tend()

    def _retire(self, connection: Connection) -> None:
        connection.is_usable = False
        if not self._links.closed:
            self._tasks.start(connection.close(), name="closing")

    async def _watch(self) -> None:
        """Ask every connection for a sign of life, and renew the spares before they grow old."""
        while True:
            await asyncio.sleep(self._settings.ping_s)
            connections = [*self._links.idle, *self._links.busy]
            alive = await asyncio.gather(
                *(connection.check(within_s=self._settings.pong_s) for connection in connections)
            )
            for connection, is_alive in zip(connections, alive, strict=True):
                if not is_alive and connection.is_usable:
                    self._links.idle.discard(connection)
                    self.counters["replaced"] += 1
                    self._retire(connection)
            self._tend()


class _Links:
    """The connections, by what they do, and those who wait for one."""

    def __init__(self) -> None:
        self.idle: set[Connection] = set()
        self.busy: set[Connection] = set()
        self.waiting: deque[Passenger] = deque()
        self.dialling = 0
        self.closed = False
        self.failure: Failed | None = None
        """Why the last dial failed; None after one that did not."""
        self.failures = 0
        """In a row: dials that failed, and connections that were lost before they were of use."""
        self.complaint = ""
        """What the log was last told of them."""
        self.backing_off: asyncio.TimerHandle | None = None
        self.changed = asyncio.Event()

    @property
    def count(self) -> int:
        """Connections that are open or being dialled."""
        return len(self.idle) + len(self.busy) + self.dialling

    def tell(self) -> None:
        """Wake whoever looks at the idle connections or at the failure."""
        self.changed.set()
        self.changed = asyncio.Event()

    def close(self) -> None:
        self.closed = True
        if self.backing_off is not None:
            self.backing_off.cancel()
        self.failure = _CLOSING
        self.tell()

    def proved(self) -> None:
        """The service is good: the next failure is the first, and dials need not wait."""
        self.failures, self.complaint = 0, ""
        if self.backing_off is not None:
            self.backing_off.cancel()
            self.backing_off = None

    def failed(self, failure: Failed) -> None:
        self.failure = failure
        self.failures += 1
        self.tell()
