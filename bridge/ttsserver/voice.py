"""What every local voice takes and gives, whichever engine speaks with it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bridge.errors import BridgeError
from bridge.ports import WordTime
from bridge.text.passage import Pronunciation

__all__ = [
    "Delivery",
    "Engine",
    "EngineFailedError",
    "Rendered",
    "Stop",
    "Style",
    "Timbre",
    "UnspeakableError",
]


@dataclass(frozen=True, slots=True)
class Timbre:
    """How a cast voice differs from the engine's own, as factors of it."""

    pitch: float = 1.0
    """Of the fundamental frequency."""
    rate: float = 1.0
    """Of the speaking rate."""
    formant: float = 1.0
    """Of the resonances: below 1 a longer throat, above 1 a shorter one."""

    def __mul__(self, other: "Timbre") -> "Timbre":
        """One change on top of the other."""
        return Timbre(self.pitch * other.pitch, self.rate * other.rate, self.formant * other.formant)


@dataclass(frozen=True, slots=True)
class Style:
    """What an instruction does to a voice, as factors of its own prosody."""

    rate: float = 1.0
    """Of the speaking rate."""
    pitch: float = 1.0
    """Of the mean fundamental frequency."""
    liveliness: float = 1.0
    """Of the excursions of the fundamental frequency around its mean: 0 is monotone."""
    volume: float = 1.0
    """Of the amplitude."""


class Stop:
    """Tells a voice in another thread that nobody waits for it any more."""

    def __init__(self) -> None:
        self._is_set = False
        self._actions: list[Callable[[], None]] = []
        self._lock = threading.Lock()

    def set(self) -> None:
        """Nobody waits: do what was asked to be done then."""
        with self._lock:
            self._is_set = True
            actions, self._actions = self._actions, []
        for action in actions:
            action()

    @contextmanager
    def calling(self, action: Callable[[], None]) -> Iterator[None]:
        """Call `action` if nobody waits, now or during the block; it must not block or raise."""
        with self._lock:
            if not self._is_set:
                self._actions.append(action)
        if self._is_set:
            action()
        try:
            yield
        finally:
            with self._lock:
                if action in self._actions:
                    self._actions.remove(action)


@dataclass(frozen=True, slots=True)
class Delivery:
    """How one text is to be spoken: the request's parameters and the voice's timbre."""

    rate: float = 1.0
    """Speaking rate, 0.5 to 2."""
    pitch: float = 1.0
    """Factor of the fundamental frequency, 0.5 to 2."""
    volume: int = 50
    """0 to 100, linear; 50 is the level made for telephones."""
    seed: int = 0
    """Same seed, same text, same bytes."""
    timbre: Timbre = field(default_factory=Timbre)
    style: Style = field(default_factory=Style)
    language: str = ""
    """Hint such as ``en``, for scripts that several languages share; empty when there is none."""
    pronunciations: tuple[Pronunciation, ...] = ()
    """Given ones; offsets in the text that is rendered, in order, none overlapping."""
    with_words: bool = True
    """Whether word times are worth working out."""
    stop: Stop = field(default_factory=Stop, compare=False, repr=False)
    """For a voice that can take long."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """One piece of text as sound, without the silence before and after it."""

    samples: NDArray[np.int16]
    rate: int
    """Sampling frequency in Hz; differs from voice to voice, so always resample from it."""
    words: tuple[WordTime, ...] = ()
    """Times from the first sample, offsets from the first character of the piece."""


class UnspeakableError(BridgeError):
    """The voice has no sounds for this text; the message says what to do."""


class EngineFailedError(BridgeError):
    """What is behind the voice failed; the text is not to blame, and a later try may succeed."""


class Engine(Protocol):
    """Speaks one piece of text at a time; called from several threads at once."""

    def check(self, text: str) -> None:
        """Make sure that nothing of `text` would be left out.

        Raises:
            UnspeakableError: If this voice cannot speak it.
        """
        ...

    def breath(self, text: str) -> tuple[int, int]:
        """Characters of `text` that are best spoken at one go: of the first piece, and of later ones.

        A slow voice wants a short first piece, so that something is heard soon.
        """
        ...

    def render(self, text: str, delivery: Delivery) -> Rendered:
        """Speak `text`; no samples when it holds nothing to pronounce, such as a lone dash."""
        ...
