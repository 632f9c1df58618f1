"""Rows, their memory, and the media process that carries them at this moment.

A seat outlives its process: when that dies, another one takes it, and what lies in the memory stays.
"""

from collections import deque
from collections.abc import Sequence

from bridge.engine.budget import Budget
from bridge.engine.child import MediaProcess
from bridge.engine.commands import CloseRow, Command, HandKey, Message, OpenRow, RowClosed, SharePort
from bridge.engine.ports import BoundPorts
from bridge.engine.rows import FreeRows
from bridge.engine.shared import SharedMemory
from bridge.engine.shared_ports import SharedPorts
from bridge.engine.shelf import BedShelf
from bridge.plane.events import RowFailed

__all__ = ["Seat"]

_MOST_KEYS = 256
"""Keys told by signalling that wait for the next process: more than hands press while it comes."""


class Seat:
    """What a leg holds of the media engine.

    Args:
        capacity: Number of rows of 8 kHz.
        wide: Number of rows of each higher rate.
        place: Which of the engine's seats this is.
        shared: Ports that its legs may share; None = every leg has its own.
        budget: What its legs may cost; None = whatever they like.

    Raises:
        OSError: If the system refuses the memory.
    """

    def __init__(
        self,
        capacity: int,
        *,
        wide: int = 0,
        place: int = 0,
        shared: SharedPorts | None = None,
        budget: Budget | None = None,
    ) -> None:
        self.budget: Budget = budget or Budget()
        self.place: int = place
        self.shared: SharedPorts | None = shared
        if shared is not None:
            shared.on_open = self.share
        self.memory: SharedMemory = SharedMemory(capacity, wide=wide)
        self.shelf: BedShelf = BedShelf(self.memory.shelf)
        """Beds that its rows can play, whichever process carries them."""
        self.free_rows: FreeRows = FreeRows(capacity, wide)
        """Rows that no leg has."""
        self.is_alive: bool = True
        """Whether the rows are carried, or will be in a moment."""
        self.process: MediaProcess | None = None
        """None while one has died and the next one has not taken over."""
        self.takeovers_s: deque[float] = deque(maxlen=2)
        """When the last ones happened, by the loop's clock."""
        self._capacity = len(self.free_rows)
        self._carried: set[int] = set()
        self._closing: dict[int, int] = {}
        self._keys: deque[HandKey] = deque(maxlen=_MOST_KEYS)

    @property
    def load(self) -> int:
        """Rows that are taken."""
        return self._capacity - len(self.free_rows)

    @property
    def is_busy(self) -> bool:
        """Whether the process should be carrying a row."""
        return bool(self._carried)

    def sit(self, process: MediaProcess) -> None:
        """Let this process carry the rows from now on; the one before must be gone.

        Raises:
            OSError: If the memory cannot be handed over.
        """
        process.carry(self.memory, place=self.place)
        for number, ports in enumerate(self.shared.opened if self.shared is not None else ()):
            _share(process, number, ports)
        self.process = process

    def share(self, number: int, ports: BoundPorts) -> None:
        """Hand a new shared port over, before the first leg that uses it; later processes get it as well.

        Raises:
            OSError: If it cannot be handed over.
        """
        if self.process is not None:
            _share(self.process, number, ports)

    def vacate(self) -> MediaProcess | None:
        """Part with the process; orders wait for the next one, as far as their legs do not repeat them."""
        process, self.process = self.process, None
        if process is not None:
            process.abandon()
        return process

    def send(self, command: Command, fds: Sequence[int] = ()) -> None:
        """Hand an order over; returns at once, and does nothing once the rows are given up.

        Raises:
            OSError: If `fds` cannot be handed over; the process does not hear of the command.
        """
        if not self.is_alive:
            return
        if self.process is not None:
            self.process.send(command, fds)
        match command:
            case OpenRow(row=row):
                self._carried.add(row)
            case CloseRow(row=row, generation=generation):
                self._carried.discard(row)
                self._closing[row] = generation
            case HandKey() if self.process is None:
                self._keys.append(command)
            case _:
                pass

    def repeat(self) -> None:
        """Tell a new process what no leg will: which rows were to be closed, and keys that came meanwhile."""
        for row, generation in self._closing.items():
            self.send_only(CloseRow(row, generation))
        while self._keys:
            self.send_only(self._keys.popleft())

    def send_only(self, command: Command, fds: Sequence[int] = ()) -> None:
        """Hand over an order that was noted before.

        Raises:
            OSError: As `send`.
        """
        if self.process is not None:
            self.process.send(command, fds)

    def note(self, message: Message) -> None:
        """Take note of what the process says about its rows."""
        match message:
            case RowClosed(row=row):
                if self._closing.pop(row, None) is not None:
                    self.free_rows.append(row)
            case RowFailed(row=row):
                self._carried.discard(row)
            case _:
                pass

    def give_up(self) -> MediaProcess | None:
        """Nobody will carry these rows any more: their rings accept nothing from now on."""
        self.is_alive = False
        for bank in self.memory.banks:
            bank.generation[:] = 0
        self.memory.close_fd()
        return self.vacate()


def _share(process: MediaProcess, number: int, ports: BoundPorts) -> None:
    fds = [sock.fileno() for sock in ports.sockets()]
    process.send(SharePort(number, len(fds)), fds)
