"""What the floor is put through: callers who interrupt, and an hour of sounds that must not."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bridge.engine.verdict import Network
from bridge.plane.events import Ducked, Flushed, Resumed
from bridge.plane.spec import PlaneSettings
from tests.corpus.clips import Clip
from tests.corpus.hall import Hall, Line
from tests.corpus.labels import LABELS
from tests.corpus.noises import KINDS, background, echo_of, make
from tests.corpus.voices import render, say

__all__ = ["Hour", "Interruption", "bot_sound", "hour", "interruptions"]

_RATE = 8000
_MS = 1_000_000
_NS_PER_SAMPLE = 125_000
_BOT = (
    "Welcome to the city library. You can renew your books here, ask for our opening hours, or leave a note.",
    "Your parcel will be delivered on Thursday, between nine and eleven in the morning. Please make sure "
    "that somebody is at home, or name a neighbour who can take it for you.",
    "The next train to the airport leaves from platform four, in about ten minutes. It stops everywhere.",
)


@dataclass(slots=True)
class Interruption:
    """What came of one clip spoken into our words; times in ms from its labelled onset."""

    clip: Clip
    snr_db: float
    has_echo: bool
    muted: float | None = None
    """Until the first packet without us, by a duck or by the flush itself."""
    judged: float | None = None
    """From the duck to the flush that ended it."""
    flushed: float | None = None
    is_early: bool = False
    """Something ducked us before."""
    splits: int = 0
    """Resumes between the onset and the flush: we spoke into the caller's words again."""


@dataclass(slots=True)
class Hour:
    """What a caller's surroundings did to us."""

    minutes: float = 0.0
    events: dict[str, int] = field(default_factory=dict)
    """Sounds by kind; for an echo, each second of our own speech that came back."""
    stops: dict[str, int] = field(default_factory=dict)
    """Flushes by the kind of sound that was last."""
    ducks: dict[str, int] = field(default_factory=dict)
    ducked_share: float = 0.0
    most_ducks_a_minute: int = 0
    waits_ms: list[float] = field(default_factory=list)
    """From each duck to its end."""
    cost: dict[str, float] = field(default_factory=dict)


def bot_sound() -> NDArray[np.int16]:
    """What we say while others interrupt: about 20 s, with the pauses that speech has."""
    parts = []
    for text in _BOT:
        parts += [say(text), np.zeros(2400, np.int16)]
    return np.concatenate(parts)


def interruptions(
    clips: tuple[Clip, ...],
    bot: NDArray[np.int16],
    *,
    rows: int,
    snr_db: float,
    settings: PlaneSettings,
    network: Network | None,
    seed: int,
    echo: bool = False,
) -> tuple[list[Interruption], Hall]:
    """Let a caller on each row say one clip, after 1.6 to 2.6 s of our words, at any phase and loudness."""
    dice = np.random.default_rng(seed)
    samples = 6 * _RATE
    tracks = np.zeros((rows, samples), np.float32)
    lines: list[Line | None] = []
    results, onsets_ns = [], []
    for row in range(rows):
        clip = clips[row % len(clips)]
        label = LABELS[clip.name]
        level_db = dice.uniform(-30, -20)
        sound = render(clip) / 32768 * 10 ** ((level_db - label["level_db"]) / 20)
        at = int(dice.uniform(1.6, 2.6) * _RATE)
        tracks[row] = background(samples, level_db=max(level_db - snr_db, -75), seed=seed * 1000 + row)
        tracks[row, at : at + len(sound)] += sound
        lines.append(_line(dice, row) if echo else None)
        results.append(Interruption(clip, snr_db, echo))
        onsets_ns.append((at + int(label["onset"])) * _NS_PER_SAMPLE)
    hall = Hall(tracks, lines, bot, settings=settings, network=network, seed=seed)
    ducks: dict[int, Ducked] = {}
    for event in hall.run():
        row = event.row
        result, onset_ns = results[row], onsets_ns[row]
        if event.at_ns < onset_ns:
            result.is_early |= isinstance(event, Ducked | Flushed)
            continue
        after_ms = (event.at_ns - onset_ns) / _MS
        match event:
            case Ducked():
                ducks[row] = event
                result.muted = after_ms if result.muted is None else result.muted
            case Resumed():
                ducks.pop(row, None)
                result.splits += result.flushed is None
            case Flushed() if result.flushed is None:
                result.flushed = after_ms
                result.muted = after_ms if result.muted is None else result.muted
                if row in ducks:
                    result.judged = (event.at_ns - ducks[row].gate_ns) / _MS
    return results, hall


