"""Which bed lies where in the memory of one seat, and who is playing it."""

import numpy as np
from numpy.typing import NDArray

from bridge.errors import EngineError

__all__ = ["BedShelf"]


class BedShelf:
    """Keeps every sound once, however many legs play it.

    Sounds that nobody plays stay until their place is needed; the one that was given back first goes first.

    Args:
        memory: The shelf that the seat's media process reads, ``[beds, samples]``.
    """

    def __init__(self, memory: NDArray[np.int16]) -> None:
        self._memory = memory
        self._places: dict[str, int] = {}
        self._samples = [0] * len(memory)
        self._players = [0] * len(memory)
        self._free = list(range(len(memory)))

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def take(self, name: str, loop: NDArray[np.int16] | None = None) -> tuple[int, int]:
        """Play a bed: its place and its length. Give it back with `give_back`, once.

        Args:
            name: Of the sound at its rate; two sounds never share one.
            loop: The sound itself, where the shelf may not have it yet.

        Raises:
            EngineError: If all places hold beds that are being played.
            KeyError: If the shelf does not have it and there is no `loop`.
        """
        if name not in self._places:
            if loop is None:
                raise KeyError(name)
            place = self._place()
            self._memory[place, : len(loop)] = loop
            self._samples[place] = len(loop)
            self._places[name] = place
        place = self._places[name]
        self._players[place] += 1
        return place, self._samples[place]

    def give_back(self, place: int) -> None:
        """One leg less plays what lies there."""
        self._players[place] -= 1
        if not self._players[place]:
            # To the end of the line: a fade-out of 20 ms is over long before this place is used again.
            self._places = dict(sorted(self._places.items(), key=lambda item: item[1] == place))

    def _place(self) -> int:
        if self._free:
            return self._free.pop(0)
        for name, place in self._places.items():
            if not self._players[place]:
                del self._places[name]
                return place
        raise EngineError(f"{len(self._memory)} beds are playing, and there is no room for another")
