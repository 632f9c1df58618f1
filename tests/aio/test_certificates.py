"""Certificates made by ourselves, and what is said of broken ones."""

import asyncio
import ssl
import stat
from pathlib import Path

import pytest

from bridge.aio.certificates import Certificate, self_made, server_context, show, trust
from bridge.errors import SetupError

NAMES = ["127.0.0.1", "bridge.local"]


def test_one_is_made_for_us_alone_and_kept(tmp_path: Path) -> None:
    made = self_made(tmp_path / "state", NAMES)
    assert stat.S_IMODE(made.key.stat().st_mode) == 0o600
    assert stat.S_IMODE(made.key.parent.stat().st_mode) == 0o700
    first = made.certificate.read_bytes()
    assert self_made(tmp_path / "state", NAMES[:1]).certificate.read_bytes() == first


@pytest.mark.parametrize(
    "broken", [b"", b"-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n"]
)
def test_a_broken_one_and_one_for_other_names_are_replaced(tmp_path: Path, broken: bytes) -> None:
    made = self_made(tmp_path, NAMES)
    made.certificate.write_bytes(broken)
    first = self_made(tmp_path, NAMES).certificate.read_bytes()
    assert first != broken
    assert self_made(tmp_path, [*NAMES, "192.0.2.7"]).certificate.read_bytes() != first


async def test_a_client_that_knows_it_trusts_it_for_its_names_only(tmp_path: Path) -> None:
    made = self_made(tmp_path, NAMES)
    context = server_context(made, setting="http.tls_cert")

    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    knows = ssl.create_default_context(cafile=str(made.certificate))
    for name in NAMES:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=knows, server_hostname=name)
        assert await reader.read() == b"hello"
        writer.close()
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        await asyncio.open_connection("127.0.0.1", port, ssl=knows, server_hostname="other.local")
    with pytest.raises(ssl.SSLCertVerificationError, match="self-signed"):
        await asyncio.open_connection(
            "127.0.0.1", port, ssl=ssl.create_default_context(), server_hostname=NAMES[1]
        )
    server.close()


def test_what_is_wrong_is_said_with_the_setting(tmp_path: Path) -> None:
    made, other = self_made(tmp_path / "one", NAMES), self_made(tmp_path / "two", NAMES)
    with pytest.raises(SetupError, match=r"http\.tls_cert: .*absent.* cannot be read"):
        server_context(Certificate(tmp_path / "absent.pem", made.key), setting="http.tls_cert")
    with pytest.raises(SetupError, match=r"no certificate and its key: KEY_VALUES_MISMATCH"):
        server_context(Certificate(made.certificate, other.key), setting="http.tls_cert")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SetupError, match="no certificate can be kept"):
        self_made(tmp_path / "file", NAMES)


def test_authorities_and_our_own_certificate_are_read_or_named(tmp_path: Path) -> None:
    made = self_made(tmp_path, NAMES)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trust(context, made.certificate, setting="sip.tls_ca")
    show(context, made, setting="sip.tls_cert")
    assert len(context.get_ca_certs()) == 0  # it is no authority, only believed
    assert context.cert_store_stats()["x509"] == 1
    for path in (tmp_path / "absent.pem", made.key):
        with pytest.raises(SetupError, match=r"sip\.tls_ca: .* holds no certificates"):
            trust(context, path, setting="sip.tls_ca")
