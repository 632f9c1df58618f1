"""A DTLS association that makes the keys of SRTP (RFC 5764), on OpenSSL, without a socket of its own.

Datagrams go in and come out; the loop's timer is asked for. That the peer is who its description says is
checked here: a certificate without the signalled fingerprint ends the handshake (RFC 8122 §5).
"""

import contextlib
import datetime
import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from weakref import proxy

from bridge.errors import LocalProtocolError, RemoteProtocolError
from bridge.rtp.srtp import SUITES, SrtpKeys
from bridge.sip.dtls import DtlsTerms

__all__ = ["Association", "Certificate", "datagrams", "is_dtls"]

MTU_BYTES = 1200
"""So much reaches everybody in one piece, IPv6 tunnels included."""
_RECORD_BYTES = 13
"""Header of a record; its last two bytes say how long the rest is (RFC 6347 §4.1)."""
_PROFILES = {
    "SRTP_AEAD_AES_128_GCM": "AEAD_AES_128_GCM",
    "SRTP_AEAD_AES_256_GCM": "AEAD_AES_256_GCM",
    "SRTP_AES128_CM_SHA1_80": "AES_CM_128_HMAC_SHA1_80",
}
"""What OpenSSL calls the suites, best first. A tag of 32 bits has no place here (RFC 8827 §6.5)."""
_CIPHERS = b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES"
_LABEL = b"EXTRACTOR-dtls_srtp"
_DTLS_1_2 = 0xFEFD
_VALID_DAYS = 365
_READ_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Certificate:
    """Who we are in every handshake of this process: known by its fingerprint, signed by nobody."""

    fingerprint: str
    """Of SHA-256, as descriptions have it: ``AB:CD:…``."""
    context: Any = field(repr=False)
    """OpenSSL's, with certificate and key in it."""

    @classmethod
    def make(cls, name: str) -> "Certificate":
        """Make one with a fresh key of the curve P-256; it takes some ms.

        Args:
            name: Common name: random, so that it says nothing of us.
        """
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        # Nobody asks for these dates, but some asks that they hold (RFC 8827 §6.5 has a month).
        now = datetime.datetime.now(datetime.UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=_VALID_DAYS))
            .sign(key, hashes.SHA256())
        )
        digest = hashlib.sha256(made.public_bytes(serialization.Encoding.DER)).hexdigest().upper()
        fingerprint = ":".join(digest[at : at + 2] for at in range(0, len(digest), 2))
        return cls(fingerprint, _context(made, key))


def is_dtls(data: bytes) -> bool:
    """Whether a datagram beside RTP is DTLS, by its first byte (RFC 7983 §7)."""
    return len(data) > 0 and 20 <= data[0] < 64


