"""A CosyVoice service that has its sound ready: the load that clients are measured with.

A run-task says in its parameter ``x_ready`` what it wants: ``frames`` of ``size`` bytes each, how many
milliseconds apart (0: all at one go, put together beforehand), and whether a cancel is to be ignored. So the
CPU of a run, and its time when nothing is apart, are its client's.

Prints its URL in a line of JSON and ends with its standard input.
"""

import asyncio
import base64
import hashlib
import json
import sys
from typing import Any, cast

__all__ = ["ReadyServer", "event", "frame", "sentence"]

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TEXT, _BINARY, _CLOSE, _PING, _PONG = 1, 2, 8, 9, 10


class ReadyServer(asyncio.Protocol):
    """One connection; RFC 6455 as far as honest clients on loopback need it."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._unread = bytearray()
        self._is_open = False
        self._asked: dict[str, Any] = {}
        self._has_spoken = False
        self._speaking: asyncio.Task[None] | None = None
        self._last_words = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._unread += data
        if not self._is_open and not self._shake_hands():
            return
        while (frame := self._next_frame()) is not None:
            self._take(*frame)

    def _shake_hands(self) -> bool:
        end = self._unread.find(b"\r\n\r\n")
        if end < 0:
            return False
        lines = bytes(self._unread[:end]).split(b"\r\n")[1:]
        del self._unread[: end + 4]
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
        digest = hashlib.sha1(headers[b"sec-websocket-key"] + _GUID, usedforsecurity=False).digest()
        self._write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n"
        )
        self._is_open = True
        return True

    def _next_frame(self) -> tuple[int, bytes] | None:
        unread = self._unread
        if len(unread) < 2:
            return None
        length, begin = unread[1] & 0x7F, 2
        if length >= 126:
            begin = 4 if length == 126 else 10
            length = int.from_bytes(unread[2:begin], "big")
        end = begin + 4 + length
        if len(unread) < end:
            return None
        mask, payload = unread[begin : begin + 4], unread[begin + 4 : end]
        opcode = unread[0] & 0x0F
        del unread[:end]
        return opcode, bytes(octet ^ mask[place & 3] for place, octet in enumerate(payload))

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode == _TEXT:
            message = json.loads(payload)
            self._answer(message["header"], message["payload"])
        elif opcode == _PING:
            self._write(frame(_PONG, payload))
        elif opcode == _CLOSE:
            self._write(frame(_CLOSE, payload[:2]))
            if self._transport is not None:
                self._transport.close()

    def _answer(self, header: dict[str, Any], payload: dict[str, Any]) -> None:
        task_id, action = header["task_id"], header["action"]
        if action == "run-task":
            self._asked = payload["parameters"].get("x_ready", {})
            self._has_spoken, self._last_words = False, b""
            self._write(event(task_id, "task-started", {}))
        elif action == "continue-task" and not self._has_spoken:
            self._has_spoken = True
            self._speak(task_id, **self._asked)
        elif action == "finish-task":
            is_cancel = payload["input"].get("directive") == "cancel"
            if is_cancel and self._speaking is not None:
                self._speaking.cancel()
                self._speaking = None
            if self._speaking is not None:
                self._last_words = _finished(task_id)
            elif not (is_cancel and self._asked.get("ignores_cancel")):
                self._write(_finished(task_id))

    def _speak(
        self, task_id: str, *, frames: int, size: int, apart_ms: float = 0, ignores_cancel: bool = False
    ) -> None:
        del ignores_cancel  # of the answer to a cancel, not of the sound
        begin = event(task_id, "result-generated", sentence("sentence-begin"))
        pair = event(task_id, "result-generated", sentence("sentence-synthesis"))
        pair += frame(_BINARY, bytes(size))
        end = event(task_id, "result-generated", sentence("sentence-end") | {"usage": {"characters": 1}})
        if apart_ms:
            self._speaking = asyncio.create_task(
                self._speak_slowly(begin, pair, end, frames, apart_ms / 1000)
            )
        else:
            self._write(begin + pair * frames + end)

    async def _speak_slowly(self, begin: bytes, pair: bytes, end: bytes, frames: int, apart_s: float) -> None:
        self._write(begin)
        for _ in range(frames):
            self._write(pair)
            await asyncio.sleep(apart_s)
        self._write(end + self._last_words)
        self._speaking = None

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)


def _finished(task_id: str) -> bytes:
    usage = {"output": {"sentence": {"words": []}}, "usage": {"characters": 1}}
    return event(task_id, "task-finished", usage)


def sentence(kind: str) -> dict[str, Any]:
    output: dict[str, Any] = {"type": kind, "sentence": {"index": 0, "words": []}}
    if kind != "sentence-synthesis":
        output["original_text"] = "Hello."
    return {"output": output}


def event(task_id: str, event: str, payload: dict[str, Any]) -> bytes:
    header = {"task_id": task_id, "event": event, "attributes": {}}
    return frame(_TEXT, json.dumps({"header": header, "payload": payload}).encode())


def frame(opcode: int, payload: bytes) -> bytes:
    length = len(payload)
    if length < 126:
        return bytes((0x80 | opcode, length)) + payload
    if length < 1 << 16:
        return bytes((0x80 | opcode, 126)) + length.to_bytes(2, "big") + payload
    return bytes((0x80 | opcode, 127)) + length.to_bytes(8, "big") + payload


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(ReadyServer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    sys.stdout.write(json.dumps({"url": f"ws://127.0.0.1:{port}/api-ws/v1/inference"}) + "\n")
    sys.stdout.flush()
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
