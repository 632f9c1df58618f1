"""Strangers who offer calls to the page: ``python -m tests.e2e.offer_flood PORT RATE SECONDS SOURCES``.

Each source is an address of 127.88.0.0/16 with a connection of its own. It prints a line when it begins,
and in the end, as JSON, what was sent, how it was answered, and how long answers took in ms.
"""

import asyncio
import json
import sys
import time
from collections import Counter

__all__ = ["request"]

_LINES = [f"a=candidate:{n} 1 udp 2122260223 192.0.2.{n} 5000{n % 10} typ host" for n in range(30)]
_OFFER = "\r\n".join(
    [
        "v=0",
        "o=- 1 1 IN IP4 0.0.0.0",
        "s=-",
        "t=0 0",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111",
        "c=IN IP4 0.0.0.0",
        "a=rtpmap:111 opus/48000/2",
        *_LINES,
        "",
    ]
).encode()


def request(host: str) -> bytes:
    """An offer such as a page makes, without a token."""
    head = (
        f"POST /api/webrtc?to=hello HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/sdp\r\n"
        f"Authorization: Bearer guessed\r\nContent-Length: {len(_OFFER)}\r\n\r\n"
    )
    return head.encode() + _OFFER


async def _offer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, words: bytes) -> int:
    """Offer once; returns the status of the answer."""
    writer.write(words)
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length:")
    )
    await reader.readexactly(length)
    return int(head.split(b" ")[1])


async def _source(
    number: int,
    port: int,
    *,
    every_s: float,
    begin_s: float,
    end_s: float,
    answers: "Counter[int]",
    took: list[float],
) -> None:
    ip = f"127.88.{number >> 8}.{number & 255 or 1}"
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(ip, 0))
    words, due_s = request(f"127.0.0.1:{port}"), begin_s
    while due_s < end_s:
        await asyncio.sleep(max(0.0, due_s - time.monotonic()))
        asked_s = time.monotonic()
        answers[await _offer(reader, writer, words)] += 1
        took.append((time.monotonic() - asked_s) * 1e3)
        due_s += every_s
    writer.close()


async def _flood(port: int, rate: float, length_s: float, sources: int) -> dict[str, object]:
    answers: Counter[int] = Counter()
    took: list[float] = []
    began_s = time.monotonic() + 0.2
    every_s = sources / rate
    async with asyncio.TaskGroup() as group:
        for number in range(sources):
            group.create_task(
                _source(
                    number + 1,
                    port,
                    every_s=every_s,
                    begin_s=began_s + number / rate,
                    end_s=began_s + length_s,
                    answers=answers,
                    took=took,
                )
            )
    took.sort()
    return {
        "sent": answers.total(),
        "answers": {str(status): count for status, count in sorted(answers.items())},
        "seconds": time.monotonic() - began_s,
        "p50_ms": took[len(took) // 2],
        "p95_ms": took[len(took) * 95 // 100],
    }


def main() -> None:
    port, rate, seconds, sources = sys.argv[1:5]
    sys.stdout.write("begun\n")
    sys.stdout.flush()
    told = asyncio.run(_flood(int(port), float(rate), float(seconds), int(sources)))
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