def hour(
    bot: NDArray[np.int16],
    *,
    rows: int,
    seconds: int,
    settings: PlaneSettings,
    network: Network | None,
    seed: int,
    odd: bool,
    kinds: tuple[str, ...] = (*KINDS, "echo"),
) -> tuple[Hour, Hall]:
    """Let every row hear sounds of all kinds for so long, a sixth of the rows the line's echo instead."""
    dice = np.random.default_rng([seed, odd])
    samples = seconds * _RATE
    tracks = np.zeros((rows, samples), np.float32)
    lines: list[Line | None] = [None] * rows
    when: list[list[tuple[int, str]]] = [[] for _ in range(rows)]
    told = Hour(minutes=rows * seconds / 60)
    noises = tuple(kind for kind in kinds if kind != "echo")
    for row in range(rows):
        tracks[row] = background(samples, level_db=dice.uniform(-65, -50), seed=seed * 7919 + row)
        if "echo" in kinds and (row % 6 == 0 or not noises):
            lines[row] = _line(dice, 2 * row + odd)
            when[row].append((0, "echo"))
            told.events["echo"] = told.events.get("echo", 0) + seconds
            continue
        at = dice.uniform(1, 5)
        while at < seconds - 7:
            kind = noises[int(dice.integers(len(noises)))]
            # Odd seeds are held out of tuning.
            sound = make(kind, 2 * int(dice.integers(1 << 30)) + odd)
            begin = int(at * _RATE)
            tracks[row, begin : begin + len(sound)] += sound[: samples - begin]
            when[row].append((begin, kind))
            told.events[kind] = told.events.get(kind, 0) + 1
            at += len(sound) / _RATE + dice.uniform(3, 9)
    hall = Hall(tracks, lines, bot, settings=settings, network=network, seed=seed)
    _account(told, hall, when)
    told.ducked_share = float(hall.columns.ducked_samples.sum()) / (rows * samples)
    return told, hall


def _account(told: Hour, hall: Hall, when: list[list[tuple[int, str]]]) -> None:
    began: dict[int, Ducked] = {}
    times: dict[int, list[float]] = {}
    for event in hall.run():
        at = event.at_ns // _NS_PER_SAMPLE
        kind = next((kind for begin, kind in reversed(when[event.row]) if begin <= at), "none")
        match event:
            case Ducked():
                began[event.row] = event
                told.ducks[kind] = told.ducks.get(kind, 0) + 1
                times.setdefault(event.row, []).append(event.gate_ns / 1e9)
            case Flushed():
                told.stops[kind] = told.stops.get(kind, 0) + 1
            case Resumed():
                told.waits_ms.append((event.at_ns - began[event.row].gate_ns) / _MS)
    for ducked_s in times.values():
        for at_s in ducked_s:
            within = sum(at_s <= other_s < at_s + 60 for other_s in ducked_s)
            told.most_ducks_a_minute = max(told.most_ducks_a_minute, within)


def _line(dice: np.random.Generator, seed: int) -> Line:
    delay_ms, loss_db = dice.uniform(20, 400), dice.uniform(-30, -10)
    impulse = np.zeros(64)
    impulse[0] = 1.0
    return Line(round(delay_ms * _RATE / 1000), echo_of(impulse, delay_ms=0, loss_db=loss_db, seed=seed))
