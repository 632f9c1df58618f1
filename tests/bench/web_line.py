"""One browser's line by hand: WHIP, checks of ICE, DTLS and SRTP, and what came back with the kernel's times.

Light enough that one process has dozens of them: packets are kept as they came and decrypted when the call
is over.
"""

import re
import socket
import struct
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import pylibsrtp
from numpy.typing import NDArray

from bridge.aio.dtls import Association, Certificate, is_dtls
from bridge.media.opus_codec import OpusDecoder
from bridge.rtp.stun import (
    BINDING_REQUEST,
    BINDING_SUCCESS,
    ICE_CONTROLLING,
    PRIORITY,
    USE_CANDIDATE,
    USERNAME,
    XOR_MAPPED_ADDRESS,
    StunMessage,
    is_stun,
    xor_address,
)
from bridge.sip.dtls import DtlsTerms
from tests.bench.far_end import kernel_offset_ns
from tests.bench.layouts import SO_TIMESTAMPNS
from tests.e2e.secure_phone import SECRETS

__all__ = ["FRAME_TICKS", "Heard", "WebLine", "decoded"]

FRAME_TICKS: Final = 960
_OPUS, _KEYS = 111, 126
_HEADER = struct.Struct("!BBHII")
_STAMP = struct.Struct("=qq")
_ANSWER_S = 10.0
_CHECK_S = 0.05
_CONNECT_S = 8.0
_UFRAG, _PASSWORD = "line", "ThePasswordOfABenchLine"


@dataclass(frozen=True, slots=True)
class Heard:
    """One packet of the far end."""

    arrival_ns: int
    """Monotonic, by the kernel."""
    sequence: int
    timestamp: int
    payload: bytes


