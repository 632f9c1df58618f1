import contextlib
import gc
import weakref
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.aio.dtls import MTU_BYTES, Association, Certificate, datagrams, is_dtls
from bridge.errors import RemoteProtocolError
from bridge.sip.dtls import DtlsTerms

OURS, THEIRS = Certificate.make("ours"), Certificate.make("theirs")


def known(certificate: Certificate, function: str = "sha-256") -> tuple[tuple[str, str], ...]:
    return ((function, certificate.fingerprint.replace(":", "").lower()),)


def pair() -> tuple[Association, Association]:
    client = Association(OURS, DtlsTerms(True, known(THEIRS)))
    return client, Association(THEIRS, DtlsTerms(False, known(OURS)))


def exchange(client: Association, server: Association, *, without: int = -1) -> int:
    """Carry datagrams between the two until nobody has any; lose one of them, by its number."""
    count = 0
    while True:
        carried = 0
        for sender, receiver in ((client, server), (server, client)):
            for datagram in sender.drain():
                carried += 1
                count += 1
                if count != without:
                    receiver.receive(datagram)
        if not carried:
            return count


def test_both_ends_come_to_the_same_keys_under_the_best_suite() -> None:
    client, server = pair()
    client.begin()
    server.begin()

    exchange(client, server)

    assert client.keys is not None
    assert server.keys is not None
    assert client.keys.suite == "AEAD_AES_128_GCM"
    assert (client.keys.tx, client.keys.rx) == (server.keys.rx, server.keys.tx)
    assert client.keys.tx != client.keys.rx
    assert client.timeout_s is None


@pytest.mark.parametrize("function", ["sha-384", "sha-512"])
def test_a_fingerprint_of_another_certificate_ends_the_handshake(function: str) -> None:
    for wrong in (known(OURS), ((function, "00" * 64),)):
        client, server = pair()
        client = Association(OURS, DtlsTerms(True, wrong))
        client.begin()

        with pytest.raises(RemoteProtocolError, match="not the one of the description"):
            exchange(client, server)
        assert client.keys is None


def test_the_server_as_well_sees_who_it_is() -> None:
    client, _ = pair()
    server = Association(THEIRS, DtlsTerms(False, known(THEIRS)))
    client.begin()

    with pytest.raises(RemoteProtocolError, match="not the one of the description"):
        exchange(client, server)
    assert server.keys is None


def test_a_datagram_that_is_lost_is_said_again() -> None:
    client, server = pair()
    client.begin()
    exchange(client, server, without=1)
    assert client.keys is None
    left_s = client.timeout_s
    assert left_s is not None
    assert 0 < left_s <= 1

    client.handle_timeout()

    assert client.drain() == []  # Too early: nothing is repeated yet.


def test_goodbye_is_heard_and_garbage_is_not() -> None:
    client, server = pair()
    client.begin()
    exchange(client, server)

    server.receive(b"\x17\xfe\xfd" + bytes(10) + b"\0\0")
    assert not server.is_closed
    client.close()
    exchange(client, server)

    assert server.is_closed
    server.close()
    assert server.drain() == []


def test_who_has_not_met_anybody_says_no_goodbye() -> None:
    client, _ = pair()

    client.close()

    assert client.drain() == []


def test_an_association_that_nobody_wants_goes_at_once() -> None:
    client, server = pair()
    exchange(client, server)
    left = weakref.ref(client)

    gc.disable()
    try:
        del client
        assert left() is None
    finally:
        gc.enable()


def test_who_shows_no_certificate_is_refused() -> None:
    from OpenSSL import SSL

    context = SSL.Context(SSL.DTLS_METHOD)
    context.set_options(SSL.OP_NO_QUERY_MTU)
    peer = SSL.Connection(context, None)
    peer.set_ciphertext_mtu(1200)
    peer.set_connect_state()
    server = Association(THEIRS, DtlsTerms(False, known(OURS)))
    for _ in range(2):
        with pytest.raises(SSL.WantReadError):
            peer.do_handshake()
        flight = peer.bio_read(2000)
        if server.timeout_s is None:
            server.receive(flight)
            peer.bio_write(b"".join(server.drain()))

    with pytest.raises(RemoteProtocolError, match="handshake failed"):
        server.receive(flight)


def test_a_certificate_that_only_openssl_can_read_is_the_peers_fault() -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding
    from OpenSSL import SSL, crypto

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "odd")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    # X.509 has the versions 1 to 3; this one says that it is of version 100.
    encoded = made.public_bytes(Encoding.DER).replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x63", 1)
    odd = crypto.load_certificate(crypto.FILETYPE_ASN1, encoded)
    context = SSL.Context(SSL.DTLS_METHOD)
    context.set_options(SSL.OP_NO_QUERY_MTU)
    context.set_tlsext_use_srtp(b"SRTP_AES128_CM_SHA1_80")
    with pytest.warns(DeprecationWarning, match="X509"):  # cryptography's own class cannot hold it
        context.use_certificate(odd)
    context.use_privatekey(key)
    peer = SSL.Connection(context, None)
    peer.set_ciphertext_mtu(1200)
    peer.set_connect_state()
    server = Association(THEIRS, DtlsTerms(False, known(OURS)))

    def meet() -> None:
        for _ in range(9):
            with contextlib.suppress(SSL.WantReadError):
                peer.do_handshake()
            for datagram in datagrams(peer.bio_read(65_536)):
                server.receive(datagram)
            if answers := server.drain():
                peer.bio_write(b"".join(answers))

    with pytest.raises(RemoteProtocolError, match="not the one of the description"):
        meet()


def test_certificates_differ_and_keep_their_key_to_themselves() -> None:
    assert OURS.fingerprint != THEIRS.fingerprint
    assert len(OURS.fingerprint.split(":")) == 32
    assert "context" not in repr(OURS)


def record(length: int) -> bytes:
    return b"\x16\xfe\xfd" + bytes(8) + length.to_bytes(2, "big") + bytes(length)


@given(st.lists(st.integers(0, MTU_BYTES - 13), max_size=12))
def test_datagrams_hold_whole_records_and_never_too_many(lengths: list[int]) -> None:
    records = b"".join(map(record, lengths))

    cut = list(datagrams(records))

    assert b"".join(cut) == records
    assert all(0 < len(datagram) <= MTU_BYTES for datagram in cut)
    for datagram in cut:
        at = 0
        while at < len(datagram):
            at += 13 + int.from_bytes(datagram[at + 11 : at + 13])
        assert at == len(datagram)


@settings(max_examples=50)
@given(st.binary(min_size=1, max_size=100))
def test_any_bytes_are_taken_or_end_the_handshake(data: bytes) -> None:
    server = Association(THEIRS, DtlsTerms(False, known(OURS)))
    for each in (data, record(len(data))[:13] + data):
        try:
            server.receive(each)
        except RemoteProtocolError:
            return
    assert server.keys is None


def test_the_first_byte_tells_handshakes_from_their_neighbours() -> None:
    assert is_dtls(b"\x16")
    assert not is_dtls(b"\x03")
    assert not is_dtls(b"\x80")
    assert not is_dtls(b"")
