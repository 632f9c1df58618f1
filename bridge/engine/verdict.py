"""Says whether a voice is speech: Silero over the capture rings of those rows that ask.

The media process asks (`VoiceQuestioned`, `Columns.question`) and does not wait: an answer that comes too
late, or never, is replaced by the voice gate's own evidence. It runs in a process of its own
(`bridge.engine.verdict_process`).
"""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridge.plane.columns import Columns
from bridge.plane.floor import DUCKED
from bridge.plane.shape import thin
from bridge.speech.silero import WINDOW_SAMPLES, Opinion, Streams, opinion

__all__ = ["MODEL", "Judge", "Network", "Verdict", "is_available", "silero"]

MODEL = Path(__file__).with_name("models") / "silero_vad.onnx"
_RATE = 8000
_LEAD_WINDOWS = 6
"""Heard before the question, so that the network knows the line; they do not count."""
_SLOTS = 256
"""Voices judged at a time. More wait for a slot, or for the gate's own evidence."""
_BATCH = 64
"""Voices in a run of the network at most: more would not be cheaper."""

Network = Callable[
    [NDArray[np.float32], NDArray[np.float32]], tuple[NDArray[np.float32], NDArray[np.float32]]
]
"""From windows ``[k, 288]`` and state ``[2, k, 128]`` to likelihoods ``[k]`` and state."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """An answer; the names are those of `bridge.engine.commands.GiveVerdict`."""

    row: int
    generation: int
    epoch: int
    question: int
    is_speech: bool


@dataclass(slots=True)
class _Voice:
    """One voice that is being judged."""

    slot: int
    row: int
    generation: int
    epoch: int
    question: int
    at: int
    counts_from: int
    is_doubted: bool
    likelihoods: list[float]
    is_answered: bool = False


def is_available() -> bool:
    """Whether onnxruntime is installed; nothing of it is imported."""
    return importlib.util.find_spec("onnxruntime") is not None


def silero() -> Network:
    """Load the network: half a second, most of it for onnxruntime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session: Any = onnxruntime.InferenceSession(str(MODEL), options, providers=["CPUExecutionProvider"])
    rate = np.array(_RATE, np.int64)

    def run(
        sound: NDArray[np.float32], state: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        likelihoods, after = session.run(None, {"input": sound, "state": state, "sr": rate})
        return likelihoods[:, 0], after

    return run


class Judge:
    """The voices of one bank of rows in one life of the media process; `step` does whatever can be done now.

    Whatever the rate of the rows, the network hears 8 kHz.
    """

    def __init__(self, columns: Columns, network: Network) -> None:
        self.columns: Columns = columns
        self._network = network
        self._per_tick = columns.shape.per_tick
        self._window = WINDOW_SAMPLES * self._per_tick
        self._streams = Streams(_SLOTS)
        self._free = list(range(_SLOTS))
        self._voices: dict[int, _Voice] = {}
        self.windows: int = 0
        """Windows that the network was given."""

    def step(self) -> list[Verdict]:
        """Listen to what has come since the last step, and answer what can be answered."""
        columns = self.columns
        asked = columns.question.copy()
        for row, voice in list(self._voices.items()):
            if int(asked[row]) != voice.question or int(columns.generation[row]) != voice.generation:
                self._free.append(self._voices.pop(row).slot)
        for row in np.flatnonzero(asked).tolist():
            if row not in self._voices and self._free:
                self._begin(row, int(asked[row]))
        while batch := [voice for voice in self._voices.values() if self._has_window(voice)]:
            for begin in range(0, len(batch), _BATCH):
                self._listen(batch[begin : begin + _BATCH])
        return [verdict for voice in self._voices.values() if (verdict := self._answer(voice)) is not None]

    @property
    def is_asked(self) -> bool:
        """Whether an answer may still be needed."""
        return bool(np.count_nonzero(self.columns.question))

    def _begin(self, row: int, question: int) -> None:
        columns = self.columns
        written = int(columns.capture_write[row])
        at = max(0, written - _LEAD_WINDOWS * self._window)
        slot = self._free.pop()
        self._streams.restart(slot)
        generation, epoch = int(columns.generation[row]), int(columns.epoch[row])
        # Without a duck it is the next voice after others that were none, or the same once more.
        is_doubted = int(columns.floor_state[row]) != DUCKED
        self._voices[row] = _Voice(slot, row, generation, epoch, question, at, written, is_doubted, [])

    def _has_window(self, voice: _Voice) -> bool:
        written = int(self.columns.capture_write[voice.row])
        return not voice.is_answered and written - voice.at >= self._window

    def _listen(self, batch: list[_Voice]) -> None:
        slots = np.array([voice.slot for voice in batch])
        rows = np.array([voice.row for voice in batch])
        begins = np.array([voice.at for voice in batch])
        sound, state = self._streams.inputs(slots, self._heard(rows, begins))
        likelihoods, after = self._network(sound, state)
        self._streams.keep(slots, after)
        self.windows += len(batch)
        for voice, likelihood in zip(batch, likelihoods.tolist(), strict=True):
            voice.at += self._window
            if voice.at > voice.counts_from:
                voice.likelihoods.append(likelihood)

    def _heard(self, rows: NDArray[np.intp], begins: NDArray[np.int64]) -> NDArray[np.int16]:
        """A window of what was heard in each of these rows, at 8 kHz, ``[k, 256]``."""
        where = (begins[:, None] + np.arange(self._window)) % self.columns.shape.capture
        return thin(self.columns.capture[rows[:, None], 0, where], self._per_tick)

    def _answer(self, voice: _Voice) -> Verdict | None:
        if voice.is_answered:
            return None
        sensitivity = int(self.columns.sensitivity[voice.row])
        thought = opinion(voice.likelihoods, sensitivity=sensitivity, is_doubted=voice.is_doubted)
        if thought is Opinion.OPEN:
            return None
        voice.is_answered = True
        return Verdict(voice.row, voice.generation, voice.epoch, voice.question, thought is Opinion.SPEECH)
