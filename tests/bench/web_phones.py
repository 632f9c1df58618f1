"""A process that plays N browsers on lines of its own, and tells what came back.

Reads two lines of JSON from stdin and writes two to stdout: told whom to call and what to say, it calls and
tells how long that took; told when to begin, it talks, interrupts where it is told to, and sums up.
"""

import base64
import heapq
import json
import sys
import time
import wave
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridge.aio.dtls import Certificate
from bridge.engine.ports import raise_file_limit
from tests.bench.generator import pace, settle
from tests.bench.lateness import Lateness
from tests.bench.web_line import Heard, WebLine, decoded

__all__ = ["Cut", "Gaps", "gaps_of", "mute_ns"]

STALL_NS = 60_000_000
_SLOTS = 20
_SLOT_NS = 1_000_000
_LISTEN_TICKS = 4
_LAST_WORDS_S = 0.1
_AUDIBLE = 100.0
"""Root mean square of a packet that is more than coding noise, of 32,768: -50 dBFS."""
_QUIET_PACKETS = 10
"""So many silent packets are a mute, and no pause between two words."""
_SPOKEN_PACKETS = 5
"""So many audible ones before it, or there was nothing to interrupt."""


@dataclass(frozen=True, slots=True)
class Gaps:
    """Times between two packets of one call."""

    longest_ms: float
    stalls: int
    """Of more than `STALL_NS`."""


@dataclass(slots=True)
class Cut:
    """One interruption."""

    phone: int
    tick: int
    """When its first packet is due."""
    onset_ns: int = 0
    """When the packet with the onset had left."""


@dataclass(slots=True)
class Talk:
    """What everybody says."""

    says: list[bytes]
    clip: list[bytes] = field(default_factory=list)
    clip_onset: int = 0
    """Number of the clip's packet with the onset in it."""
    cuts: list[Cut] = field(default_factory=list)
    loss: float = 0.0
    jitter_ms: int = 0
    lost: list[int] = field(default_factory=list)
    """Packets that are lost whatever the dice say."""
    seed: int = 7


