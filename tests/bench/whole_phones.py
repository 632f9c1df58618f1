"""A process that plays N telephones, signalling and all, and tells what came back.

Reads two lines of JSON from stdin and writes two to stdout: told whom to call, it calls, one phone after the
other; told when to begin, it talks, listens, sums up and hangs up.
"""

import json
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from bridge.engine.ports import raise_file_limit
from tests.bench.crowd import Ear, Mouth
from tests.bench.generator import noise, run, settle, summary
from tests.bench.layouts import SO_TIMESTAMPNS
from tests.bench.network import Network
from tests.e2e.bare_phone import BarePhone

__all__ = ["calling"]


@contextmanager
def calling(port: int, user: str, count: int) -> Iterator[list[BarePhone]]:
    """Phones that all stand in calls with a loopback port; they hang up in the end."""
    with ExitStack() as stack:
        phones = []
        for _ in range(count):
            phone = stack.enter_context(BarePhone(("127.0.0.1", port)))
            phone.rtp.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            phone.invite(user)
            phone.ack()
            phones.append(phone)
        yield phones
        for phone in phones:
            phone.bye()


def talk(phones: list[BarePhone], told: dict[str, Any]) -> dict[str, object]:
    """Speak and listen for as long as was told."""
    count = len(phones)
    sockets = [phone.rtp for phone in phones]
    for sock in sockets:
        sock.setblocking(False)
    mouth = Mouth(sockets, noise())
    for number, phone in enumerate(phones):
        mouth.call(number, phone.media[1])
    ear = Ear(sockets, keep=int(count * 51 * (told["seconds"] + 60)) + 1000)
    settle()
    own_late = run(mouth, ear, Network(loss=0.0), told)
    return summary(mouth, ear, told, own_late)


def main() -> None:
    told = json.loads(sys.stdin.readline())
    raise_file_limit()
    with calling(told["port"], told["user"], told["legs"]) as phones:
        print(json.dumps({"answered": len(phones)}), flush=True)
        told |= json.loads(sys.stdin.readline())
        print(json.dumps(talk(phones, told)), flush=True)


if __name__ == "__main__":
    main()
