"""Ten thousand hostile datagrams a second at the phone line: calls go on whole, and one can still call.

COSYBRIDGE_FLOOD_S=60 python -m pytest -s tests/e2e/test_floods.py
"""

import asyncio
import os
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import pytest

from tests.e2e import agents
from tests.e2e.bare_phone import BarePhone
from tests.e2e.lab import calling
from tests.e2e.rtp_lines import resident_kib
from tests.e2e.running import RunningBridge
from tests.e2e.undisturbed import undisturbed

LENGTH_S = float(os.environ.get("COSYBRIDGE_FLOOD_S", "10"))
"""The full length is 60."""
RATE = 10_000
CALLS = 4
MOST_CALLS = 40
MOST_KIB = 48 * 1024
"""What a flood may add to the memory of the process that signals: 12,000 transactions of 32 s, at most."""

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(90 + 6 * LENGTH_S)]


@pytest.fixture
def bridge() -> Iterator[RunningBridge]:
    settings = agents.routes(ticker="tone", holding="tone") | {"sip.max_calls": str(MOST_CALLS)}
    # Nobody who floods gets an agent: the last route is for them.
    with RunningBridge(
        settings | {"routes.2.to": "*", "routes.2.agent": "tests.e2e.agents:holding"}
    ) as running:
        yield running


@dataclass
class Heard:
    """One phone's packets, in order of arrival."""

    sequences: list[int] = field(default_factory=list)
    stamps: list[int] = field(default_factory=list)
    sent: int = 0
    sent_late: int = 0
    """Packets that the phone itself sent more than 10 ms late: the bridge cannot play them in time."""

    def is_whole(self) -> bool:
        """Whether every packet came, in order, each a frame after the other."""
        steps = zip(self.sequences, self.sequences[1:], strict=False)
        ticks = zip(self.stamps, self.stamps[1:], strict=False)
        return all((b - a) % 65_536 == 1 for a, b in steps) and all((b - a) % 2**32 == 160 for a, b in ticks)


class Conversation:
    """Phones that talk and listen, 50 packets a second each, from a thread, until they are told to stop."""

    def __init__(self, bridge: RunningBridge, count: int) -> None:
        self._bridge = bridge
        self._phones = [
            BarePhone(("127.0.0.1", bridge.sip_port), ip=f"127.0.1.{n + 1}") for n in range(count)
        ]
        self.heard = [Heard() for _ in self._phones]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="phones")

    def __enter__(self) -> Self:
        for phone in self._phones:
            phone.invite("ticker")
            phone.ack()
            phone.hear()
            phone.rtp.setblocking(False)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        for phone in self._phones:
            phone.switch_off()

    def accounts(self) -> list[dict[str, float]]:
        """The bridge's own counters of each call."""
        told: list[dict[str, Any]] = [
            self._bridge.get(f"/api/calls/{quote(phone.call_id, safe='')}") for phone in self._phones
        ]
        return [account["media"] for account in told]

    def _run(self) -> None:
        due_s = time.monotonic()
        while not self._stop.is_set():
            due_s += 0.02
            time.sleep(max(0.0, due_s - time.monotonic()))
            is_late = time.monotonic() > due_s + 0.01
            for phone, heard in zip(self._phones, self.heard, strict=True):
                phone.speak()
                heard.sent += 1
                heard.sent_late += is_late
                self._listen(phone, heard)

    @staticmethod
    def _listen(phone: BarePhone, heard: Heard) -> None:
        while True:
            try:
                _, _, sequence, stamp, _ = struct.unpack("!BBHII", phone.rtp.recv(2048)[:12])
            except BlockingIOError:
                return
            heard.sequences.append(sequence)
            heard.stamps.append(stamp)