class Network:
    """Loses and delays the same packets for the same seed; one may overtake another."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._dice = np.random.default_rng(talk.seed)
        self._waiting: list[tuple[int, int, bytes]] = []
        self.lost: int = 0

    def put(self, phone: int, number: int, sealed: bytes, *, tick: int) -> None:
        is_lost = self._dice.random() < self._talk.loss or number in self._talk.lost
        delay = int(self._dice.integers(0, self._talk.jitter_ms + 1))
        if is_lost:
            self.lost += 1
        else:
            heapq.heappush(self._waiting, (tick + delay, phone, sealed))

    def take(self, tick: int) -> list[tuple[int, bytes]]:
        due = []
        while self._waiting and self._waiting[0][0] <= tick:
            _, phone, sealed = heapq.heappop(self._waiting)
            due.append((phone, sealed))
        return due


def main() -> None:
    told = json.loads(sys.stdin.readline())
    raise_file_limit()
    certificate = Certificate.make("bench")
    lines = [WebLine(certificate, ssrc=0x10000 + number) for number in range(told["calls"])]
    took_ms = []
    for line in lines:
        began_ns = time.monotonic_ns()
        line.dial(told["url"], told["token"])
        took_ms.append((time.monotonic_ns() - began_ns) / 1e6)
        for each in lines:
            each.listen()  # consent is asked for while others still call
    print(json.dumps({"connect_ms": took_ms}), flush=True)
    talk = Talk(
        says=[base64.b64decode(each) for each in told["says"]],
        clip=[base64.b64decode(each) for each in told.get("clip", [])],
        clip_onset=told.get("clip_onset", 0),
        cuts=[Cut(*each) for each in told.get("cuts", [])],
        loss=told.get("loss", 0.0),
        jitter_ms=told.get("jitter_ms", 0),
        lost=told.get("lost", []),
        seed=told.get("seed", 7),
    )
    told |= json.loads(sys.stdin.readline())
    settle()
    lateness, lost = run(lines, talk, told)
    print(json.dumps(summary(lines, talk, told, lateness) | {"lost_on_the_way": lost}), flush=True)


def run(lines: list[WebLine], talk: Talk, told: dict[str, Any]) -> tuple[list[int], int]:
    """Talk for as long as was told; return how late each slot was, and how many packets the network lost."""
    network = Network(talk)
    clip_at: dict[int, int] = {}
    cuts = sorted(talk.cuts, key=lambda cut: cut.tick)
    live: dict[int, Cut] = {}
    late = []
    for tick in range(round(told["seconds"] * 1000)):
        late.append(pace(told["begin_ns"] + tick * _SLOT_NS))
        while cuts and cuts[0].tick <= tick:
            cut = cuts.pop(0)
            live[cut.phone], clip_at[cut.phone] = cut, 0
        slot, number = tick % _SLOTS, tick // _SLOTS
        for phone in range(len(lines) * slot // _SLOTS, len(lines) * (slot + 1) // _SLOTS):
            payload = talk.says[number % len(talk.says)]
            if phone in clip_at:
                payload = talk.clip[clip_at[phone]]
            network.put(phone, number, lines[phone].seal(payload, number), tick=tick)
        for phone, sealed in network.take(tick):
            lines[phone].send(sealed)
            if phone in clip_at:
                if clip_at[phone] == talk.clip_onset:
                    live[phone].onset_ns = time.monotonic_ns()
                clip_at[phone] += 1
                if clip_at[phone] == len(talk.clip):
                    del clip_at[phone]
        if tick % _LISTEN_TICKS == 0:
            for line in lines:
                line.listen()
    time.sleep(_LAST_WORDS_S)
    for line in lines:
        line.listen()
    return late, network.lost


def summary(lines: list[WebLine], talk: Talk, told: dict[str, Any], late: list[int]) -> dict[str, Any]:
    """What came back, warm-up left out."""
    first_ns = told["begin_ns"] + round(told["warm_up_s"] * 1e9)
    last_ns = told["begin_ns"] + round(told["seconds"] * 1e9)
    per_call, cuts = [], []
    for phone, line in enumerate(lines):
        heard = line.heard()
        sound = decoded(heard)
        levels = np.sqrt((sound.astype(np.float64) ** 2).mean(axis=1)) if len(sound) else np.zeros(0)
        counted = [first_ns <= packet.arrival_ns < last_ns for packet in heard]
        within = [packet for packet, is_counted in zip(heard, counted, strict=True) if is_counted]
        gaps = gaps_of(within, first_ns, last_ns)
        per_call.append(
            {
                "packets": len(within),
                "lost": lost_of(within),
                "longest_ms": gaps.longest_ms,
                "stalls": gaps.stalls,
                "audible_share": round(float((levels[counted] > _AUDIBLE).mean()) if within else 0.0, 3),
            }
        )
        arrivals = np.array([packet.arrival_ns for packet in heard], np.int64)
        mine = [cut for cut in talk.cuts if cut.phone == phone]
        cuts += [mute_ns(arrivals, levels > _AUDIBLE, cut.onset_ns) for cut in mine]
        if phone == 0 and told.get("wave"):
            write(Path(told["wave"]), sound[counted])
        line.close()
    expected = 50 * (told["seconds"] - told["warm_up_s"])
    said = len(lines) * 50 * told["seconds"]
    return {
        "calls": per_call,
        "mutes_ms": [None if each is None else round(each / 1e6, 2) for each in cuts],
        "sent_share": round(sum(line.said for line in lines) / said, 4),
        "heard_share": round(sum(each["packets"] for each in per_call) / (len(lines) * expected), 4),
        "generator_lateness": Lateness.of(np.array(late, np.int64)).as_json(),
    }


def gaps_of(heard: list[Heard], first_ns: int, last_ns: int) -> Gaps:
    """Between any two arrivals, and at both ends of the time that counts."""
    arrivals = np.array([first_ns, *sorted(packet.arrival_ns for packet in heard), last_ns], np.int64)
    steps = np.diff(arrivals)
    return Gaps(round(float(steps.max()) / 1e6, 2), int(np.count_nonzero(steps > STALL_NS)))


def lost_of(heard: list[Heard]) -> int:
    """Numbers between the lowest and the highest that never came."""
    if not heard:
        return 0
    base = heard[0].sequence
    numbers = {(packet.sequence - base + 2**15) % 2**16 for packet in heard}
    return max(numbers) - min(numbers) + 1 - len(numbers)


def mute_ns(arrivals_ns: NDArray[np.int64], is_audible: NDArray[np.bool_], onset_ns: int) -> int | None:
    """From an onset that was sent to the first packet of the silence that followed; None if none did.

    A silence is `_QUIET_PACKETS` packets without a sound; what came before it must have had one.
    """
    after = int(np.searchsorted(arrivals_ns, onset_ns))
    if not onset_ns or not is_audible[max(0, after - _SPOKEN_PACKETS) : after].all():
        return None
    for begin in range(after, len(arrivals_ns) - _QUIET_PACKETS):
        if not is_audible[begin : begin + _QUIET_PACKETS].any():
            return int(arrivals_ns[begin]) - onset_ns
    return None


def write(path: Path, sound: NDArray[np.int16]) -> None:
    """What one phone heard, as it was heard."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48_000)
        file.writeframes(sound.astype("<i2").tobytes())


if __name__ == "__main__":
    main()