class WebLine:
    """One call; `dial` it, `seal` and `send` a packet every 20 ms, `listen` now and then.

    Args:
        certificate: Shown in its handshake; several lines may share one.
        ssrc: Of what it says.
    """

    def __init__(self, certificate: Certificate, *, ssrc: int) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.said: int = 0
        """Packets sent."""
        self.answer: str = ""
        self.place: str = ""
        """Where a DELETE hangs up."""
        self._certificate = certificate
        self._ssrc = ssrc
        self._offset_ns = kernel_offset_ns()
        self._kept: list[tuple[int, bytes]] = []
        self._remote = ("", 0)
        self._password = b""

    def dial(self, url: str, token: str) -> None:
        """Post an offer and shake hands.

        Raises:
            TimeoutError: If there is no connection in time.
            urllib.error.HTTPError: If the call is refused.
        """
        request = urllib.request.Request(  # noqa: S310  our own child
            url,
            data=self._offer().encode(),
            headers={"Content-Type": "application/sdp", "Authorization": f"Bearer {token}"},
        )
        with urllib.request.urlopen(request, timeout=_ANSWER_S) as answer:  # noqa: S310  our own child
            self.answer = answer.read().decode()
            self.place = answer.headers.get("Location", "")
        self._remote = _address(self.answer)
        self._password = _value(self.answer, "ice-pwd:").encode()
        print_ = _value(self.answer, "fingerprint:sha-256 ").replace(":", "").lower()
        is_client = "a=setup:passive" in self.answer
        self._connect(Association(self._certificate, DtlsTerms(is_client, (("sha-256", print_),))))

    def seal(self, payload: bytes, number: int) -> bytes:
        """The `number`-th packet of its stream, of 20 ms, as it goes over the network."""
        head = _HEADER.pack(0x80, _OPUS, number & 0xFFFF, number * FRAME_TICKS & 0xFFFF_FFFF, self._ssrc)
        sealed: bytes = self._sender.protect(head + payload)
        return sealed

    def send(self, sealed: bytes) -> None:
        """Let it go."""
        self.socket.sendto(sealed, self._remote)
        self.said += 1

    def listen(self) -> None:
        """Take in what waits; checks are answered, sound is kept."""
        for arrival_ns, data in self._waiting():
            if is_stun(data):
                self._answer_check(data)
            elif data[0] >> 6 == 2 and not 192 <= data[1] < 224:
                self._kept.append((arrival_ns, data))

    def heard(self) -> list[Heard]:
        """Everything that was said to it and could be decrypted, in order of arrival; call it once."""
        found = []
        for arrival_ns, data in self._kept:
            try:
                packet = self._receiver.unprotect(data)
            except pylibsrtp.Error:
                continue
            _, second, sequence, timestamp, _ = _HEADER.unpack_from(packet)
            if second & 0x7F == _OPUS:
                begin = 12 + 4 * (packet[0] & 15)
                if packet[0] & 16:
                    begin += 4 + 4 * int.from_bytes(packet[begin + 2 : begin + 4])
                found.append(Heard(arrival_ns, sequence, timestamp, packet[begin:]))
        self._kept.clear()
        return found

    def close(self) -> None:
        """Vanish."""
        self.socket.close()

    def _offer(self) -> str:
        port = self.socket.getsockname()[1]
        lines = [
            "v=0",
            "o=- 1 1 IN IP4 127.0.0.1",
            "s=-",
            "t=0 0",
            "a=group:BUNDLE 0",
            f"m=audio {port} UDP/TLS/RTP/SAVPF {_OPUS} {_KEYS}",
            "c=IN IP4 127.0.0.1",
            f"a=rtpmap:{_OPUS} opus/48000/2",
            f"a=fmtp:{_OPUS} minptime=10;useinbandfec=1",
            f"a=rtpmap:{_KEYS} telephone-event/8000",
            "a=mid:0",
            "a=sendrecv",
            "a=rtcp-mux",
            f"a=ice-ufrag:{_UFRAG}",
            f"a=ice-pwd:{_PASSWORD}",
            f"a=fingerprint:sha-256 {self._certificate.fingerprint}",
            "a=setup:actpass",
            f"a=ssrc:{self._ssrc} cname:bench",
            f"a=candidate:1 1 udp 2113937151 127.0.0.1 {port} typ host",
            "a=end-of-candidates",
            "",
        ]
        return "\r\n".join(lines)

    def _connect(self, association: Association) -> None:
        until_s = time.monotonic() + _CONNECT_S
        is_checked = False
        while association.keys is None:
            if time.monotonic() > until_s:
                raise TimeoutError(f"no connection after {_CONNECT_S:.0f} s; checked: {is_checked}")
            if not is_checked:
                self._check()
            for data in self._waiting(wait_s=_CHECK_S):
                if is_stun(data[1]):
                    was_checked, is_checked = is_checked, is_checked | self._answer_check(data[1])
                    if is_checked and not was_checked:
                        association.begin()
                elif is_dtls(data[1]):
                    association.receive(data[1])
            association.handle_timeout()
            for datagram in association.drain():
                self.socket.sendto(datagram, self._remote)
        profile = SECRETS[association.keys.suite][1]
        self._sender = _session(association.keys.tx, pylibsrtp.Policy.SSRC_ANY_OUTBOUND, profile)
        self._receiver = _session(association.keys.rx, pylibsrtp.Policy.SSRC_ANY_INBOUND, profile)

    def _check(self) -> None:
        """Ask whether the far end hears us, and take this way (RFC 8445 §7.2.2)."""
        user = f"{_value(self.answer, 'ice-ufrag:')}:{_UFRAG}".encode()
        attributes = (
            (USERNAME, user),
            (PRIORITY, struct.pack("!I", 1 << 24)),
            (ICE_CONTROLLING, bytes(8)),
            (USE_CANDIDATE, b""),
        )
        request = StunMessage(BINDING_REQUEST, self._ssrc.to_bytes(12), attributes)
        self.socket.sendto(request.signed(self._password), self._remote)

    def _answer_check(self, data: bytes) -> bool:
        """Answer a check of the far end; whether it is its answer to ours."""
        message = StunMessage.parse(data)
        if message.kind == BINDING_REQUEST:
            place = xor_address(self._remote, message.transaction)
            success = StunMessage(BINDING_SUCCESS, message.transaction, ((XOR_MAPPED_ADDRESS, place),))
            self.socket.sendto(success.signed(_PASSWORD.encode()), self._remote)
        return message.kind == BINDING_SUCCESS

    def _waiting(self, *, wait_s: float = 0.0) -> Iterator[tuple[int, bytes]]:
        self.socket.settimeout(wait_s)
        while True:
            try:
                data, beside, _, _ = self.socket.recvmsg(2048, 64)
            except (TimeoutError, BlockingIOError):
                return
            except ConnectionRefusedError:
                continue  # word of an earlier packet that nobody wanted
            self.socket.settimeout(0)
            seconds, nanoseconds = _STAMP.unpack(beside[0][2][: _STAMP.size])
            yield seconds * 1_000_000_000 + nanoseconds + self._offset_ns, data


def decoded(heard: list[Heard]) -> NDArray[np.int16]:
    """``[n, 960]`` samples at 48 kHz, a row for each packet in its order of arrival; others have no 20 ms."""
    decoder = OpusDecoder(48_000)
    rows = np.zeros((len(heard), FRAME_TICKS), np.int16)
    for row, packet in zip(rows, heard, strict=True):
        sound = decoder.decode(packet.payload)[:FRAME_TICKS]
        row[: len(sound)] = sound
    return rows


def _session(secret: str, kind: int, profile: int) -> pylibsrtp.Session:
    return pylibsrtp.Session(pylibsrtp.Policy(bytes.fromhex(secret), kind, 0, profile))


def _value(sdp: str, name: str) -> str:
    found = re.search(rf"^a={name}(\S+)", sdp, re.MULTILINE)
    if found is None:
        raise ValueError(f"the answer has no a={name}")
    return found[1]


def _address(sdp: str) -> tuple[str, int]:
    """The first candidate of IPv4, else where the stream itself says that it is."""
    found = re.search(
        r"^a=candidate:\S+ 1 udp \d+ (\d+\.\d+\.\d+\.\d+) (\d+) ", sdp, re.MULTILINE | re.IGNORECASE
    )
    if found is not None:
        return found[1], int(found[2])
    place = re.search(r"^c=IN IP4 (\S+)", sdp, re.MULTILINE)
    port = re.search(r"^m=audio (\d+)", sdp, re.MULTILINE)
    if place is None or port is None:
        raise ValueError("the answer does not say where it is")
    return place[1], int(port[1])
