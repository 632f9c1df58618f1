"""The English voice: hibari's network and DSP, with pitch, timbre and word times added.

The network tells a spectrum and an F0 per 12.5 ms and, on an inner node, how long each phoneme lasts. It is
cut where the frames begin, so that the speaking rate is set there, exactly.
"""

import os
import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridge.ports import WordTime
from bridge.text.passage import Pronunciation
from bridge.ttsserver.arpabet import from_arpabet
from bridge.ttsserver.level import EDGE_MS, limited, speech_span
from bridge.ttsserver.network import extracted
from bridge.ttsserver.pace import paced, paced_f0, shared_pace
from bridge.ttsserver.pitch import UNVOICED_HZ, intoned, repitched
from bridge.ttsserver.script import is_speakable, plain, require_latin
from bridge.ttsserver.stretch import stretched
from bridge.ttsserver.timing import PhonemeSpan, align, written_words
from bridge.ttsserver.voice import Delivery, Rendered, UnspeakableError

__all__ = ["BREATH", "GAIN", "RATE", "HibariEngine"]

BREATH = (72, 140)
"""Characters of the first and of later pieces that are best spoken at one go: below 60 ms of work."""

RATE = 24000
"""Sampling frequency of the network's own voice, in Hz."""

GAIN = 10 ** (3 / 20)
"""Puts the voice at -22 dB of full scale while it speaks: 4 dB above the nominal level of telephone lines.

Its peaks are then at 0.5, so that a volume of 100 can be twice the amplitude.
"""

# What runs from the half that reads to the half that speaks, in frames; and what else the first one tells.
_FRAMES, _F0, _DURATIONS = "/Concat_43_output_0", "f0", "/Clip_output_0"
_SPECTRUM = ("lh", "theta", "ln", "lr", "phi")
_UNIT_MS = 25.0  # of one duration: two frames
_MAX_PHONEMES = 400  # what the network was trained on
# The number reader knows no word beyond the quintillions, and nobody wants to hear one on the phone.
_LONG_NUMBER = re.compile(r"\d(?:,?\d){12,}")
_PUNCTUATION = frozenset(' .,;:!?…—"()“”')


