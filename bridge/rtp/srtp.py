"""What both ends of a call must have to encrypt it: a suite, keys, packet indices (RFC 3711, 4568, 7714)."""

from dataclasses import dataclass, field, replace

from bridge.errors import LocalProtocolError

__all__ = ["CLEAR", "SUITES", "SrtpKeys", "SrtpSuite", "guess_index"]

_HALF_TURN = 1 << 15
_TURN = 1 << 16


@dataclass(frozen=True, slots=True)
class SrtpSuite:
    """A crypto suite of RFC 4568 §6.2 or RFC 7714 §14.2."""

    name: str
    key_bytes: int
    salt_bytes: int

    @property
    def secret_bytes(self) -> int:
        """Length of master key and master salt, as they travel together."""
        return self.key_bytes + self.salt_bytes


SUITES: dict[str, SrtpSuite] = {
    suite.name: suite
    for suite in (
        SrtpSuite("AEAD_AES_128_GCM", 16, 12),
        SrtpSuite("AEAD_AES_256_GCM", 32, 12),
        SrtpSuite("AES_CM_128_HMAC_SHA1_80", 16, 14),
        SrtpSuite("AES_CM_128_HMAC_SHA1_32", 16, 14),
    )
}
"""Suites that we speak, best first: GCM is the stronger and costs less time."""


@dataclass(frozen=True, slots=True)
class SrtpKeys:
    """One leg's keys, and where its packet indices stand; without a suite it is in the clear.

    The secrets are no part of its representation: it may be printed.

    Raises:
        ValueError: If suite, secrets and indices do not fit together.
    """

    suite: str = ""
    """A name of `SUITES`; empty = no SRTP."""
    tx: str = field(default="", repr=False)
    """Master key and salt of what we send, in hexadecimal."""
    rx: str = field(default="", repr=False)
    """Master key and salt of what the peer sends, in hexadecimal."""
    tx_rollover: int = 0
    """Rollover counter of the next packet that we send (RFC 3711 §3.3.1)."""
    rx_end: int = 0
    """Packet index after the highest one received under these keys; 0 = none yet."""
    rx_ssrc: int = 0
    """SSRC of the stream that `rx_end` counts."""
    rtcp_sent: int = 0
    """SRTCP packets sent under these keys: their index must not begin anew (§3.4)."""

    def __post_init__(self) -> None:
        if not self.suite:
            if self.tx or self.rx:
                raise ValueError("SRTP keys without a suite")
            return
        if self.suite not in SUITES:
            raise ValueError(f"unknown SRTP suite {self.suite[:40]!r}")
        need = SUITES[self.suite].secret_bytes
        if not (_is_secret(self.tx, need) and _is_secret(self.rx, need)):
            raise ValueError(f"an SRTP secret of {self.suite} is {need} bytes in hexadecimal")
        for value, bits in (
            (self.tx_rollover, 32),
            (self.rx_end, 48),
            (self.rx_ssrc, 32),
            (self.rtcp_sent, 31),
        ):
            if not 0 <= value < 1 << bits:
                raise ValueError(f"an SRTP index of {bits} bits cannot be {value}")

    def resumed(self, *, tx_end: int, sequence: int, rx_end: int, rx_ssrc: int, rtcp_sent: int) -> "SrtpKeys":
        """The same keys for whoever carries the leg on; no index is used twice under one key.

        Args:
            tx_end: Index after that of the last packet sent: the column `srtp_tx_end`.
            sequence: Sequence number of the next one, less than 2**15 past that.
            rx_end: Index after the highest received: the column `srtp_rx_end`.
            rx_ssrc: Of which stream: the column `srtp_rx_ssrc`.
            rtcp_sent: SRTCP packets sent: the column `srtcp_sent`.

        Raises:
            LocalProtocolError: If the sequence number was sent before.
        """
        index = guess_index(tx_end - 1, sequence)
        if index < tx_end:
            raise LocalProtocolError(f"sequence number {sequence} was sent already")
        return replace(self, tx_rollover=index >> 16, rx_end=rx_end, rx_ssrc=rx_ssrc, rtcp_sent=rtcp_sent)


CLEAR = SrtpKeys()
"""No SRTP."""


def guess_index(highest: int, sequence: int) -> int:
    """Packet index that a sequence number most likely means (RFC 3711 §3.3.1, appendix A).

    Args:
        highest: Highest index so far; -1 = none.
        sequence: 16 bits.
    """
    if highest <= _HALF_TURN:
        # There is no turn before the first one.
        return sequence
    guess = highest - highest % _TURN + sequence
    if guess - highest > _HALF_TURN:
        return guess - _TURN
    return guess + _TURN if highest - guess > _HALF_TURN else guess


def _is_secret(text: str, need: int) -> bool:
    return len(text) == 2 * need and all(digit in "0123456789abcdef" for digit in text)
