"""A CosyVoice service whose speech is ready as PCM and comes in pieces, a few times as fast as it is spoken.

Told the file as its argument; prints its URL in a line of JSON and ends with its standard input.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

from tests.bench.opus_service import serve
from tests.bench.ready_server import ReadyServer, event, frame, sentence

__all__ = ["PcmService"]

_BINARY = 2
_PIECE_BYTES = 3200
_APART_S = 0.05
"""A piece of 200 ms at 8 kHz: four times as fast as it is spoken."""


class PcmService(ReadyServer):
    """One connection, on which every text is said in the same words."""

    def __init__(self, speech: bytes) -> None:
        super().__init__()
        self._pieces = [speech[at : at + _PIECE_BYTES] for at in range(0, len(speech), _PIECE_BYTES)]

    def _speak(self, task_id: str, **_: Any) -> None:  # noqa: ANN401  what other clients ask for
        begin = event(task_id, "result-generated", sentence("sentence-begin"))
        pair = event(task_id, "result-generated", sentence("sentence-synthesis"))
        end = sentence("sentence-end") | {"usage": {"characters": 1}}
        said = [pair + frame(_BINARY, piece) for piece in self._pieces]
        self._speaking = asyncio.create_task(
            self._hand_over(begin, said, event(task_id, "result-generated", end))
        )

    async def _hand_over(self, begin: bytes, said: list[bytes], end: bytes) -> None:
        self._write(begin)
        for piece in said:
            self._write(piece)
            await asyncio.sleep(_APART_S)
        self._write(end + self._last_words)
        self._speaking = None


if __name__ == "__main__":
    asyncio.run(serve(lambda: PcmService(Path(sys.argv[1]).read_bytes())))
