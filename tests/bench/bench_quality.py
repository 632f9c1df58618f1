"""`python -m tests.bench.bench_quality`: what lost packets cost, by PESQ, for our concealment and for others.

With --wide, of G.722 and of Opus with in-band FEC and without, the voice before any coding being the measure.

Needs `pesq`, which is compiled and therefore in no lock: install it anywhere and name the folder with
--extras. libspandsp2 (Debian) is compared if it is there.
"""

import argparse
import ctypes
import ctypes.util
import importlib
import itertools
import json
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from bridge.load.clip import render_clip
from bridge.plane.arrival import ArrivalRing
from bridge.plane.codec import G722, OPUS
from bridge.plane.columns import FRAME_SAMPLES, Columns
from bridge.plane.g711 import decode_ulaw, encode_ulaw
from bridge.plane.spec import PlaneSettings
from tests.bench.wide_lines import SCORED_HZ, WideLine, wide_clips
from tests.fakes import MS

__all__ = ["bursty", "conceal_ours", "random_losses"]

Pcm = NDArray[np.int16]
Losses = NDArray[np.bool_]
Method = Callable[[Pcm, Losses], Pcm]
_RATES = (0.01, 0.03, 0.05, 0.10)
_PHASE_NS = 5 * MS
"""Our frame is due a little after their packet, or the ring would rightly ask for more delay."""
# Neither these sentences nor these voices and losses were there when the concealment was tuned.
_SENTENCES = (
    "We have moved your appointment to Friday the twelfth, early in the afternoon, if that suits you.",
    "Nobody in the office could remember where the blue folder with the invoices had been put away.",
    "Press one for opening hours, two for directions, or simply tell me what you are looking for today.",
    "The weather will turn colder tonight, with showers near the coast and some fog in the valleys.",
)
_PITCHES = (0.85, 1.15)
_FIRST_SEED = 100


def random_losses(count: int, rate: float, dice: np.random.Generator) -> Losses:
    return dice.random(count) < rate


def bursty(count: int, rate: float, dice: np.random.Generator) -> Losses:
    """Gilbert's model: a burst goes on with probability one half, two packets long in the mean."""
    lost, inside = np.zeros(count, np.bool_), False
    for at in range(count):
        inside = dice.random() < (0.5 if inside else 0.5 * rate / (1 - rate))
        lost[at] = inside
    return lost


_KINDS = {"random": random_losses, "bursty": bursty}


def conceal_ours(pcm: Pcm, lost: Losses, *, delay_ms: int = 40) -> Pcm:
    """Through the jitter ring at this delay.

    At 40 ms, as a call begins, the packet after a lost one is there and bridges the gap. At 0, as on a calm
    line after the first silence, it is not: that is the case to compare with those who never look ahead.
    """
    columns = Columns(bytearray(Columns.size_bytes(1)), 1)
    ring = ArrivalRing(columns, PlaneSettings(depth_start_ms=delay_ms))
    behind = delay_ms // 20
    ring.restart(0)
    row, loud, heard = np.array([0]), np.array([False]), []
    frames = np.concatenate((pcm, np.zeros(behind * FRAME_SAMPLES, np.int16))).reshape(-1, FRAME_SAMPLES)
    for number, frame in enumerate(frames):
        now_ns = number * 20 * MS
        if number >= len(lost) or not lost[number]:
            ring.place(row, np.array([number * FRAME_SAMPLES]), frame[None, :], now_ns=now_ns)
        heard.append(ring.pop(row, loud, np.array([now_ns + _PHASE_NS]))[0])
    return np.concatenate(heard[behind:])


def silence(pcm: Pcm, lost: Losses) -> Pcm:
    return np.where(lost[:, None], 0, pcm.reshape(-1, FRAME_SAMPLES)).astype(np.int16).reshape(-1)


def spandsp() -> Callable[[Pcm, Losses], Pcm] | None:
    """The concealment of libspandsp, frame by frame, if the library is installed."""
    name = ctypes.util.find_library("spandsp")
    if name is None:
        return None
    library = ctypes.CDLL(name)
    library.plc_init.restype = ctypes.c_void_p
    library.plc_init.argtypes = [ctypes.c_void_p]
    for call in (library.plc_rx, library.plc_fillin):
        call.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int]

    def run(pcm: Pcm, lost: Losses) -> Pcm:
        state = library.plc_init(None)
        frames = pcm.reshape(-1, FRAME_SAMPLES).copy()
        for frame, gone in zip(frames, lost.tolist(), strict=True):
            (library.plc_fillin if gone else library.plc_rx)(state, frame.ctypes.data, FRAME_SAMPLES)
        return frames.reshape(-1)

    return run


