"""Many phones on one UDP socket that call at a steady rate, hang up, and time what they are told.

Told where to call, how often and how long, by a line of JSON, it answers with one: how long INVITEs waited
for their 200, and how many calls did not come to a good end. Calls are begun on time whether or not earlier
ones were answered, so a slow peer is seen as slow and not spared.
"""

import heapq
import json
import re
import select
import socket
import sys
import time
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Phones"]

_MS = 1_000_000
_HOLD_NS = 500 * _MS
_T1_NS = 500 * _MS
_GIVE_UP_NS = 8_000 * _MS
_MEDIA_PORTS = range(20_000, 32_000, 2)
_BUFFER_BYTES = 4 << 20
_STATUS = re.compile(rb"SIP/2\.0 ([1-6])[0-9]{2}")
_CALL = re.compile(rb"\r\n(?:Call-ID|i)\s*:\s*setup-([0-9]+)@", re.IGNORECASE)
_TO = re.compile(rb"\r\n((?:To|t)\s*:[^\r]*)", re.IGNORECASE)
_CONTACT = re.compile(rb"\r\n(?:Contact|m)\s*:[^<\r]*<([^>\r]*)>", re.IGNORECASE)
_METHOD = re.compile(rb"\r\nCSeq\s*:\s*[0-9]+\s+([A-Z]+)", re.IGNORECASE)


@dataclass(slots=True)
class _Call:
    number: int
    sent_ns: int = 0
    state: str = "inviting"
    """``inviting``, ``talking``, ``leaving``, ``over`` or ``failed``."""
    to: str = ""
    target: str = ""
    resends: int = 0


