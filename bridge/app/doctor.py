"""Can this machine run the bridge well? One line an answer, and the line that mends it."""

import errno
import importlib.metadata
import os
import resource
import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from urllib.parse import urlsplit

from bridge.aio.ports_taken import Kind, who_holds
from bridge.app.ears import is_embedded
from bridge.app.settings import Config
from bridge.errors import BridgeError
from bridge.hosts import is_v6, spot
from bridge.ttsserver.whisper import EXTRA, is_installed

__all__ = [
    "Check",
    "Grade",
    "ears_check",
    "examine",
    "files_check",
    "port_check",
    "python_check",
    "realtime_check",
]

_WHEELS = (
    "numpy", "av", "cffi", "aiohttp", "pydantic", "typer", "rich", "prometheus-client",
    "hibari-tts", "onnxruntime",
)  # fmt: skip
_PEERS = {"sipp": "sip-tester", "baresip": "baresip-core"}
_REACH_S = 3.0
_OTHER_FILES = 256
"""Descriptors besides those of calls: HTTP, the voice, Python itself."""


class Grade(Enum):
    """How an answer weighs; only FAIL makes `cosybridge doctor` exit with 1."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """One answer."""

    grade: Grade
    text: str
    fix: str = ""
    """A line to type, or what to change; empty when nothing is wrong."""


def examine(config: Config) -> Iterator[Check]:
    """Ask everything, the quick questions first."""
    yield python_check(sys.version_info[:3], sys.platform)
    yield _wheels_check()
    yield from _ports_checks(config)
    yield files_check(resource.getrlimit(resource.RLIMIT_NOFILE), config.media.capacity)
    yield realtime_check(_may_run_realtime(), wanted=config.media.realtime)
    yield _peers_check(shutil.which)
    if config.ears.enabled:
        yield ears_check(config.ears.url, is_local=is_embedded(config), is_there=is_installed())
    yield _voice_check() if config.tts_kind == "embedded" else _service_check(config.tts.url)


def python_check(version: tuple[int, int, int], platform: str) -> Check:
    text = f"Python {'.'.join(map(str, version))} on {platform}"
    if version < (3, 11):
        return Check(Grade.FAIL, text, "install Python 3.11 or newer")
    if platform != "linux":
        return Check(
            Grade.WARN,
            f"{text}: good for development; calls in numbers need Linux",
            "set media.plain_sockets = true",
        )
    return Check(Grade.OK, text)


def _wheels_check() -> Check:
    missing = []
    for name in _WHEELS:
        try:
            importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        return Check(
            Grade.FAIL, f"packages missing: {', '.join(missing)}", "make serve  (installs what is missing)"
        )
    return Check(Grade.OK, f"all {len(_WHEELS)} packages are installed")


def _ports_checks(config: Config) -> Iterator[Check]:
    for listen in config.sip.listen:
        yield port_check("sip.listen", listen, "udp")
    yield port_check("http.listen", config.http.listen, "tcp")
    if config.tts_server.enabled and config.tts_kind == "embedded":
        yield port_check("tts_server.listen", config.tts_server.listen, "tcp")
    first, last = config.media.ports
    even = range(first + first % 2, last + 1, 2)
    free = sum(_bind_error((config.media.bind_ip, port), "udp") is None for port in even)
    text = f"media.ports {first}-{last}: {free} of {len(even)} RTP ports are free"
    if free >= min(len(even), config.media.capacity):
        yield Check(Grade.OK, text)
    else:
        grade = Grade.WARN if free else Grade.FAIL
        yield Check(
            grade, f"{text}, media.capacity is {config.media.capacity}", "choose another range: media.ports"
        )


def port_check(setting: str, listen: tuple[str, int], kind: Kind) -> Check:
    """Whether an address can be bound now; names the process that holds it."""
    text = f"{setting} {spot(*listen)} ({kind})"
    error = _bind_error(listen, kind)
    if error is None:
        return Check(Grade.OK, f"{text} is free")
    holder = who_holds(listen[1], kind) if error.errno == errno.EADDRINUSE else None
    reason = f"held by {holder}" if holder is not None else (error.strerror or str(error))
    way = "stop that, or choose another" if holder is not None else "choose another"
    return Check(Grade.FAIL, f"{text}: {reason}", f"{way}: --set {setting}=ADDRESS:PORT")


def _bind_error(listen: tuple[str, int], kind: Kind) -> OSError | None:
    type_ = socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM
    family = socket.AF_INET6 if is_v6(listen[0]) else socket.AF_INET
    with socket.socket(family, type_) as probe:
        try:
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            if kind == "tcp":
                # As the servers do: connections of the last run that linger are no obstacle.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(listen)
            if kind == "tcp":
                probe.listen(1)
        except OSError as error:
            return error
    return None


def files_check(limits: tuple[int, int], capacity: int) -> Check:
    """Whether RLIMIT_NOFILE allows two sockets a call; the soft limit is raised at start."""
    soft, hard = limits
    needed = 2 * capacity + _OTHER_FILES
    if hard == resource.RLIM_INFINITY or hard >= needed:
        return Check(Grade.OK, f"open files: {soft} now, {needed} are needed, raised at start")
    fits = max(0, (hard - _OTHER_FILES) // 2)
    return Check(
        Grade.WARN,
        f"open files: at most {hard}, enough for {fits} calls of media.capacity {capacity}",
        f"sudo prlimit --pid $$ --nofile={needed}:{needed}  (for this shell)",
    )


def realtime_check(may: bool, *, wanted: bool) -> Check:
    """Whether the media process may have SCHED_FIFO, with the lines that grant it."""
    if may:
        return Check(Grade.OK, "realtime scheduling is permitted")
    if not wanted:
        return Check(Grade.OK, "realtime scheduling is not permitted, and media.realtime does not ask for it")
    user = os.environ.get("USER") or str(os.getuid())
    return Check(
        Grade.WARN,
        "realtime scheduling is not permitted: a busy machine will send some packets late",
        "sudo prlimit --pid $$ --rtprio=10  (for this shell)   or for good, after a new login:  "
        f"echo '{user} - rtprio 10' | sudo tee /etc/security/limits.d/cosybridge.conf",
    )


def _may_run_realtime() -> bool:
    """Try it on a thread that ends at once, so that nothing of it stays."""
    granted: list[bool] = []

    def attempt() -> None:
        try:
            # On Linux, 0 is the calling thread, not the process.
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        except (OSError, AttributeError):
            return
        granted.append(True)

    thread = threading.Thread(target=attempt, name="realtime probe")
    thread.start()
    thread.join()
    return bool(granted)


def _peers_check(which: Callable[[str], str | None]) -> Check:
    missing = [program for program in _PEERS if which(program) is None]
    if not missing:
        return Check(Grade.OK, f"test peers are installed: {', '.join(_PEERS)}")
    packages = " ".join(_PEERS[program] for program in missing)
    return Check(
        Grade.WARN,
        f"test peers missing: {', '.join(missing)}; only tests with real phones need them",
        f"make peers  (as root, on Debian: installs {packages})",
    )


def _voice_check() -> Check:
    began = time.perf_counter()
    try:
        from bridge.ttsserver.hibari import HibariEngine

        HibariEngine()
    except (ImportError, OSError, RuntimeError, ValueError, BridgeError) as error:
        reason = " ".join(str(error).split())
        return Check(Grade.FAIL, f"the embedded voice does not load: {reason}", "make serve  (installs it)")
    return Check(Grade.OK, f"the embedded voice loads in {time.perf_counter() - began:.1f} s")


def ears_check(url: str, *, is_local: bool, is_there: bool) -> Check:
    """Whether callers will be understood, and by whom."""
    if not is_local:
        return Check(Grade.OK, f"callers are understood by {urlsplit(url).hostname}")
    if is_there:
        return Check(Grade.OK, "callers are understood by the embedded service")
    return Check(Grade.FAIL, "ears.enabled is on, and speech recognition is not installed", EXTRA)


def _service_check(url: str) -> Check:
    """Whether a connection to the service's host opens; nothing is said on it, so nothing is billed."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "wss" else 80)
    try:
        socket.create_connection((host, port), timeout=_REACH_S).close()
    except OSError as error:
        return Check(
            Grade.FAIL,
            f"the voice service {host}:{port} cannot be reached: {error.strerror or error}",
            "check tts.url and the network, or use the voice of this machine: --set tts.url=embedded",
        )
    return Check(
        Grade.OK, f"the voice service {host}:{port} can be reached; its key is tried by: cosybridge say hello"
    )