def clips() -> list[Pcm]:
    """Sentences of the embedded voice at several pitches, between silences, as G.711 makes them."""
    made = []
    for pitch in _PITCHES:
        for first, second in ((0, 1), (2, 3)):
            parts = [render_clip(_SENTENCES[at], pitch=pitch).pcm for at in (first, second)]
            pause = np.zeros(4000, np.int16)
            joined = np.concatenate((pause, parts[0], pause, parts[1], pause))
            joined = joined[: len(joined) // FRAME_SAMPLES * FRAME_SAMPLES]
            made.append(decode_ulaw(encode_ulaw(joined)))
    return made


def narrow() -> dict[str, Method]:
    methods: dict[str, Method] = {
        "ours, 40 ms": conceal_ours,
        "ours, 0 ms": partial(conceal_ours, delay_ms=0),
        "silence": silence,
    }
    if (other := spandsp()) is None:
        print("libspandsp2 is not installed: left out")
    else:
        methods["libspandsp"] = other
    return methods


WIDE: dict[str, Method] = {
    "G.722, 40 ms": WideLine(G722, 16000).carry,
    "G.722, 0 ms": WideLine(G722, 16000, delay_ms=0).carry,
    "Opus FEC, 40 ms": WideLine(OPUS, 24000, has_fec=True).carry,
    "Opus FEC, 0 ms": WideLine(OPUS, 24000, delay_ms=0, has_fec=True).carry,
    "Opus PLC, 40 ms": WideLine(OPUS, 24000).carry,
}


def measure(
    methods: Mapping[str, Method],
    sound: list[Pcm],
    frame: int,
    score: Callable[[Pcm, Pcm], float],
    seeds: int,
) -> list[dict[str, str | float]]:
    """Mean scores of every method at each kind and rate of loss."""
    rows: list[dict[str, str | float]] = []
    for kind, rate in (("none", 0.0), *itertools.product(_KINDS, _RATES)):
        scores: dict[str, list[float]] = {name: [] for name in methods}
        for number, pcm in enumerate(sound):
            for seed in range(_FIRST_SEED, _FIRST_SEED + (seeds if rate else 1)):
                dice = np.random.default_rng([seed, number, int(rate * 100)])
                lost = _KINDS.get(kind, random_losses)(len(pcm) // frame, rate, dice)
                for name, conceal in methods.items():
                    scores[name].append(float(score(pcm, conceal(pcm, lost))))
        means = {name: round(float(np.mean(values)), 3) for name, values in scores.items()}
        rows.append({"loss": kind, "rate": rate, **means})
        print(rows[-1], flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.bench_quality", description=__doc__)
    parser.add_argument("--extras", help="folder in which pesq is installed (pip install --target)")
    parser.add_argument("--seeds", type=int, default=5, help="loss patterns of each kind and clip")
    parser.add_argument("--out", type=Path, default=Path("out/bench/quality.json"))
    parser.add_argument("--wide", action="store_true", help="measure G.722 and Opus instead of G.711")
    told = parser.parse_args()
    if told.extras:
        sys.path.append(told.extras)
    try:
        pesq = importlib.import_module("pesq").pesq
    except ImportError:
        sys.exit("pesq is not installed: pip install pesq --target DIR, then --extras DIR")
    if told.wide:
        rows = measure(
            WIDE, wide_clips(_SENTENCES, _PITCHES), 320, partial(pesq, SCORED_HZ, mode="wb"), told.seeds
        )
    else:
        rows = measure(narrow(), clips(), FRAME_SAMPLES, partial(pesq, 8000, mode="nb"), told.seeds)
    band = "wide band, 16 kHz" if told.wide else "narrow band"
    grid = Table(title=f"PESQ ({band}, MOS-LQO) through loss", title_justify="left")
    for name in rows[0]:
        grid.add_column(str(name), justify="right")
    for row in rows:
        grid.add_row(*(str(value) for value in row.values()))
    Console(width=100).print(grid)
    told.out.parent.mkdir(parents=True, exist_ok=True)
    told.out.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