class HibariEngine:
    """One shared network; `render` may be called from several threads at once.

    Loading takes about a second and includes the first sentence, which is slow.
    """

    def __init__(self) -> None:
        # Telemetry is on by default there, keeps a device id and calls home: to be refused before the import.
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        import onnxruntime
        from hibari import Hibari

        self._hibari: Any = Hibari(threads=1)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        model = Path(self._hibari.model_path).read_bytes()
        self._reader, self._speaker = (
            onnxruntime.InferenceSession(
                extracted(model, inputs, outputs), options, providers=["CPUExecutionProvider"]
            )
            for inputs, outputs in (((), (_FRAMES, _F0, _DURATIONS)), ((_FRAMES,), _SPECTRUM))
        )
        # The letters-to-sounds code keeps lazily filled tables; it takes about a millisecond.
        self._reading = threading.Lock()
        self.render("Warm up 12 zqyx, please.", Delivery())

    def check(self, text: str) -> None:
        """Make sure that nothing of `text` would be left out.

        Raises:
            UnspeakableError: If it holds letters that are not Latin.
        """
        require_latin(text)

    def render(self, text: str, delivery: Delivery) -> Rendered:
        """Speak one clause or sentence, about 13 ms of work for each second of speech.

        Raises:
            UnspeakableError: If it holds letters that are not Latin.
        """
        require_latin(text)
        text = plain(text)
        rate = round(RATE * delivery.timbre.formant)
        phonemes, spans = self._read(text, delivery.pronunciations) if is_speakable(text) else ("", [])
        if not phonemes:
            return Rendered(np.zeros(0, np.int16), rate)
        sound, begins = self._speak(phonemes, delivery)
        samples = limited(sound, GAIN * delivery.style.volume * delivery.volume / 50)
        words: tuple[WordTime, ...] = ()
        if delivery.with_words:
            words = self._times(text, spans, begins * RATE / rate)
        return Rendered(samples, rate, words)

    def breath(self, text: str) -> tuple[int, int]:
        """Characters that are best spoken at one go, the first time and later."""
        return BREATH

    def _read(self, text: str, given: Sequence[Pronunciation] = ()) -> tuple[str, list[PhonemeSpan]]:
        """Turn text into phonemes, and note which of them belong to which word of the normalised text."""
        known = self._hibari.vocab
        phonemes = ""
        spans: list[PhonemeSpan] = []
        word, begin = "", 0
        linked = _linked(text, given)
        with self._reading:
            g2p = self._hibari.g2p
            try:
                tokens = g2p.phonemize_tokens(g2p.tokenize(linked))
            except (IndexError, KeyError, ValueError, TypeError) as error:
                raise UnspeakableError(
                    "the embedded voice cannot read a word or number of the text"
                ) from error
        for token in tokens:
            sounds = token.phonemes or ""
            phonemes += "".join(sound for sound in sounds if sound in known)
            word += token.text
            if token.whitespace:
                spans.append(PhonemeSpan(word, begin, len(phonemes)))
                phonemes += " " if phonemes else ""
                word, begin = "", len(phonemes)
        if word:
            spans.append(PhonemeSpan(word, begin, len(phonemes)))
        return phonemes.rstrip(), [bare for span in spans if (bare := _bare(span, phonemes)) is not None]

    def _speak(self, phonemes: str, delivery: Delivery) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Return sound at `RATE` and when each phoneme begins in it, in ms; the last entry is the end."""
        from hibari import dsp

        timbre, style = delivery.timbre, delivery.style
        # A voice with a longer throat is made faster and higher here, and then played more slowly: its
        # samples are declared to have a lower rate, and the resampler that follows does the rest.
        pace, rest = shared_pace(delivery.rate * timbre.rate * style.rate / timbre.formant)
        scale = delivery.pitch * timbre.pitch * style.pitch / timbre.formant
        random = np.random.default_rng(delivery.seed)
        sounds: list[NDArray[np.float32]] = []
        begins: list[NDArray[np.float64]] = []
        passed_ms = 0.0
        for part in _parts(phonemes):
            ids = np.asarray([self._hibari.ids(part)], np.int64)
            frames, f0, units = self._reader.run(None, {"ids": ids, "speed": np.ones(1, np.float32)})
            count = round(frames.shape[-1] / pace)
            f0 = paced_f0(f0[0], count, unvoiced_hz=UNVOICED_HZ)
            spectrum = self._speaker.run(None, {_FRAMES: paced(frames, count)})
            lh, theta, ln, lr, phi = (row[0] for row in spectrum)
            wanted = intoned(f0, scale, style.liveliness)
            lh, lr = repitched(lh, lr, f0, wanted)
            sound = dsp.synth(lh, theta, ln, lr, phi, wanted, random)
            begin, end = speech_span(sound, RATE, edge_ms=EDGE_MS / pace)
            length_ms = (end - begin) * 1000 / RATE
            # One unit stands for the silence before the part and one for the silence after it.
            border_ms = np.cumsum(units, dtype=np.float64)[:-1] * (_UNIT_MS / pace) - begin * 1000 / RATE
            begins.append(np.clip(border_ms, 0.0, length_ms)[:-1] + passed_ms)
            sounds.append(sound[begin:end])
            passed_ms += length_ms
        last = min(border_ms[-1], length_ms) + passed_ms - length_ms
        times_ms = np.append(np.concatenate(begins), last) / rest
        return stretched(np.concatenate(sounds), RATE, 1 / rest), times_ms

    def _times(
        self, text: str, spans: list[PhonemeSpan], begins_ms: NDArray[np.float64]
    ) -> tuple[WordTime, ...]:
        aligned = align(written_words(text), spans, self._weigh)
        borders = np.asarray([border for _, *pair in aligned for border in pair])
        times = np.rint(np.interp(borders, np.arange(len(begins_ms)), begins_ms)).astype(int).tolist()
        return tuple(
            WordTime(word.text, word.begin, word.end, begin_ms, end_ms)
            for (word, _, _), begin_ms, end_ms in zip(aligned, times[::2], times[1::2], strict=True)
        )

    def _weigh(self, word: str) -> float:
        return float(len(self._read(word)[0]))


def _bare(span: PhonemeSpan, phonemes: str) -> PhonemeSpan | None:
    """Take the pauses of punctuation off a word; None if nothing remains."""
    begin, end = span.begin, span.end
    while begin < end and phonemes[begin] in _PUNCTUATION:
        begin += 1
    while end > begin and phonemes[end - 1] in _PUNCTUATION:
        end -= 1
    return PhonemeSpan(span.text, begin, end) if begin < end else None


def _parts(phonemes: str) -> list[str]:
    """Cut what the network cannot take at once, between words where there are any."""
    parts = []
    while len(phonemes) > _MAX_PHONEMES:
        cut = phonemes.rfind(" ", 1, _MAX_PHONEMES) + 1 or _MAX_PHONEMES
        parts.append(phonemes[:cut])
        phonemes = phonemes[cut:]
    return [*parts, phonemes]


def _linked(text: str, given: Sequence[Pronunciation]) -> str:
    """Write numbers as words, and given pronunciations the way the letters-to-sounds code takes them."""
    pieces: list[str] = []
    at = 0
    for stretch in given:
        if stretch.alphabet != "cmu":
            raise UnspeakableError(
                f"English words take pronunciations in the alphabet cmu, not {stretch.alphabet[:20]!r}"
            )
        pieces.append(_normalised(text[at : stretch.begin]))
        pieces.append(f"[{text[stretch.begin : stretch.end]}](/{from_arpabet(stretch.sounds)}/)")
        at = stretch.end
    pieces.append(_normalised(text[at:]))
    return "".join(pieces)


def _normalised(text: str) -> str:
    """Numbers as words; blanks at the borders stay, which the package's own code takes off."""
    from hibari.g2p.normalize import normalize

    text = _LONG_NUMBER.sub(lambda number: " ".join(number.group().replace(",", "")), text)
    core = text.strip()
    begin = text.index(core)
    return text[:begin] + normalize(core) + text[begin + len(core) :] if core else text
