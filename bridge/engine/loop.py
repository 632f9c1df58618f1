"""The one thread of the media process: wait, obey, receive, build, send."""

import os
import sys
import time
from collections import deque
from collections.abc import Sequence
from functools import partial

import numpy as np

from bridge.engine.aside import Aside
from bridge.engine.budget import SLOTS, ticks_of
from bridge.engine.commands import (
    CloseRow,
    Message,
    OpenRow,
    Report,
    RowClosed,
    RowOpened,
    SharePort,
    Stop,
    UpdateRow,
)
from bridge.engine.guard import RowGuard
from bridge.engine.link import Link
from bridge.engine.orders import RowPlane, carry_out
from bridge.engine.reports import Reports
from bridge.engine.shared import GaugeColumns
from bridge.engine.sockets import FOREVER_NS, LegSockets
from bridge.engine.srtp import SrtpRows
from bridge.plane.events import Latched, RowFailed
from bridge.plane.packets import Arrivals
from bridge.plane.spec import RowSpec
from bridge.ports import Clock
from bridge.rtp.srtp import SrtpKeys

__all__ = ["EVENT_DRIVEN_ROWS", "HANDSHAKE_ROWS", "MediaLoop"]

EVENT_DRIVEN_ROWS = 1
"""A call that is alone tells of keys and voices as they come. Beyond, the slots in use are the only ticks: a
voice that is heard right before the packets are built mutes the same packet as one that was heard earlier."""
HANDSHAKE_ROWS = 64
"""Up to here a handshake on the media's way makes every packet worth one too; beyond, one is looked for every
4 ms."""
_APART_WORK = 8
"""A row whose packets are coded one by one takes ten times as long and more; so many of them are as late as
all of a slot's others, and no more than these have to wait for them."""
_MS = 1_000_000
_SLOT_NS = 20 * _MS
_TICK_NS = _SLOT_NS // SLOTS
_SPREAD = 2
"""Slots are begun in the order 0, 8, 16, 4 and 12 ms."""
_GATHER = pow(_SPREAD, -1, SLOTS)
_ROUNDS = 4
"""Times that packets are fetched in one turn; beyond, sending what is due comes first."""
_OBEY_NS = 2 * _MS
"""Time for commands in one turn: a crowd of new calls must not make the running ones late."""
_FLOODED_TICK_NS = 2 * _MS
"""While strangers flood a socket it is emptied so often: what waits for a slot would not find room in it."""
_MOST_PER_ROW = 4
"""Packets of a slot that a network's bunches explain, on average; more are a flood, whoever sends it."""
_FEW_UNWANTED = 16
"""Packets that nobody wants in one turn: the last ones of calls that have ended are no flood."""
_FLOOD_NS = 200 * _MS
"""So long after its last sign a flood is believed to go on."""
_RETRY_NS = 20 * _MS
_AT_ONCE_NS = 1


