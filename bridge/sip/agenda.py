"""Many deadlines, one question: which is next?"""

import heapq

__all__ = ["Agenda"]

_FEW = 64
"""Entries of which it does not matter how many are skipped."""


class Agenda:
    """The deadlines of named machines; cheap to move, however many there are.

    A moved or cleared entry stays in the heap until it surfaces, and is then skipped; if most of the heap is
    of that kind it is made anew, for a deadline may be years away.
    """

    def __init__(self) -> None:
        self._due: dict[str, int] = {}
        self._heap: list[tuple[int, str]] = []

    def __len__(self) -> int:
        """Entries that are kept, skipped ones included."""
        return len(self._heap)

    def set(self, name: str, due_ns: int | None) -> None:
        """Move a machine's deadline; None clears it."""
        if due_ns is None:
            self._due.pop(name, None)
        elif self._due.get(name) != due_ns:
            self._due[name] = due_ns
            heapq.heappush(self._heap, (due_ns, name))
            if len(self._heap) > _FEW + 2 * len(self._due):
                self._heap = [(due_ns, name) for name, due_ns in self._due.items()]
                heapq.heapify(self._heap)

    @property
    def next_ns(self) -> int | None:
        while self._heap and self._due.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def take(self, *, now_ns: int) -> list[str]:
        """Take off the machines that are due, earliest first; each sets its next deadline anew."""
        names: list[str] = []
        while (next_ns := self.next_ns) is not None and next_ns <= now_ns:
            name = heapq.heappop(self._heap)[1]
            del self._due[name]
            names.append(name)
        return names
