"""Renders the clips of the corpus, the same every time; what was made is kept in ``out/corpus``."""

import shutil
import subprocess
import wave
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from bridge.media.resample import Resampler
from bridge.ttsserver.hibari import HibariEngine
from bridge.ttsserver.kokoro import KokoroEngine, KokoroNetwork
from bridge.ttsserver.voice import Delivery, Timbre
from tests.corpus.clips import CLIPS, Clip

__all__ = ["available", "render", "say"]

Pcm = NDArray[np.int16]
_RATE = 8000
_LONGEST_SAMPLES = 2 * _RATE
_KEPT = Path("out/corpus")

# Fundamental, rate and throat of each speaker beside the voice's own.
_TIMBRES = {
    "own": Timbre(),
    "man": Timbre(0.62, 0.98, 0.87),
    "boy": Timbre(1.14, 1.02, 1.10),
    "girl": Timbre(1.24, 1.03, 1.12),
    "old_man": Timbre(0.58, 0.88, 0.85),
    "old_woman": Timbre(0.86, 0.90, 0.96),
    "deep": Timbre(0.52, 1.05, 0.83),
    "light": Timbre(1.10, 1.15, 1.02),
}
_PROGRAMS = {"flite": "flite", "espeak": "espeak-ng"}


def available() -> tuple[Clip, ...]:
    """Clips whose voice can speak here, or has spoken here before."""
    return tuple(
        clip
        for clip in CLIPS
        if clip.engine not in _PROGRAMS or shutil.which(_PROGRAMS[clip.engine]) or _place(clip).exists()
    )


def render(clip: Clip) -> Pcm:
    """Two seconds of the clip at most, at 8 kHz, as loud as its voice makes it."""
    place = _place(clip)
    if place.exists():
        return np.fromfile(place, np.int16)
    if clip.engine in _PROGRAMS:
        sound, rate = _run(clip)
    else:
        engine = _hibari() if clip.engine == "hibari" else _kokoro(clip.speaker)
        rendered = engine.render(
            clip.text, Delivery(timbre=_TIMBRES.get(clip.speaker, Timbre()), with_words=False)
        )
        sound, rate = rendered.samples, rendered.rate
    pcm = _narrowed(sound, rate)[:_LONGEST_SAMPLES]
    place.parent.mkdir(parents=True, exist_ok=True)
    pcm.tofile(place)
    return pcm


def say(text: str) -> Pcm:
    """Our own side of the call: the English voice at 8 kHz."""
    rendered = _hibari().render(text, Delivery(with_words=False))
    return _narrowed(rendered.samples, rendered.rate)


def _place(clip: Clip) -> Path:
    return _KEPT / f"{clip.name}.s16"


def _narrowed(sound: Pcm, rate: int) -> Pcm:
    resampler = Resampler(rate, _RATE)
    return np.frombuffer(resampler.push(sound.tobytes()) + resampler.flush(), np.int16)


def _run(clip: Clip) -> tuple[Pcm, int]:
    with TemporaryDirectory() as folder:
        out = Path(folder) / "clip.wav"
        if clip.engine == "flite":
            command = ["flite", "-voice", clip.speaker, "-t", clip.text, "-o", str(out)]
        else:
            command = ["espeak-ng", "-v", clip.speaker, "-w", str(out), clip.text]
        subprocess.run(command, check=True, capture_output=True)
        with wave.open(str(out)) as file:
            return np.frombuffer(file.readframes(file.getnframes()), np.int16), file.getframerate()


@cache
def _hibari() -> HibariEngine:
    return HibariEngine()


@cache
def _network() -> KokoroNetwork:
    return KokoroNetwork()


@cache
def _kokoro(style: str) -> KokoroEngine:
    return KokoroEngine(_network, style)
