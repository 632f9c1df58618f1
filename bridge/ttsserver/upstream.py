"""Speaks with a CosyVoice server of your own: the HTTP service in FunAudioLLM's repository.

It takes a form with ``tts_text`` and ``spk_id`` on ``/inference_sft`` and answers with bare samples of 16
bits. Loudness, rate and pitch, which it does not know, are made here.
"""

import contextlib
import http.client
import re
import socket
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from bridge.ports import WordTime
from bridge.text.characters import is_hanzi
from bridge.ttsserver.casting import cast_of
from bridge.ttsserver.level import EDGE_MS, limited, speech_span
from bridge.ttsserver.script import is_speakable
from bridge.ttsserver.stretch import stretched
from bridge.ttsserver.voice import Delivery, EngineFailedError, Rendered, Stop

__all__ = ["BREATH", "Upstream", "UpstreamEngine"]

BREATH = (40, 120)
"""Characters of the first and of later pieces: the model needs some context to sound natural."""

_PATH = "/inference_sft"
_LONGEST_BYTES = 24 << 20  # eight minutes at 24000 Hz
_CHUNK_BYTES = 1 << 16
_GAIN = 0.7  # the model peaks near full scale
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*|\d+(?:[.,:]\d+)*")


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where the server is, and how it names its speakers.

    Raises:
        ValueError: If `url` is none of HTTP.
    """

    url: str
    """Such as ``http://127.0.0.1:50000``; a path in it stands before the service's own."""
    rate: int = 24000
    """Sampling frequency of its samples in Hz: 22050 for CosyVoice 1, 24000 for 2 and 3."""
    speakers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Its speaker for a voice, or for ``woman`` and ``man``; else those of CosyVoice-300M-SFT."""
    patience_s: float = 30.0
    """How long to wait for a connection, and for each stretch of sound."""

    def __post_init__(self) -> None:
        parts = urllib.parse.urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(
                f"tts_server.upstream must be a URL like http://127.0.0.1:50000, not {self.url!r}"
            )
        if parts.username or parts.password:
            raise ValueError("tts_server.upstream must not carry a password")

    def speaker(self, voice: str) -> str:
        """Who speaks for `voice`."""
        sex = "woman" if cast_of(voice).is_female else "man"
        usual = {"woman": "中文女", "man": "中文男"}[sex]
        return self.speakers.get(voice) or self.speakers.get(sex) or usual


class UpstreamEngine:
    """One voice of the server; may be called from several threads at once, each on its own connection."""

    def __init__(self, upstream: Upstream, voice: str) -> None:
        self._upstream = upstream
        self._speaker = upstream.speaker(voice)

    def check(self, text: str) -> None:
        """Refuse nothing: the server knows what it speaks."""

    def breath(self, text: str) -> tuple[int, int]:
        """Characters that are best spoken at one go, the first time and later."""
        return BREATH

    def render(self, text: str, delivery: Delivery) -> Rendered:
        """Have `text` spoken.

        Raises:
            EngineFailedError: If the server cannot be reached, refuses or breaks off.
        """
        own_rate = self._upstream.rate
        if not is_speakable(text):
            return Rendered(np.zeros(0, np.int16), own_rate)
        sound = np.frombuffer(self._ask(text, delivery.stop), "<i2").astype(np.float32) / np.float32(32768)
        begin, end = speech_span(sound, own_rate)
        style = delivery.style
        pitch = delivery.pitch * style.pitch
        # Played faster it is higher; stretched before, it is as long as it should be.
        sound = stretched(sound[begin:end], own_rate, pitch / (delivery.rate * style.rate))
        samples = limited(sound, _GAIN * style.volume * delivery.volume / 50)
        rate = round(own_rate * pitch)
        words = _words(text, len(samples) * 1000 / rate) if delivery.with_words else ()
        return Rendered(samples, rate, words)

    def _ask(self, text: str, stop: Stop) -> bytes:
        parts = urllib.parse.urlsplit(self._upstream.url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=self._upstream.patience_s)
        form = urllib.parse.urlencode({"tts_text": text, "spk_id": self._speaker})
        # Clients read these messages: where the server is, is none of their business.
        try:
            connection.connect()
            opened = connection.sock  # it forgets it as soon as the answer has begun
            with stop.calling(lambda: _hang_up(opened)):
                connection.request(
                    "POST",
                    parts.path.rstrip("/") + _PATH,
                    form,
                    {"Content-Type": "application/x-www-form-urlencoded"},
                )
                with connection.getresponse() as answer:
                    pcm = _read(answer)
        except (OSError, http.client.HTTPException) as error:
            reason = str(error) or type(error).__name__
            raise EngineFailedError(f"the upstream server fails: {reason}") from error
        finally:
            connection.close()
        if len(pcm) < 2:
            raise EngineFailedError(f"the upstream server says nothing for {text[:20]!r}")
        return bytes(pcm[: len(pcm) // 2 * 2])


def _read(answer: http.client.HTTPResponse) -> bytearray:
    if answer.status != 200:
        said = answer.read(200).decode("utf-8", "replace")
        raise EngineFailedError(f"the upstream server answers {answer.status}: {said}")
    pcm = bytearray()
    while chunk := answer.read(_CHUNK_BYTES):
        pcm += chunk
        if len(pcm) > _LONGEST_BYTES:
            raise EngineFailedError("the upstream server does not stop speaking")
    return pcm


def _hang_up(open_socket: socket.socket) -> None:
    """End a read that waits in another thread."""
    with contextlib.suppress(OSError):
        open_socket.shutdown(socket.SHUT_RDWR)


def _words(text: str, length_ms: float) -> tuple[WordTime, ...]:
    """The server tells no times: each word gets its share by its letters, a hanzi counts for three."""
    found: list[tuple[int, int, int]] = []
    for match in _WORD.finditer(text):
        begin = match.start()
        for index in range(*match.span()):
            if is_hanzi(text[index]):
                if begin < index:
                    found.append((begin, index, index - begin))
                found.append((index, index + 1, 3))
                begin = index + 1
        if begin < match.end():
            found.append((begin, match.end(), match.end() - begin))
    total = sum(weight for *_, weight in found) or 1
    inner_ms = max(0.0, length_ms - 2 * EDGE_MS)
    words = []
    passed = 0
    for begin, end, weight in found:
        first, last = (EDGE_MS + inner_ms * share / total for share in (passed, passed + weight))
        words.append(WordTime(text[begin:end], begin, end, round(first), round(last)))
        passed += weight
    return tuple(words)
