"""werift calls by WHIP: ICE, DTLS, SRTP and SDP in TypeScript, which share no line with ours or aiortc's."""

import base64
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pytest
from numpy.typing import NDArray

from bridge.load.clip import render_clip
from bridge.media.opus_codec import OpusDecoder, OpusEncoder
from tests.e2e.lab import eventually
from tests.e2e.running import RunningBridge
from tests.hearing import transcribe

pytestmark = [pytest.mark.interop("node"), pytest.mark.timeout(120)]

PACKAGES = Path(sys.prefix) / "node"
RATE_HZ = 48_000
FRAME = 960
ANSWER_S = 15.0


@pytest.fixture(scope="module")
def bridge() -> Iterator[RunningBridge]:
    with RunningBridge({"media.standby": "false"}) as running:
        yield running


@pytest.fixture
def packages() -> Path:
    if not (PACKAGES / "node_modules" / "werift").is_dir():
        message = f"werift is not in {PACKAGES}; `make test` installs it where there is npm"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return PACKAGES


class WeriftPhone:
    """One call; use it as a context.

    Args:
        node: The program.
        packages: Where its packages are.
        bridge: Whom it calls.
        heard: File for what it hears.
    """

    def __init__(self, node: str, packages: Path, bridge: RunningBridge, heard: Path) -> None:
        self.told: dict[str, Any] = {}
        """The last of everything that it told, by name."""
        self._heard = heard
        self._lines: queue.Queue[str] = queue.Queue()
        script = Path(__file__).with_name("werift_phone.cjs")
        url = f"http://127.0.0.1:{bridge.http_port}/api/webrtc?to=hello"
        self._process = subprocess.Popen(
            [node, str(script), str(packages), url, bridge.token, str(heard)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        self._reader.start()
        room = np.random.default_rng(1).normal(0, 15, RATE_HZ).astype(np.int16)
        self.order(quiet=packed(room))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait(10)
        self._reader.join(5)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def order(self, **values: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(values) + "\n")
        self._process.stdin.flush()

    def until(self, **wanted: object) -> None:
        """Read on until it has told this."""
        while any(self.told.get(name) != value for name, value in wanted.items()):
            self.told |= json.loads(self._lines.get(timeout=ANSWER_S))
            assert "error" not in self.told, self.told["error"]

    def ended(self) -> int:
        """Its exit code, when it has hung up."""
        return self._process.wait(10)

    def heard(self) -> NDArray[np.int16]:
        """What has been written down so far, decoded in order; call it after the end for all of it."""
        data, decoder, frames = self._heard.read_bytes(), OpusDecoder(RATE_HZ), []
        at = 0
        while at + 4 <= len(data):
            size = int.from_bytes(data[at + 2 : at + 4])
            if size > 3:  # less is a packet that says that there is nothing to hear
                frames.append(decoder.decode(data[at + 4 : at + 4 + size]))
            at += 4 + size
        return np.concatenate(frames) if frames else np.zeros(0, np.int16)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)


def packed(pcm: NDArray[np.int16]) -> Sequence[str]:
    """Opus packets of 20 ms, as JSON can hold them."""
    encoder = OpusEncoder(RATE_HZ, bit_rate=32_000)
    frames = pcm[: len(pcm) // FRAME * FRAME].reshape(-1, FRAME)
    return [base64.b64encode(encoder.encode(frame)).decode() for frame in frames]


def newest(bridge: RunningBridge) -> Any:  # noqa: ANN401  JSON
    return bridge.get("/api/calls")["calls"][0]


async def test_werift_calls_hears_the_bot_talks_over_it_presses_a_key_and_hangs_up(
    peer: str, packages: Path, bridge: RunningBridge, tmp_path: Path
) -> None:
    with WeriftPhone(peer, packages, bridge, tmp_path / "heard") as phone:
        phone.until(status=201)
        phone.until(state="connected")
        await eventually(lambda: np.abs(phone.heard()[-FRAME:]).max(initial=0) > 1000, timeout_s=10)
        await eventually(lambda: len(phone.heard()) > 4 * RATE_HZ, timeout_s=10)
        phone.order(say=packed(np.repeat(render_clip().pcm, 6)))
        await eventually(lambda: newest(bridge)["barge_ins"] == 1, timeout_s=10)
        phone.order(press="5")
        await eventually(lambda: newest(bridge)["digits"] == 1, timeout_s=5)
        call = newest(bridge)
        phone.order(hang_up=True)
        phone.until(hung_up=200)
        await eventually(lambda: newest(bridge)["state"] == "ended")
        assert phone.ended() == 0
        understood = transcribe(phone.heard(), RATE_HZ)

    assert call["codec"] == "opus"
    assert newest(bridge)["reason"] == "caller hung up"
    assert "bridge" in understood, understood
