"""Certificates for whoever has none: made by ourselves, kept for a year; clear words about broken ones."""

import ipaddress
import os
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bridge.errors import SetupError

__all__ = ["Certificate", "self_made", "server_context", "show", "trust"]

_LASTS = timedelta(days=365)
_RENEWED_BEFORE = timedelta(days=30)
_NAME = "cosybridge, made by itself"


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate and its key, as files in PEM."""

    certificate: Path
    key: Path


def self_made(folder: Path, names: Sequence[str]) -> Certificate:
    """Return our own certificate for these names, made anew where there is none that lasts another month.

    Args:
        folder: Where it is kept; made, for us alone, if it is not there.
        names: Host names and addresses that it vouches for.

    Raises:
        SetupError: If the folder cannot be written.
    """
    made = Certificate(folder / "certificate.pem", folder / "key.pem")
    now = datetime.now(UTC)
    try:
        if not _serves(made.certificate, names, now):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _make(made, names, now)
    except OSError as error:
        raise SetupError(f"no certificate can be kept in {folder}: {error.strerror}") from None
    return made


def server_context(given: Certificate, *, setting: str) -> ssl.SSLContext:
    """Read a certificate and its key for a server that speaks TLS 1.2 and later.

    Args:
        given: The files.
        setting: Which setting named them, for errors.

    Raises:
        SetupError: If one is not there, cannot be read, or they do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    show(context, given, setting=setting)
    return context


def show(context: ssl.SSLContext, given: Certificate, *, setting: str) -> None:
    """Let a context show this certificate; raises as `server_context` does."""
    try:
        context.load_cert_chain(given.certificate, given.key)
    except ssl.SSLError as error:
        why = error.reason or str(error)
        raise SetupError(
            f"{setting}: {given.certificate} and {given.key} are no certificate and its key: {why}"
        ) from None
    except OSError as error:
        missing = given.certificate if not given.certificate.exists() else given.key
        raise SetupError(f"{setting}: {missing} cannot be read: {error.strerror}") from None


def trust(context: ssl.SSLContext, authorities: Path, *, setting: str) -> None:
    """Let a context believe these authorities.

    Args:
        context: Of a server that asks for certificates, or of a client.
        authorities: Their certificates, one file in PEM.
        setting: Which setting named it, for errors.

    Raises:
        SetupError: If there is none in it.
    """
    try:
        context.load_verify_locations(authorities)
    except (OSError, ssl.SSLError) as error:
        raise SetupError(f"{setting}: {authorities} holds no certificates: {error}") from None


def _serves(path: Path, names: Sequence[str], now: datetime) -> bool:
    try:
        found = x509.load_pem_x509_certificate(path.read_bytes())
        vouched = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, x509.ExtensionNotFound):
        return False
    known = {str(name.value) for name in vouched}
    return found.not_valid_after_utc - now > _RENEWED_BEFORE and known >= set(names)


def _make(made: Certificate, names: Sequence[str], now: datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _NAME)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))  # clocks differ
        .not_valid_after(now + _LASTS)
        .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(made.key, secret)
    _write(made.certificate, certificate.public_bytes(serialization.Encoding.PEM))


def _write(path: Path, content: bytes) -> None:
    """For our eyes only from its first byte on; whole or not at all."""
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    new.replace(path)


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
