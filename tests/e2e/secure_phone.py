"""A phone that encrypts with libsrtp's own binding, over the bare phone's sockets."""

import base64
import re
import struct
import time

import pylibsrtp

from tests.e2e.bare_phone import BarePhone

__all__ = ["SECRETS", "SecurePhone"]

SSRC = 0xBA5E
FRAME_S = 0.02
_POLICY = pylibsrtp.Policy
SECRETS = {
    "AES_CM_128_HMAC_SHA1_80": (30, _POLICY.SRTP_PROFILE_AES128_CM_SHA1_80),
    "AES_CM_128_HMAC_SHA1_32": (30, _POLICY.SRTP_PROFILE_AES128_CM_SHA1_32),
    "AEAD_AES_128_GCM": (28, _POLICY.SRTP_PROFILE_AEAD_AES_128_GCM),
    "AEAD_AES_256_GCM": (44, _POLICY.SRTP_PROFILE_AEAD_AES_256_GCM),
}
"""Bytes of key and salt, and the profile, of each suite."""


class SecurePhone:
    """Calls over RTP/SAVP and keeps what it could decrypt.

    Args:
        phone: Its sockets and signalling.
        suite: What it offers, alone.
        first: Sequence number of its first packet.
        lies: Encrypt under another key than the one in the offer.
    """

    def __init__(self, phone: BarePhone, suite: str, *, first: int = 1, lies: bool = False) -> None:
        self.phone = phone
        self.heard: dict[int, bytes] = {}
        """Payloads by sequence number."""
        self.reports: list[bytes] = []
        self.undecryptable = 0
        self._suite = suite
        self._number = first
        length, profile = SECRETS[suite]
        self.secret: bytes = bytes(range(7, 7 + length))
        sending = bytes(length) if lies else self.secret
        self._sender = pylibsrtp.Session(_POLICY(sending, _POLICY.SSRC_ANY_OUTBOUND, 0, profile))

    def call(self, user: str) -> None:
        """Call, and take the answer's key."""
        key = base64.b64encode(self.secret).decode()
        line = f"a=crypto:5 {self._suite} inline:{key}|2^31"
        self.phone.invite(user, line, "a=rtcp-mux", profile="RTP/SAVP")
        self.phone.ack()
        found = re.search(rf"a=crypto:5 {self._suite} inline:(\S+)", self.phone.answer)
        assert found is not None, self.phone.answer
        assert " RTP/SAVP 0\r\n" in self.phone.answer
        theirs = base64.b64decode(found[1])
        assert theirs != self.secret
        profile = SECRETS[self._suite][1]
        self._receiver = pylibsrtp.Session(_POLICY(theirs, _POLICY.SSRC_ANY_INBOUND, 0, profile))

    def talk(self, duration_s: float, *, payload: bytes = b"\xff" * 160) -> None:
        """Send a frame every 20 ms and hear what comes."""
        begin_s = time.monotonic()
        for frame in range(int(duration_s / FRAME_S)):
            number = self._number & 0xFFFF
            packet = struct.pack("!BBHII", 0x80, 0, number, self._number * 160 & 0xFFFF_FFFF, SSRC) + payload
            self.phone.rtp.sendto(self._sender.protect(packet), self.phone.media)
            self._number += 1
            self._hear(until_s=begin_s + (frame + 1) * FRAME_S)

    def report(self) -> None:
        """Send an empty receiver report."""
        packet = struct.pack("!BBHI", 0x80, 201, 1, SSRC)
        self.phone.rtp.sendto(self._sender.protect_rtcp(packet), self.phone.media)

    def sound(self) -> bytes:
        """Everything heard, in order."""
        assert sorted(self.heard) == list(range(min(self.heard), max(self.heard) + 1))
        return b"".join(self.heard[number] for number in sorted(self.heard))

    def _took(self, data: bytes) -> None:
        """Look at a packet before it is decrypted."""

    def _hear(self, *, until_s: float) -> None:
        while (left_s := until_s - time.monotonic()) > 0:
            self.phone.rtp.settimeout(left_s)
            try:
                data = self.phone.rtp.recv(2048)
            except (TimeoutError, BlockingIOError):
                return
            self._took(data)
            try:
                if 192 <= data[1] < 224:
                    self.reports.append(self._receiver.unprotect_rtcp(data))
                else:
                    packet = self._receiver.unprotect(data)
                    self.heard[int.from_bytes(packet[2:4])] = packet[12:]
            except pylibsrtp.Error:
                self.undecryptable += 1
