"""A phone without manners: SIP by hand over one socket, RTP over another, and nothing happens by itself."""

import re
import socket
import struct
import uuid
from types import TracebackType
from typing import Self

from bridge.hosts import bracketed, is_v6

__all__ = ["BarePhone"]


class BarePhone:
    """Sends what it is told to, answers nothing, and can be switched off at any moment.

    Args:
        target: The bridge's phone line.
        ip: Loopback address to call from; that of the target's family if none is given.
    """

    def __init__(self, target: tuple[str, int], *, ip: str = "") -> None:
        ip = ip or ("::1" if is_v6(target[0]) else "127.0.0.1")
        self.sip: socket.socket = _bound(ip)
        self.rtp: socket.socket = _bound(ip)
        self.call_id: str = uuid.uuid4().hex
        self.media: tuple[str, int] = ("", 0)
        """Where the answer wants RTP."""
        self.answer: str = ""
        """The 200 to the INVITE, with its description."""
        self._target = target
        self._ip = ip
        self._to = ""
        self._frame = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.switch_off()

    def switch_off(self) -> None:
        """Vanish, as a phone whose battery is empty."""
        self.sip.close()
        self.rtp.close()

    def send(self, data: bytes) -> None:
        """Send any datagram to the phone line."""
        self.sip.sendto(data, self._target)

    def receive(self, *, timeout_s: float) -> str:
        """The next SIP message.

        Raises:
            TimeoutError: If none comes.
        """
        self.sip.settimeout(timeout_s)
        return self.sip.recv(65535).decode("utf-8", "replace")

    def until(self, beginning: str, *, timeout_s: float = 5) -> str:
        """Skip messages until one begins so: ``SIP/2.0 200``, ``BYE`` …"""
        while not (message := self.receive(timeout_s=timeout_s)).startswith(beginning):
            pass
        return message

    def options(self) -> str:
        """Ask how it is; returns the answer's first line."""
        self.send(self._request("OPTIONS", "", to=f"<sip:{bracketed(self._target[0])}>", cseq=7))
        return self.until("SIP/2.0", timeout_s=3).splitlines()[0]

    def invite(
        self,
        user: str,
        *attributes: str,
        events: bool = False,
        comfort: bool = False,
        profile: str = "RTP/AVP",
        status: int = 200,
    ) -> None:
        """Call and take the 200; the ACK is yours to send.

        Args:
            user: Whom to call.
            attributes: Further lines for the audio of the offer, such as ``a=rtcp-mux``.
            events: Whether its keys may be telephone events.
            comfort: Whether silence may be told as comfort noise.
            profile: RTP/SAVP where the attributes hold keys.
            status: Another answer to wait for.
        """
        port = self.rtp.getsockname()[1]
        at = f"IP{6 if is_v6(self._ip) else 4} {self._ip}"
        beside = (" 97" if events else "") + (" 13" if comfort else "")
        sdp = (
            f"v=0\r\no=- 1 1 IN {at}\r\ns=-\r\nc=IN {at}\r\nt=0 0\r\n"
            f"m=audio {port} {profile} 0{beside}\r\na=rtpmap:0 PCMU/8000\r\n"
            + ("a=rtpmap:97 telephone-event/8000\r\na=fmtp:97 0-16\r\n" if events else "")
            + "".join(f"{line}\r\n" for line in attributes)
        )
        self.invite_with(user, sdp, status=status)

    def invite_with(self, user: str, sdp: str, *, status: int = 200) -> None:
        """Call with a description of any kind, and take the answer."""
        self.send(self._request("INVITE", sdp, to=f"<sip:{user}@{bracketed(self._target[0])}>"))
        self.answer = answer = self.until(f"SIP/2.0 {status}")
        self._to = _field(r"^To: *(.*)$", answer)
        if status != 200:
            return
        self.media = (_field(r"^c=IN IP[46] (\S+)", answer), int(_field(r"^m=audio (\d+)", answer)))

    def ack(self) -> None:
        self.send(self._request("ACK", "", to=self._to))

    def bye(self) -> None:
        self.send(self._request("BYE", "", to=self._to, cseq=2))

    def info(self, body: str, kind: str, *, cseq: int) -> None:
        """Tell something within the call; the answer is yours to read."""
        self.send(self._request("INFO", body, to=self._to, cseq=cseq, kind=kind))

    def hear(self, *, timeout_s: float = 5) -> bytes:
        """Wait for the next RTP packet: the first one shows that the bridge carries the call."""
        self.rtp.settimeout(timeout_s)
        return self.rtp.recv(2048)

    def speak(self, packets: int = 1, *, level: int = 0) -> None:
        """Send frames of 20 ms at once: silence, or a loud buzz."""
        code = bytes([0x80 if level else 0xFF, 0x00 if level else 0xFF] * 80)
        for _ in range(packets):
            self.rtp.sendto(self.packet(code), self.media)

    def packet(self, payload: bytes, *, payload_type: int = 0) -> bytes:
        """The next RTP packet of this phone."""
        self._frame += 1
        return struct.pack("!BBHII", 0x80, payload_type, self._frame, self._frame * 160, 0xBA5E) + payload

    def _request(
        self, method: str, body: str, *, to: str, cseq: int = 1, kind: str = "application/sdp"
    ) -> bytes:
        ip, port = bracketed(self._ip), self.sip.getsockname()[1]
        uri = f"{to[to.index('<') + 1 : to.index('>')]}:{self._target[1]}"
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {ip}:{port};branch=z9hG4bK{method}{cseq}{self.call_id};rport",
            "Max-Forwards: 70",
            f"From: <sip:bare@{ip}>;tag=bare",
            f"To: {to}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {cseq} {method}",
            f"Contact: <sip:bare@{ip}:{port}>",
            *([f"Content-Type: {kind}"] if body else []),
            f"Content-Length: {len(body)}",
        ]
        return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def _bound(ip: str) -> socket.socket:
    made = socket.socket(socket.AF_INET6 if is_v6(ip) else socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((ip, 0))
    return made


def _field(pattern: str, message: str) -> str:
    found = re.search(pattern, message.replace("\r", ""), re.MULTILINE)
    assert found is not None, f"no {pattern} in {message!r}"
    return found[1]
