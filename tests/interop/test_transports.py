"""Telephones that call over TCP and TLS, and what is on the wire meanwhile."""

import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from socket import AF_INET, SOCK_STREAM, create_server, socket

import pytest

from bridge.aio.certificates import self_made
from tests.e2e.running import RunningBridge, free_port
from tests.hearing import transcribe, word_errors
from tests.interop import test_baresip as phones
from tests.interop.network import OURS, THEIRS
from tests.interop.test_baresip import EXAMPLE, SENTENCE, last_call, recorded
from tests.interop.test_sipp import SCENARIO, quiet_room
from tests.wire import RtpTap

pytestmark = pytest.mark.timeout(120)


class Tap:
    """Stands between a telephone and the bridge, and keeps every byte that passes."""

    def __init__(self, here: tuple[str, int], there: tuple[str, int]) -> None:
        self.heard = bytearray()
        self._there = there
        self._server = create_server(here)
        self._server.settimeout(60)
        self._pieces: list[socket] = [self._server]
        threading.Thread(target=self._run, daemon=True).start()

    def close(self) -> None:
        for piece in self._pieces:
            piece.close()

    def _run(self) -> None:
        try:
            while True:
                near, _ = self._server.accept()
                far = socket(AF_INET, SOCK_STREAM)
                far.connect(self._there)
                self._pieces += [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()
        except OSError:
            return

    def _carry(self, source: socket, sink: socket) -> None:
        try:
            while data := source.recv(65536):
                self.heard += data
                sink.sendall(data)
        except OSError:
            pass
        sink.close()


@pytest.mark.interop("sipp")
def test_sipp_calls_over_tcp_and_hears_the_sentence(peer: str, tmp_path: Path) -> None:
    quiet_room(tmp_path / "room.ulaw")
    scenario = tmp_path / "uac.xml"
    scenario.write_text(SCENARIO.read_text().replace("[audio_file]", str(tmp_path / "room.ulaw")))
    media_port = free_port() // 2 * 2
    with RunningBridge(command=[sys.executable, str(EXAMPLE)]) as bridge, RtpTap(media_port) as tap:
        command = [peer, f"127.0.0.1:{bridge.sip_port}", "-t", "t1", "-s", "hello", "-sf", str(scenario)]
        command += ["-m", "1", "-i", "127.0.0.1", "-p", str(free_port(SOCK_STREAM)), "-mi", "127.0.0.1"]
        command += ["-mp", str(media_port), "-nostdin", "-timeout", "40", "-timeout_error"]
        done = subprocess.run(
            command, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False
        )
        calls = bridge.get("/api/calls")["calls"]
    assert done.returncode == 0, done.stdout[-2000:]
    assert word_errors(SENTENCE, transcribe(tap.pcm())) <= 0.1
    assert len(calls) == 1


@pytest.fixture
def secure(network: str, tmp_path: Path) -> Iterator[RunningBridge]:
    """A bridge that speaks TLS to the other end of the veth pair."""
    assert network
    made = self_made(tmp_path / "bridge", [OURS])
    settings = {
        "sip.listen": f"{OURS}:5070",
        "media.bind_ip": OURS,
        "sip.tls_listen": f"{OURS}:5062",
        "sip.tls_cert": str(made.certificate),
        "sip.tls_key": str(made.key),
    }
    with RunningBridge(settings, command=[sys.executable, str(EXAMPLE)]) as bridge:
        yield bridge


@pytest.mark.interop("baresip")
def test_baresip_calls_over_tls_and_nothing_of_it_is_in_the_clear(
    peer: str, network: str, secure: RunningBridge, tmp_path: Path
) -> None:
    folder = tmp_path / "phone"
    folder.mkdir()
    tap = Tap((OURS, 5061), (OURS, 5062))
    try:
        command = phones.baresip(peer, network, folder, at_most_s=20)
        with (folder / "config").open("a") as config:
            config.write(f"sip_cafile {tmp_path / 'bridge' / 'certificate.pem'}\n")
        command += ["-e", f"/dial sip:hello@{OURS}:5061;transport=tls"]
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=60,
            check=False,
        )
        call = last_call(secure)
    finally:
        tap.close()
    assert word_errors(SENTENCE, transcribe(*recorded(folder))) <= 0.1, done.stdout
    assert call["reason"]
    assert len(tap.heard) > 2000
    for word in (b"INVITE", b"SIP/2.0", b"m=audio", b"hello"):
        assert word not in tap.heard


@pytest.mark.interop("baresip")
@pytest.mark.parametrize("shows_its_own", [True, False])
def test_a_bridge_that_asks_for_certificates_takes_calls_of_those_it_trusts(
    peer: str, network: str, tmp_path: Path, shows_its_own: bool
) -> None:
    folder = tmp_path / "phone"
    folder.mkdir()
    made, theirs = self_made(tmp_path / "bridge", [OURS]), self_made(tmp_path / "theirs", [THEIRS])
    settings = {
        "sip.listen": f"{OURS}:5070",
        "media.bind_ip": OURS,
        "sip.tls_listen": f"{OURS}:5062",
        "sip.tls_cert": str(made.certificate),
        "sip.tls_key": str(made.key),
        "sip.tls_client_ca": str(theirs.certificate),
    }
    shown = theirs if shows_its_own else made
    (folder / "own.pem").write_bytes(shown.certificate.read_bytes() + shown.key.read_bytes())
    command = phones.baresip(peer, network, folder, at_most_s=20 if shows_its_own else 6)
    with (folder / "config").open("a") as config:
        config.write(f"sip_certificate {folder / 'own.pem'}\n")
    command += ["-e", f"/dial sip:hello@{OURS}:5062;transport=tls"]
    with RunningBridge(settings, command=[sys.executable, str(EXAMPLE)]) as bridge:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=60,
            check=False,
        )
        calls = bridge.get("/api/calls")["calls"]
    assert len(calls) == shows_its_own, done.stdout


@pytest.mark.interop("baresip")
def test_a_bridge_shows_the_certificate_of_its_settings_and_others_do_not_vouch_for_it(
    peer: str, network: str, secure: RunningBridge, tmp_path: Path
) -> None:
    assert peer
    knows = ssl.create_default_context(cafile=str(tmp_path / "bridge" / "certificate.pem"))
    with socket(AF_INET, SOCK_STREAM) as plain:
        plain.connect((OURS, 5062))
        with knows.wrap_socket(plain, server_hostname=OURS) as secured:
            assert secured.version() in ("TLSv1.2", "TLSv1.3")
    stranger = ssl.create_default_context(cafile=str(self_made(tmp_path / "other", [OURS]).certificate))
    with socket(AF_INET, SOCK_STREAM) as plain:
        plain.connect((OURS, 5062))
        with pytest.raises(ssl.SSLCertVerificationError):
            stranger.wrap_socket(plain, server_hostname=OURS)
