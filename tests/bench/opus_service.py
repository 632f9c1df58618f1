"""A CosyVoice service whose speech is ready as Ogg Opus, so that what a voice costs is not what a call costs.

Told the file as its argument; prints its URL in a line of JSON and ends with its standard input.
"""

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.bench.ready_server import ReadyServer, event, frame, sentence

__all__ = ["OpusService", "serve"]

_BINARY = 2
_PIECE_BYTES = 4096


class OpusService(ReadyServer):
    """One connection, on which every text is said in the same words."""

    def __init__(self, speech: bytes) -> None:
        super().__init__()
        self._speech = speech

    def _speak(self, task_id: str, **_: Any) -> None:  # noqa: ANN401  what other clients ask for
        self._write(event(task_id, "result-generated", sentence("sentence-begin")))
        for begin in range(0, len(self._speech), _PIECE_BYTES):
            self._write(event(task_id, "result-generated", sentence("sentence-synthesis")))
            self._write(frame(_BINARY, self._speech[begin : begin + _PIECE_BYTES]))
        end = sentence("sentence-end") | {"usage": {"characters": 1}}
        self._write(event(task_id, "result-generated", end))


async def serve(connection: Callable[[], ReadyServer]) -> None:
    """Speak until standard input ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(connection, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    sys.stdout.write(json.dumps({"url": f"ws://127.0.0.1:{port}/api-ws/v1/inference"}) + "\n")
    sys.stdout.flush()
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve(lambda: OpusService(Path(sys.argv[1]).read_bytes())))
