"""A whole bridge in a child process on free ports, as a user would start it."""

import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bridge.hosts import spot

__all__ = ["RunningBridge", "free_port"]

_START_S = 60.0
_PORTS = range(10_000, 16_000)


def free_port(kind: socket.SocketKind = socket.SOCK_DGRAM) -> int:
    """Return a port that is free at this moment; one for datagrams is free for streams as well.

    It is below those that the kernel hands out: whoever asks for any port before ours is taken gets another.
    """
    while True:
        port = secrets.choice(_PORTS)
        with (
            suppress(OSError),
            socket.socket(socket.AF_INET, kind) as probe,
            socket.socket(socket.AF_INET, socket.SOCK_STREAM) as other,
        ):
            probe.bind(("127.0.0.1", port))
            if kind is not socket.SOCK_STREAM:
                other.bind(("127.0.0.1", port))
            return port


class RunningBridge:
    """Starts a command that serves, waits for its ready line, stops it with SIGTERM.

    Args:
        settings: ``section.key`` to value, over what a test needs anyway.
        command: What to run instead of ``python -m bridge serve``; reads its settings from the environment.
        in_ipv6: Whether it can be called at ``[::1]`` as well, on the same port.
    """

    def __init__(
        self,
        settings: Mapping[str, object] | None = None,
        *,
        command: list[str] | None = None,
        in_ipv6: bool = False,
    ) -> None:
        self.sip_port: int = free_port()
        self.http_port: int = free_port(socket.SOCK_STREAM)
        self.tts_port: int = free_port(socket.SOCK_STREAM)
        self.token: str = "test-token"
        media_port = (
            20_000 + (os.getpid() * 64 + self.sip_port) % 12_000 // 2 * 2
        )  # below what the kernel hands out
        values = {
            "sip.listen": f"127.0.0.1:{self.sip_port}",
            "http.listen": f"127.0.0.1:{self.http_port}",
            "http.token": self.token,
            "media.ports": f"{media_port}-{media_port + 199}",
            "media.bind_ip": "127.0.0.1",
            "tts_server.listen": f"127.0.0.1:{self.tts_port}",
            "start.self_call": "false",
            "tts_server.preload_chinese": "false",  # two seconds of work, in the middle of a test
            "recording.transcripts": "true",
            "records.enabled": "false",  # each bridge begins without a past
        }
        if in_ipv6:
            values["sip.listen"] += f", [::1]:{self.sip_port}"
            values["media.bind_ip6"] = "::1"
        values |= {key: str(value) for key, value in (settings or {}).items()}
        self.tts_key: str = values.get("tts_server.api_keys", "")
        """What its embedded voice asks for, if anything."""
        self.has_standby: bool = values.get("media.standby", "true") == "true"
        """Whether it keeps a media process ready."""
        self._environment = {k: v for k, v in os.environ.items() if not k.startswith("COSYBRIDGE_")}
        self._environment.pop("DASHSCOPE_API_KEY", None)  # nothing bills by surprise
        for key, value in values.items():
            self._environment["COSYBRIDGE_" + key.upper().replace(".", "__")] = value
        self._command = command or [sys.executable, "-m", "bridge", "serve"]
        self.output: list[str] = []
        """Every line it printed, both streams."""
        self._ready = threading.Event()
        self.process: subprocess.Popen[str]

    def __enter__(self) -> Self:
        self._ready.clear()  # it may have run before
        self.process = subprocess.Popen(
            self._command,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if not self._ready.wait(_START_S) or self.process.poll() is not None:
            self.stop()
            raise RuntimeError("the bridge did not become ready:\n" + "\n".join(self.output))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def tts_url(self) -> str:
        """Where its embedded voice answers."""
        return f"ws://127.0.0.1:{self.tts_port}/api-ws/v1/inference"

    def uri(self, user: str = "hello", *, host: str = "127.0.0.1") -> str:
        """A SIP URI that reaches it."""
        return f"sip:{user}@{spot(host, self.sip_port)}"

    def stop(self) -> int:
        """Ask it to end, now; returns the exit code."""
        for _ in range(2):
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGTERM)
                try:
                    self.process.wait(3)
                except subprocess.TimeoutExpired:
                    continue
        if self.process.poll() is None:
            self.process.kill()
        code = self.process.wait(10)
        self._reader.join(5)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code

    def get(self, path: str) -> Any:  # noqa: ANN401  JSON is what it is
        """Fetch JSON from the API."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.http_port}{path}", headers={"Authorization": f"Bearer {self.token}"}
        )
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310  our own child
            return json.load(answer)

    def post(self, path: str, body: Mapping[str, object]) -> Any:  # noqa: ANN401
        """Give an order to the API."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.http_port}{path}",
            data=json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310  our own child
            return json.load(answer)

    def metric(self, name: str, label: str = "") -> float:
        """Sum of all series of one metric, or of those with one label, e.g. ``kind="malformed"``."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.http_port}/metrics", headers={"Authorization": f"Bearer {self.token}"}
        )
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310  our own child
            lines = answer.read().decode().splitlines()
        return sum(
            float(line.rsplit(" ", 1)[1])
            for line in lines
            if line.split("{")[0].split(" ")[0] == name and label in line
        )

    def series(self, name: str, label: str) -> dict[str, float]:
        """One metric by the values of one of its labels."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.http_port}/metrics", headers={"Authorization": f"Bearer {self.token}"}
        )
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310  our own child
            text = answer.read().decode()
        found = re.findall(rf'^{name}{{.*?{label}="([^"]*)".*}} (\S+)$', text, re.MULTILINE)
        return {label: float(value) for label, value in found}

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output.append(line.rstrip("\n"))
            if line.strip() == "ready":
                self._ready.set()
        self._ready.set()  # ended: whoever waits looks at the exit code
