"""Runs by itself, as a script: speaks with the library espeak-ng (GPL-3), which the bridge never loads.

One request a line on standard input, as JSON: ``voice``, ``rate`` (words a minute), ``pitch`` (0 to 100),
``seed``, ``text``. The answer on standard output is a line of JSON, ``rate``, ``samples``, ``words``
(position and length in characters, begin in ms) or ``error``, and then that many samples of 16 bits.
End of input ends it.

The library's generators remember the sentence before. So that the same text is the same bytes, each is
spoken by a copy of this process that has spoken nothing yet.
"""

import ctypes
import json
import os
import sys
from typing import Any

_SYNCHRONOUS = 2
_RATE, _PITCH = 1, 3
_UTF8 = 1
_WORD_EVENT = 1
_LONGEST_S = 120


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    )


class _Voice(ctypes.Structure):
    """Properties of a voice, to choose one by its language."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_char_p),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("xx1", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


class Speaker:
    """The library, and what it has said of the present text."""

    def __init__(self, library: str, data: str) -> None:
        self._espeak = ctypes.CDLL(library)
        self.rate: int = self._espeak.espeak_Initialize(_SYNCHRONOUS, 0, data.encode() or None, 0)
        if self.rate <= 0:
            raise OSError(f"espeak-ng finds no data in {data}")
        self._pcm = bytearray()
        self._words: list[tuple[int, int, int]] = []
        self._callback = _Callback(self._take)
        self._espeak.espeak_SetSynthCallback(self._callback)

    def speak(self, request: dict[str, Any]) -> tuple[bytes, list[tuple[int, int, int]]]:
        """Say one text.

        Raises:
            ValueError: If there is no such voice.
        """
        self._choose(str(request["voice"]))
        self._espeak.espeak_SetParameter(_RATE, int(request["rate"]), 0)
        self._espeak.espeak_SetParameter(_PITCH, int(request["pitch"]), 0)
        self._espeak.espeak_ng_SetRandSeed(ctypes.c_long(int(request["seed"])))
        self._pcm.clear()
        self._words.clear()
        text = str(request["text"]).replace("\0", " ").encode()
        self._espeak.espeak_Synth(text, ctypes.c_size_t(len(text) + 1), 0, 1, 0, _UTF8, None, None)
        return bytes(self._pcm), list(self._words)

    def _choose(self, voice: str) -> None:
        if self._espeak.espeak_SetVoiceByName(voice.encode()) == 0:
            return
        language = voice.partition("+")[0].encode()
        if self._espeak.espeak_SetVoiceByProperties(ctypes.byref(_Voice(languages=language))) != 0:
            raise ValueError(f"espeak-ng has no voice {voice}")

    def _take(
        self, wave: "ctypes._Pointer[ctypes.c_short]", count: int, events: "ctypes.Array[_Event]"
    ) -> int:
        if wave and count > 0:
            self._pcm += ctypes.string_at(wave, 2 * count)
        index = 0
        while events[index].type:
            event = events[index]
            if event.type == _WORD_EVENT:
                self._words.append((event.text_position - 1, event.length, event.audio_position))
            index += 1
        return int(len(self._pcm) > 2 * self.rate * _LONGEST_S)


def answer(speaker: Speaker, line: bytes) -> bytes:
    """Serve one request."""
    try:
        pcm, words = speaker.speak(json.loads(line))
        head: dict[str, Any] = {"rate": speaker.rate, "samples": len(pcm) // 2, "words": words}
    except ValueError as error:
        pcm, head = b"", {"error": str(error)}
    return json.dumps(head).encode() + b"\n" + pcm


def main() -> None:
    """Answer requests until there are no more."""
    speaker = Speaker(sys.argv[1], sys.argv[2])
    for line in sys.stdin.buffer:
        copy = os.fork()
        if copy == 0:
            sys.stdout.buffer.write(answer(speaker, line))
            sys.stdout.buffer.flush()
            os._exit(0)
        if os.waitpid(copy, 0)[1]:
            sys.exit("the copy died over a text")


if __name__ == "__main__":
    main()