@contextmanager
def flood(bridge: RunningBridge, kind: str, sources: int) -> Iterator[dict[str, float]]:
    """Let a flood run from before the block to after it; yields what is known of it at the end."""
    words = [str(bridge.sip_port), str(RATE), str(LENGTH_S), kind, str(sources)]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.e2e.hostile", *words], stdout=subprocess.PIPE, text=True
    )
    told: dict[str, float] = {}
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "begun\n"
        time.sleep(0.5)  # it is at its full rate
        yield told
        out, _ = process.communicate(timeout=LENGTH_S + 30)
        told["sent"], told["refused"], told["answers"] = map(float, out.split())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize(
    ("kind", "sources"), [("malformed", 1), ("malformed", 50), ("malformed", 2000), ("scan", 50)]
)
@undisturbed
async def test_calls_are_untouched_and_a_new_one_is_answered(
    bridge: RunningBridge, kind: str, sources: int
) -> None:
    with Conversation(bridge, CALLS) as conversation:
        await asyncio.sleep(2)
        before, kib = conversation.accounts(), resident_kib(bridge.process.pid)
        cpu_s = _cpu_s(bridge.process.pid)
        with flood(bridge, kind, sources) as told:
            began_s = time.monotonic()
            async with calling(bridge, "holding") as caller:
                setup_s = time.monotonic() - began_s
                await caller.hang_up()
        after = conversation.accounts()
        share = (_cpu_s(bridge.process.pid) - cpu_s) / LENGTH_S
        grown = resident_kib(bridge.process.pid) - kib

    print(
        f"\n{kind} from {sources}: {told['sent']:.0f} sent, {told['answers']:.0f} answers seen, {share:.0%} "
        f"of a core, {grown / 1024:.1f} MiB more, a new call up in {setup_s:.2f} s"
    )
    assert told["sent"] > 0.9 * RATE * LENGTH_S
    assert [heard.is_whole() for heard in conversation.heard] == [True] * CALLS
    _are_untouched(conversation, before, after)
    assert grown < MOST_KIB
    assert share < 0.75


async def test_an_invite_flood_is_refused_within_limits_and_others_are_served(bridge: RunningBridge) -> None:
    with Conversation(bridge, CALLS) as conversation:
        await asyncio.sleep(2)
        before, kib = conversation.accounts(), resident_kib(bridge.process.pid)
        # Whoever calls from elsewhere than the flood has a share of his own.
        phone = BarePhone(("127.0.0.1", bridge.sip_port), ip="127.0.2.1")
        with flood(bridge, "invites", 1) as told, phone:
            phone.invite("holding")
            phone.ack()
            phone.hear()
        live = sum(call["state"] != "ended" for call in bridge.get("/api/calls")["calls"])
        after = conversation.accounts()
        grown = resident_kib(bridge.process.pid) - kib

    refused = bridge.metric("cosybridge_sip_total", 'kind="refused_503"')
    print(
        f"\n{told['sent']:.0f} INVITEs from one source: {live} calls, {refused:.0f} answered 503, "
        f"{grown / 1024:.1f} MiB more"
    )
    assert told["sent"] > 0.9 * RATE * LENGTH_S
    assert live <= MOST_CALLS + CALLS + 1
    # Two seconds' worth at once, then the rate: what is beyond is not even answered.
    assert 100 < refused <= 200 * (LENGTH_S + 3)
    assert [heard.is_whole() for heard in conversation.heard] == [True] * CALLS
    _are_untouched(conversation, before, after)
    assert grown < MOST_KIB


def _are_untouched(
    conversation: Conversation, before: list[dict[str, float]], after: list[dict[str, float]]
) -> None:
    """No call lost or waited for a packet of its own meanwhile, but for those that its phone sent late."""
    for heard, earlier, later in zip(conversation.heard, before, after, strict=True):
        for counter in ("silence_bridge_late", "rx_lost", "rx_malformed", "rx_stranger"):
            assert later[counter] == earlier[counter], counter
        assert later["rx_late"] - earlier["rx_late"] <= heard.sent_late
        assert later["tx_packets"] > earlier["tx_packets"]


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