@dataclass(slots=True)
class Phones:
    """The callers of one run.

    Args:
        target: Loopback port that they call.
        rate: Calls begun in a second.
        seconds: How long calls are begun.
        user: Whom they call.
    """

    target: int
    rate: float
    seconds: float
    user: str = "bench"
    latencies_ns: list[int] = field(default_factory=list)
    resent: int = 0
    unexpected: int = 0

    def run(self) -> dict[str, Any]:
        """Call, and return what came of it."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
            line.bind(("127.0.0.1", 0))
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
            line.setblocking(False)
            line.connect(("127.0.0.1", self.target))
            return self._run_on(line)

    def _run_on(self, line: socket.socket) -> dict[str, Any]:
        port = line.getsockname()[1]
        count = round(self.rate * self.seconds)
        calls = [_Call(number) for number in range(count)]
        begin_ns = time.monotonic_ns() + 50 * _MS
        # (when, what, which call); one heap keeps begins, hang-ups and repetitions in order.
        agenda = [(begin_ns + round(at * 1e9 / self.rate), "begin", at) for at in range(count)]
        end_ns = begin_ns + round(self.seconds * 1e9) + _HOLD_NS + _GIVE_UP_NS
        open_calls = count
        late_ns = 0
        while open_calls and time.monotonic_ns() < end_ns:
            now_ns = time.monotonic_ns()
            while agenda and agenda[0][0] <= now_ns:
                due_ns, what, number = heapq.heappop(agenda)
                late_ns = max(late_ns, now_ns - due_ns) if what == "begin" else late_ns
                self._act(line, calls[number], what, port, agenda)
            wait_s = (agenda[0][0] - time.monotonic_ns()) / 1e9 if agenda else 0.05
            if wait_s > 0:
                select.select([line], [], [], min(wait_s, 0.05))
            open_calls -= self._hear(line, calls, port, agenda)
        return self._account(calls, late_ns)

    def _act(self, line: socket.socket, call: _Call, what: str, port: int, agenda: list[Any]) -> None:
        now_ns = time.monotonic_ns()
        if what == "begin":
            call.sent_ns = now_ns
            line.send(self._invite(call, port))
            heapq.heappush(agenda, (now_ns + _T1_NS, "repeat", call.number))
        elif what == "repeat" and call.state in ("inviting", "leaving") and call.resends < 5:
            call.resends += 1
            self.resent += 1
            line.send(self._invite(call, port) if call.state == "inviting" else self._bye(call, port))
            heapq.heappush(agenda, (now_ns + (_T1_NS << call.resends), "repeat", call.number))
        elif what == "hang up":
            call.state, call.resends = "leaving", 0
            line.send(self._bye(call, port))
            heapq.heappush(agenda, (now_ns + _T1_NS, "repeat", call.number))

    def _hear(self, line: socket.socket, calls: list[_Call], port: int, agenda: list[Any]) -> int:
        """Take in what waits; returns how many calls are over by it."""
        ended = 0
        while True:
            try:
                data = line.recv(65_535)
            except (BlockingIOError, ConnectionRefusedError):
                return ended
            now_ns = time.monotonic_ns()
            status, which, method = _STATUS.match(data), _CALL.search(data), _METHOD.search(data)
            if status is None or which is None or method is None:
                self.unexpected += 1
                continue
            call = calls[int(which[1])]
            if status[1] == b"2" and method[1] == b"INVITE":
                if call.state == "inviting":
                    self.latencies_ns.append(now_ns - call.sent_ns)
                    self._answered(call, data)
                    heapq.heappush(agenda, (now_ns + _HOLD_NS, "hang up", call.number))
                line.send(self._in_dialog(call, "ACK", 1, port))
            elif status[1] == b"2" and method[1] == b"BYE" and call.state == "leaving":
                call.state = "over"
                ended += 1
            elif status[1] not in b"12" and call.state == "inviting":
                call.state = "failed"
                ended += 1

    @staticmethod
    def _answered(call: _Call, data: bytes) -> None:
        to, contact = _TO.search(data), _CONTACT.search(data)
        call.state = "talking"
        call.to = to[1].decode() if to else "To: <sip:nobody>"
        call.target = contact[1].decode() if contact else "sip:nobody"

    def _account(self, calls: list[_Call], late_ns: int) -> dict[str, Any]:
        waits = sorted(self.latencies_ns)
        return {
            "calls": len(calls),
            "good": sum(call.state == "over" for call in calls),
            "failed": sum(call.state != "over" for call in calls),
            "resent": self.resent,
            "unexpected": self.unexpected,
            "late_ms": late_ns / _MS,
            "p50_ms": _quantile_ms(waits, 0.5),
            "p99_ms": _quantile_ms(waits, 0.99),
            "max_ms": _quantile_ms(waits, 1.0),
        }

    def _invite(self, call: _Call, port: int) -> bytes:
        media = _MEDIA_PORTS[call.number % len(_MEDIA_PORTS)]
        sdp = (
            f"v=0\r\no=bench {call.number} 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
            f"m=audio {media} RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"
            "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
        )
        uri = f"sip:{self.user}@127.0.0.1:{self.target}"
        head = self._head("INVITE", uri, f"To: <{uri}>", call, 1, port)
        return f"{head}Content-Type: application/sdp\r\nContent-Length: {len(sdp)}\r\n\r\n{sdp}".encode()

    def _bye(self, call: _Call, port: int) -> bytes:
        return self._in_dialog(call, "BYE", 2, port)

    def _in_dialog(self, call: _Call, method: str, number: int, port: int) -> bytes:
        head = self._head(method, call.target, call.to, call, number, port)
        return f"{head}Content-Length: 0\r\n\r\n".encode()

    @staticmethod
    def _head(method: str, uri: str, to: str, call: _Call, number: int, port: int) -> str:  # noqa: PLR0917
        return (
            f"{method} {uri} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP 127.0.0.1:{port};rport;branch=z9hG4bK-{method}-{call.number}-{port}\r\n"
            "Max-Forwards: 70\r\n"
            f"From: <sip:caller@127.0.0.1:{port}>;tag=t{call.number}\r\n"
            f"{to}\r\nCall-ID: setup-{call.number}@{port}\r\nCSeq: {number} {method}\r\n"
            f"Contact: <sip:caller@127.0.0.1:{port}>\r\nUser-Agent: bench\r\n"
        )


def _quantile_ms(ordered: list[int], share: float) -> float | None:
    if not ordered:
        return None
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))] / _MS, 3)


def main() -> None:
    for line in sys.stdin:
        print(json.dumps(Phones(**json.loads(line)).run()), flush=True)


if __name__ == "__main__":
    main()
