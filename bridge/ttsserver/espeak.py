"""The voice of every other language: espeak-ng, an optional extra, in a process of its own.

espeak-ng is under the GPL, version 3: it is found here, never loaded here (see `espeak_process`). It needs
1 ms for a sentence, so that one process is enough for all tasks.
"""

import json
import math
import os
import select
import signal
import subprocess
import sys
import threading
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from bridge.ports import WordTime
from bridge.ttsserver.level import EDGE_MS, limited, speech_span
from bridge.ttsserver.timing import written_words
from bridge.ttsserver.voice import Delivery, EngineFailedError, Rendered, UnspeakableError

__all__ = ["EXTRA", "LANGUAGES", "EspeakEngine", "is_installed"]

EXTRA = "pip install espeakng-loader==0.2.4"
"""What installs it."""

LANGUAGES = {
    "fr": "French", "de": "German", "ko": "Korean", "ru": "Russian", "pt": "Portuguese", "th": "Thai",
    "id": "Indonesian", "vi": "Vietnamese", "es": "Spanish", "it": "Italian", "nl": "Dutch", "pl": "Polish",
    "tr": "Turkish", "ar": "Arabic", "hi": "Hindi", "el": "Greek", "he": "Hebrew", "uk": "Ukrainian",
    "sv": "Swedish", "da": "Danish", "fi": "Finnish", "cs": "Czech", "hu": "Hungarian", "ro": "Romanian",
    "ms": "Malay", "bn": "Bengali", "ta": "Tamil", "te": "Telugu", "ka": "Georgian", "hy": "Armenian",
    "fa": "Persian", "ur": "Urdu", "kn": "Kannada", "ml": "Malayalam", "gu": "Gujarati", "pa": "Punjabi",
    "si": "Sinhala", "my": "Burmese", "am": "Amharic", "bg": "Bulgarian", "ca": "Catalan", "nb": "Norwegian",
}  # fmt: skip
"""What it is asked for, by ISO 639-1."""

BREATH = (72, 140)
_GAIN = 0.66  # as loud as the English voice
# How far its own pitch can be moved, and by how many octaves a full turn of the knob does it.
_PITCH_RANGE = (0.72, 1.55)
_KNOB_OCTAVES = 0.66
_PATIENCE_S = 10.0
_LONGEST = 4000
_WORDS_A_MINUTE = 165
_WORDS_RANGE = (80, 450)
_SCRIPT = Path(__file__).with_name("espeak_process.py")


def is_installed() -> bool:
    """Whether the extra is there; nothing of it is imported."""
    return find_spec("espeakng_loader") is not None


class EspeakEngine:
    """Speaks the language of `Delivery.language`; may be called from several threads at once.

    Args:
        is_female: Which of the two characters speaks.
    """

    def __init__(self, process: "EspeakProcess", *, is_female: bool = True) -> None:
        self._process = process
        self._variant = "+f2" if is_female else ""

    def check(self, text: str) -> None:
        """Make sure that the extra is installed.

        Raises:
            UnspeakableError: If it is not.
        """
        if not is_installed():
            raise UnspeakableError(
                f"the embedded voices speak English, Chinese and Japanese; for other languages run: {EXTRA}"
            )

    def breath(self, text: str) -> tuple[int, int]:
        """Characters that are best spoken at one go, the first time and later."""
        return BREATH

    def render(self, text: str, delivery: Delivery) -> Rendered:
        """Speak `text`, of at most 4000 characters.

        Raises:
            UnspeakableError: If the extra is not installed, or has no such language.
            EngineFailedError: If it fails twice.
        """
        self.check(text)
        if len(text) > _LONGEST:
            raise UnspeakableError(f"a piece of {len(text)} characters is too long: {_LONGEST} at most")
        timbre, style = delivery.timbre, delivery.style
        pitch = delivery.pitch * timbre.pitch * style.pitch
        own_pitch = min(max(pitch / timbre.formant, _PITCH_RANGE[0]), _PITCH_RANGE[1])
        throat = pitch / own_pitch  # what is left is done by playing slower or faster
        pace = delivery.rate * timbre.rate * style.rate / throat
        head, pcm = self._process.ask({
            "voice": delivery.language + self._variant,
            "rate": round(min(max(_WORDS_A_MINUTE * pace, _WORDS_RANGE[0]), _WORDS_RANGE[1])),
            "pitch": round(50 + 50 * math.log2(own_pitch) / _KNOB_OCTAVES),
            "seed": delivery.seed + 1,
            "text": text,
        })  # fmt: skip
        own_rate = int(head["rate"])
        sound = np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(32768)
        begin, end = speech_span(sound, own_rate, edge_ms=EDGE_MS / pace)
        samples = limited(sound[begin:end], _GAIN * style.volume * delivery.volume / 50)
        rate = round(own_rate * throat)
        words = _words(text, head["words"], begin * 1000 / own_rate, len(samples) * 1000 / rate, 1 / throat)
        return Rendered(samples, rate, words if delivery.with_words else ())


