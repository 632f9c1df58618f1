"""Runs by itself, as a script: writes down speech with Whisper (faster-whisper), seconds at a time.

A request on standard input is a line of JSON, ``language`` (ISO 639-1, or empty) and ``bytes``, and then that
many bytes of PCM: 16 bit, little-endian, mono, 16 kHz. The answer on standard output is a line of JSON,
``text`` or ``error``. End of input ends it. Arguments: how far to step back for others, and the folder of a
model for English and of one for all languages (its parts are joined); ``-`` where there is none.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

_MOST_TOKENS = 200
"""What half a minute of quick speech needs; a model that repeats itself would go on for ever."""
_REPETITIVE = 2.4
"""A text that can be packed this well is the same word again and again: nobody said it."""
_SIMPLIFIED = "以下是普通话的句子。"
"""Told to have been said before: then the model writes on in simplified characters."""


class Models:
    """The models, each loaded when it is first needed.

    Args:
        english: Folder of the model for English; None without one.
        multilingual: Folder of the model for all languages; None without one.
    """

    def __init__(self, english: Path | None, multilingual: Path | None) -> None:
        self._folders = {True: english, False: multilingual}
        self._loaded: dict[Path, Any] = {}

    def understand(self, pcm: bytes, language: str) -> str:
        """Write down what is said.

        Raises:
            ValueError: If there is no model for the language.
        """
        is_english = language == "en"
        folder = self._folders[is_english]
        if folder is None and (is_english or not language):
            folder = self._folders[not is_english]
        if folder is None:
            raise ValueError(f"no model for the language {language:.16}")
        sound = np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(32768)
        segments, _ = self._model(folder).transcribe(
            sound,
            language=language or None,
            beam_size=1,
            temperature=0.0,
            condition_on_previous_text=False,
            without_timestamps=True,
            max_new_tokens=_MOST_TOKENS,
            vad_filter=True,  # on silence the models make words up
            initial_prompt=_SIMPLIFIED if language == "zh" else None,
        )
        texts = [segment.text for segment in segments if segment.compression_ratio < _REPETITIVE]
        return " ".join("".join(texts).split())

    def _model(self, folder: Path) -> Any:  # noqa: ANN401  faster-whisper has no types
        if folder not in self._loaded:
            from faster_whisper import WhisperModel

            files = _joined(folder)
            name = str(folder) if files is None else "base"
            self._loaded[folder] = WhisperModel(
                name, device="cpu", compute_type="int8", cpu_threads=1, files=files
            )
        return self._loaded[folder]


def _joined(folder: Path) -> dict[str, bytes] | None:
    """The files of a model that comes in two packages; None if the folder has it whole."""
    other = folder.parents[1] / folder.parent.name.replace("part1", "part2") / folder.name
    parts = (folder / "model.bin.part1", other / "model.bin.part2")
    if not all(part.is_file() for part in parts):
        return None
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in (".json", ".txt")}
    return files | {"model.bin": b"".join(part.read_bytes() for part in parts)}


def answer(models: Models, request: dict[str, Any], pcm: bytes) -> bytes:
    """Serve one request."""
    try:
        told = {"text": models.understand(pcm, str(request["language"]))}
    except (ValueError, RuntimeError, OSError, ImportError) as error:
        told = {"error": f"{type(error).__name__}: {error}"}
    return json.dumps(told).encode() + b"\n"


def main() -> None:
    """Answer requests until there are no more."""
    nice, *folders = sys.argv[1:]
    os.nice(int(nice))
    os.environ["HF_HUB_OFFLINE"] = "1"
    english, multilingual = (Path(folder) if folder != "-" else None for folder in folders)
    models = Models(english, multilingual)
    while line := sys.stdin.buffer.readline():
        request = json.loads(line)
        pcm = sys.stdin.buffer.read(int(request["bytes"]))
        sys.stdout.buffer.write(answer(models, request, pcm))
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
