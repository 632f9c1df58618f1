"""Run with the official SDK on the path: has it recognise sound, and prints as JSON what its user is told.

Arguments: the service's address, a file of PCM (16 kHz), ``stream`` or ``call``.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import dashscope  # type: ignore[import-not-found]
from dashscope.audio.asr import Recognition, RecognitionCallback  # type: ignore[import-not-found]

_FRAME_BYTES = 3200


class Told(RecognitionCallback):  # type: ignore[misc]
    """What a user's callback sees, in order."""

    def __init__(self) -> None:
        self.kinds: list[str] = []
        self.sentences: list[dict[str, Any]] = []
        self.usages: list[Any] = []

    def on_open(self) -> None:
        self.kinds.append("open")

    def on_complete(self) -> None:
        self.kinds.append("complete")

    def on_error(self, result: Any) -> None:  # noqa: ANN401
        self.kinds.append(f"error {result.code} {result.message}")

    def on_close(self) -> None:
        self.kinds.append("close")

    def on_event(self, result: Any) -> None:  # noqa: ANN401
        sentence = result.get_sentence()
        if result.is_sentence_end(sentence):
            self.kinds.append("sentence")
            self.sentences.append(sentence)
            self.usages.append(result.get_usage(sentence))


def main() -> None:
    """Recognise, and print."""
    url, file, way = sys.argv[1:]
    dashscope.base_websocket_api_url = url
    pcm = Path(file).read_bytes()
    told = Told()
    recognition = Recognition(
        model="paraformer-realtime-v2",
        format="pcm",
        sample_rate=16000,
        language_hints=["en"],
        callback=told if way == "stream" else None,
    )
    if way == "call":
        result = recognition.call(file)
        print(json.dumps({"status": result.status_code, "sentences": result.get_sentence()}))
        return
    recognition.start()
    for at in range(0, len(pcm), _FRAME_BYTES):
        recognition.send_audio_frame(pcm[at : at + _FRAME_BYTES])
        time.sleep(0.02)
    recognition.stop()
    print(json.dumps({"kinds": told.kinds, "sentences": told.sentences, "usages": told.usages}))


if __name__ == "__main__":
    main()
