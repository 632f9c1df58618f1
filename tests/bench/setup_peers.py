"""User agent servers of others beside ours: each answers every call at once, and is told its port."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory

__all__ = ["KINDS", "Server", "serving"]

KINDS = ("bridge", "baresip", "sipp")
_READY_S = 10.0
_BARESIP = """\
poll_method epoll
sip_listen 127.0.0.1:{port}
call_max_calls 4000
call_local_timeout 120
audio_player aubridge,nowhere
audio_source aubridge,nowhere
audio_alert aubridge,nowhere
rtp_ports 33000-60000
module_path {modules}
module g711.so
module aubridge.so
module_tmp account.so
module_app menu.so
"""


@dataclass(frozen=True, slots=True)
class Server:
    """Somebody who answers."""

    kind: str
    port: int
    pid: int
    """The process that signals; for the others it carries the media too, if there is any."""
    media_pid: int | None = None


@contextmanager
def serving(kind: str) -> Iterator[Server | None]:
    """Start a server of this kind; None if it is not installed. It is ended on the way out."""
    if kind != "bridge" and which(kind) is None:
        yield None
        return
    with TemporaryDirectory() as folder:
        port = _free_port()
        process = subprocess.Popen(
            _command(kind, port, Path(folder)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if kind == "bridge" else subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=None if kind == "bridge" else folder,
        )
        try:
            if kind == "bridge":
                assert process.stdout is not None
                told = json.loads(process.stdout.readline())
                yield Server(kind, told["port"], told["pid"], told["media_pid"])
            else:
                _await_listener(port, process)
                yield Server(kind, port, process.pid)
        finally:
            _end(process)


def _command(kind: str, port: int, folder: Path) -> list[str]:
    if kind == "bridge":
        return [sys.executable, "-m", "tests.bench.setup_server"]
    if kind == "sipp":
        return ["sipp", "-sn", "uas", "-i", "127.0.0.1", "-p", str(port), "-nostdin"]
    listed = subprocess.run(["dpkg", "-L", "baresip-core"], check=True, capture_output=True, text=True).stdout
    modules = Path(next(line for line in listed.splitlines() if line.endswith("/g711.so"))).parent
    (folder / "config").write_text(_BARESIP.format(port=port, modules=modules))
    (folder / "accounts").write_text(
        "<sip:bench@127.0.0.1>;regint=0;audio_codecs=PCMU/8000/1;answermode=auto\n"
    )
    (folder / "contacts").write_text("")
    return ["baresip", "-f", str(folder), "-t", "600"]


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await_listener(port: int, process: "subprocess.Popen[bytes]") -> None:
    """Return once somebody has the port."""
    entry = f"0100007F:{port:04X}"
    until_s = time.monotonic() + _READY_S
    while entry not in Path("/proc/net/udp").read_text():
        if process.poll() is not None or time.monotonic() > until_s:
            raise RuntimeError(f"{process.args!r} did not come up")
        time.sleep(0.05)


def _end(process: "subprocess.Popen[bytes]") -> None:
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(1 if process.stdout is None else 10)
    except subprocess.TimeoutExpired:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdout is not None:
        process.stdout.close()
