"""Where each clip begins, by the rule of the corpus; ``python -m tests.corpus.labels`` writes it anew."""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.corpus.clips import CLIPS
from tests.corpus.voices import available, render

__all__ = ["LABELS", "levels_db", "onset_of", "speech_level_db"]

_FRAME = 80
_FILE = Path(__file__).with_name("labels.json")
_ONSET_DB = 25.0
_SPEECH_DB = 30.0


def levels_db(pcm: NDArray[np.int16]) -> NDArray[np.float64]:
    """Level of each 10 ms over full scale."""
    frames = pcm[: len(pcm) // _FRAME * _FRAME].reshape(-1, _FRAME).astype(np.float64)
    levels: NDArray[np.float64] = 10 * np.log10((frames**2).mean(axis=1) / 32768.0**2 + 1e-10)
    return levels


def speech_level_db(pcm: NDArray[np.int16]) -> float:
    """Mean power of those frames that are within 30 dB of the loudest: pauses do not count."""
    levels = levels_db(pcm)
    spoken = levels[levels >= levels.max() - _SPEECH_DB]
    return float(10 * np.log10((10 ** (spoken / 10)).mean()))


def onset_of(pcm: NDArray[np.int16]) -> int:
    """First sample of the first 10 ms frame within 25 dB of the clip's own speech level."""
    return int(np.argmax(levels_db(pcm) >= speech_level_db(pcm) - _ONSET_DB)) * _FRAME


def main() -> None:
    labels = {}
    for clip in available():
        pcm = render(clip)
        labels[clip.name] = {
            "onset": onset_of(pcm),
            "samples": len(pcm),
            "level_db": round(speech_level_db(pcm), 1),
        }
        print(clip.name, clip.text, labels[clip.name])
    missing = [clip.name for clip in CLIPS if clip.name not in labels]
    if missing:
        raise SystemExit(f"not all voices are here (apt install flite espeak-ng): {', '.join(missing)}")
    _FILE.write_text(json.dumps(labels, indent=1) + "\n", encoding="utf-8")


LABELS: dict[str, dict[str, float]] = json.loads(_FILE.read_text(encoding="utf-8")) if _FILE.exists() else {}

if __name__ == "__main__":
    main()