class EspeakProcess:
    """The process, started when it is first needed and again when it has died."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._is_closed = False

    def ask(self, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """Have one text spoken.

        Raises:
            UnspeakableError: If there is no such voice.
            EngineFailedError: If the process fails twice, or was closed.
        """
        line = json.dumps(request).encode() + b"\n"
        with self._lock:
            for _ in range(2):
                if self._is_closed:
                    break
                try:
                    head, pcm = self._exchange(line)
                except (OSError, ValueError):
                    self._stop()
                    continue
                if "error" in head:
                    raise UnspeakableError(str(head["error"]))
                return head, pcm
        raise EngineFailedError("the process of espeak-ng does not answer")

    def close(self) -> None:
        """End the process; a text that is being spoken fails."""
        self._is_closed = True
        child = self._child
        if child is not None:
            _kill(child)  # wakes up whoever waits for it
        with self._lock:
            self._stop()

    @property
    def pid(self) -> int | None:
        """Of the process while it runs."""
        return self._child.pid if self._child else None

    def _exchange(self, line: bytes) -> tuple[dict[str, Any], bytes]:
        if self._child is None:
            self._child = _start()
        child = self._child
        if child.stdin is None or child.stdout is None:
            raise OSError("the process has no pipes")
        deadline = time.monotonic() + _PATIENCE_S
        child.stdin.write(line)
        child.stdin.flush()
        received = bytearray()
        while (stop := received.find(b"\n")) < 0:
            received += _read(child.stdout.fileno(), deadline)
        head: dict[str, Any] = json.loads(received[:stop])
        del received[: stop + 1]
        size = 2 * int(head.get("samples", 0))
        while len(received) < size:
            received += _read(child.stdout.fileno(), deadline)
        return head, bytes(received)

    def _stop(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        _kill(child)
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                pipe.close()
        child.wait()


def _start() -> "subprocess.Popen[bytes]":
    spec = find_spec("espeakng_loader")
    if spec is None or spec.origin is None:
        raise UnspeakableError(f"espeak-ng is not installed: {EXTRA}")
    folder = Path(spec.origin).parent
    library = next(
        (path for path in sorted(folder.iterdir()) if path.name.startswith("libespeak-ng.")), folder
    )
    command = [sys.executable, "-I", str(_SCRIPT), str(library), str(folder / "espeak-ng-data")]
    return subprocess.Popen(  # noqa: S603  our own script
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=0,
        start_new_session=True,
    )


def _kill(child: "subprocess.Popen[bytes]") -> None:
    """End the process and the copy that may be speaking for it: they are a group of their own."""
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGKILL)


def _read(descriptor: int, deadline: float) -> bytes:
    left_s = deadline - time.monotonic()
    if left_s <= 0 or not select.select([descriptor], [], [], left_s)[0]:
        raise OSError("no answer in time")
    data = os.read(descriptor, 1 << 16)
    if not data:
        raise OSError("the process has ended")
    return data


def _words(
    text: str, found: list[list[int]], begin_ms: float, length_ms: float, scale: float
) -> tuple[WordTime, ...]:
    """Give each written word the span of the events that fall into it; it ends where the next one begins."""
    starts = [(int(position), max(0.0, at_ms - begin_ms) * scale) for position, _, at_ms in found]
    words = []
    for word in written_words(text):
        inside = [at_ms for position, at_ms in starts if word.begin <= position < word.end]
        if inside:
            words.append((word, inside[0]))
    ends = [*(at_ms for _, at_ms in words[1:]), length_ms][: len(words)]
    return tuple(
        WordTime(word.text, word.begin, word.end, round(begin), round(max(begin, end)))
        for (word, begin), end in zip(words, ends, strict=True)
    )