class MediaLoop:
    """Drives one `Plane` with real packets and real time.

    Deadlines are absolute. With one row the loop sleeps until a packet, a command or the next slot; with more
    until a command or the next slot, and rows are spread over slots by what they cost; with none until a
    command.

    Args:
        plane: The columns' arithmetic.
        arrivals: The buffer that `sockets` fills.
        sockets: The network.
        srtp: Encrypts the rows that have keys.
        link: Commands in, events out.
        gauges: Where the loop's own health is told.
        clock: Monotonic time.
        orders: Commands that came before there was a loop to read them.
    """

    def __init__(
        self,
        plane: RowPlane,
        arrivals: Arrivals,
        *,
        sockets: LegSockets,
        srtp: SrtpRows,
        link: Link,
        gauges: GaugeColumns,
        clock: Clock,
        orders: Sequence[Message] = (),
    ) -> None:
        self._plane = plane
        self._arrivals = arrivals
        self._full = arrivals.capacity // 4
        self._sockets = sockets
        self._srtp = srtp
        self._link = link
        self._gauges = gauges
        self._clock = clock
        self._rows = _Rows()
        self._guard = RowGuard()
        self._aside = Aside(len(plane.due_ns), sockets.hosts)
        self._flooded_until_ns = 0
        self._keyless: set[int] = set()
        """Rows that make their keys on the media's way and have none yet: their datagrams must not wait."""
        self._commands: deque[Message] = deque(orders)
        self._reports = Reports(link)
        self._keyless_ns = FOREVER_NS  # When to look; a command that comes before it does not move it.
        sockets.watch(link.sock)

    @property
    def rows(self) -> int:
        """Legs carried now."""
        return len(self._rows)

    @property
    def backlog(self) -> int:
        """Commands that have been read and wait for the next turn."""
        return len(self._commands)

    def run(self) -> None:
        """Work until a `Stop` or the end of the control plane."""
        while self.turn():
            pass

    def turn(self) -> bool:
        """Sleep until there is something to do, and do it; false when the work is over.

        Raises:
            RemoteProtocolError: If the pipe brought garbage.
        """
        rows = self.rows
        is_event_driven = rows <= EVENT_DRIVEN_ROWS or (bool(self._keyless) and rows <= HANDSHAKE_ROWS)
        deadline_ns = self._deadline_ns()
        wait_ns = _AT_ONCE_NS if self._commands else deadline_ns
        has_commands = self._sockets.wait(wait_ns, for_packets=is_event_driven and rows > 0)
        now_ns = self._clock.now_ns()
        is_due = now_ns >= deadline_ns
        if is_due:
            self._gauges.tick(now_ns - deadline_ns)
            self._keyless_ns = FOREVER_NS
        # Media first: what is due must not wait for commands.
        if rows and (is_due or is_event_driven):
            self._carry(now_ns)
        if (has_commands or self._commands) and not self._obey():
            return False
        if self._link.waiting:
            self._link.flush()
        return True

    def _deadline_ns(self) -> int:
        deadline_ns = int(self._plane.due_ns.min()) if self.rows else FOREVER_NS
        if self.rows and (now_ns := self._clock.now_ns()) < self._flooded_until_ns:
            deadline_ns = min(deadline_ns, now_ns + _FLOODED_TICK_NS)
        if self._keyless and self.rows > HANDSHAKE_ROWS:
            if self._keyless_ns == FOREVER_NS:
                self._keyless_ns = (self._clock.now_ns() // _TICK_NS + 1) * _TICK_NS
            deadline_ns = min(deadline_ns, self._keyless_ns)
        if self._link.waiting:
            deadline_ns = min(deadline_ns, self._clock.now_ns() + _RETRY_NS)
        return deadline_ns

    def _carry(self, now_ns: int) -> None:
        """Move media: what has arrived first, so that a voice mutes the packet built right after it."""
        self._fetch(now_ns)
        plane, sockets, srtp = self._plane, self._sockets, self._srtp
        due = np.flatnonzero(plane.due_ns <= now_ns)
        if len(due):
            build = partial(plane.build, now_ns=self._clock.now_ns())
            for departures in self._guard.build(build, due, plane.due_ns):
                sockets.send(srtp.protect(departures))
        due = np.flatnonzero(plane.report_due_ns <= now_ns)
        if len(due):
            report = partial(plane.report, now_ns=self._clock.now_ns())
            for departures in self._guard.build(report, due, plane.report_due_ns):
                sockets.send(srtp.protect(departures))
        for row, error in self._guard.drain().items():
            self._take_out(row)
            self._fail(row, f"{type(error).__name__}: {error}", now_ns)
        for event in plane.drain():
            if isinstance(event, Latched):
                sockets.learn(event.row, event.remote_key)
            self._post(event)
        self._note()

    def _fetch(self, now_ns: int) -> None:
        """Give the plane what has arrived."""
        plane, sockets, srtp = self._plane, self._sockets, self._srtp
        unwanted, is_flooded = 0, False
        for _ in range(_ROUNDS):
            strangers = sockets.strangers
            count = sockets.receive()
            refused = sockets.strangers - strangers
            if count:
                if self._aside:
                    self._hand_on(now_ns)
                for_calls = self._arrivals.count
                srtp.unprotect(self._arrivals)
                refused += for_calls - self._arrivals.count
                self._guard.receive(partial(plane.receive, now_ns=now_ns), self._arrivals)
                refused += plane.turned_away
            unwanted += refused
            is_flooded |= count > _MOST_PER_ROW * self.rows
            # A socket that strangers flood is read on, so that its own peer's packets find room.
            if count < self._full and not refused and not sockets.has_more:
                break
        # A socket that was not emptied in so many rounds would lag behind for ever; but what floods its own
        # call gets no more.
        is_flooded |= sockets.is_crowded or (sockets.has_more and unwanted > 0)
        if is_flooded or unwanted > max(_FEW_UNWANTED, self.rows // 4):
            self._flooded_until_ns = now_ns + _FLOOD_NS

    def _hand_on(self, now_ns: int) -> None:
        """Give the control plane what is no RTP."""
        for datagram in self._aside.take(self._arrivals, self._plane.destination, now_ns=now_ns):
            self._post(datagram)

    def _note(self) -> None:
        self._gauges.note(
            rows=self.rows,
            cpu_ns=time.process_time_ns(),
            rtcp_packets=self._sockets.rtcp_packets,
            socket_errors=self._sockets.errors,
            events_dropped=self._reports.dropped,
            strangers=self._sockets.strangers,
        )

    def _post(self, report: Report) -> None:
        if (row := self._reports.post(report)) is not None:
            self._take_out(row)
            _say(row, "taken out of service: nobody reads what it reports")

    def _take_out(self, row: int) -> None:
        """Serve it no more; it is free again when the control plane closes it."""
        self._sockets.remove(row)
        self._plane.close(row)
        self._srtp.close(row)
        self._aside.leave(row)
        self._keyless.discard(row)

    def _obey(self) -> bool:
        now_ns = self._clock.now_ns()
        try:
            self._commands += self._link.receive()
        except EOFError:
            return False
        while self._commands:
            command = self._commands.popleft()
            if isinstance(command, Stop):
                return False
            try:
                self._apply(command, now_ns)
            except Exception as error:
                message = f"{type(command).__name__} failed: {type(error).__name__}: {error}"
                self._fail(getattr(command, "row", -1), message, now_ns)
            if self._clock.now_ns() - now_ns >= _OBEY_NS:
                break
        self._note()
        return True

    def _apply(self, command: Message, now_ns: int) -> None:
        plane = self._plane
        match command:
            case OpenRow():
                self._open(command, now_ns)
            case UpdateRow(row=row, spec=spec) if self._rows.holds(row, spec.generation):
                self._srtp.update(row, command.srtp, ssrc=spec.ssrc)
                plane.update(row, spec, now_ns=now_ns)
                self._sockets.expect(row, spec)
                # What was learnt still holds, unless the peer's address has changed.
                self._sockets.learn(row, plane.destination(row))
                self._rows.weigh(row, spec)
                self._sockets.hosts.follow(row, spec.hosts)
                self._listen(row, spec, command.srtp)
            case SharePort():
                self._sockets.share(command.port, self._take_fds(command.fds))
            case CloseRow(row=row, generation=generation) if self._rows.holds(row, generation):
                self._rows.remove(row)
                self._part(row, now_ns)
                self._take_out(row)
                self._post(RowClosed(row, generation))
            case CloseRow(row=row, generation=generation) if self._rows.generation(row) is None:
                # A process that died had it, and failed it or could not say any more that it was closed.
                self._plane.close(row)
                self._post(RowClosed(row, generation))
            case _ if self._rows.holds(getattr(command, "row", -1), getattr(command, "generation", 0)):
                carry_out(plane, command, now_ns=now_ns)
                # A writer waits for the epoch of a flush, and what a verdict flushes ends a task: neither
                # must wait for the next packet.
                for event in plane.drain():
                    self._post(event)
            case _:
                pass  # About a leg that has ended meanwhile: both sides may be right.

    def _open(self, command: OpenRow, now_ns: int) -> None:
        row = command.row
        self._rows.add(row, command.spec)
        fds = self._take_fds(command.fds)
        if command.shared_port >= 0:
            self._sockets.seat(row, command.shared_port, command.spec)
        else:
            self._sockets.add(row, fds)
        self._sockets.hosts.follow(row, command.spec.hosts)
        is_taken_over = self._plane.open(row, command.spec, now_ns=now_ns)
        self._lock(row, command, is_taken_over=is_taken_over)
        self._listen(row, command.spec, command.srtp)
        if is_taken_over:
            # It keeps its place on the grid, and with it the time of its packets.
            self._plane.due_ns[row] = -(-int(self._plane.due_ns[row]) // _TICK_NS) * _TICK_NS
            self._rows.place(row, int(self._plane.due_ns[row]))
            self._sockets.learn(row, self._plane.destination(row))
            for event in self._plane.drain():
                self._post(event)
            self._post(RowOpened(row, command.spec.generation))
            return
        # Its slot goes on the grid, where fewest other rows are: no tick carries more than its share.
        due_ns = now_ns - now_ns % _SLOT_NS + self._rows.slot_ns(row)
        self._plane.due_ns[row] = due_ns if due_ns >= now_ns else due_ns + _SLOT_NS
        self._post(RowOpened(row, command.spec.generation))

    def _listen(self, row: int, spec: RowSpec, keys: SrtpKeys) -> None:
        """Take what is no RTP out of a row's packets, if it has such."""
        self._keyless.discard(row)
        if spec.in_band:
            if not keys.suite:
                self._keyless.add(row)
            self._aside.watch(row, spec.generation)
        else:
            self._aside.leave(row)

    def _lock(self, row: int, command: OpenRow, *, is_taken_over: bool) -> None:
        """Encrypt a row that has just been opened; where that fails nothing of it may leave in the clear."""
        keys, ssrc = command.srtp, command.spec.ssrc
        try:
            if is_taken_over:
                self._srtp.resume(row, keys, ssrc=ssrc, sequence=self._plane.next_sequence(row))
            else:
                self._srtp.open(row, keys, ssrc=ssrc, sequence=command.spec.sequence)
        except Exception:
            self._plane.close(row)
            raise

    def _take_fds(self, count: int) -> list[int]:
        """The descriptors that came with a command."""
        fds = self._link.take_fds() if count else []
        if len(fds) != count:
            for fd in fds:
                os.close(fd)
            raise OSError("its sockets did not arrive; the media process is out of file descriptors")
        return fds

    def _part(self, row: int, now_ns: int) -> None:
        """Say goodbye to the peer; a row that cannot is closed all the same."""
        try:
            self._sockets.send(self._srtp.protect(self._plane.farewell(row, now_ns=now_ns)))
        except Exception as error:
            _say(row, f"closed without goodbye: {type(error).__name__}: {error}")

    def _fail(self, row: int, message: str, now_ns: int) -> None:
        """One leg broke: its owner is told, the other legs go on."""
        message = " ".join(message.split())
        _say(row, message)
        if (generation := self._rows.generation(row)) is not None:
            self._post(RowFailed(row=row, generation=generation, at_ns=now_ns, message=message))


def _say(row: int, message: str) -> None:
    print(f"media: row {row}: {message}", file=sys.stderr)  # noqa: T201  this process's log is its standard error


class _Rows:
    """Which legs are here, and which fifth of the 20 ms each one sends in."""

    def __init__(self) -> None:
        self._generations: dict[int, int] = {}
        self._slots: dict[int, int] = {}
        self._work: dict[int, int] = {}
        self._crowd = [0] * SLOTS

    def __len__(self) -> int:
        return len(self._generations)

    def add(self, row: int, spec: RowSpec) -> None:
        self.remove(row)
        slots_used = ticks_of(sum(self._crowd) + 1)
        slot = self._crowd.index(min(self._crowd[:slots_used]))
        self._work[row] = 0
        self._generations[row], self._slots[row] = spec.generation, slot
        self.weigh(row, spec)

    def weigh(self, row: int, spec: RowSpec) -> None:
        """Count what a row costs, now or anew."""
        work = 1 if spec.is_by_column and spec.ptime_ms == _SLOT_NS // _MS else _APART_WORK
        self._crowd[self._slots[row]] += work - self._work[row]
        self._work[row] = work

    def remove(self, row: int) -> None:
        if self._generations.pop(row, None) is not None:
            self._crowd[self._slots.pop(row)] -= self._work.pop(row)

    def generation(self, row: int) -> int | None:
        return self._generations.get(row)

    def holds(self, row: int, generation: int) -> bool:
        return self._generations.get(row) == generation

    def place(self, row: int, due_ns: int) -> None:
        """Count a row where its packets are due."""
        slot = due_ns % _SLOT_NS // _TICK_NS * _GATHER % SLOTS
        self._crowd[self._slots[row]] -= self._work[row]
        self._crowd[slot] += self._work[row]
        self._slots[row] = slot

    def slot_ns(self, row: int) -> int:
        """When in each 20 ms its packets are due."""
        return self._slots[row] * _SPREAD % SLOTS * _TICK_NS
