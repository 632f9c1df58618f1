"""A process that floods a SIP port: ``python -m tests.e2e.hostile PORT RATE SECONDS KIND SOURCES``.

It prints a line when it begins, and how much it sent in the end. The sources are so many addresses of
127.77.0.0/16: nobody else calls from there.
"""

import random
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

__all__ = ["KINDS"]

_VECTORS = Path(__file__).parents[1] / "vectors"
_BATCH_S = 0.002


def _malformed(dice: random.Random, count: int) -> list[bytes]:
    """Torture messages, whole and mutilated, and noise."""
    whole = [path.read_bytes() for path in sorted(_VECTORS.glob("*.sip"))]
    made = []
    for number in range(count):
        data = bytearray(whole[number % len(whole)])
        if number % 3 == 1:
            for _ in range(1 + dice.randrange(20)):
                data[dice.randrange(len(data))] = dice.randrange(256)
        made.append(bytes(data) if number % 3 < 2 else dice.randbytes(dice.randrange(1, 1400)))
    return made


def _scan(dice: random.Random, count: int) -> list[bytes]:
    """What scanners do: OPTIONS and REGISTER of one extension after the other."""
    return [
        _request(("OPTIONS", "REGISTER")[number % 2], f"sip:{100 + number}@127.0.0.1", dice)
        for number in range(count)
    ]


def _invites(dice: random.Random, count: int) -> list[bytes]:
    """Calls that nobody will ever acknowledge or end."""
    sdp = (
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n"
        "a=rtpmap:0 PCMU/8000\r\n"
    )
    return [_request("INVITE", "sip:flood@127.0.0.1", dice, sdp) for _ in range(count)]


KINDS: dict[str, Callable[[random.Random, int], list[bytes]]] = {
    "malformed": _malformed,
    "scan": _scan,
    "invites": _invites,
}


def _request(method: str, uri: str, dice: random.Random, body: str = "") -> bytes:
    name = f"{dice.getrandbits(64):016x}"
    kind = "Content-Type: application/sdp\r\n" if body else ""
    return (
        f"{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK{name};rport\r\n"
        f"Max-Forwards: 70\r\nFrom: <sip:x@127.0.0.1>;tag={name}\r\nTo: <{uri}>\r\nCall-ID: {name}\r\n"
        f"CSeq: 1 {method}\r\nContact: <sip:x@127.0.0.1:9>\r\n{kind}Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def _socket_of(number: int, port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((f"127.77.{number >> 8}.{number & 255}", 0))
    made.connect(("127.0.0.1", port))
    made.setblocking(False)
    return made


def main() -> None:
    port, rate, seconds, kind, sources = sys.argv[1:6]
    dice = random.Random(5)  # noqa: S311  the same flood every time
    count = min(200_000, int(float(rate) * float(seconds))) if kind == "invites" else 4096
    packets = KINDS[kind](dice, count)
    sockets = [_socket_of(number, int(port)) for number in range(1, int(sources) + 1)]
    print("begun", flush=True)
    sent = refused = 0
    begin_s = time.monotonic()
    while (past_s := time.monotonic() - begin_s) < float(seconds):
        for _ in range(min(int(past_s * float(rate)) - sent, 200)):
            try:
                sockets[sent % len(sockets)].send(packets[sent % len(packets)])
            except OSError:
                refused += 1
            sent += 1
        time.sleep(_BATCH_S)
    answers = 0
    for each in sockets:
        try:
            while each.recv(65_535):
                answers += 1
        except OSError:
            continue
    print(f"{sent} {refused} {answers}")


if __name__ == "__main__":
    main()