class Association:
    """One handshake and what follows it; feed `receive`, send what `drain` returns.

    Args:
        certificate: Ours.
        terms: Our role, and how the peer is to be known.
    """

    def __init__(self, certificate: Certificate, terms: DtlsTerms) -> None:
        from OpenSSL import SSL

        self.terms: DtlsTerms = terms
        self.keys: SrtpKeys | None = None
        """What SRTP is to use; None before the handshake is over."""
        self.is_closed: bool = False
        """The peer has said goodbye."""
        self._ssl = SSL
        self._is_known: bool | None = None
        """Whether the peer's certificate is the one of its description; None before it has shown it."""
        self._conn = SSL.Connection(certificate.context, None)
        # Weakly: OpenSSL's side must not keep ours.
        self._conn.set_app_data(proxy(self))
        self._conn.set_ciphertext_mtu(MTU_BYTES)
        if terms.is_client:
            self._conn.set_connect_state()
        else:
            self._conn.set_accept_state()

    @property
    def timeout_s(self) -> float | None:
        """When `handle_timeout` wants to be called, from now; None = never."""
        left: float | None = self._conn.DTLSv1_get_timeout()
        return left

    def begin(self) -> None:
        """Send the first word, if that is ours.

        Raises:
            RemoteProtocolError: Never here; see `receive`.
        """
        if self.terms.is_client:
            self._step()

    def receive(self, data: bytes) -> None:
        """Take one datagram of the peer.

        Raises:
            RemoteProtocolError: If the handshake fails, or the peer is not who it should be.
        """
        self._conn.bio_write(data)
        self._step()

    def handle_timeout(self) -> None:
        """Say again what seems lost; harmless when early.

        Raises:
            RemoteProtocolError: If that was in vain too often.
        """
        try:
            self._conn.DTLSv1_handle_timeout()
        except self._ssl.Error as error:
            raise _failure(error) from None

    def close(self) -> None:
        """Say goodbye, if there is anybody to say it to."""
        if self.keys is not None and not self.is_closed:
            with contextlib.suppress(self._ssl.Error):  # Whoever is gone needs no goodbye.
                self._conn.shutdown()

    def drain(self) -> list[bytes]:
        """Datagrams to send."""
        try:
            waiting = self._conn.bio_read(_READ_BYTES)
        except self._ssl.WantReadError:
            return []
        return list(datagrams(waiting))

    def _step(self) -> None:
        try:
            if self.keys is None:
                self._conn.do_handshake()
                self._agree()
            while True:
                self._conn.recv(_READ_BYTES)  # Nobody speaks here but OpenSSL itself.
        except self._ssl.WantReadError:
            pass
        except self._ssl.ZeroReturnError:
            self.is_closed = True
        except self._ssl.Error as error:
            if self._is_known is False:
                raise RemoteProtocolError(
                    "the certificate is not the one of the description", rule="RFC 8122 §5"
                ) from None
            if self.keys is None:
                raise _failure(error) from None
            # Garbage after the handshake ends nothing (RFC 6347 §4.1.2.7).

    def meet(self, certificate: bytes) -> bool:
        """Say whether this is the peer; OpenSSL ends the handshake if not, before our last word."""
        self._is_known = any(
            hmac.compare_digest(hashlib.new(function.replace("-", ""), certificate).hexdigest(), digest)
            for function, digest in self.terms.fingerprints
        )
        return self._is_known

    def _agree(self) -> None:
        """Take the keys (RFC 5764 §4.2)."""
        if not self._is_known:
            raise LocalProtocolError("a handshake ended, and nobody has looked at the certificate")
        suite = SUITES.get(_PROFILES.get(self._conn.get_selected_srtp_profile().decode(), ""))
        if suite is None:
            raise RemoteProtocolError("the handshake agreed on no SRTP", rule="RFC 5764 §4.1.1")
        material = self._conn.export_keying_material(_LABEL, 2 * suite.secret_bytes, None)
        keys, salts = 2 * suite.key_bytes, suite.salt_bytes
        client = material[: suite.key_bytes] + material[keys : keys + salts]
        server = material[suite.key_bytes : keys] + material[keys + salts :]
        ours, theirs = (client, server) if self.terms.is_client else (server, client)
        self.keys = SrtpKeys(suite.name, tx=ours.hex(), rx=theirs.hex())


def datagrams(records: bytes) -> Iterator[bytes]:
    """Cut what OpenSSL wrote into datagrams: whole records, as many as `MTU_BYTES` hold."""
    datagram = b""
    at = 0
    while at < len(records):
        end = at + _RECORD_BYTES + int.from_bytes(records[at + 11 : at + _RECORD_BYTES])
        if datagram and len(datagram) + end - at > MTU_BYTES:
            yield datagram
            datagram = b""
        datagram += records[at:end]
        at = end
    if datagram:
        yield datagram


@cache
def _srtp_profiles() -> bytes:
    return ":".join(_PROFILES).encode()


def _context(certificate: Any, key: Any) -> Any:  # noqa: ANN401  cryptography's
    from OpenSSL import SSL

    context = SSL.Context(SSL.DTLS_METHOD)
    context.set_min_proto_version(_DTLS_1_2)
    # Whose certificate it is tells the fingerprint, so nobody has to have signed it.
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _meet)
    context.set_cipher_list(_CIPHERS)
    context.set_options(SSL.OP_NO_QUERY_MTU | SSL.OP_NO_RENEGOTIATION)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_tlsext_use_srtp(_srtp_profiles())
    context.use_certificate(certificate)
    context.use_privatekey(key)
    return context


def _meet(connection: Any, certificate: Any, _error: int, depth: int, _is_valid: int) -> bool:  # noqa: ANN401
    """Look at a certificate in place of OpenSSL; those that may have signed it prove nothing."""
    from OpenSSL import crypto

    association: Association = connection.get_app_data()
    # As OpenSSL has it: a stricter reader would fail at what a stranger may send.
    return depth > 0 or association.meet(crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate))


def _failure(error: Exception) -> RemoteProtocolError:
    reasons = error.args[0] if error.args and isinstance(error.args[0], list) else []
    reason = str(reasons[0][-1]) if reasons else type(error).__name__
    return RemoteProtocolError(f"the DTLS handshake failed: {reason[:80]}", rule="RFC 5764 §4")
